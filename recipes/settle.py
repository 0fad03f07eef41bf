"""Phases that go by temperature -> phases of known shares, once it is known what is left of each source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.handover import one_unit
from pipeline.stage import Record, Stage, StageError
from recipes.recipe import Recipe
from train.phase import Phase

if TYPE_CHECKING:
    from pipeline.stage import Work
    from pipeline.tally import Tally
    from pipeline.units import Unit


def settled(recipe: Recipe, sizes: Mapping[str, int]) -> Recipe:
    """The recipe with a mix in every phase. sizes: bytes of text of each source that a temperature is over.

    A recipe without temperatures is returned as it is. Raises StageError for a source of which nothing is left.
    """
    if not recipe.temperatures:
        return recipe
    return replace(
        recipe, train=replace(recipe.train, phases=tuple(_mixed(phase, sizes) for phase in recipe.train.phases))
    )


def settled_by_run(recipe: Recipe, clean: Mapping[str, Stage], workspace: Path) -> Recipe:
    """The recipe with the shares that follow from what the run has left of each source.

    clean  the last stages of documents. Raises StageError if one is not finished, or was made with other settings.
    """
    if not recipe.temperatures:
        return recipe
    return settled(recipe, {name: left(Record.signed(workspace, stage)) for name, stage in clean.items()})


def shares(recipe: Recipe, clean: Mapping[str, Stage]) -> list[Stage]:
    """The stage that writes the mixes of temperatures down; none where there are none.

    What goes by these mixes reads it: so it is made anew where what is left of any source has changed.
    """
    if not recipe.temperatures:
        return []

    def work(workspace: Path) -> Work:
        mixes = {phase.name: dict(phase.mix) for phase in settled_by_run(recipe, clean, workspace).train.phases}
        return partial(_write, mixes=mixes)

    return [
        Stage(
            name="shares",
            work=work,
            units=one_unit(list(clean.values())),
            reads=tuple(clean.values()),
            settings={"temperatures": recipe.temperatures},
            suffix=".json",
        )
    ]


def _write(_: Unit, out: Path, tally: Tally, *, mixes: Mapping[str, Mapping[str, float]]) -> None:
    out.write_text(json.dumps(mixes, indent=2) + "\n")


def left(record: Record) -> int:
    """Bytes of text that a stage has left of its source: those of held-out documents too."""
    return int(record.counts["bytes_out"])


def _mixed(phase: Phase, sizes: Mapping[str, int]) -> Phase:
    if phase.temperature is None:
        return phase
    try:
        return replace(phase, mix=phase.temperature.shares(sizes), temperature=None)
    except ValueError as fault:
        raise StageError(f"phase {phase.name}: {fault}") from None
