"""Stages: documents that occur once -> a tokenizer -> rows of tokens, for training and for evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.handover import check, one_unit, signed_pieces
from pipeline.stage import Record, Stage
from pipeline.units import Unit, find, group, stamps
from recipes.recipe import Recipe

if TYPE_CHECKING:
    from pipeline.stage import Work


def pack_name(source: str, context: int) -> str:
    return f"pack/{source}/{context}"


def held_out_name(source: str) -> str:
    return f"heldout/{source}"


def tokenizer(recipe: Recipe, clean: Mapping[str, Stage]) -> Stage:
    """A byte-level BPE trained on a sample drawn by the shares of the mixture, or an existing tokenizer."""
    settings = recipe.tokenizer
    if settings.from_ is not None:
        path = settings.from_

        def take(_: Path) -> Work:
            from pipeline.tokenizer import take_tokenizer

            return take_tokenizer

        return Stage(
            name="tokenizer",
            work=take,
            units=lambda _: [Unit(0, tuple(find([path])))],
            settings={"from": Path(path).name},
            inputs=lambda: stamps(find([path])),
            suffix=".json",
            finish=_publish,
        )

    def train(workspace: Path) -> Work:
        from pipeline.tokenizer import train_tokenizer

        sizes = {name: Record.signed(workspace, stage).counts["bytes_out"] for name, stage in clean.items()}
        return partial(
            train_tokenizer,
            shares=recipe.shares,
            sizes=sizes,
            vocab=settings.vocab,
            sample=settings.sample,
            holdout=recipe.packing.holdout,
        )

    return Stage(
        name="tokenizer",
        work=train,
        units=one_unit(list(clean.values())),
        reads=tuple(clean.values()),
        settings={
            "vocab": settings.vocab,
            "sample": settings.sample,
            "shares": recipe.shares,
            "holdout": recipe.packing.holdout,
        },
        suffix=".json",
        finish=_publish,
    )


def _publish(folder: Path, infos: Sequence[dict[str, Any]]) -> None:
    from pipeline.tokenizer import publish

    publish(folder, infos)


def packed(recipe: Recipe, source: str, context: int, clean: Stage, tokenizer: Stage) -> Stage:
    """Rows of at most `context` tokens from the documents that are not held out."""
    return _rows(recipe, pack_name(source, context), source, context, clean, tokenizer, training=True)


def held_out(recipe: Recipe, source: str, clean: Stage, tokenizer: Stage) -> Stage:
    """Rows of the held-out documents, at the shortest context, so that all phases are measured alike."""
    return _rows(recipe, held_out_name(source), source, recipe.contexts[0], clean, tokenizer, training=False)


def _rows(
    recipe: Recipe, name: str, source: str, context: int, clean: Stage, tokenizer: Stage, *, training: bool
) -> Stage:
    settings: dict[str, Any] = {
        "context": context,
        "shortest": recipe.packing.shortest,
        "holdout": recipe.packing.holdout,
        "seed": recipe.seed,
        "training": training,
    }

    def work(workspace: Path) -> Work:
        from packing.stage import pack_documents

        return partial(
            pack_documents,
            tokenizer=workspace / tokenizer.name / "tokenizer.json",
            source=source,
            **settings,
        )

    def units(workspace: Path) -> list[Unit]:
        from packing.stage import row_groups

        files = {piece.path: piece for piece in signed_pieces(workspace, clean)}
        try:
            parts = row_groups([Path(path) for path in files])
        except Exception:  # a footer that cannot be read, for one: was the file changed?
            for piece in files.values():
                check(piece)
            raise
        return group((replace(part, signed=files[part.path].signed) for part in parts), recipe.packing.unit)

    def finish(folder: Path, infos: Sequence[dict[str, Any]]) -> None:
        from packing.stage import index

        index(folder, infos)

    return Stage(
        name=name,
        work=work,
        units=units,
        reads=(clean, tokenizer),
        settings={**settings, "unit": recipe.packing.unit},
        suffix=".mds",
        finish=finish,
    )
