"""A checkpoint -> a Hugging Face folder with its model card, compared with what it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from commands.card import Card, run_of
from commands.kept import keep_export
from commands.verify import HASHES
from pipeline.files import hash_of, sealed, write_atomically
from recipes.recipe import Recipe

if TYPE_CHECKING:
    from train.job import Result


class ExportError(Exception):
    """A folder that cannot be made, or does not hold what the checkpoint holds; one line."""


def release(recipe: Recipe, workspace: Path, result: Result) -> str:
    """Export the end of a run, with a card that tells recipe, funnel and evaluation -> what to tell of it."""
    folder = workspace / "export"
    compared = export_checkpoint(result.checkpoint, folder)
    model = keep_export(folder, HASHES)
    scores = {name: next(iter(score.values())) for name, score in (result.evaluation or {}).items()}
    told = "  ".join(f"{name} {score['bits_per_byte']:.3f}" for name, score in scores.items())
    return "\n".join(
        [
            "",
            f"  final loss {result.loss:.3f} after {result.tokens:,} tokens; held-out bits per byte: {told or 'none'}",
            f"  model: {model}",
            compared,
            f'  next:  bertmill fill-mask {folder} "The result is a [MASK] of numbers."',
            *(f"         bertmill look {workspace}/filter/{name} --dropped" for name in sorted(recipe.texts)[:1]),
            f"         bertmill trace {workspace} 0",
        ]
    )


def export_checkpoint(
    checkpoint: Path,
    folder: Path,
    *,
    averaged: bool = False,
    license_: str | None = None,
    base_model: str | None = None,
) -> str:
    """Write a checkpoint as a folder that `transformers` loads, with its card -> how it was compared.

    averaged    the running mean of the run's weights instead of the weights of this step
    license_    what the card says of the model's licence, a name that the Hub knows
    base_model  the Hub's name of the model that the run started from

    Raises CheckpointError, HubError, or ExportError, after which the folder does not load.
    """
    from model.hub import export_hub
    from train.checkpoint import open_checkpoint

    if (folder / "state.json").exists():
        raise ExportError(f"{folder}: is a checkpoint, which an export would destroy; name another folder")
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder}: is a file; name a folder")
    opened = open_checkpoint(checkpoint)
    card = Card(
        state=opened.state,
        name=checkpoint.resolve().name,
        averaged=averaged,
        license=license_,
        base_model=base_model,
        run=run_of(opened),
    )  # looked at first: a wrong name for the Hub should not cost an export
    model = opened.model(averaged=averaged)
    try:
        export_hub(model, folder, opened.tokenizer, opened.state.context)
        compared = _compared(model, folder, opened.state.context)
        write_atomically(folder / "README.md", card.text(compared).encode())
        _sign(folder)
    except OSError as fault:
        (folder / "config.json").unlink(missing_ok=True)
        raise ExportError(f"{folder}: cannot be written ({fault}); make room and run the same command again") from None
    return f"  {folder}: a ModernBERT for AutoModelForMaskedLM; {compared}"


def _compared(model: object, folder: Path, context: int) -> str:
    """How the folder was compared with the model it was written from. Raises ExportError if it is another one."""
    from model.bert import Bert
    from model.hub import HubError
    from model.parity import CLOSE, compare

    assert isinstance(model, Bert)
    try:
        apart = compare(model, folder, context)
    except HubError as fault:
        (folder / "config.json").unlink()
        raise ExportError(f"{fault}. {folder} was not finished and does not load") from None
    if apart is None:
        return "not compared: transformers is not installed (pip install 'bertmill[hub]')"
    if not apart <= CLOSE:  # which NaN is not either
        (folder / "config.json").unlink()
        raise ExportError(
            f"{folder}: transformers gives other logits than the checkpoint, up to {apart:.1e} apart, more than "
            f"{CLOSE:.0e}; its config.json was removed, so that it does not load. Please report it"
        )
    from transformers import __version__

    return f"logits of transformers {__version__} equal to the checkpoint's within {apart:.1e}"


def _sign(folder: Path) -> None:
    """Write the hashes of all files of an export, so that `verify` finds what was changed since."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != HASHES]
    write_atomically(folder / HASHES, sealed({"files": {path.name: hash_of(path) for path in files}}))
