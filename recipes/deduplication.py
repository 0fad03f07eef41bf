"""Stages: documents -> hashes and MinHash bands -> what is a copy of what -> documents that occur once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.handover import one_unit, same_units
from pipeline.stage import Stage
from recipes.recipe import Recipe

if TYPE_CHECKING:
    from pipeline.stage import Work


def deduplicated(recipe: Recipe, filtered: Mapping[str, Stage]) -> tuple[list[Stage], dict[str, Stage]]:
    """(all stages in order, the last one of each source) that follow the filters'."""
    signed = {name: _signatures(name, recipe, stage) for name, stage in filtered.items()}
    found = _duplicates(recipe, signed, filtered)
    kept = {name: _dedup(recipe, name, stage, found) for name, stage in filtered.items()}
    return [*signed.values(), found, *kept.values()], kept


def _signatures(name: str, recipe: Recipe, filtered: Stage) -> Stage:
    """What duplicates are found by, so that finding them reads no text but that of candidates."""

    def work(_: Path) -> Work:
        from pipeline.dedup.signatures import Scheme, sign_documents

        return partial(sign_documents, source=name, scheme=Scheme.of(recipe.dedup))

    near = recipe.dedup.near
    shingles = {"ngram": near.ngram, "bands": near.bands, "rows": near.rows} if near else None
    return Stage(
        name=f"signatures/{name}",
        work=work,
        units=same_units(filtered),
        reads=(filtered,),
        settings={"exact": recipe.dedup.exact, "near": shingles},
    )


def _duplicates(recipe: Recipe, signed: Mapping[str, Stage], filtered: Mapping[str, Stage]) -> Stage:
    """Which documents are copies, decided over all sources at once: the same for any number of units and workers."""

    def work(workspace: Path) -> Work:
        from pipeline.dedup.duplicates import find_duplicates

        return partial(
            find_duplicates,
            signatures={name: workspace / stage.name for name, stage in signed.items()},
            documents={name: workspace / stage.name for name, stage in filtered.items()},
            settings=recipe.dedup,
        )

    return Stage(
        name="duplicates",
        work=work,
        units=one_unit(list(signed.values())),
        reads=(*signed.values(), *filtered.values()),
        settings=asdict(recipe.dedup),
    )


def _dedup(recipe: Recipe, name: str, filtered: Stage, duplicates: Stage) -> Stage:
    """The documents that are no copy of another."""
    threshold = recipe.dedup.near.threshold if recipe.dedup.near else 1.0

    def work(workspace: Path) -> Work:
        from pipeline.dedup.keep import keep_survivors

        return partial(keep_survivors, source=name, duplicates=workspace / duplicates.name, threshold=threshold)

    return Stage(name=f"dedup/{name}", work=work, units=same_units(filtered), reads=(filtered, duplicates))
