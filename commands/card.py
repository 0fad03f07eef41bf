"""What a model card says: what the model is, what it has read, how well it guesses, from what it can be made again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from commands import report
from recipes.dump import dump
from recipes.load import RecipeError, load
from recipes.plan import stages
from recipes.recipe import Recipe
from train.checkpoint import Checkpoint
from train.metrics import read_metrics
from train.state import State

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
"""owner/name, as the Hub calls models."""
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")


class CardError(ValueError):
    """What the head of a card cannot say, because the Hub would refuse it; one line."""


@dataclass(frozen=True)
class Run:
    """The run that a checkpoint is of."""

    folder: Path
    recipe: Recipe


def run_of(checkpoint: Checkpoint) -> Run | None:
    """The run whose checkpoints/ it stands in; None where its recipe.yaml is not there, or is of another run."""
    folder = checkpoint.folder.resolve().parent.parent
    try:
        recipe = load(folder / "recipe.yaml")
    except RecipeError:
        return None
    identity = checkpoint.state.identity
    ours = {"seed": recipe.seed, "model": asdict(recipe.model)}
    theirs = {name: identity.get(name) for name in ours}
    return Run(folder, recipe) if json.loads(json.dumps(ours)) == theirs else None


@dataclass(frozen=True, kw_only=True)
class Card:
    """All that a card is made of. Raises CardError for a licence or base model that is no name of the Hub's."""

    state: State
    name: str
    """Of the checkpoint."""
    averaged: bool
    license: str | None
    base_model: str | None
    run: Run | None

    def __post_init__(self) -> None:
        if self.license is not None and not _LICENSE.fullmatch(self.license):
            raise CardError(f"--license '{self.license}' is no name of a licence on the Hub, such as apache-2.0")
        if self.base_model is not None and not HUB_NAME.fullmatch(self.base_model):
            raise CardError(f"--base-model '{self.base_model}' is no model of the Hub, such as owner/name")

    def text(self, compared: str) -> str:
        """README.md. `compared` says how the folder was compared with the checkpoint."""
        title = self.run.recipe.name if self.run else self.name
        parts = [
            ["---", yaml.safe_dump(self._head(), sort_keys=False, allow_unicode=True).rstrip(), "---"],
            [f"# {title}", "", *self._model()],
            ["## Use", *_use(self.state.context)],
            ["## Evaluation", *self._evaluation()],
            ["## Training", *self._training()],
            ["## Tokens read", *self._read()],
            ["## Data", *self._data()],
            ["## Fingerprints", *self._prints()],
            ["## Check of this export", "", f"{compared[0].upper()}{compared[1:]}."],
            ["## Recipe", *self._recipe()],
        ]
        text = "\n\n".join("\n".join(lines) for lines in parts) + "\n"
        for there, said in ((f"{Path.cwd()}/", ""), (f"{Path.home()}/", "~/")):  # no reader's business
            text = text.replace(there, said)
        return text

    def _head(self) -> dict[str, Any]:
        """What the Hub reads; what is not known is not said."""
        head: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "fill-mask"}
        head["tags"] = ["modernbert", "masked-lm", "bertmill"]
        known = {"license": self.license, "language": self._languages(), "base_model": self.base_model}
        return head | {name: value for name, value in known.items() if value}

    def _languages(self) -> list[str]:
        """Those asked of every source of text; none if one of them takes any."""
        asked = [
            source.filters.languages
            for source in (self.run.recipe.texts.values() if self.run else ())
            if source.kind != "code"  # whose languages are not people's
        ]
        return sorted({code for codes in asked for code in codes}) if asked and all(asked) else []

    def _model(self) -> list[str]:
        shape, state = self.state.shape, self.state
        weights = "the running mean of the weights" if self.averaged else "the weights"
        if state.identity.get("imported"):
            origin = "They were imported: how they were trained is not known here."
        else:
            moment = "the end of the run" if state.finished else f"step {state.step:,}, in phase `{state.phase}`"
            origin = f"They are of {moment}, after {state.tokens:,} tokens."
        return [
            f"A ModernBERT of {shape['layers']} layers and width {shape['hidden']}, with {state.vocab:,} words and a "
            f"context of {state.context:,} tokens. This folder holds {weights} of checkpoint `{self.name}`. {origin}",
            *(["", f"It began from: {state.start}"] if state.start else []),
        ]

    def _evaluation(self) -> list[str]:
        scores = self._scores
        if not scores:
            return ["", "Not evaluated at this step."]
        lines = [
            f"| {name} | {float(rate):.0%} | {score['bits_per_byte']:.4f} | {score['loss']:.4f} | "
            f"{score['accuracy']:.2%} | {score['guessed']:,} |"
            for name, rates in sorted(scores.items())
            for rate, score in rates.items()
        ]
        head = "| source | masked | bits per byte | loss (nats a token) | accuracy | masked tokens |"
        said = "Masked-language modelling on held-out documents, by the share of tokens masked."
        return ["", said, "", head, "|---|---|---|---|---|---|", *lines]

    @cached_property
    def _scores(self) -> Mapping[str, Any]:
        if not self.averaged:
            return self.state.evaluation or {}
        metrics = self.run.folder / "metrics.jsonl" if self.run else None
        found: Iterable[Mapping[str, Any]] = read_metrics(metrics) if metrics and metrics.exists() else ()
        of_step = [one for one in found if one["kind"] == "evaluation" and one["step"] == self.state.step]
        return of_step[-1].get("averaged", {}) if of_step else {}

    def _training(self) -> list[str]:
        train = self.state.identity.get("train")
        if not train:
            return ["", "Not known."]
        optimizer, batch = train["optimizer"], train["batch"]
        phases = [
            f"| {phase['name']} | {phase['tokens']:,} | {phase['context']:,} | "
            f"{_or(phase.get('peak'), optimizer['peak']):g} | "
            f"{_or(phase.get('weight_decay'), optimizer['weight_decay']):g} | {phase['mask']:g} | {phase['rope']:g} | "
            f"{_decay(phase.get('decay'))} |"
            for phase in train["phases"]
        ]
        return [
            "",
            f"- optimizer: {', '.join(f'{name} {value}' for name, value in optimizer.items())}",
            f"- batch: {batch['rows']:,} rows of {train['phases'][0]['context']:,} tokens"
            + (" after a warm-up" if batch.get("warmup") else ""),
            f"- steps: {self.state.step:,}; loss of the last one: {self.state.loss:.4f}; "
            f"seed {self.state.identity['seed']}",
            f"- software: {', '.join(f'{name} {version}' for name, version in self.state.versions.items())}",
            "",
            "| phase | tokens | context | peak rate | weight decay | masked | RoPE base | decay |",
            "|---|---|---|---|---|---|---|---|",
            *phases,
        ]

    def _read(self) -> list[str]:
        lines = [
            f"| {phase} | {source} | {counts['tokens']:,} | {counts['rows']:,} |"
            for phase, sources in self.state.read.items()
            for source, counts in sources.items()
        ]
        return ["", "| phase | source | tokens | rows |", "|---|---|---|---|", *lines] if lines else ["", "Not known."]

    def _data(self) -> list[str]:
        if not self.run:
            return ["", "Not known: the recipe of the run does not stand beside the checkpoint."]
        return ["```text", *report.funnel(self.run.folder, self.run.recipe), "```"]

    def _prints(self) -> list[str]:
        """What shaped the weights, by hashes: equal ones made equal models."""
        identity = self.state.identity
        named = {name: identity.get(name) for name in ("tokenizer", "order", "start")}
        named |= {f"rows {name}": print_ for name, print_ in identity.get("rows", {}).items()}
        if self.run:
            found = report.records(self.run.folder, stages(self.run.recipe))
            named |= {f"stage {name}": record.fingerprint for name, record in found.items() if record.finished}
        lines = [f"| {name} | `{value}` |" for name, value in named.items() if value]
        return ["", "| what | print |", "|---|---|", *lines] if lines else ["", "Not known."]

    def _recipe(self) -> list[str]:
        if not self.run:
            return ["", "Not known: it does not stand beside the checkpoint."]
        text = dump(self.run.recipe, absolute=False).rstrip()
        told = [] if self.state.finished else ["", "Of the whole run; this checkpoint stands within it."]
        return [*told, "```yaml", text, "```"]


def _use(context: int) -> list[str]:
    return [
        "```python",
        "from transformers import AutoModelForMaskedLM, AutoTokenizer  # 4.48 or newer",
        "",
        'folder = "."  # this folder, or its name on the Hub',
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "model = AutoModelForMaskedLM.from_pretrained(folder)",
        'inputs = tokenizer("The capital of France is [MASK].", return_tensors="pt")',
        'hidden = inputs["input_ids"][0] == tokenizer.mask_token_id',
        "print(tokenizer.decode(model(**inputs).logits[0, hidden].argmax(-1)))",
        "```",
        f"Inputs of up to {context:,} tokens. A mask stands for a word and the space before it: write `is [MASK].`",
    ]


def _or(of_phase: float | None, otherwise: float) -> float:
    return otherwise if of_phase is None else of_phase


def _decay(decay: object) -> str:
    if isinstance(decay, Mapping):
        return ", ".join(f"{name} {value}" for name, value in decay.items() if value is not None)
    return str(decay or "none")
