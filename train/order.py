"""What the phases of a recipe say, and the rows that were packed -> the order of rows of a whole run."""

from __future__ import annotations

from collections.abc import Mapping

from packing.mixture import Order, Source
from packing.mixture import Phase as Stretch
from train.settings import Train


def order_of(settings: Train, rows: Mapping[tuple[str, int], int], seed: int) -> Order:
    """The order of rows of a whole run: what `train` reads, and what it would read.

    rows  (source, context) -> rows packed. A phase whose mixture changes is several phases of the order, all of its
    name. Raises MixtureError where a phase mixes what was not packed, or the quarantine names what is not there.
    """
    sources = [Source(name=name, context=context, rows=count) for (name, context), count in sorted(rows.items())]
    phases = [
        Stretch(name=phase.name, context=phase.context, rows=part.planned, weights=part.mix, cut=part.rows)
        for phase in settings.phases
        for part in phase.parts
    ]
    return Order(sources, phases, seed=seed, quarantine=settings.quarantine)
