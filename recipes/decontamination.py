"""Stages: documents -> documents without what a model is evaluated on: evaluation files, and the held-out split."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.handover import same_units, signed_pieces
from pipeline.settings import Decontaminate, Near
from pipeline.stage import Stage
from pipeline.units import Unit, stamps

if TYPE_CHECKING:
    from pipeline.stage import Work


def without_evaluation_texts(
    settings: Decontaminate, clean: Mapping[str, Stage]
) -> tuple[list[Stage], dict[str, Stage]]:
    """(all stages in order, the last one of each source): evaluation texts are looked for in all documents."""
    evaluation = _evaluation(settings)
    contaminated = _contaminated(settings, evaluation, clean)
    left = {name: _decontaminate(settings, name, stage, contaminated) for name, stage in clean.items()}
    return [evaluation, contaminated, *left.values()], left


def _evaluation(settings: Decontaminate) -> Stage:
    """The index of the n-grams of all evaluation files."""

    def work(_: Path) -> Work:
        from pipeline.decontaminate.read import index_evaluation

        return partial(index_evaluation, settings=settings)

    def inputs() -> Mapping[str, Any]:
        from pipeline.decontaminate.files import evaluation_files

        return stamps(evaluation_files(settings))

    def units(_: Path) -> list[Unit]:
        from pipeline.decontaminate.files import evaluation_files

        return [Unit(0, tuple(evaluation_files(settings)))]

    return Stage(
        name="evaluation",
        work=work,
        units=units,
        settings={
            "columns": settings.columns,
            "ngram": settings.ngram,
            "short": settings.short,
            "characters": settings.characters,
            "sets": sorted(settings.sets),
        },
        inputs=inputs,
        suffix=".arrow",
        max_bad=settings.max_bad,
    )


def _contaminated(settings: Decontaminate, evaluation: Stage, clean: Mapping[str, Stage]) -> Stage:
    """Where the n-grams stand, in how many documents, and which documents hold an evaluation text by that."""

    def work(workspace: Path) -> Work:
        from pipeline.decontaminate.search import search_documents

        return partial(search_documents, index=workspace / evaluation.name, settings=settings)

    def finish(folder: Path, _: list[dict[str, Any]]) -> None:
        from pipeline.decontaminate.settle import settle

        settle(folder, settings=settings)

    return Stage(
        name="contaminated",
        work=work,
        units=_units_of_all(clean),
        reads=(evaluation, *clean.values()),
        settings={"least": settings.least, "enough": settings.enough, "frequent": settings.frequent},
        finish=finish,
    )


def _decontaminate(settings: Decontaminate, name: str, documents: Stage, contaminated: Stage) -> Stage:
    """The documents that hold no evaluation text, or what is left of them."""

    def work(workspace: Path) -> Work:
        from pipeline.decontaminate.apply import decontaminate

        return partial(decontaminate, source=name, contaminated=workspace / contaminated.name, settings=settings)

    cut = {"around": settings.around, "shortest": settings.shortest, "most_pieces": settings.most_pieces}
    return Stage(
        name=f"decontaminate/{name}",
        work=work,
        units=same_units(documents),
        reads=(documents, contaminated),
        settings={"action": settings.action} | (cut if settings.action == "cut" else {}),
    )


def apart_from_held_out(holdout: float, near: Near, clean: Mapping[str, Stage]) -> tuple[list[Stage], dict[str, Stage]]:
    """(all stages in order, the last one of each source): what resembles a held-out document is not trained on."""
    how: dict[str, Any] = {"holdout": holdout, "ngram": near.ngram}

    def reserve(_: Path) -> Work:
        from pipeline.decontaminate.reserved import reserve

        return partial(reserve, **how)

    def index(folder: Path, _: list[dict[str, Any]]) -> None:
        from pipeline.decontaminate.reserved import index_reserved

        index_reserved(folder, threshold=near.threshold)

    reserved = Stage(
        name="reserved",
        work=reserve,
        units=_units_of_all(clean),
        reads=tuple(clean.values()),
        settings={**how, "threshold": near.threshold},
        finish=index,
    )

    def work(workspace: Path) -> Work:
        from pipeline.decontaminate.apart import keep_apart

        return partial(keep_apart, reserved=workspace / reserved.name, threshold=near.threshold, **how)

    left = {
        name: Stage(name=f"apart/{name}", work=work, units=same_units(stage), reads=(stage, reserved), settings=how)
        for name, stage in clean.items()
    }
    return [reserved, *left.values()], left


def _units_of_all(stages: Mapping[str, Stage]) -> Any:
    """One unit for each file of several stages."""

    def units(workspace: Path) -> list[Unit]:
        pieces = [piece for stage in stages.values() for piece in signed_pieces(workspace, stage)]
        return [Unit(number, (piece,)) for number, piece in enumerate(pieces)]

    return units
