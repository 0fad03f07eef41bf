"""What was read of each source in each phase: told in every checkpoint, and compared there with the order of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from packing.mixture import Order
from train.settings import Train


class AuditError(Exception):
    """What was counted is not what the order gives: told with the source and both figures."""


class Counts(NamedTuple):
    """Of one source in one phase."""

    rows: int = 0
    """Learned from."""
    tokens: int = 0
    """In these rows, without padding."""
    left_out: int = 0
    """Rows that the quarantine kept from the batches."""

    def plus(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


Read = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Phase -> source -> the fields of Counts: what `state.json` and `metrics.jsonl` hold."""


@dataclass(eq=False)
class Audit:
    """Counts by (phase, source). Ranks count their own slices; their sum is the same for any number of them."""

    counts: dict[tuple[str, str], Counts] = field(default_factory=dict)

    @classmethod
    def of(cls, read: Read) -> Audit:
        """Go on from what a checkpoint holds."""
        return cls({(p, s): Counts(**counts) for p, sources in read.items() for s, counts in sources.items()})

    def add(self, phase: str, read: Mapping[str, Counts]) -> None:
        """Count a batch."""
        for source, counts in read.items():
            self.counts[phase, source] = self.counts.get((phase, source), Counts()).plus(counts)

    @property
    def tokens(self) -> int:
        return sum(counts.tokens for counts in self.counts.values())

    def told(self, settings: Train) -> Read:
        """Phases in their order, sources by name."""
        return {
            phase.name: {source: self.counts[name, source]._asdict() for name, source in mine}
            for phase in settings.phases
            if (mine := sorted(key for key in self.counts if key[0] == phase.name))
        }

    def check(self, settings: Train, order: Order, g: int) -> None:
        """Raise AuditError unless these are the rows that the order gives up to row g, of each source at each context:
        what the shares promise has then been read, none twice and none left out but by the quarantine."""
        contexts = {phase.name: phase.context for phase in settings.phases}
        counted = dict.fromkeys(order.consumed(g), 0)
        for (phase, source), counts in self.counts.items():
            counted[source, contexts[phase]] += counts.rows + counts.left_out
        for (source, context), rows in order.consumed(g).items():
            if counted[source, context] != rows:
                raise AuditError(
                    f"after row {g}: {counted[source, context]} rows of {source} at {context} tokens were counted, the "
                    f"order gives {rows}. The run's state is damaged: go on from an earlier checkpoint"
                )
