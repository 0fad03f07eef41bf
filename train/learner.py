"""What is learned with and changes as it learns: weights, moments, their running mean, and how far it has come.

A rewind makes it anew, from a checkpoint or from where the run started: nothing else remembers what was learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from model.bert import Bert
from model.initialise import initialise
from train.audit import Audit
from train.average import Averaged
from train.batches import Batch
from train.checkpoint import Checkpoint
from train.job import Job
from train.learn import TrainError, gradients, told
from train.optimizer import StableAdamW, optimizer_of
from train.ranks import Ranks, Spread, spread
from train.schedule import Schedule, Step
from train.spikes import Detector, Why
from train.start import begin


@dataclass(kw_only=True, eq=False)
class Learner:
    """One rank's part of the model, and the counters of the whole run."""

    spread: Spread
    optimizer: StableAdamW
    averaged: Averaged | None
    detector: Detector
    started: str
    """What the run began with, for people."""
    step: int = 0
    g: int = 0
    tokens: int = 0
    """Read by all ranks, without padding."""
    audit: Audit = field(default_factory=Audit)
    """What this rank read; the first one counts on from what the checkpoint holds."""
    loss: float = math.nan
    """Of the last step that learned anything."""
    norm: float = math.nan
    """Of all gradients together, before that step."""
    measured: bool = False
    """Whether the step at hand has rows to learn from."""

    @property
    def model(self) -> Bert:
        return self.spread.model

    def measure(self, batch: Batch, guessed: int, ranks: Ranks, *, stretch: int) -> Why | None:
        """Work out the batch's loss and gradients, and say why its step should perhaps not be taken.

        guessed  masked tokens of all ranks
        stretch  number of the mixture that is read: another one may have another loss

        Raises TrainError where there is nothing to guess in rows that were read.
        """
        step, (read,) = batch.step, ranks.sum([len(batch.numbers)])
        if read and not guessed:
            raise TrainError(f"{told(step)}: no token is masked; raise the phase's mask, or pack longer rows")
        self.measured = bool(read)
        if not read:
            return None
        self.optimizer.zero_grad()
        share = gradients(self.spread, batch, guessed)
        (self.loss,), self.norm = ranks.sum([float(share)]), float(self.optimizer.grad_norm())
        return self.detector.look(self.loss, self.norm, stretch, step.rows)

    def take(self, step: Step, *, stretch: int) -> None:
        """Go down the gradients that were measured, and move the counters on; a step without rows moves them alone."""
        if self.measured:
            self.detector.accept(self.loss, stretch, step.rows)
            self.optimizer.step(lr=step.lr, peak=step.peak, weight_decay=step.weight_decay)
        self.step, self.g = step.number + 1, step.g + step.rows


def assemble(job: Job, vocab: int, ranks: Ranks, device: torch.device, start: Checkpoint | None) -> Learner:
    """From a checkpoint of this run, or else from where the recipe starts. Raises CheckpointError or StartError."""
    settings = job.settings
    with torch.random.fork_rng([]):  # a module draws weights as it is made
        model = Bert(job.shape, vocab)
    optimizer = optimizer_of(settings.optimizer, model.named_parameters())
    started = "started from random weights"
    if start:
        start.restore(model, optimizer)
        started = start.state.start
    else:
        initialise(model, job.seed)
        first = settings.phases[0]
        if settings.start:
            started = begin(settings.start, model, optimizer, job.tokenizer, rope=(first.rope, first.local_rope))
    t, moments = optimizer.t, optimizer.state()
    model.to(device)
    mine = spread(model, settings.parallel, ranks, device)
    optimizer = optimizer_of(settings.optimizer, model.named_parameters())
    if t:
        optimizer.load(moments, t)
    learner = Learner(
        spread=mine,
        optimizer=optimizer,
        averaged=Averaged(model.named_parameters(), settings.average.half_life) if settings.average else None,
        detector=Detector(settings.spikes),
        started=started,
    )
    if start:
        _go_on(learner, start, ranks)
    return learner


def _go_on(learner: Learner, start: Checkpoint, ranks: Ranks) -> None:
    state = start.state
    learner.step, learner.g, learner.tokens, learner.loss = state.step, state.g, state.tokens, state.loss
    learner.detector.load(state.history)
    if ranks.leads:
        learner.audit = Audit.of(state.read)
    if learner.averaged and state.averaged:
        learner.averaged.load(start.read("average.safetensors"))


def event(job: Job, learner: Learner, kind: str, **more: Any) -> dict[str, Any]:
    """A record of metrics.jsonl."""
    last = Schedule(job.settings).phase_of(max(learner.g - 1, 0))
    return {"kind": kind, "step": learner.step, "phase": job.settings.phases[last].name, **more}
