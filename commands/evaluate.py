"""Any encoder and a run's held-out text -> bits per byte by source, in figures that compare.

Two measures. *Words*: the same words of the same texts are hidden from every model, whatever its tokenizer. *Tokens*:
what the run itself measures, for models that have its tokenizer: the same figures, to the bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from commands.opened import opened
from model.bert import Bert
from packing.encode import Encoder
from packing.shards import Shards
from pipeline.stage import Record
from pipeline.vocabulary import VocabularyError, difference
from recipes.load import load
from train.devices import choose, use_threads
from train.evaluate import evaluate
from train.evaluate import told as plainly
from train.guessers import ModelError, ours, plain, theirs
from train.masking import words_of
from train.settings import Evaluate
from train.spans import Guesser, bytes_of, score, texts_of


class EvaluateError(Exception):
    """There is nothing to evaluate on; one line with the mend."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Questions:
    """What a run holds out, and how it asks."""

    work: Path
    tokenizer: Path
    heldout: Mapping[str, Shards]
    settings: Evaluate


def questions(work: Path, rows: int | None = None) -> Questions:
    """A run's held-out rows, `rows` of each source, or as many as its recipe says. Raises EvaluateError."""
    path = work / "recipe.yaml"
    if not path.exists():
        raise EvaluateError(f"{work}: is no run's folder; it has no recipe.yaml. Name one with --on")
    asked = load(path).train.evaluate
    names = sorted(one.name for one in (work / "heldout").glob("*") if _signed(one))
    shards = {name: Shards(work / "heldout" / name) for name in names}
    heldout = {name: one for name, one in shards.items() if len(one)}
    if not heldout:
        raise EvaluateError(f"{work}/heldout: holds no finished rows; run the recipe until heldout first")
    settings = Evaluate(rows=rows or asked.rows, masks=asked.masks)
    return Questions(work=work, tokenizer=work / "tokenizer" / "tokenizer.json", heldout=heldout, settings=settings)


def _signed(folder: Path) -> bool:
    record = Record.read(folder)
    return record is not None and record.finished


def run_of(model: str) -> Path:
    """The run's folder in which a checkpoint or an export stands. Raises EvaluateError where it stands in none."""
    folder = Path(model).absolute()
    for above in folder.parents[:2]:
        if (above / "heldout").is_dir():
            return above
    raise EvaluateError(f"{model}: stands in no run's folder; name the run whose held-out text it is asked by --on")


def evaluated(
    model: str, asked: Questions, *, context: int | None = None, averaged: bool = False, device: str | None = None
) -> dict[str, Any]:
    """What a model scores: {"model", "on", "context", "parameters", "words": {source: {rate: ...}}, "tokens": the same
    or None}.

    context   tokens that it sees at a time, if it could see more
    averaged  the running mean of a checkpoint's weights

    Raises ModelError, CheckpointError, HubError, EncodeError, DeviceError.
    """
    chosen = choose(device)
    use_threads(None)
    guesser, module, tokenizer = _opened(model, asked.tokenizer, context, averaged, chosen)
    tokens = None
    if isinstance(module, Bert) and tokenizer and _agree(tokenizer, asked.tokenizer):
        tokens = plainly(
            evaluate(
                module,
                asked.heldout,
                asked.settings,
                words=words_of(asked.tokenizer),
                token_bytes=Encoder(asked.tokenizer).token_bytes(),
                device=chosen,
            )
        )
    return {
        "model": model,
        "on": str(asked.work),
        "context": guesser.context,
        "parameters": sum(p.numel() for p in module.parameters()),
        "words": _by_words(guesser, asked),
        "tokens": tokens,
    }


def _opened(
    model: str, own: Path, context: int | None, averaged: bool, device: torch.device
) -> tuple[Guesser, torch.nn.Module, Path | None]:
    """What asks the model, the model, and the file of its tokenizer if we read the model ourselves.

    own  the run's tokenizer: a ModernBERT with another one is left to `transformers`, which knows all special tokens
    """
    folder = Path(model)
    ours_ = (folder / "state.json").exists()
    if averaged and not ours_:
        raise ModelError(f"{model}: only a checkpoint has a mean of weights beside them; leave --averaged out")
    if ours_ or (_kind(folder) == "modernbert" and _agree(folder / "tokenizer.json", own)):
        module, tokenizer, longest = opened(folder, averaged=averaged)
        return ours(module, tokenizer, min(context or longest, longest), device), module, tokenizer
    if folder.is_dir() and not (folder / "config.json").exists():
        raise ModelError(f"{model}: is neither a checkpoint nor a Hugging Face folder")
    if not folder.is_dir() and (len(folder.parts) != 2 or folder.parent.is_dir()) and len(folder.parts) > 1:
        raise ModelError(f"{model}: there is no such folder, and names on the hub are OWNER/NAME")
    return *theirs(model, context, device), None


def _kind(folder: Path) -> str | None:
    """The model_type of a Hugging Face folder; None where it tells none."""
    try:
        return str(json.loads((folder / "config.json").read_bytes())["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _agree(one: Path, other: Path) -> bool:
    """Whether two tokenizers mean the same by their ids, so that a model of one can be given rows of the other."""
    try:
        return not difference(one, other)
    except VocabularyError:
        return False


def _by_words(guesser: Guesser, asked: Questions) -> dict[str, dict[str, Any]]:
    from tokenizers import Tokenizer

    tokens = bytes_of(plain(Tokenizer.from_file(str(asked.tokenizer))))
    found: dict[str, dict[str, Any]] = {}
    for name, rows in asked.heldout.items():
        texts = texts_of(rows.rows(np.arange(min(asked.settings.rows, len(rows)))), tokens)
        for rate in asked.settings.masks:
            if one := score(guesser, texts, rate):
                found.setdefault(name, {})[str(rate)] = asdict(one)
    return found


def told(found: Mapping[str, Any]) -> str:
    """For a terminal: a line a source, rates side by side."""
    lines = [f"{found['model']}: {found['parameters']:,} parameters, {found['context']} tokens at a time"]
    for measure, right in (("words", "words"), ("tokens", "guessed")):
        if not found[measure]:
            continue
        rates = next(iter(found[measure].values()))
        head = "".join(f"{f'{100 * float(rate):g} % of {measure} hidden':>28}" for rate in rates)
        lines += ["", f"  {'bits per byte (guessed right)':30}{head}{'bytes':>12}{measure:>10}"]
        for name, scores in found[measure].items():
            cells = "".join(f"{one['bits_per_byte']:>20.4f} ({one['accuracy']:>5.1%})" for one in scores.values())
            first = next(iter(scores.values()))
            lines.append(f"  {name:30}{cells}{first['bytes']:>12,}{first[right]:>10,}")
    unknown = sum(one["unknown"] for scores in found["words"].values() for one in scores.values())
    if unknown:
        lines += ["", f"  {unknown:,} hidden words are no tokens of this model; each of their bytes costs 8 bits"]
    return "\n".join(lines)
