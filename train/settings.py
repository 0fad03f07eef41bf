"""The words a recipe may use of training: what is read in which phase, how fast it is learned, when it is saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import Literal, NamedTuple

from packing.quarantine import Quarantine
from train.mix import Temperature, by_tokens, by_weights

LOCAL_ROPE = 10_000.0
"""RoPE base of local layers, in every phase (ModernBERT, arXiv 2412.13663, Table 3)."""


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """StableAdamW, as ModernBERT used it. The defaults are those of ModernBERT-base."""

    peak: float = 8e-4
    """Learning rate between warm-up and decay (ModernBERT, Table 3; large: 5e-4)."""
    weight_decay: float = 1e-5
    """Share of a weight that one step at the peak takes away: not multiplied by the learning rate. Norms and biases
    keep theirs (ModernBERT, Table 3)."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay of the first and second moment a step (ModernBERT, Table 3)."""
    eps: float = 1e-6
    """Added to the root of the second moment (ModernBERT, Table 3)."""

    def __post_init__(self) -> None:
        if not 0 < self.peak < math.inf:
            raise ValueError(f"peak is a learning rate above 0, such as 8e-4, not {self.peak:g}")
        if not 0 <= self.weight_decay < 1:
            raise ValueError(f"weight_decay is a share from 0 to below 1, not {self.weight_decay:g}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are shares from 0 to below 1, not {list(self.betas)}")
        if not self.eps > 0:
            raise ValueError(f"eps is above 0, not {self.eps:g}")


@dataclass(frozen=True, kw_only=True)
class BatchWarmup:
    """Small batches first: `from`, twice, three times `from` ... rows, the same number of steps each."""

    from_: int
    """Rows of the first batches; the full batch is a multiple of it. ModernBERT-base: 768 of 4,608."""
    over: int
    """Tokens after which the batch is full. ModernBERT-base: 50B."""

    def __post_init__(self) -> None:
        if self.from_ < 1:
            raise ValueError(f"from is at least 1 row, not {self.from_}")
        if self.over < 1:
            raise ValueError(f"over is at least 1 token, not {self.over}; leave warmup out to have none")


@dataclass(frozen=True, kw_only=True)
class Batch:
    rows: int = 4608
    """Rows of the first phase's context in one step; at another context the same tokens, so fewer or more rows.
    ModernBERT-base: 4,608 rows of 1,024, hence 576 of 8,192 (Table 3 prints 72, which is per GPU of 8)."""
    warmup: BatchWarmup | None = None

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ValueError(f"rows is at least 1, not {self.rows}")
        if self.warmup and self.rows % self.warmup.from_:
            raise ValueError(f"rows {self.rows} is not a multiple of the warm-up's from, {self.warmup.from_}")


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
    """Those of them that are read before the next mixture takes over."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training with one mixture, one length of rows and one rule for the learning rate."""

    name: str
    tokens: int = 0
    """Length of the phase; the last row may go past it. Has to be given, but beside `mix_tokens`: it is their sum."""
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
    warmup: int = 0
    """Tokens over which the learning rate rises from nearly 0. ModernBERT-base: 3B in the first phase, then none."""
    peak: float | None = None
    """Learning rate of this phase if it is not the optimizer's. ModernBERT-base: 3e-4 in phases two and three."""
    rope: float = 10_000.0
    """RoPE base of global layers. ModernBERT: 160,000 from 8,192 tokens on; local layers keep 10,000."""
    decay: Literal["1-sqrt"] | None = None
    """How the learning rate falls after the warm-up until the phase ends; None keeps it (ModernBERT, section 2.2.1)."""
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
        if not 0 <= self.warmup <= self.tokens:
            raise ValueError(f"warmup {self.warmup} is longer than the phase, {self.tokens} tokens")
        if self.peak is not None and not 0 < self.peak < math.inf:
            raise ValueError(f"peak is a learning rate above 0, such as 3e-4, not {self.peak:g}")
        if not self.rope > 1:
            raise ValueError(f"rope is a base above 1, such as 10000, not {self.rope:g}")
        if not 0 < self.mask < 1:
            raise ValueError(f"mask is a share between 0 and 1, not {self.mask:g}")
        if any(part.rows < 1 for part in self.parts):
            told = ", ".join(str(remix.at) for remix in self.remix)
            raise ValueError(
                f"remix holds from {told} of {self.tokens} tokens; give the earliest first, each a row or more before "
                "the next and the end of the phase"
            )

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
    def rows(self) -> int:
        """Rows that make up at least `tokens`."""
        return -(-self.tokens // self.context)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The mixtures of the phase, one after another, with their rows."""
        starts = [0, *(-(-remix.at // self.context) for remix in self.remix), self.rows]
        mixes = [self.mix, *(remix.mix for remix in self.remix)]
        return tuple(
            Part(mix, self.rows - first, last - first)
            for mix, first, last in zip(mixes, starts[:-1], starts[1:], strict=True)
        )

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
        parts = [(part.rows, part.mix or self.planned) for part in self.parts]
        names = sorted({name for _, mix in parts for name in mix})
        return {name: math.fsum(rows * mix.get(name, 0.0) for rows, mix in parts) / self.rows for name in names}


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Guess masked tokens of held-out rows, the same ones each time."""

    every: int | None = None
    """Tokens between evaluations; None evaluates whenever a checkpoint is saved."""
    rows: int = 64
    """Held-out rows of each source: 64 of 1,024 tokens guess 9,800 tokens, so bits per byte are known to about 1 %."""
    mask: float = 0.15
    """Share of tokens to guess; 15 % as in ModernBERT's own evaluation, so that figures compare over mask rates."""

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ValueError(f"every is at least 1 token, not {self.every}; leave it out to evaluate at each save")
        if self.rows < 1:
            raise ValueError(f"rows is at least 1, not {self.rows}")
        if not 0 < self.mask < 1:
            raise ValueError(f"mask is a share between 0 and 1, not {self.mask:g}")


@dataclass(frozen=True, kw_only=True)
class Train:
    """From the first row to the last. Phases follow each other; weights and moments go on from one to the next."""

    optimizer: Optimizer = field(default_factory=Optimizer)
    batch: Batch = field(default_factory=Batch)
    save_every: int = 20_000_000_000
    """Tokens between checkpoints; one is saved at the end of each phase, too."""
    microbatch: int | None = None
    """Tokens in one forward pass: memory against speed, no part of what is learned (but of its last bits). A multiple
    of every context; None takes 16,384, or one row where that is longer. ModernBERT-base on 80 GB: 98,304."""
    phases: tuple[Phase, ...]
    evaluate: Evaluate = field(default_factory=Evaluate)
    quarantine: tuple[Quarantine, ...] = ()
    """Rows that are not learned from, such as one whose text turns out to be harmful."""

    def __post_init__(self) -> None:
        if not self.phases:
            raise ValueError("phases names no phase; give at least one")
        names = [phase.name for phase in self.phases]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two phases are named '{twice[0]}'; give each a name of its own")
        if self.save_every < 1:
            raise ValueError(f"save_every is at least 1 token, not {self.save_every}")
        for phase in self.phases:
            if self.batch_tokens % phase.context:
                raise ValueError(
                    f"a batch of {self.batch.rows} rows of {self.phases[0].context} tokens is no whole number of the "
                    f"rows of phase '{phase.name}' ({phase.context} tokens); change batch.rows or the context"
                )
            if self.microbatch is not None and (self.microbatch < 1 or self.microbatch % phase.context):
                raise ValueError(
                    f"microbatch {self.microbatch} is not a multiple of {phase.context}, the context of phase "
                    f"'{phase.name}'"
                )
        warmup = self.batch.warmup
        if warmup and warmup.over > self.phases[0].tokens:
            raise ValueError(
                f"the batch warms up over {warmup.over} tokens, more than the first phase has ({self.phases[0].tokens})"
            )

    @property
    def batch_tokens(self) -> int:
        """Tokens of a full batch, the same in every phase."""
        return self.batch.rows * self.phases[0].context

    def batch_rows(self, phase: Phase) -> int:
        """Rows of a full batch in this phase."""
        return self.batch_tokens // phase.context

    def microbatch_rows(self, phase: Phase) -> int:
        """Rows of this phase that go through the model together."""
        return max(1, (self.microbatch or 16_384) // phase.context)
