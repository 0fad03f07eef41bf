"""A step's loss -> whether it leaps out of those of the steps before.

As in SkipStepOptimizer of OLMo-core (src/olmo_core/optim/skip_step_optimizer.py) a loss is a spike that lies so many
standard deviations, 6, above the steps before, once half of a window of 128 has been seen. Other than there

- the level is the mean of the last 4 steps, and the deviation is taken of the differences between neighbours (von
  Neumann et al. 1941): a curve that falls, as all do at first, is then no noisier than it is. Measured by the whole
  window's mean and deviation, a row that raises the loss by 10 deviations goes unseen for hundreds of steps
- two thirds as much makes a step suspicious: it is a spike if a row of it stands out by far (train.suspects)
- a gradient norm is no spike unless it is no number: honest steps have norms of many times the usual, StableAdamW cuts
  them, and where weights stand at a sharp place the next step's norm is as large, whatever it reads
- a spike does not enter what the next steps are measured by
- a step of fewer rows than the one before, as at the end of a phase, may be as much noisier as the root of their ratio
- deviations have a floor

In 19,095 steps of 42 small trainings without a fault, of batches of 2 to 8 rows, 1 step was a spike and 6 suspicious.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
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

SUSPICIOUS = 2 / 3
"""Of `sigma`: where a step is looked at row by row."""

TINY = 1e-30
"""The least deviation, where a loss is 0."""


@dataclass(frozen=True, kw_only=True)
class Why:
    """What leapt. `str` is the line to tell."""

    what: str
    """`loss`, or `gradient norm` where it is no number."""
    value: float
    mean: float = math.nan
    """Of the good steps before."""
    above: float = math.inf
    """Standard deviations that the value lies above it."""
    sure: bool = True
    """Or suspicious: a spike if a row stands out."""

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return f"the {self.what} is {self.value:g}"
        return (
            f"the {self.what} {self.value:.4g} lies {self.above:.1f} standard deviations above {self.mean:.4g}, its "
            "mean over the steps before"
        )


class Detector:
    """Looks at one step after another; what it says follows from the losses that it was told to accept.

    A mixture that changes may change the level of the loss: another stretch begins with an empty history. So, for half
    a window, do the first steps of a run: only values that are no number are found there.
    """

    def __init__(self, settings: Spikes | None) -> None:
        """None finds only values that are no number."""
        self.settings = settings
        self._stretch = self._rows = 0
        self._seen = deque[float](maxlen=settings.window if settings else 0)

    def look(self, loss: float, norm: float, stretch: int = 0, rows: int = 1) -> Why | None:
        """What leaps in this step, if anything does.

        stretch  number of what is read: of the phase, or of the mixture within it
        rows     that the step is the mean of
        """
        for what, value in {"loss": loss, "gradient norm": norm}.items():
            if not math.isfinite(value):
                return Why(what=what, value=value)
        if not self.settings or stretch != self._stretch or 2 * len(self._seen) < self.settings.window:
            return None
        seen = list(self._seen)
        mean = fmean(seen[-LEVEL:])
        noise = math.sqrt(fmean((b - a) ** 2 for a, b in pairwise(seen)) / 2)
        noisier = math.sqrt((1 + 1 / LEVEL) * max(1.0, self._rows / rows))  # the level is noisy too
        above = (loss - mean) / (noisier * max(noise, FLOOR * abs(mean), TINY))
        if above <= SUSPICIOUS * self.settings.sigma:
            return None
        return Why(what="loss", value=loss, mean=mean, above=above, sure=above > self.settings.sigma)

    def accept(self, loss: float, stretch: int = 0, rows: int = 1) -> None:
        """A step that is taken counts for what the next ones are measured by."""
        if stretch != self._stretch:
            self._stretch = stretch
            self._seen.clear()
        self._seen.append(loss)
        self._rows = rows

    def state(self) -> dict[str, Any]:
        """For state.json, from which it comes back to the bit."""
        return {"stretch": self._stretch, "rows": self._rows, "loss": list(self._seen)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; from that of an older checkpoint, which is empty, as at the start of a run."""
        self._stretch, self._rows = state.get("stretch", 0), state.get("rows", 0)
        self._seen.clear()
        self._seen.extend(state.get("loss", ()))
