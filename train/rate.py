"""Tokens of a phase -> share of its peak: how the learning rate rises, stays and falls. Nothing here has a memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

Fall = Literal["1-sqrt", "linear", "cosine"]
"""The shapes of a decay."""

FLOOR = 1e-10
"""Share of the peak at which a warm-up begins (ModernBERT's scheduler)."""
ALPHA = 0.001
"""Share of the peak at which a decay ends (alpha_f of ModernBERT's learning-rate-decay configuration)."""


@dataclass(frozen=True, kw_only=True)
class Warmup:
    """The rate rises in a straight line over the first tokens of a phase."""

    over: int
    """Tokens until the peak is reached. ModernBERT-base: 3B in the first phase, then none."""
    from_: float = FLOOR
    """Share of the peak that it begins at; more than nearly 0 where a run that was annealed is warmed up again."""

    def __post_init__(self) -> None:
        if self.over < 0:
            raise ValueError(f"over is a number of tokens, not {self.over}")
        if not 0 < self.from_ < 1:
            raise ValueError(f"from is a share of the peak above 0 and below 1, not {self.from_:g}")


@dataclass(frozen=True, kw_only=True)
class Decay:
    """The rate falls over the last tokens of a phase."""

    shape: Fall = "1-sqrt"
    """1-sqrt falls steeply at first; it beat the other two in ModernBERT's ablations (appendix D)."""
    over: int | None = None
    """The phase's last tokens; None takes all that follow the warm-up."""
    to: float = ALPHA
    """Share of the peak at the end of the phase. Ettin: 0.5, and 0.04 of a peak half as high in the phase after it."""

    def __post_init__(self) -> None:
        if self.over is not None and self.over < 1:
            raise ValueError(f"over is at least 1 token, not {self.over}; leave it out to decay after the warm-up")
        if not 0 <= self.to < 1:
            raise ValueError(f"to is a share of the peak from 0 to below 1, not {self.to:g}")

    def at(self, gone: float) -> float:
        """Share of the peak when so much of the decay is gone, from 0 to 1."""
        match self.shape:
            case "1-sqrt":
                left = 1.0 - math.sqrt(gone)
            case "linear":
                left = 1.0 - gone
            case "cosine":
                left = (1.0 + math.cos(math.pi * gone)) / 2
        return self.to + (1.0 - self.to) * left


class Segment(NamedTuple):
    """A stretch of a phase over which the rate goes by one rule."""

    kind: Literal["warm-up", "constant", "decay"]
    shape: Fall
    """`linear` but for a decay."""
    first: int
    """Tokens of the phase at which it begins."""
    last: int
    """Tokens of the phase at which it ends, and the next begins."""
    begins: float
    """Share of the peak."""
    ends: float
    """Share of the peak: where the next segment begins."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """The rate of one phase, as shares of its peak."""

    warmup: Warmup
    decay: Decay | None
    tokens: int
    """Length of the phase."""

    def __post_init__(self) -> None:
        over = (self.decay.over or 1) if self.decay else 0
        if self.warmup.over > self.tokens:
            raise ValueError(f"warmup {self.warmup.over} is longer than the phase, {self.tokens} tokens")
        if over > self.tokens:
            raise ValueError(f"decay is over {over} tokens, longer than the phase, {self.tokens} tokens")
        if self.warmup.over + over > self.tokens:
            raise ValueError(
                f"warmup {self.warmup.over} and decay over {over} are {self.warmup.over + over} tokens together, more "
                f"than the phase has ({self.tokens})"
            )

    @property
    def falls_from(self) -> int:
        """Tokens of the phase at which it begins to fall; the phase's length if it does not."""
        if self.decay is None:
            return self.tokens
        return self.warmup.over if self.decay.over is None else self.tokens - self.decay.over

    def at(self, tokens: int) -> float:
        """Share of the peak after so many tokens of the phase. A step takes the rate of the tokens before it."""
        if tokens < self.warmup.over:
            return self.warmup.from_ + (1.0 - self.warmup.from_) * tokens / self.warmup.over
        if self.decay is None or tokens <= self.falls_from:
            return 1.0
        return self.decay.at(min((tokens - self.falls_from) / (self.tokens - self.falls_from), 1.0))

    @property
    def segments(self) -> list[Segment]:
        """The stretches of the phase one after another, those of no length left out."""
        falls, end = self.falls_from, self.decay.to if self.decay else 1.0
        shape = self.decay.shape if self.decay else "linear"
        whole = [
            Segment("warm-up", "linear", 0, self.warmup.over, self.warmup.from_, 1.0),
            Segment("constant", "linear", self.warmup.over, falls, 1.0, 1.0),
            Segment("decay", shape, falls, self.tokens, 1.0, end),
        ]
        return [segment for segment in whole if segment.first < segment.last]
