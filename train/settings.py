"""The words a recipe may use of training: what is read in which phase, how fast it is learned, when it is saved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from packing.quarantine import Quarantine
from train.phase import Phase

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
