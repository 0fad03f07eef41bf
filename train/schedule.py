"""Rows read so far -> the next step: which rows, in which phase, at which learning rate. Nothing here has a memory.

The clock is rows times context: tokens and the few places that packing leaves empty (0.1 % at most). So the whole
schedule is known before any row is read, and a step follows from one integer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from train.settings import Train

LATER: dict[str, object] = {"ends": None, "weight_decay": None, "batch": None, "local_rope": 10_000.0}
"""Settings of a phase that runs were without, and what stood in their place."""


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
    weight_decay: float
    """Share of a weight that the step would take away at the peak: the phase's, or else the optimizer's."""
    mask: float
    """Share of maskable tokens to guess."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """Steps of one size, one after another."""

    rows: int
    steps: int


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

    @cached_property
    def steps_of_a_level(self) -> int:
        """4,239 for 768 -> 4,608 rows of 1,024 over 50B tokens, as ModernBERT-base had; 0 without a warm-up."""
        batch = self.settings.batch
        if batch.warmup is None:
            return 0
        levels = batch.rows // batch.warmup.from_
        first = batch.warmup.from_ * self.settings.phases[0].context
        return max(1, round(batch.warmup.over / (first * max(1, levels * (levels - 1) // 2))))

    @cached_property
    def _levels(self) -> tuple[tuple[Level, ...], ...]:
        """Sizes of full steps, by phase: level k of a warm-up has k times `from` rows, and each but the last, which is
        the full batch, has the same number of steps. The last step of a phase may be smaller."""
        levels = []
        for at, phase in enumerate(self.settings.phases):
            full, warmup = self.settings.batch_rows(phase), self.settings.batch.warmup
            sizes = range(warmup.from_, full, warmup.from_) if warmup and at == 0 else range(0)
            rows, found = phase.rows, []
            for size in sizes:
                found.append(Level(rows=size, steps=min(self.steps_of_a_level, -(-rows // size))))
                rows = max(0, rows - found[-1].steps * size)
            levels.append((*found, Level(rows=full, steps=-(-rows // full))))
        return tuple(levels)

    def levels(self, phase: int) -> tuple[Level, ...]:
        """The sizes of a phase's steps one after another, each with how many steps it has."""
        return tuple(level for level in self._levels[phase] if level.steps)

    def steps_of(self, phase: int) -> int:
        """Updates of the weights in a phase."""
        return sum(level.steps for level in self._levels[phase])

    def step_with(self, g: int) -> Step:
        """The step of the run that reads row g."""
        at = self.phase_of(g)
        number, first = sum(map(self.steps_of, range(at))), self.starts[at]
        for level in self._levels[at]:
            taken = min(level.steps, (g - first) // level.rows)
            number, first = number + taken, first + taken * level.rows
            if taken < level.steps:
                break
        return self.step(number, first)

    def rows(self, g: int) -> int:
        """Rows of the step that begins at row g. No step crosses the border of a phase."""
        at = self.phase_of(g)
        first, size = self.starts[at], 0
        for level in self._levels[at]:
            size, first = level.rows, first + level.rows * level.steps
            if g < first:
                break
        return min(size, self.starts[at + 1] - g)

    def step(self, number: int, g: int) -> Step:
        """The step that begins at row g, the `number`-th of the run."""
        at = self.phase_of(g)
        phase, optimizer = self.settings.phases[at], self.settings.optimizer
        peak = phase.peak or optimizer.peak
        return Step(
            number=number,
            g=g,
            rows=self.rows(g),
            phase=at,
            tokens=self.tokens(g),
            lr=phase.rate.at(self._read(at, g)) * peak,
            peak=peak,
            weight_decay=optimizer.weight_decay if phase.weight_decay is None else phase.weight_decay,
            mask=phase.mask,
        )

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

    def stable(self, step: Step) -> bool:
        """Whether the rate has not begun to fall: neither in this step nor before it in its phase."""
        return self._read(step.phase, step.g) <= self.settings.phases[step.phase].rate.falls_from

    def before_a_decay(self, step: Step) -> bool:
        """Whether this is the last step of a phase before its rate falls: from here it can be annealed otherwise.

        A phase that decays from its first token has none; what stands before it is the end of another phase.
        """
        rate, g = self.settings.phases[step.phase].rate, step.g + step.rows
        falls_next = g < self.starts[step.phase + 1] and self._read(step.phase, g) > rate.falls_from
        return rate.falls_from > 0 and falls_next and self.stable(step)

    def shaped(self, g: int) -> list[dict[str, Any]]:
        """What the first g rows were learned by: the settings of the phases begun, as the identity of a run has them.

        Left out is what has shaped nothing yet: mixtures that take over (as far as they were read they are in the
        order's print), where the phase under way will end, or ends just now with a whole step, and its decay if that
        has not begun. So is what stands as it does by default since it came to be: a run that is older goes on.
        """
        begun = []
        for at, phase in enumerate(self.settings.phases):
            if self.starts[at] >= g:
                break
            found = asdict(phase)
            del found["remix"]
            open_ = g <= self.starts[at + 1] and self._whole(at, g)
            if open_ and self._read(at, g) <= phase.rate.falls_from:
                del found["ends"]
                if not isinstance(phase.decay, str):  # by its name alone it is known from the phase's first token on
                    found["decay"] = None
            begun.append({key: value for key, value in found.items() if key not in LATER or value != LATER[key]})
        return begun

    def _whole(self, at: int, g: int) -> bool:
        """Whether row g of phase `at` stands behind steps that all had their whole size."""
        rows = g - self.starts[at]
        for level in self._levels[at]:
            if rows <= level.rows * level.steps:
                break
            rows -= level.rows * level.steps
        return rows % level.rows == 0

    def _read(self, at: int, g: int) -> int:
        """Tokens of phase `at` after g rows of the run."""
        return (g - self.starts[at]) * self.settings.phases[at].context
