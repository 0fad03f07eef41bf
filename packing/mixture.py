"""Row number of the run -> (phase, source, epoch, row): exact shares at any row, O(1) state, any world size.

The state of the data is ONE integer g, the rows consumed by all ranks, and the fingerprint of the order.
1 quotas      whole rows per source and phase: largest remainder over exact fractions.
2 interleave  which source each row is of (interleave.py). Counts never decrease, are known for any n at once, are
              less than two rows off their shares at any n, and exact at the phase's end.
3 draws       draw k of a source is place k % rows of its epoch k // rows; each epoch has its own order.
A source is packed once for each context length, so draws are counted per stream (source, context): phases of
one context go on with the same draws, a phase of another context begins its own.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from packing.interleave import Interleave
from packing.quarantine import Quarantine
from packing.shares import quotas
from packing.shuffle import Draws

REVISION = 2
"""Part of the fingerprint; a change of this module, interleave.py, shares.py or shuffle.py that changes an order
raises it."""

PLACES = np.dtype(
    [("phase", np.int16), ("source", np.int16), ("epoch", np.int32), ("index", np.int64), ("left_out", np.bool_)]
)
"""One row of the order: `phase` counts in `Order.phases`, `source` in `Order.names`, `index` in the source's rows at
the context of the phase. A row that is `left_out` is in quarantine: it is read, but not to be learned from."""

STRETCH = 16_384
"""Rows that are worked out together: enough that numpy's calls cost little with 24 sources. No part of any order."""


class MixtureError(Exception):
    """A mixture that its sources cannot give; told in one line."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The rows of one source as packed for one context length."""

    name: str
    context: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the run that reads one mixture at one context length."""

    name: str
    context: int
    rows: int
    """Planned: the shares are exact at its end."""
    weights: Mapping[str, Fraction | float]
    """By source, in any unit; a float means the decimal number it is written as. 0 is as good as absent."""
    cut: int | None = None
    """Rows after which the next phase takes over, the quotas standing as planned: how weights change in
    mid-run. Planning the phase anew with fewer rows would order differently what was already read."""

    @property
    def read(self) -> int:
        """Rows that are read of those planned."""
        return self.rows if self.cut is None else self.cut


class Order:
    """The one global order of rows. Rank r of R reads the r-th slice of each global batch.

    Memory and time to start do not grow with the rows: 25 ms and 10 MB at 2 G rows of 24 sources.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        phases: Sequence[Phase],
        *,
        seed: int,
        chunk: int = 64,
        window: int = 1024,
        quarantine: Sequence[Quarantine] = (),
    ) -> None:
        """chunk: rows read side by side (64 of 1,024 tokens are 131 KB). window: chunks mixed row by row; 64 * 1,024
        rows keep the spread of batch means at 2.0 times a full shuffle's where the rows of a source drift from first
        to last. MixtureError where the phases ask for what the sources do not have."""
        _check(sources, phases, quarantine)
        self.names = tuple(sorted({source.name for source in sources}))
        self.phases, self.seed, self.chunk, self.window = tuple(phases), seed, chunk, window
        self.sources = sorted(sources, key=lambda source: (source.name, source.context))
        self.quarantine = tuple(quarantine)
        self._source_of = np.array([self.names.index(source.name) for source in self.sources], np.int16)
        self._draws = [Draws(s.rows, chunk, window, seed, s.name, s.context) for s in self.sources]
        self._left_out = [_since(source, quarantine) for source in self.sources]
        self._stretch = lru_cache(maxsize=2)(self._drawn)

        self.quotas = [quotas(phase.rows, [_weight(phase, source) for source in self.sources]) for phase in phases]
        self._interleaves = [Interleave(quota) for quota in self.quotas]
        self._ends = list(accumulate((phase.read for phase in phases), initial=0))
        self._base = [[0] * len(self.sources)]  # draws of each stream before each phase
        for phase, interleave in zip(phases, self._interleaves, strict=True):
            self._base.append(_sum(self._base[-1], interleave.counts(phase.read)))
        self.starts, self.total = tuple(self._ends[:-1]), self._ends[-1]
        self.fingerprint = self.fingerprint_of(self.total)

    def rows(self, g0: int, g1: int) -> npt.NDArray[Any]:
        """Rows g0 … g1-1 of the run as an array of PLACES. MixtureError beyond the last row."""
        if not 0 <= g0 <= g1 <= self.total:
            raise MixtureError(f"rows {g0} to {g1} are not all in this order, which has {self.total}")
        found = np.empty(g1 - g0, PLACES)
        at = g0
        while at < g1:
            phase = self._phase(at)
            number, a = divmod(at - self._ends[phase], STRETCH)
            whole = self._stretch(phase, number)
            z = min(len(whole), a + g1 - at)
            found[at - g0 : at - g0 + z - a] = whole[a:z]
            at += z - a
        return found

    def batch(self, g: int, size: int, rank: int, world: int) -> npt.NDArray[Any]:
        """This rank's slice of the global batch of `size` rows that begins at g: any world size, also one
        that does not divide it. The last batch of the run may be short; its ranks share what there is."""
        return self.rows(*slice_of(g, min(size, self.total - g), rank, world))

    def consumed(self, g: int) -> dict[tuple[str, int], int]:
        """Rows drawn of each (source, context) after g rows of the run, those in quarantine too; they are its
        first draws."""
        if not 0 <= g <= self.total:
            raise MixtureError(f"row {g} is not in this order, which has {self.total}")
        phase = self._phase(g)
        taken = _sum(self._base[phase], self._interleaves[phase].counts(g - self._ends[phase]))
        return {(s.name, s.context): n for s, n in zip(self.sources, taken, strict=True)}

    def read(self, g: int) -> list[tuple[str, int]]:
        """The (source, context) of which something stands among the first g rows."""
        return sorted(key for key, rows in self.consumed(g).items() if rows)

    def epochs(self, *, apart: bool = False) -> dict[str, Fraction]:
        """How often the whole run reads each source: draws / rows, summed over context lengths, since a
        document packed at two lengths and read at both is read twice. apart: each length has documents of its own,
        and the one that reads them most often counts."""
        read = dict.fromkeys(self.names, Fraction(0))
        for source, draws in zip(self.sources, self._base[-1], strict=True):
            times = Fraction(draws, max(source.rows, 1))
            read[source.name] = max(read[source.name], times) if apart else read[source.name] + times
        return read

    def fingerprint_of(self, g: int) -> str:
        """Of all that the first g rows depend on: two orders of one print begin with the same g rows. A source that
        is not read by then is no part of it, nor is what comes later. MixtureError beyond the last row."""
        if g > self.total:
            raise MixtureError(f"row {g} is not in this order, which has {self.total}")
        streams: dict[tuple[str, int], int] = {}
        begun = []
        for start, phase, quota in zip(self.starts, self.phases, self.quotas, strict=True):
            if start < g and phase.read:
                read = {(s.name, s.context): (q, s.rows) for s, q in zip(self.sources, quota, strict=True) if q}
                streams |= {key: rows for key, (_, rows) in read.items()}
                begun.append([min(phase.read, g - start), *([*key, q] for key, (q, _) in read.items())])
        left_out = {
            (entry.source, entry.context, row, entry.since)
            for entry in self.quarantine
            if entry.since < g and (entry.source, entry.context) in streams
            for row in entry.rows
        }
        sizes = sorted([*key, rows] for key, rows in streams.items())
        whole = [REVISION, self.seed, self.chunk, self.window, sizes, begun, sorted(left_out)]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()

    def _phase(self, g: int) -> int:
        return min(bisect_right(self._ends, g), len(self.phases)) - 1

    def _drawn(self, phase: int, number: int) -> npt.NDArray[Any]:
        """The rows of a stretch of a phase, as PLACES."""
        first = number * STRETCH
        last = min(first + STRETCH, self.phases[phase].read)
        labels = self._interleaves[phase].labels(first, last)
        found = np.empty(len(labels), PLACES)
        found["phase"], found["source"] = phase, self._source_of[labels]
        before = _sum(self._base[phase], self._interleaves[phase].counts(first))
        fresh = np.bincount(labels, minlength=len(self.sources))
        by_stream = np.split(np.argsort(labels, kind="stable"), np.cumsum(fresh)[:-1])
        epoch, row = np.empty(len(labels), np.int32), np.empty(len(labels), np.int64)
        left_out = np.zeros(len(labels), np.bool_)
        streams = zip(self._draws, self._left_out, by_stream, before, strict=True)
        for draws, quarantined, places, begin in streams:
            if len(places):
                epoch[places], row[places] = draws.take(begin, begin + len(places))
                if quarantined:
                    g = self._ends[phase] + first + places
                    left_out[places] = [
                        quarantined.get(index, at + 1) <= at
                        for index, at in zip(row[places].tolist(), g.tolist(), strict=True)
                    ]
        found["epoch"], found["index"], found["left_out"] = epoch, row, left_out
        return found


def slice_of(g: int, size: int, rank: int, world: int) -> tuple[int, int]:
    """The rows of rank r of `world` among the `size` rows that begin at g: first, and one behind the last."""
    return g + size * rank // world, g + size * (rank + 1) // world


def check_epochs(epochs: Mapping[str, Fraction], caps: Mapping[str, float]) -> None:
    """MixtureError naming every source that would be read more often than its cap (`max_epochs`)."""
    over = [
        f"{name} is read {float(epochs[name]):.2f} times, its cap is {cap:g}"
        for name, cap in sorted(caps.items())
        if epochs.get(name, 0) > cap
    ]
    if over:
        raise MixtureError(f"{'; '.join(over)}. Add data, lower its share or the tokens, or raise max_epochs.")


def _sum(some: Sequence[int], more: Sequence[int]) -> list[int]:
    return [one + other for one, other in zip(some, more, strict=True)]


def _weight(phase: Phase, source: Source) -> Fraction:
    weight = phase.weights.get(source.name, 0) if source.context == phase.context else 0
    return weight if isinstance(weight, Fraction) else Fraction(str(weight))


def _since(source: Source, quarantine: Sequence[Quarantine]) -> dict[int, int]:
    """Row of a source -> row of the run from which on it is left out."""
    since: dict[int, int] = {}
    for entry in quarantine:
        if (entry.source, entry.context) == (source.name, source.context):
            since |= {row: min(entry.since, since.get(row, entry.since)) for row in entry.rows}
    return since


def _check(sources: Sequence[Source], phases: Sequence[Phase], quarantine: Sequence[Quarantine]) -> None:
    rows = {(source.name, source.context): source.rows for source in sources}
    if len(rows) < len(sources):
        raise MixtureError("a source stands twice with the same context; give each (source, context) once")
    for fault in [*(fault for phase in phases for fault in _faults(phase, rows)), *_missing(quarantine, rows)]:
        raise MixtureError(fault)


def _faults(phase: Phase, rows: Mapping[tuple[str, int], int]) -> Iterator[str]:
    if phase.rows < 1 or not 0 <= phase.read <= phase.rows:
        yield f"phase {phase.name!r} has {phase.rows} rows, cut {phase.cut}: 0 <= cut <= rows, rows > 0"
    for name, weight in phase.weights.items():
        if not 0 <= weight < float("inf"):
            yield f"phase {phase.name!r} gives {name!r} the weight {weight}; weights are 0 or more"
        elif weight and not rows.get((name, phase.context)):
            yield (
                f"phase {phase.name!r} mixes {name!r}, which has no rows of {phase.context} tokens; "
                f"pack it at that context or, if its documents were all dropped, take it out of the mix"
            )
    if not any(phase.weights.values()):
        yield f"phase {phase.name!r} mixes nothing; give a source a weight above 0"


def _missing(quarantine: Sequence[Quarantine], rows: Mapping[tuple[str, int], int]) -> Iterator[str]:
    """Rows that are to be left out and that nobody has: a typing error would leave the bad ones in."""
    for entry in quarantine:
        there = rows.get((entry.source, entry.context), 0)
        if max(entry.rows) >= there:
            yield (
                f"the quarantine names row {max(entry.rows)} of {entry.source!r} at {entry.context} tokens, which has "
                f"{there} rows; see bertmill order for the numbers of rows"
            )
