"""A checkpoint -> a Hugging Face folder with its model card, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands import report
from commands.kept import keep_export
from commands.verify import HASHES
from pipeline.files import hash_of, sealed, write_atomically
from recipes.dump import dump
from recipes.recipe import Recipe

if TYPE_CHECKING:
    from train.job import Result


def release(recipe: Recipe, workspace: Path, result: Result) -> str:
    """Export the end of a run, with a card that tells recipe, funnel and evaluation -> what to tell of it."""
    folder = workspace / "export"
    export_checkpoint(result.checkpoint, folder)
    write_atomically(folder / "README.md", card(recipe, workspace, result).encode())
    _sign(folder)
    model = keep_export(folder, HASHES)
    scores = result.evaluation or {}
    told = "  ".join(f"{name} {score['bits_per_byte']:.3f}" for name, score in scores.items())
    return "\n".join(
        [
            "",
            f"  final loss {result.loss:.3f} after {result.tokens:,} tokens; held-out bits per byte: {told or 'none'}",
            f"  model: {model}",
            f'  next:  bertmill fill-mask {folder} "The result is a [MASK] of numbers."',
            *(f"         bertmill look {workspace}/filter/{name} --dropped" for name in sorted(recipe.texts)[:1]),
            f"         bertmill trace {workspace} 0",
        ]
    )


def export_checkpoint(checkpoint: Path, folder: Path) -> str:
    """Write a checkpoint as a folder that `transformers` loads. Raises CheckpointError or HubError."""
    from model.hub import export_hub
    from train.checkpoint import open_checkpoint

    opened = open_checkpoint(checkpoint)
    export_hub(opened.model(), folder, opened.tokenizer, opened.state.context)
    _sign(folder)
    return f"  {folder}: a ModernBERT for AutoModelForMaskedLM"


def _sign(folder: Path) -> None:
    """Write the hashes of all files of an export, so that `verify` finds what was changed since."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != HASHES]
    write_atomically(folder / HASHES, sealed({"files": {path.name: hash_of(path) for path in files}}))


def import_folder(folder: Path, checkpoint: Path) -> str:
    """Write a Hugging Face folder as a checkpoint without optimizer state. Raises HubError or CheckpointError."""
    from model.hub import import_hub
    from train.checkpoint import adopt

    adopt(import_hub(folder), folder / "tokenizer.json", checkpoint)
    return f"  {checkpoint}: weights and tokenizer of {folder}"


def card(recipe: Recipe, workspace: Path, result: Result) -> str:
    """The model card: what the model is, what it was made from, how well it guesses, and the recipe."""
    scores: Mapping[str, Any] = result.evaluation or {}
    evaluation = [
        f"| {name} | {score['bits_per_byte']:.4f} | {score['loss']:.4f} | {score['accuracy']:.2%} | "
        f"{score['guessed']} |"
        for name, score in scores.items()
    ]
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            "pipeline_tag: fill-mask",
            "tags: [modernbert, masked-lm, bertmill]",
            "---",
            f"# {recipe.name}",
            "",
            f"A ModernBERT of {recipe.model.layers} layers and width {recipe.model.hidden}, trained from raw files by "
            f"bertmill on {result.tokens:,} tokens in {result.step:,} steps.",
            "",
            "## Evaluation",
            f"Masked-language modelling on held-out documents, {recipe.train.evaluate.mask:.0%} of tokens masked.",
            "",
            "| source | bits per byte | loss (nats a token) | accuracy | masked tokens |",
            "|---|---|---|---|---|",
            *evaluation,
            "",
            "## Data",
            "```text",
            *report.funnel(workspace, recipe),
            "```",
            "",
            "## Recipe",
            "```yaml",
            dump(recipe, absolute=False).rstrip(),
            "```",
            "",
        ]
    )
