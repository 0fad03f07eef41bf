"""What is due after a step: guess the held-out text, compare what was read with the order of rows, save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from packing.mixture import Order
from packing.shards import Shards
from train.audit import Audit
from train.checkpoint import open_checkpoint
from train.evaluate import evaluate
from train.evaluate import told as plain
from train.job import Job
from train.journal import Journal
from train.learner import Learner, event
from train.masking import Words
from train.ranks import Ranks
from train.retention import Kept, kept_as
from train.samples import fill
from train.saver import Saver
from train.schedule import Schedule, Step
from train.snapshot import snapshot
from train.state import State


@dataclass(frozen=True, kw_only=True, eq=False)
class Milestones:
    """Of one training. All ranks evaluate, each all of it, and the first one writes."""

    job: Job
    ranks: Ranks
    schedule: Schedule
    heldout: Mapping[str, Shards]
    words: Words
    token_bytes: npt.NDArray[np.int32]
    device: torch.device
    versions: Mapping[str, str]
    journal: Journal
    saver: Saver

    def after(self, step: Step, learner: Learner, order: Order, *, stops: bool) -> None:
        """Do what is due; where the training `stops` here, save so that it can go on."""
        kept = kept_as(self.schedule, step, self.job.settings) or ("resume" if stops else None)
        scores = self._evaluated(step, learner) if self._evaluates(step, kept) else None
        if kept:
            self._save(step, learner, order, kept, scores)
        self.tell_saved()

    def before(self, learner: Learner) -> None:
        """Score what a run starts from, as its first phase sees it: what it learns is seen beside that."""
        first = self.job.settings.phases[0]
        learner.model.set_rope(first.rope, first.local_rope)
        if self.heldout:
            self._evaluated(None, learner)

    def tell_saved(self) -> None:
        """Tell of the checkpoints that are on disk by now."""
        for folder in self.saver.done():
            state = open_checkpoint(folder).state  # of some steps ago
            told = {"kind": "saved", "step": state.step, "phase": state.phase, "checkpoint": str(folder)}
            self.journal.tell(told)

    def _evaluates(self, step: Step, kept: Kept | None) -> bool:
        every = self.job.settings.evaluate.every
        ends = step.g + step.rows == self.schedule.total
        due = kept in ("product", "decay") if every is None else self.schedule.passes(step, every)
        return bool(self.heldout) and (ends or due)

    def _evaluated(self, step: Step | None, learner: Learner) -> dict[str, Any]:
        """Score the weights, and beside them their running mean; before the first step there is none."""
        record = event(self.job, learner, "evaluation", tokens=learner.tokens, sources=self._scores(learner))
        if step and learner.averaged and self.schedule.stable(step):
            with learner.averaged.swapped():
                record["averaged"] = self._scores(learner)
        if texts := self.job.settings.evaluate.texts:
            record["samples"] = fill(learner.model, self.job.tokenizer, texts)
        self.journal.write(record)
        scores: dict[str, Any] = record["sources"]
        return scores

    def _scores(self, learner: Learner) -> dict[str, Any]:
        return plain(
            evaluate(
                learner.model,
                self.heldout,
                self.job.settings.evaluate,
                words=self.words,
                token_bytes=self.token_bytes,
                device=self.device,
            )
        )

    def _save(self, step: Step, learner: Learner, order: Order, kept: Kept, scores: Mapping[str, Any] | None) -> None:
        audit = everywhere(learner.audit, self.ranks)
        audit.check(self.job.settings, order, learner.g)
        self.journal.write(event(self.job, learner, "audit", rows=learner.g, read=audit.told(self.job.settings)))
        self.journal.sync()  # no line may be younger than the checkpoint that it belongs to
        averaged = learner.averaged.state() if learner.averaged else None
        files = snapshot(learner.model, learner.optimizer, averaged, leads=self.ranks.leads)
        if self.ranks.leads:
            state = self._state(step, learner, order, audit, kept, scores)
            self.saver.save(state, files, self.job.tokenizer)

    def _state(
        self,
        step: Step,
        learner: Learner,
        order: Order,
        audit: Audit,
        kept: Kept,
        scores: Mapping[str, Any] | None,
    ) -> State:
        phases = self.job.settings.phases
        return State(
            step=learner.step,
            g=learner.g,
            t=learner.optimizer.t,
            tokens=learner.tokens,
            read=audit.told(self.job.settings),
            phase=phases[step.phase].name,
            context=max(phase.context for phase in phases[: step.phase + 1]),
            rope=phases[step.phase].rope,
            local_rope=phases[step.phase].local_rope,
            finished=learner.g == self.schedule.total,
            loss=learner.loss,
            evaluation=scores,
            vocab=learner.model.vocab,
            shape=asdict(self.job.shape),
            identity=self.job.identity(order, learner.g),
            versions=self.versions,
            kept=kept,
            history=learner.detector.state(),
            averaged=learner.averaged is not None,
            start=learner.started,
        )


def everywhere(audit: Audit, ranks: Ranks) -> Audit:
    """What all ranks read."""
    summed = Audit()
    for counts in ranks.gather(audit.counts):
        for (phase, source), more in counts.items():
            summed.add(phase, {source: more})
    return summed
