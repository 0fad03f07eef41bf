"""The words a recipe may use of training: what is read in which phase, how fast it is learned, when it is saved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from packing.quarantine import Quarantine
from train.phase import Phase


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """StableAdamW, as ModernBERT used it. The defaults are those of ModernBERT-base."""

    name: Literal["stable-adamw", "adamw"] = "stable-adamw"
    """`adamw` never cuts a step: to compare with (ModernBERT saw no difference after a few billion tokens but spikes,
    appendix D)."""
    peak: float = 8e-4
    """Learning rate between warm-up and decay (ModernBERT, Table 3; large: 5e-4)."""
    weight_decay: float = 1e-5
    """Share of a weight that one step at the peak takes away: not multiplied by the learning rate. Norms and biases
    keep theirs (ModernBERT, Table 3). torch.optim.AdamW calls weight_decay what this is divided by `peak`: 0.0125."""
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
    masks: tuple[float, ...] = (0.15, 0.30)
    """Shares of tokens to guess, each on its own; the first is the one that is told. 15 % as in ModernBERT's own
    evaluation, 30 % as it is trained (arXiv 2412.13663, Table 3): figures then compare over the mask rates of phases.
    """
    texts: tuple[str, ...] = ()
    """Texts with [MASK], filled in at each evaluation, told and recorded."""

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ValueError(f"every is at least 1 token, not {self.every}; leave it out to evaluate at each save")
        if self.rows < 1:
            raise ValueError(f"rows is at least 1, not {self.rows}")
        if not self.masks:
            raise ValueError("masks names no share; give at least one, such as [0.15]")
        if wrong := [rate for rate in self.masks if not 0 < rate < 1]:
            raise ValueError(f"masks are shares between 0 and 1, not {wrong[0]:g}")
        if len(set(self.masks)) < len(self.masks):
            raise ValueError(f"masks names a share twice: {list(self.masks)}")
        if wrong_text := [text for text in self.texts if "[MASK]" not in text]:
            raise ValueError(f"texts: '{wrong_text[0]}' has no [MASK]; write it in place of the word to guess")


@dataclass(frozen=True, kw_only=True)
class Average:
    """A running mean of the weights, evaluated and saved beside them; training itself does not see it.

    While the rate is constant the weights wander about a valley's floor, and the mean shows how good they would be
    once the rate falls.
    """

    half_life: int
    """Tokens after which a step's weights count half. Ten to a hundred steps per half-life remove the wander without
    lagging far behind."""

    def __post_init__(self) -> None:
        if self.half_life < 1:
            raise ValueError(f"half_life is at least 1 token, not {self.half_life}")


@dataclass(frozen=True, kw_only=True)
class Start:
    """Weights to begin from, instead of fresh ones. A path alone stands for `{from: PATH}`."""

    from_: str
    """A checkpoint's folder, a Hugging Face folder, or a .pt file of FlexBERT. A smaller ModernBERT is tiled."""
    optimizer: Literal["fresh", "keep"] | None = None
    """Whether the optimizer's moments go on. None keeps them where a checkpoint of ours has them and the model is of
    the same shape and tokens; a .pt file's are taken where `keep` is said."""
    layers: Literal["by-kind", "by-depth"] = "by-kind"
    """Which layer of a smaller model each layer begins as: global ones as global ones, or by depth alone, as ModernBERT
    did (arXiv 2412.13663, A.3)."""
    shared: float = 0.5
    """Least share of the tokenizer's tokens that the start must know, where its tokenizer is another; 0 takes any."""
    trust_pickle: bool = False
    """Whether a .pt file may run code as it is read: needed for few, dangerous with any that are not your own."""

    def __post_init__(self) -> None:
        if not self.from_:
            raise ValueError("from names a checkpoint's folder, a Hugging Face folder or a .pt file")
        if not 0 <= self.shared <= 1:
            raise ValueError(f"shared is a share from 0 to 1, not {self.shared:g}")


@dataclass(frozen=True, kw_only=True)
class Spikes:
    """When a step is taken for a spike: the run goes back to its last checkpoint, and without the rows at fault."""

    sigma: float = 6.0
    """Standard deviations above the mean of the window at which a loss or a gradient norm is a spike
    (SkipStepOptimizer of OLMo-core: `sigma_factor` 6)."""
    window: int = 128
    """Good steps that mean and deviation are taken of; half of them must have been seen (OLMo-core:
    `rolling_interval_length` 128)."""
    rewinds: int = 10
    """Times that a run may go back to one checkpoint, each time leaving more out. One that still cannot come on from
    there has another illness than bad rows: too high a peak."""

    def __post_init__(self) -> None:
        if not 1 <= self.sigma < math.inf:
            raise ValueError(f"sigma is 1 or more standard deviations, such as 6, not {self.sigma:g}")
        if self.window < 8:
            raise ValueError(f"window is at least 8 steps, not {self.window}: fewer give no mean to measure by")
        if self.rewinds < 0:
            raise ValueError(f"rewinds is 0 or more, not {self.rewinds}")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Look at where the time of a few steps goes, once in each process that trains."""

    first: int = 10
    """Steps that come before: the first ones compile, and are slow for other reasons."""
    steps: int = 5
    """Steps in the trace; one of ModernBERT-base's takes some 10 MB."""

    def __post_init__(self) -> None:
        if self.first < 1:
            raise ValueError(f"first is at least 1 step, not {self.first}: the profiler warms up in one")
        if self.steps < 1:
            raise ValueError(f"steps is at least 1, not {self.steps}; leave profile out to have none")


@dataclass(frozen=True, kw_only=True)
class Train:
    """From the first row to the last. Phases follow each other; weights and moments go on from one to the next."""

    start: Start | None = None
    """None begins from fresh weights."""
    optimizer: Optimizer = field(default_factory=Optimizer)
    batch: Batch = field(default_factory=Batch)
    save_every: int = 20_000_000_000
    """Tokens between checkpoints; one is saved at the end of each phase, too."""
    resume_every: int | None = None
    """Tokens between checkpoints that only serve to go on from: the newest one of them stays. None: there are none."""
    keep: int | None = 5
    """How many of the checkpoints that `save_every` makes within a decay stay; None keeps all. Those of stretches
    without decay and of ends of phases stay in any case (train.retention)."""
    spikes: Spikes | None = field(default_factory=Spikes)
    """None looks for none; a loss that is no number is always found."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """How several processes hold the model: whole on each, or each layer cut among them (FSDP2), for models that one
    GPU cannot hold. No part of what is learned, but of its last bits."""
    microbatch: int | None = None
    """Tokens in one forward pass: memory against speed, no part of what is learned (but of its last bits). A multiple
    of every context; None takes 16,384, or one row where that is longer. ModernBERT-base on 80 GB: 98,304."""
    phases: tuple[Phase, ...]
    average: Average | None = None
    """None keeps no mean of the weights."""
    evaluate: Evaluate = field(default_factory=Evaluate)
    quarantine: tuple[Quarantine, ...] = ()
    """Rows that are not learned from, such as one whose text turns out to be harmful."""
    track: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Where the records go beside metrics.jsonl."""
    profile: Profile | None = None
    """A trace of some steps; None costs nothing."""
    deterministic: bool = False
    """On a GPU only operations that give equal bits each time, at some cost; on the CPU all do anyway."""

    def __post_init__(self) -> None:
        if not self.phases:
            raise ValueError("phases names no phase; give at least one")
        if len(set(self.track)) < len(self.track):
            raise ValueError(f"track names a tracker twice: {list(self.track)}")
        names = [phase.name for phase in self.phases]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two phases are named '{twice[0]}'; give each a name of its own")
        if self.save_every < 1:
            raise ValueError(f"save_every is at least 1 token, not {self.save_every}")
        if self.resume_every is not None and not 0 < self.resume_every < self.save_every:
            raise ValueError(
                f"resume_every is at least 1 token and below save_every {self.save_every}, not {self.resume_every}; "
                "leave it out to go on from the checkpoints of save_every alone"
            )
        if self.keep is not None and self.keep < 1:
            raise ValueError(f"keep is at least 1 checkpoint, not {self.keep}; give null to keep all")
        if self.phases[0].batch is not None:
            raise ValueError("the batch of the first phase is batch.rows, by which the others go; take its own out")
        for phase in self.phases:
            if phase.batch is None and self.batch_tokens % phase.context:
                raise ValueError(
                    f"a batch of {self.batch.rows} rows of {self.phases[0].context} tokens is no whole number of the "
                    f"rows of phase '{phase.name}' ({phase.context} tokens); change batch.rows or the context, or give "
                    "the phase a batch of its own"
                )
            if self.microbatch is not None and (self.microbatch < 1 or self.microbatch % phase.context):
                raise ValueError(
                    f"microbatch {self.microbatch} is not a multiple of {phase.context}, the context of phase "
                    f"'{phase.name}'"
                )
        warmup = self.batch.warmup
        if warmup and warmup.over > self.phases[0].length:
            raise ValueError(
                f"the batch warms up over {warmup.over} tokens, more than the first phase has ({self.phases[0].length})"
            )

    @property
    def batch_tokens(self) -> int:
        """Tokens of a full batch, the same in every phase that has no batch of its own."""
        return self.batch.rows * self.phases[0].context

    def batch_rows(self, phase: Phase) -> int:
        """Rows of a full batch in this phase."""
        return phase.batch or self.batch_tokens // phase.context

    def microbatch_rows(self, phase: Phase) -> int:
        """Rows of this phase that go through the model together."""
        return max(1, (self.microbatch or 16_384) // phase.context)
