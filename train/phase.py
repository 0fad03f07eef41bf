"""A stretch of training: what is read in it, from which mixture, and how fast it is learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import NamedTuple

from train.mix import Temperature, by_tokens, by_weights
from train.rate import Decay, Fall, Rate, Warmup

STRETCHES = 64
"""Times its `tokens` that a phase may be gone on with: each is one more mixture in the order of rows."""


@dataclass(frozen=True, kw_only=True)
class Remix:
    """Another mixture for the rest of a phase: how shares change in mid-run, and how a source joins.

    What the phase read before stands as it was planned, and each source goes on with the rows that come next in it.
    """

    at: int
    """Tokens of the phase after which it holds."""
    mix: Mapping[str, float]
    """Source -> share of the tokens from there on. Shares sum to 1."""

    def __post_init__(self) -> None:
        if self.at < 1:
            raise ValueError(f"at is at least 1 token, not {self.at}; change the phase's own mix to begin with another")
        if not math.isclose(total := math.fsum(self.mix.values()), 1.0, abs_tol=1e-6):
            raise ValueError(f"the shares of the mix sum to {total:g}, not 1")
        if below := sorted(name for name, share in self.mix.items() if share < 0):
            raise ValueError(f"the share of '{below[0]}' is {self.mix[below[0]]:g}; shares are 0 or more")


class Part(NamedTuple):
    """Rows of a phase that are read by one mixture."""

    mix: Mapping[str, float]
    planned: int
    """Rows to the end of the phase: what the shares are exact over."""
    rows: int
    """Those of them that are read before the next mixture, or phase, takes over."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training with one mixture, one length of rows and one rule for the learning rate."""

    name: str
    tokens: int = 0
    """Length of the phase; the last row may go past it. Has to be given, but beside `mix_tokens`: it is their sum."""
    ends: int | None = None
    """Tokens of the phase after which it ends all the same, fewer or more than `tokens`, by which its mixture was
    planned: how a phase that is under way is cut short or gone on with."""
    context: int
    """Tokens in a row at most."""
    mix: Mapping[str, float] = field(default_factory=dict)
    """Source -> share of this phase's tokens. Shares sum to 1. It is given, or made of one of the next two; by
    `temperature` it is empty until sizes are known."""
    weights: InitVar[Mapping[str, float] | None] = None
    """Source -> weight, any numbers above 0: only their ratios count."""
    mix_tokens: InitVar[Mapping[str, int] | None] = None
    """Source -> tokens of it in this phase."""
    temperature: Temperature | None = None
    warmup: int | Warmup = 0
    """Tokens over which the learning rate rises from nearly 0, or from `from`. ModernBERT-base: 3B in the first phase,
    then none."""
    peak: float | None = None
    """Learning rate of this phase if it is not the optimizer's. ModernBERT-base: 3e-4 in phases two and three."""
    decay: Fall | Decay | None = None
    """How the learning rate falls until the phase ends, to 0.001 of the peak and over all that follows the warm-up if
    only the shape is named; None keeps it (ModernBERT, section 2.2.1)."""
    weight_decay: float | None = None
    """Weight decay of this phase if it is not the optimizer's. A step takes away this share of a weight at the phase's
    own peak, whatever the peak before it was. ModernBERT-large: 1e-6 once its peak was a tenth."""
    batch: int | None = None
    """Rows of a step in this phase, if not as many tokens as in the first one. Ettin: 4,608 at 8,192 tokens too."""
    rope: float = 10_000.0
    """RoPE base of global layers. ModernBERT: 160,000 from 8,192 tokens on."""
    local_rope: float = 10_000.0
    """RoPE base of local layers. ModernBERT: 10,000 in every phase (Table 3); Ettin and mmBERT: as `rope`."""
    mask: float = 0.30
    """Share of a row's maskable tokens to guess (ModernBERT, Table 3)."""
    remix: tuple[Remix, ...] = ()
    """Mixtures that take over from `mix`, the earliest first."""

    def __post_init__(self, weights: Mapping[str, float] | None, mix_tokens: Mapping[str, int] | None) -> None:
        self._mixed(weights, mix_tokens)
        if self.tokens < 1:
            raise ValueError(f"tokens is at least 1, not {self.tokens}; say how long the phase is, or give mix_tokens")
        if self.context < 1:
            raise ValueError(f"context is at least 1 token, not {self.context}")
        if self.ends is not None and not 1 <= self.ends <= STRETCHES * self.tokens:
            raise ValueError(
                f"ends is from 1 to {STRETCHES} times tokens ({self.tokens}), not {self.ends}; append a phase to go on"
            )
        self._shortened()
        _ = self.rate  # refuses a warm-up and a decay that are longer than the phase
        if self.peak is not None and not 0 < self.peak < math.inf:
            raise ValueError(f"peak is a learning rate above 0, such as 3e-4, not {self.peak:g}")
        if self.weight_decay is not None and not 0 <= self.weight_decay < 1:
            raise ValueError(f"weight_decay is a share from 0 to below 1, not {self.weight_decay:g}")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch is at least 1 row, not {self.batch}")
        for name, base in (("rope", self.rope), ("local_rope", self.local_rope)):
            if not 1 < base < math.inf:
                raise ValueError(f"{name} is a base above 1, such as 10000, not {base:g}")
        if not 0 < self.mask < 1:
            raise ValueError(f"mask is a share between 0 and 1, not {self.mask:g}")
        if any(part.rows < 1 for part in self.mixes):
            told = ", ".join(str(remix.at) for remix in self.remix)
            raise ValueError(
                f"remix holds from {told} of {self.length} tokens; give the earliest first, each a row or more before "
                "the next and the end of the phase"
            )

    def _shortened(self) -> None:
        """Bring warm-up and decay into their shortest form, so that what means the same is the same."""
        if isinstance(self.warmup, Warmup) and self.warmup == Warmup(over=self.warmup.over):
            object.__setattr__(self, "warmup", self.warmup.over)
        if isinstance(self.decay, Decay) and self.decay == Decay(shape=self.decay.shape):
            object.__setattr__(self, "decay", self.decay.shape)

    def _mixed(self, weights: Mapping[str, float] | None, mix_tokens: Mapping[str, int] | None) -> None:
        """Bring the mixture into its one form, `mix`. Raises ValueError unless it is given in just one way."""
        ways = {"mix": self.mix or None, "weights": weights, "mix_tokens": mix_tokens, "temperature": self.temperature}
        if len(given := [name for name, way in ways.items() if way is not None]) > 1:
            raise ValueError(f"the mixture is given as {' and as '.join(given)}; keep one of them")
        if weights is not None:
            object.__setattr__(self, "mix", by_weights(weights))
        if mix_tokens is not None:
            mix, tokens = by_tokens(mix_tokens, self.tokens)
            object.__setattr__(self, "mix", mix)
            object.__setattr__(self, "tokens", tokens)
        if self.temperature is not None:
            return
        if not math.isclose(total := math.fsum(self.mix.values()), 1.0, abs_tol=1e-6):
            mend = " (numbers of any sum are called weights)" if self.mix else "; give mix, weights or mix_tokens"
            raise ValueError(f"the shares of the mix sum to {total:g}, not 1{mend}")
        if below := sorted(name for name, share in self.mix.items() if share < 0):
            raise ValueError(f"the share of '{below[0]}' is {self.mix[below[0]]:g}; shares are 0 or more")

    @property
    def named(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Every mention of a source: (its place in the phase, its name)."""
        by = self.temperature
        return [
            *((("mix", name), name) for name in self.mix),
            *((("temperature", "over", at), name) for at, name in enumerate(by.over if by else ())),
            *((("temperature", "beside", name), name) for name in (by.beside if by else ())),
            *((("remix", at, "mix", name), name) for at, remix in enumerate(self.remix) for name in remix.mix),
        ]

    @property
    def sources(self) -> list[str]:
        """The sources that the phase draws from, by name, those that join it later too."""
        return sorted(name for name, share in self.shares.items() if share > 0)

    @property
    def length(self) -> int:
        """Tokens to the end of the phase."""
        return self.tokens if self.ends is None else self.ends

    @property
    def rate(self) -> Rate:
        """How the learning rate goes over the phase. Raises ValueError for parts that are longer than it."""
        warmup = self.warmup if isinstance(self.warmup, Warmup) else Warmup(over=self.warmup)
        decay = Decay(shape=self.decay) if isinstance(self.decay, str) else self.decay
        return Rate(warmup=warmup, decay=decay, tokens=self.length)

    @property
    def rows(self) -> int:
        """Rows that make up at least the tokens of the phase."""
        return -(-self.length // self.context)

    @property
    def mixes(self) -> tuple[Part, ...]:
        """The mixtures of the phase, one after another, with their rows."""
        starts = [0, *(-(-remix.at // self.context) for remix in self.remix), self.rows]
        mixes = [self.mix, *(remix.mix for remix in self.remix)]
        return tuple(
            Part(mix, self.rows - first, last - first)
            for mix, first, last in zip(mixes, starts[:-1], starts[1:], strict=True)
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """The same as the order of rows has them: planned over `tokens`, wherever the phase ends, and planned so again
        from there on if it goes on. So what was read stands when `ends` changes."""
        planned = -(-self.tokens // self.context)
        parts: list[Part] = []
        first = 0
        for mix, _, rows in self.mixes:
            end = first + rows
            while first < end:
                whole = planned - first % planned
                parts.append(Part(mix, whole, min(whole, end - first)))
                first += parts[-1].rows
        return tuple(parts)

    @property
    def planned(self) -> Mapping[str, float]:
        """Source -> share by the mixture that the phase begins with: what is made before training goes by this one, as
        it must not be made anew where a mixture changes in mid-run.

        By a temperature, as long as the sizes are not known, as if they were all alike.
        """
        return self.temperature.shares(dict.fromkeys(self.temperature.over, 1)) if self.temperature else self.mix

    @property
    def shares(self) -> dict[str, float]:
        """Source -> share of all tokens of the phase, whichever mixture gave them; see `planned` for temperatures."""
        parts = [(part.rows, part.mix or self.planned) for part in self.mixes]
        names = sorted({name for _, mix in parts for name in mix})
        return {name: math.fsum(rows * mix.get(name, 0.0) for rows, mix in parts) / self.rows for name in names}
