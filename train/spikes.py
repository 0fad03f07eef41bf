"""A step's loss and gradient norm -> whether they leap out of those of the steps before.

As in SkipStepOptimizer of OLMo-core (src/olmo_core/optim/skip_step_optimizer.py) a value is a spike that lies so many
standard deviations, 6, above the steps before, 128, once half as many have been seen. Other than there

- the level is the mean of the last 4 steps, and the deviation is taken of the differences between neighbours (von
  Neumann et al. 1941): a curve that falls, as all do at first, is then no noisier than it is. Measured by the whole
  window's mean and deviation, a row that raises the loss by 10 deviations goes unseen for hundreds of steps
- a gradient norm is measured by its logarithm, as norms are skewed, and leaps at twice as many deviations: StableAdamW
  cuts steps whose gradients outrun their history, so that only what is far out of all measure is worth going back for.
  In 18,245 steps of 37 small trainings without a fault 4 losses leapt, of batches of 2 to 8 rows, and 8 norms
- a spike does not enter what the next steps are measured by
- a step of fewer rows than the one before, as at the end of a phase, may be as much noisier as the root of their ratio
- deviations have a floor
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from train.settings import Spikes

FLOOR = 1e-3
"""No deviation counts as less than this share of the mean: 6 of them are 0.6 % of a loss, which a curve that has become
flat does not do by rounding."""

LEVEL = 4
"""Steps whose mean the next one is measured from: so few that a drift without any noise is no leap (3 deviations)."""

TINY = 1e-30
"""What a norm of 0 counts as."""


@dataclass(frozen=True, kw_only=True)
class Why:
    """What leapt. `str` is the line to tell."""

    what: str
    """`loss` or `gradient norm`."""
    value: float
    mean: float = math.nan
    """Of the good steps before; of norms the geometric one."""
    above: float = math.inf
    """Standard deviations that the value lies above it."""

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return f"the {self.what} is {self.value:g}"
        return (
            f"the {self.what} {self.value:.4g} lies {self.above:.1f} standard deviations above {self.mean:.4g}, its "
            f"{'mean' if self.what == 'loss' else 'geometric mean'} over the steps before"
        )


class Detector:
    """Looks at one step after another; what it says follows from the values that it was shown.

    A mixture that changes may change the level of the loss: another stretch begins with an empty history. So, for half
    a window, do the first steps of a run: only values that are no number are found there.
    """

    def __init__(self, settings: Spikes | None) -> None:
        """None finds only values that are no number."""
        self.settings = settings
        window = settings.window if settings else 0
        self._stretch = self._rows = 0
        self._seen = {what: deque[float](maxlen=window) for what in ("loss", "gradient norm")}

    def look(self, loss: float, norm: float, stretch: int = 0, rows: int = 1) -> Why | None:
        """What leaps in this step, if anything does; if nothing does, the step counts for what the next is measured by.

        stretch  number of what is read: of the phase, or of the mixture within it
        rows     that the step is the mean of
        """
        values = {"loss": loss, "gradient norm": norm}
        for what, value in values.items():
            if not math.isfinite(value):
                return Why(what=what, value=value)
        if stretch != self._stretch:
            self._begin(stretch)
        for what, value in values.items():
            if why := self._leaps(what, value, rows):
                return why
        for what, value in values.items():
            self._seen[what].append(value)
        self._rows = rows
        return None

    def _begin(self, stretch: int) -> None:
        self._stretch = stretch
        for seen in self._seen.values():
            seen.clear()

    def _leaps(self, what: str, value: float, rows: int) -> Why | None:
        seen = list(self._seen[what])
        if not self.settings or 2 * len(seen) < self.settings.window:
            return None
        skewed = what != "loss"
        if skewed:
            value, seen = _log(value), [_log(norm) for norm in seen]
        mean = fmean(seen[-LEVEL:])
        noise = math.sqrt(fmean((b - a) ** 2 for a, b in pairwise(seen)) / 2)
        noisier = math.sqrt((1 + 1 / LEVEL) * max(1.0, self._rows / rows))  # the level is noisy too
        above = (value - mean) / (noisier * max(noise, FLOOR * (1.0 if skewed else abs(mean)), TINY))
        if above <= (2 if skewed else 1) * self.settings.sigma:
            return None
        value, mean = (math.exp(value), math.exp(mean)) if skewed else (value, mean)
        return Why(what=what, value=value, mean=mean, above=above)

    def state(self) -> dict[str, Any]:
        """For state.json, from which it comes back to the bit."""
        return {"stretch": self._stretch, "rows": self._rows, **{what: list(seen) for what, seen in self._seen.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; from that of an older checkpoint, which is empty, as at the start of a run."""
        self._begin(state.get("stretch", 0))
        self._rows = state.get("rows", 0)
        for what, seen in self._seen.items():
            seen.extend(state.get(what, ()))


def _deviation(values: Collection[float]) -> float:
    """Standard deviation of a sample; the standard library's is exact, and six times as slow."""
    mean = fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _log(norm: float) -> float:
    return math.log(max(norm, TINY))
