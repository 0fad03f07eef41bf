"""Rows read so far -> the next step: which rows, in which phase, at which learning rate. Nothing here has a memory.

The clock is rows times context: tokens and the few places that packing leaves empty (0.1 % at most). So the whole
schedule is known before any row is read, and a step follows from one integer.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from train.phase import Phase
from train.settings import Train

FLOOR = 1e-10
"""Share of the peak at which a warm-up begins (ModernBERT's scheduler)."""
ALPHA = 0.001
"""Share of the peak at which a decay ends (alpha_f of ModernBERT's learning-rate-decay configuration)."""


def lr_factor(phase: Phase, tokens: int) -> float:
    """Share of the phase's peak after `tokens` of the phase: linear warm-up, then constant or falling.

    1-sqrt over D tokens is alpha + (1 - alpha)(1 - sqrt(t / D)): steep at first (ModernBERT, section 2.2.1). A step
    takes the rate of the tokens before it.
    """
    if tokens < phase.warmup:
        return FLOOR + (1.0 - FLOOR) * tokens / phase.warmup
    if phase.decay is None:
        return 1.0
    fallen = (tokens - phase.warmup) / max(1, phase.tokens - phase.warmup)
    return ALPHA + (1.0 - ALPHA) * (1.0 - math.sqrt(min(fallen, 1.0)))


@dataclass(frozen=True, kw_only=True)
class Step:
    """One update of the weights: rows g to g + rows of the order of rows."""

    number: int
    """Counted from 0."""
    g: int
    rows: int
    phase: int
    tokens: int
    """Tokens of the clock before the step, over all phases."""
    lr: float
    peak: float
    """Of the phase: `lr / peak` is what the weight decay goes by."""


@dataclass(frozen=True)
class Schedule:
    settings: Train

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First row of each phase, and the number of all rows at the end."""
        return tuple(accumulate((phase.rows for phase in self.settings.phases), initial=0))

    @property
    def total(self) -> int:
        """All rows of the run."""
        return self.starts[-1]

    def phase_of(self, g: int) -> int:
        """Number of the phase that row g belongs to; the last one's for the end of the run."""
        return min(bisect_right(self.starts, g), len(self.settings.phases)) - 1

    def tokens(self, g: int) -> int:
        """The clock after g rows."""
        at = self.phase_of(g)
        before = sum(phase.rows * phase.context for phase in self.settings.phases[:at])
        return before + (g - self.starts[at]) * self.settings.phases[at].context

    def rows(self, g: int) -> int:
        """Rows of the step that begins at row g. No step crosses the border of a phase."""
        at = self.phase_of(g)
        full = self.settings.batch_rows(self.settings.phases[at])
        if at == 0:
            full = self._warming(g)
        return min(full, self.starts[at + 1] - g)

    def _warming(self, g: int) -> int:
        """Level k has k times `from` rows; the levels before the full one have the same number of steps each."""
        batch = self.settings.batch
        if batch.warmup is None:
            return batch.rows
        levels = batch.rows // batch.warmup.from_
        reached = 0
        for level in range(1, levels):
            reached += level * batch.warmup.from_ * self.steps_of_a_level
            if g < reached:
                return level * batch.warmup.from_
        return batch.rows

    @cached_property
    def steps_of_a_level(self) -> int:
        """4,239 for 768 -> 4,608 rows of 1,024 over 50B tokens, as ModernBERT-base had; 0 without a warm-up."""
        batch = self.settings.batch
        if batch.warmup is None:
            return 0
        levels = batch.rows // batch.warmup.from_
        first = batch.warmup.from_ * self.settings.phases[0].context
        return max(1, round(batch.warmup.over / (first * max(1, levels * (levels - 1) // 2))))

    def step(self, number: int, g: int) -> Step:
        """The step that begins at row g, the `number`-th of the run."""
        at = self.phase_of(g)
        phase = self.settings.phases[at]
        peak = phase.peak or self.settings.optimizer.peak
        factor = lr_factor(phase, (g - self.starts[at]) * phase.context)
        return Step(number=number, g=g, rows=self.rows(g), phase=at, tokens=self.tokens(g), lr=factor * peak, peak=peak)

    def steps(self, number: int = 0, g: int = 0) -> Iterator[Step]:
        """All steps from this one to the end of the run."""
        while g < self.total:
            step = self.step(number, g)
            yield step
            number, g = number + 1, g + step.rows

    def passes(self, step: Step, every: int) -> bool:
        """Whether the clock passes a multiple of `every` tokens in this step."""
        return self.tokens(step.g + step.rows) // every > step.tokens // every

    def ends_a_phase(self, step: Step) -> bool:
        return step.g + step.rows in self.starts
