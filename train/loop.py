"""Rows -> weights: one step after another, from the newest checkpoint or from fresh weights to the end of the run.

What step n does is a function of (job, n): its rows by the order, its masks by row number, its dropout by the first
row of each microbatch, its rate by the clock. So a run that was stopped, wherever, ends with the bits of one that was
not (CPU, as many threads).
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.bert import Bert
from model.initialise import initialise
from packing.encode import Encoder
from packing.mixture import Order, check_epochs
from packing.shards import Shards
from train.audit import Audit
from train.batches import Batch, Reader, ahead
from train.checkpoint import Checkpoint, CheckpointError, State, newest, save
from train.devices import choose, use_threads
from train.evaluate import evaluate
from train.job import Job, Result
from train.learn import TrainError, learn
from train.masking import key_of, words_of
from train.metrics import Metrics, Record
from train.optimizer import StableAdamW
from train.order import order_of
from train.schedule import Schedule, Step
from train.settings import LOCAL_ROPE

__all__ = ["TrainError", "train"]

Notify = Callable[[Record], None]


def train(
    job: Job, *, device: str | None = None, until: int | None = None, notify: Notify = lambda record: None
) -> Result:
    """Train to the end, or until so many steps are done, from wherever the folder stands. Once finished,
    it returns at once.

    notify  takes the records of metrics.jsonl as they come, and what was resumed and saved (train.metrics.console_line)

    Raises CheckpointError for a folder of another run, MixtureError for a mix that the rows cannot give, TrainError for
    a loss that is no number, and DeviceError, ShardError, EncodeError.
    """
    shards = {key: Shards(folder) for key, folder in sorted(job.shards.items())}
    order = order_of(job.settings, {key: len(rows) for key, rows in shards.items()}, job.seed)
    check_epochs(order.epochs(apart=job.apart), dict.fromkeys(order.names, job.max_epochs))
    start = newest(job.checkpoints)
    if start:
        check(job, order, start)
        if start.state.g == order.total or (until is not None and until <= start.state.step):
            return replace(_result(start), finished=start.state.g == order.total)

    chosen, threads = choose(device), use_threads(job.threads)
    encoder = Encoder(job.tokenizer)
    reader = Reader(
        settings=job.settings,
        order=order,
        shards=shards,
        words=words_of(job.tokenizer),
        key=key_of("mask", job.seed),
        pad_id=encoder.pad if chosen.type == "cuda" else None,
    )
    versions = {"torch": torch.__version__, "python": platform.python_version(), "threads": str(threads)}
    with torch.random.fork_rng([chosen] if chosen.type == "cuda" else []):
        run = _fresh(job, reader, encoder, chosen)
        run.versions = versions
        if start:
            run.restore(start)
        with closing(Metrics(job.metrics, run.step)) as metrics:
            run.go(metrics, notify, until)
    final = newest(job.checkpoints)
    assert final, "the last step is always saved"
    return _result(final)


def _fresh(job: Job, reader: Reader, encoder: Encoder, device: torch.device) -> Run:
    model = Bert(job.shape, encoder.vocab_size)
    initialise(model, job.seed)
    model.to(device)
    settings = job.settings.optimizer
    return Run(
        job=job,
        schedule=Schedule(job.settings),
        reader=reader,
        heldout={name: Shards(folder) for name, folder in sorted(job.heldout.items())},
        token_bytes=encoder.token_bytes(),
        model=model,
        optimizer=StableAdamW(model.named_parameters(), betas=settings.betas, eps=settings.eps),
        device=device,
    )


def check(job: Job, order: Order, start: Checkpoint) -> None:
    """Raise CheckpointError unless what the checkpoint has read and learned is the beginning of this run."""
    g = start.state.g
    if g > order.total:
        raise CheckpointError(
            f"{start.folder} has read {g} rows, more than the {order.total} of the recipe's phases; lengthen them, or "
            "start the training over with --redo train"
        )
    schedule = Schedule(job.settings)
    at = schedule.phase_of(max(g - 1, 0))
    phase = job.settings.phases[at]
    read = (g - schedule.starts[at]) * phase.context
    start.check(
        job.identity(order, g),
        f"The mixture can change from here on: leave each phase's mix as it was and give phase '{phase.name}' "
        f"remix: [{{at: {read}, mix: {{...}}}}]. A quarantine can begin here with since: {g}",
    )


def _result(checkpoint: Checkpoint) -> Result:
    kept = ("step", "g", "tokens", "loss", "finished", "evaluation")
    return Result(checkpoint=checkpoint.folder, **{name: getattr(checkpoint.state, name) for name in kept})


@dataclass(kw_only=True, eq=False)
class Run:
    """A training on its way. What changes: model, optimizer, and the counters at the end."""

    job: Job
    schedule: Schedule
    reader: Reader
    heldout: Mapping[str, Shards]
    token_bytes: npt.NDArray[np.int32]
    model: Bert
    optimizer: StableAdamW
    device: torch.device
    versions: Mapping[str, str] = field(default_factory=dict)
    step: int = 0
    g: int = 0
    audit: Audit = field(default_factory=Audit)
    """What was read of each source in each phase."""
    loss: float = math.nan
    resumed: Checkpoint | None = None

    def restore(self, start: Checkpoint) -> None:
        start.restore(self.model, self.optimizer)
        self.step, self.g, self.audit = start.state.step, start.state.g, Audit.of(start.state.read)
        self.resumed = start

    def go(self, metrics: Metrics, notify: Notify, until: int | None) -> None:
        """Learn from step to step; record, evaluate and save where it is due."""
        if self.resumed:
            notify(self._event("resumed", self.resumed.state.phase, checkpoint=str(self.resumed.folder)))
        began, first = time.perf_counter(), self.schedule.tokens(self.g)
        total = self.schedule.tokens(self.schedule.total)
        steps = islice(self.schedule.steps(self.step, self.g), None if until is None else until - self.step)
        with closing(ahead(self.reader.read, steps)) as batches:
            for batch, waited in _timed(batches):
                record = self._learned(batch, waited)
                metrics.write(record)
                clock = self.schedule.tokens(self.g)
                left = (time.perf_counter() - began) * (total - clock) / (clock - first)
                notify({**record, "share": clock / total, "left": left})
                self._keep(batch.step, metrics, notify, stops=self.step == until)

    def _learned(self, batch: Batch, waited: float) -> Record:
        """Take the step, move the counters on, and tell what happened."""
        began = time.perf_counter()
        step, phase = batch.step, self.job.settings.phases[batch.step.phase]
        self.model.set_rope(phase.rope, LOCAL_ROPE)
        self.loss, norm = learn(
            self.model,
            self.optimizer,
            batch,
            weight_decay=self.job.settings.optimizer.weight_decay,
            seed=self.job.seed,
        )
        self.step, self.g = step.number + 1, step.g + step.rows
        self.audit.add(phase.name, batch.read)
        seconds = time.perf_counter() - began + waited
        return self._event(
            "step",
            phase.name,
            rows=[step.g, self.g],
            tokens=self.audit.tokens,
            loss=self.loss,
            lr=step.lr,
            grad_norm=norm,
            tokens_per_second=sum(counts.tokens for counts in batch.read.values()) / seconds,
            data_wait=waited,
            seconds=seconds,
        )

    def _keep(self, step: Step, metrics: Metrics, notify: Notify, *, stops: bool) -> None:
        """Evaluate and save after this step, if that is due."""
        settings, phase = self.job.settings, self.job.settings.phases[step.phase].name
        saves = self.schedule.passes(step, settings.save_every) or self.schedule.ends_a_phase(step)
        every = settings.evaluate.every
        finished = self.g == self.schedule.total
        scores: dict[str, Any] | None = None
        if self.heldout and (finished or (saves if every is None else self.schedule.passes(step, every))):
            scores = self._scores()
            record = self._event("evaluation", phase, tokens=self.audit.tokens, sources=scores)
            metrics.write(record)
            notify(record)
        if saves or stops:
            self.audit.check(settings, self.reader.order, self.g)
            metrics.write(self._event("audit", phase, rows=self.g, read=self.audit.told(settings)))
            metrics.sync()  # no line may be younger than the checkpoint that it belongs to
            folder = save(
                self.job.checkpoints, self._state(step, scores), self.model, self.optimizer, self.job.tokenizer
            )
            notify(self._event("saved", phase, checkpoint=str(folder)))

    def _scores(self) -> dict[str, Any]:
        scores = evaluate(
            self.model,
            self.heldout,
            self.job.settings.evaluate,
            words=self.reader.words,
            token_bytes=self.token_bytes,
            device=self.device,
        )
        return {name: asdict(score) for name, score in scores.items()}

    def _state(self, step: Step, scores: dict[str, Any] | None) -> State:
        phases = self.job.settings.phases
        return State(
            step=self.step,
            g=self.g,
            tokens=self.audit.tokens,
            read=self.audit.told(self.job.settings),
            phase=phases[step.phase].name,
            context=max(phase.context for phase in phases[: step.phase + 1]),
            rope=phases[step.phase].rope,
            local_rope=LOCAL_ROPE,
            finished=self.g == self.schedule.total,
            loss=self.loss,
            evaluation=scores,
            vocab=self.model.vocab,
            shape=asdict(self.job.shape),
            identity=self.job.identity(self.reader.order, self.g),
            versions=self.versions,
        )

    def _event(self, kind: str, phase: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "step": self.step, "phase": phase, **more}


def _timed(batches: Generator[Batch]) -> Iterator[tuple[Batch, float]]:
    """Each batch with the seconds that it was waited for."""
    while True:
        began = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.perf_counter() - began
