"""Stages: documents that occur once -> rows of tokens, for training and for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packing.partition import WHOLE, Part, parts
from pipeline.handover import check, signed_pieces
from pipeline.stage import Stage
from pipeline.units import Unit
from recipes.recipe import Recipe

if TYPE_CHECKING:
    from pipeline.stage import Work


def pack_name(source: str, context: int) -> str:
    return f"pack/{source}/{context}"


def document_parts(recipe: Recipe, source: str) -> dict[int, Part]:
    """Context -> the part [a, b) of a source's training documents that its rows are packed from.

    All of them at each context, or, with `packing.partition`, disjoint parts that make up the whole: then each document
    is read as often as its part is, tokens asked of the context / tokens of its rows.
    """
    contexts = [context for context in recipe.contexts if source in recipe.mixed(context)]
    partition = recipe.packing.partition
    if isinstance(partition, Mapping):
        return parts({context: partition[context] for context in contexts})
    if not partition:
        return dict.fromkeys(contexts, WHOLE)
    return parts({context: asked_of(recipe, source, context) for context in contexts})


def asked_of(recipe: Recipe, source: str, context: int) -> float:
    """Tokens that all phases of a context ask of a source, by the first mixture of each that has it: one that is
    changed in mid-run deals no document anew."""
    phases = [phase for phase in recipe.train.phases if phase.context == context]
    mixes = [[phase.planned, *(remix.mix for remix in phase.remix)] for phase in phases]
    shares = [next((mix[source] for mix in some if mix.get(source)), 0.0) for some in mixes]
    return sum(phase.tokens * share for phase, share in zip(phases, shares, strict=True))


def held_out_name(source: str) -> str:
    return f"heldout/{source}"


def packed(recipe: Recipe, source: str, context: int, clean: Stage, tokenizer: Stage) -> Stage:
    """Rows of at most `context` tokens from the documents that are not held out."""
    return _of_documents(recipe, source, context, clean, tokenizer, training=True)


def held_out(recipe: Recipe, source: str, clean: Stage, tokenizer: Stage) -> Stage:
    """Rows of the held-out documents, at the shortest context, so that all phases are measured alike."""
    return _of_documents(recipe, source, recipe.contexts[0], clean, tokenizer, training=False)


def _of_documents(
    recipe: Recipe, source: str, context: int, clean: Stage, tokenizer: Stage, *, training: bool
) -> Stage:
    def work(workspace: Path, settings: Mapping[str, Any]) -> Work:
        from packing.stage import pack_documents

        path = workspace / tokenizer.name / "tokenizer.json"
        return partial(pack_documents, tokenizer=path, source=source, **settings)

    def units(workspace: Path) -> list[Unit]:
        from packing.stage import full_units, row_groups

        files = {piece.path: piece for piece in signed_pieces(workspace, clean)}
        try:
            found = row_groups([Path(path) for path in files])
        except Exception:  # a footer that cannot be read, for one: was the file changed?
            for piece in files.values():
                check(piece)
            raise
        return full_units([replace(one, signed=files[one.path].signed) for one in found], recipe.packing.unit)

    return in_rows(recipe, source, context, work, units, training=training, reads=(clean, tokenizer))


def in_rows(
    recipe: Recipe,
    source: str,
    context: int,
    work: Callable[[Path, Mapping[str, Any]], Work],
    units: Callable[[Path], list[Unit]],
    *,
    training: bool,
    reads: tuple[Stage, ...],
    more: Mapping[str, Any] | None = None,
    inputs: Callable[[], Mapping[str, Any]] = dict,
) -> Stage:
    """A source as rows, whatever it is before: the stage that all of them have in common.

    work: (workspace, settings) -> the work on a unit; more: settings of this kind of source alone.
    """
    settings: dict[str, Any] = {
        **(more or {}),
        "context": context,
        "shortest": recipe.packing.shortest,
        "holdout": recipe.packing.holdout,
        "seed": recipe.seed,
        "training": training,
        "part": document_parts(recipe, source)[context] if training else WHOLE,
    }

    def finish(folder: Path, infos: Sequence[dict[str, Any]]) -> None:
        from packing.stage import index

        index(folder, infos)

    return Stage(
        name=pack_name(source, context) if training else held_out_name(source),
        work=lambda workspace: work(workspace, settings),
        units=units,
        reads=reads,
        settings={**settings, "unit": recipe.packing.unit},
        inputs=inputs,
        suffix=".mds",
        finish=finish,
    )
