"""Row number of the run -> (phase, source, epoch, row): exact shares, O(1) state, any world size.

The state of the data is ONE integer g, the rows consumed by all ranks, and the fingerprint of the order.
1 quotas      whole rows per source and phase: largest remainder over exact fractions.
2 interleave  counts per source after n rows are the Webster (Sainte-Laguë) apportionment of n seats: they
              never decrease, are known for any n at once, and are exact at the phase's end. Inside a block
              of rows the labels are permuted by key; a source's rows keep their order.
3 draws       draw k of a source is place k % rows of its epoch k // rows; each epoch has its own order.
A source is packed once for each context length, so draws are counted per stream (source, context): phases of
one context go on with the same draws, a phase of another context begins its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from packing.shares import quotas, webster
from packing.shuffle import Draws, Ints, permutation

REVISION = 1
"""Part of the fingerprint; a change of this module or of shuffle.py that changes an order raises it."""

PLACES = np.dtype([("phase", np.int16), ("source", np.int16), ("epoch", np.int32), ("index", np.int64)])
"""One row of the order: `source` counts in `Order.names`, `index` in its rows at the context of the phase."""


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


class Order:
    """The one global order of rows. Rank r of R reads the r-th slice of each global batch.

    Memory and time to start do not grow with the rows: 0.2 s and 70 MB at 1.7 G rows of 24 sources.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        phases: Sequence[Phase],
        *,
        seed: int,
        block: int = 4096,
        chunk: int = 64,
        window: int = 1024,
    ) -> None:
        """block: rows in which labels are mixed, best the rows of a global batch. chunk: rows read side by
        side (64 of 1,024 tokens are 131 KB). window: chunks mixed row by row; 64 * 1,024 rows keep the spread
        of batch means at 2.0 times a full shuffle's where the rows of a source drift from first to last."""
        _check(sources, phases)
        self.names = tuple(sorted({source.name for source in sources}))
        self.phases, self.seed, self.block = tuple(phases), seed, block
        self.sources = sorted(sources, key=lambda source: (source.name, source.context))
        self._source_of = np.array([self.names.index(source.name) for source in self.sources], np.int16)
        self._draws = [Draws(s.rows, chunk, window, seed, s.name, s.context) for s in self.sources]
        self._labels, self._block = lru_cache(maxsize=4)(self._permuted), lru_cache(maxsize=4)(self._drawn)
        self._counts = lru_cache(maxsize=4)(self._apportioned)

        self.quotas = [quotas(phase.rows, [_weight(phase, source) for source in self.sources]) for phase in phases]
        self._base = [np.zeros(len(self.sources), np.int64)]  # draws of each stream before each phase
        self._ends = [0]
        for number, phase in enumerate(phases):
            rows = phase.rows if phase.cut is None else phase.cut
            self._base.append(self._base[-1] + self._taken(number, rows))
            self._ends.append(self._ends[-1] + rows)
        self.starts, self.total = tuple(self._ends[:-1]), self._ends[-1]
        self.fingerprint = self._print(chunk, window)

    def rows(self, g0: int, g1: int) -> npt.NDArray[Any]:
        """Rows g0 … g1-1 of the run as an array of PLACES. MixtureError beyond the last row."""
        if not 0 <= g0 <= g1 <= self.total:
            raise MixtureError(f"rows {g0} to {g1} are not all in this order, which has {self.total}")
        found = np.empty(g1 - g0, PLACES)
        at = g0
        while at < g1:
            phase = self._phase(at)
            number, a = divmod(at - self._ends[phase], self.block)
            labels, epoch, row = self._block(phase, number)
            z = min(len(labels), a + min(g1, self._ends[phase + 1]) - at)
            part = found[at - g0 : at - g0 + z - a]
            part["phase"], part["source"] = phase, self._source_of[labels[a:z]]
            part["epoch"], part["index"] = epoch[a:z], row[a:z]
            at += z - a
        return found

    def batch(self, g: int, size: int, rank: int, world: int) -> npt.NDArray[Any]:
        """This rank's slice of the global batch of `size` rows that begins at g: any world size, also one
        that does not divide it. The last batch of the run may be short; its ranks share what there is."""
        size = min(size, self.total - g)
        return self.rows(g + size * rank // world, g + size * (rank + 1) // world)

    def consumed(self, g: int) -> dict[tuple[str, int], int]:
        """Rows drawn of each (source, context) after g rows of the run; they are its first draws."""
        if not 0 <= g <= self.total:
            raise MixtureError(f"row {g} is not in this order, which has {self.total}")
        phase = self._phase(g)
        taken = self._base[phase] + self._taken(phase, g - self._ends[phase])
        return {(s.name, s.context): n for s, n in zip(self.sources, taken.tolist(), strict=True)}

    def epochs(self) -> dict[str, Fraction]:
        """How often the whole run reads each source: draws / rows, summed over context lengths, since a
        document packed at two lengths and read at both is read twice."""
        read = dict.fromkeys(self.names, Fraction(0))
        for source, draws in zip(self.sources, self._base[-1].tolist(), strict=True):
            read[source.name] += Fraction(draws, max(source.rows, 1))
        return read

    def _phase(self, g: int) -> int:
        return min(int(np.searchsorted(self._ends, g, side="right")), len(self.phases)) - 1

    def _apportioned(self, phase: int, n: int) -> Ints:
        return np.array(webster(n, self.quotas[phase]), np.int64)

    def _permuted(self, phase: int, number: int) -> npt.NDArray[np.int16]:
        """The stream of each row of a block. Only these labels are permuted: what was read of a stream is
        always its first draws, and a cut inside a block loses and repeats nothing."""
        first = number * self.block
        last = min(first + self.block, self.phases[phase].rows)
        fresh = self._counts(phase, last) - self._counts(phase, first)
        labels = np.repeat(np.arange(len(fresh), dtype=np.int16), fresh)
        return labels[permutation(len(labels), "block", self.seed, phase, number)]

    def _drawn(self, phase: int, number: int) -> tuple[npt.NDArray[np.int16], Ints, Ints]:
        """Stream, epoch and row of each row of a block."""
        labels = self._labels(phase, number)
        first = self._base[phase] + self._counts(phase, number * self.block)
        fresh = np.bincount(labels, minlength=len(self.sources))
        epoch, row = np.empty(len(labels), np.int64), np.empty(len(labels), np.int64)
        at = np.split(np.argsort(labels, kind="stable"), np.cumsum(fresh)[:-1])
        for draws, places, begin in zip(self._draws, at, first.tolist(), strict=True):
            if len(places):
                epoch[places], row[places] = draws.get(np.arange(begin, begin + len(places)))
        return labels, epoch, row

    def _taken(self, phase: int, n: int) -> Ints:
        """Rows of each stream among the first n of a phase."""
        number, rest = divmod(n, self.block)
        whole = self._counts(phase, number * self.block)
        if not rest:
            return whole
        return whole + np.bincount(self._labels(phase, number)[:rest], minlength=len(whole))

    def _print(self, chunk: int, window: int) -> str:
        """Of all that the order depends on; a source that no phase reads is not part of it."""
        used = [any(column) for column in zip(*self.quotas, strict=True)]
        streams = [[s.name, s.context, s.rows] for s, use in zip(self.sources, used, strict=True) if use]
        shares = [[q for q, use in zip(quota, used, strict=True) if use] for quota in self.quotas]
        whole = [REVISION, self.seed, self.block, chunk, window, streams, shares, self._ends]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def check_epochs(epochs: Mapping[str, Fraction], caps: Mapping[str, float]) -> None:
    """MixtureError naming every source that would be read more often than its cap (`max_epochs`)."""
    over = [
        f"{name} is read {float(epochs[name]):.2f} times, its cap is {cap:g}"
        for name, cap in sorted(caps.items())
        if epochs.get(name, 0) > cap
    ]
    if over:
        raise MixtureError(f"{'; '.join(over)}. Add data, lower its share or the tokens, or raise max_epochs.")


def _weight(phase: Phase, source: Source) -> Fraction:
    weight = phase.weights.get(source.name, 0) if source.context == phase.context else 0
    return weight if isinstance(weight, Fraction) else Fraction(str(weight))


def _check(sources: Sequence[Source], phases: Sequence[Phase]) -> None:
    rows = {(source.name, source.context): source.rows for source in sources}
    if len(rows) < len(sources):
        raise MixtureError("a source stands twice with the same context; give each (source, context) once")
    for phase in phases:
        if phase.rows < 1 or not 0 <= (phase.rows if phase.cut is None else phase.cut) <= phase.rows:
            raise MixtureError(
                f"phase {phase.name!r} has {phase.rows} rows, cut {phase.cut}: 0 <= cut <= rows, rows > 0"
            )
        for name, weight in phase.weights.items():
            if not 0 <= weight < float("inf"):
                raise MixtureError(f"phase {phase.name!r} gives {name!r} the weight {weight}; weights are 0 or more")
            if weight and not rows.get((name, phase.context)):
                raise MixtureError(
                    f"phase {phase.name!r} mixes {name!r}, which has no rows of {phase.context} tokens; "
                    f"pack it at that context or, if its documents were all dropped, take it out of the mix"
                )
        if not any(phase.weights.values()):
            raise MixtureError(f"phase {phase.name!r} mixes nothing; give a source a weight above 0")
