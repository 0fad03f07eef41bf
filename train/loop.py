"""Rows -> weights: one step after another, from the newest checkpoint or the run's start to the end of the run.

What step n does is a function of (job, n): its rows by the order, its masks and dropout by row number, its rate by the
clock. So a run that was stopped, wherever, ends with the bits of one that was not (CPU, as many threads and processes),
and any number of processes learns the same up to rounding.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice

import torch

from packing.encode import Encoder
from packing.mixture import Order, check_epochs
from packing.shards import Shards
from train.batches import Batch, Reader, ahead
from train.checkpoint import Checkpoint, CheckpointError, newest
from train.deterministic import deterministic
from train.devices import choose, use_threads
from train.job import Job, Result
from train.journal import Notify, journal
from train.learn import TrainError, dropout_key
from train.learner import Learner, assemble, event
from train.masking import key_of, words_of
from train.milestones import Milestones
from train.order import order_of
from train.profile import Profiled, profiled
from train.ranks import RankError, Ranks, joined
from train.rewind import Leap, refuse_more, suspected, told_of, went_back
from train.saver import Saver
from train.schedule import Schedule, Step
from train.skipped import Skipped
from train.speed import Left, flops_of, peak_flops, speed_of
from train.spikes import Why
from train.stop import asked_to_stop
from train.suspects import offenders, row_losses

__all__ = ["TrainError", "train"]


def train(
    job: Job, *, device: str | None = None, until: int | None = None, notify: Notify = lambda record: None
) -> Result:
    """Train to the end, or until so many steps are done or SIGTERM comes, from wherever the folder stands. Once
    finished, it returns at once. Under torchrun all its processes train together.

    notify  takes the records of metrics.jsonl as they come, and what was resumed and saved (train.metrics.console_line)

    Raises CheckpointError for a folder of another run, MixtureError for a mix that the rows cannot give, TrainError for
    a loss that stays no number, StartError for weights that cannot be begun with, RankError where another process
    failed, and DeviceError, ShardError, EncodeError, SkippedError, TrackerError.
    """
    shards = {key: Shards(folder) for key, folder in sorted(job.shards.items())}
    skipped = Skipped.read(job.folder)
    order = _order(job, shards, skipped)
    check_epochs(order.epochs(apart=job.apart), dict.fromkeys(order.names, job.max_epochs))
    start = newest(job.checkpoints)
    if start:
        check(job, order, start)
        if start.state.g == order.total or (until is not None and until <= start.state.step):
            return replace(_result(start), finished=start.state.g == order.total)

    ranks = Ranks.of_environment()
    chosen, threads = choose(device, ranks.local), use_threads(job.threads, ranks.beside)
    encoder = Encoder(job.tokenizer)
    reader = Reader(
        settings=job.settings,
        order=order,
        shards=shards,
        words=words_of(job.tokenizer),
        key=key_of("mask", job.seed),
        pad_id=encoder.pad if chosen.type == "cuda" else None,
        dropped=dropout_key(job.seed) if job.shape.dropout else None,
        rank=ranks.rank,
        world=ranks.world,
    )
    versions = {"torch": torch.__version__, "python": platform.python_version(), "threads": str(threads)}
    with deterministic(job.settings.deterministic), joined(ranks, chosen), ExitStack() as held:
        learner = assemble(job, encoder.vocab_size, ranks, chosen, start)
        stop = held.enter_context(asked_to_stop())
        told = held.enter_context(journal(job, ranks, learner.step, notify))
        milestones = Milestones(
            job=job,
            ranks=ranks,
            schedule=Schedule(job.settings),
            heldout={name: Shards(folder) for name, folder in sorted(job.heldout.items())},
            words=reader.words,
            token_bytes=encoder.token_bytes(),
            device=chosen,
            versions={**versions, "processes": str(ranks.world)},
            journal=told,
            saver=held.enter_context(Saver(job.checkpoints, job.settings.keep)),
        )
        profile = job.settings.profile if ranks.leads else None
        peak = peak_flops(chosen)
        run = Run(
            reader=reader,
            skipped=skipped,
            learner=learner,
            milestones=milestones,
            profile=held.enter_context(profiled(profile, job.folder, chosen)),
            peak=peak and peak * ranks.world,
            stop=stop,
        )
        run.go(until, start)
        ranks.wait()  # the first one has saved by then
    return reached(job)


def reached(job: Job) -> Result:
    """Where a training stands that has saved something."""
    final = newest(job.checkpoints)
    assert final, "the last step is always saved"
    return _result(final)


def _order(job: Job, shards: Mapping[tuple[str, int], Shards], skipped: Skipped) -> Order:
    """The order of rows, without those that made a loss leap."""
    settings = replace(job.settings, quarantine=(*job.settings.quarantine, *skipped.quarantine()))
    return order_of(settings, {key: len(rows) for key, rows in shards.items()}, job.seed)


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
        f"remix: [{{at: {read}, mix: {{...}}}}]. A quarantine can begin here with since: {g}. "
        f"Phase '{phase.name}' can end elsewhere, too: leave its tokens as they were and give it ends: {read} or more",
    )


def _result(checkpoint: Checkpoint) -> Result:
    kept = ("step", "g", "tokens", "loss", "finished", "evaluation")
    return Result(checkpoint=checkpoint.folder, **{name: getattr(checkpoint.state, name) for name in kept})


@dataclass(kw_only=True, eq=False)
class Run:
    """A training on its way. What changes: the learner, and the rows that are skipped."""

    reader: Reader
    skipped: Skipped
    learner: Learner
    milestones: Milestones
    profile: Profiled
    peak: float | None
    """FLOP/s of all ranks' devices together, where it is known."""
    stop: Callable[[], bool]

    def __post_init__(self) -> None:
        self.job, self.ranks, self.schedule = self.milestones.job, self.milestones.ranks, self.milestones.schedule
        self.journal = self.milestones.journal
        self.left = Left(self.schedule.tokens(self.schedule.total), self.schedule.tokens(self.learner.g))

    def go(self, until: int | None, start: Checkpoint | None) -> None:
        """Learn to the end, or `until`, or SIGTERM; back to the last checkpoint wherever the loss leaps."""
        if start:
            self.journal.tell(event(self.job, self.learner, "resumed", checkpoint=str(start.folder)))
        else:
            self.journal.write(event(self.job, self.learner, "started", **{"from": self.learner.started}))
            if self.job.settings.start:
                self.milestones.before(self.learner)
        while leap := self._stretch(until):
            self._rewind(leap)

    def _stretch(self, until: int | None) -> Leap | None:
        """Learn from step to step, and do what is due after each; the step that could not be taken, if there is one."""
        learner = self.learner
        steps = islice(self.schedule.steps(learner.step, learner.g), None if until is None else until - learner.step)
        with closing(ahead(self.reader.read, steps)) as batches:
            for batch, waited in self._timed(batches):
                began = time.perf_counter()
                guessed, tokens, flops, stops = self._agreed(batch)
                phase = self.job.settings.phases[batch.step.phase]
                learner.model.set_rope(phase.rope, phase.local_rope)
                stretch = self._mixture(batch.step)
                if (why := learner.measure(batch, int(guessed), self.ranks, stretch=stretch)) and (
                    leap := self._leap(batch.step, why)
                ):
                    return leap
                learner.take(batch.step, stretch=stretch)
                learner.tokens += int(tokens)
                learner.audit.add(phase.name, batch.read)
                if learner.averaged:
                    learner.averaged.update(int(tokens))
                self._record(batch.step, tokens, flops, waited, time.perf_counter() - began)
                self.profile.step(learner.step)
                ends = bool(stops) or learner.step == until
                self.milestones.after(batch.step, learner, self.reader.order, stops=ends)
                if ends:
                    self._ended(asked=bool(stops))
                    return None
        self._ended(asked=False)
        return None

    def _leap(self, step: Step, why: Why) -> Leap | None:
        """Look at the step row by row, by all ranks together; one that is only suspicious may come out clean."""
        mine = row_losses(self.learner.spread, self.reader, step)
        losses = {row: loss for part in self.ranks.gather(mine) for row, loss in part.items()}
        rows = offenders(losses, sure=why.sure)
        return Leap(step=step, why=why, losses=losses, rows=rows) if rows else None

    def _ended(self, *, asked: bool) -> None:
        self.milestones.saver.wait()
        self.milestones.tell_saved()
        if asked and (last := newest(self.job.checkpoints)):
            told = event(self.job, self.learner, "stopped", signal="SIGTERM", checkpoint=str(last.folder))
            self.journal.tell(told)

    def _agreed(self, batch: Batch) -> list[float]:
        """Over all ranks: masked tokens, tokens, FLOPs, and whether to stop after this step."""
        *sums, failed = self.ranks.sum(
            [
                batch.guessed,
                batch.tokens,
                flops_of(batch, self.job.shape, self.learner.model.vocab),
                self.stop(),
                0.0,
            ]
        )
        if failed:
            raise RankError("another process of this training has failed, and said why")
        return sums

    def _timed(self, batches: Generator[Batch]) -> Iterator[tuple[Batch, float]]:
        """Each batch with the seconds that it was waited for. The other ranks learn of a fault before it is raised."""
        while True:
            began = time.perf_counter()
            try:
                batch = next(batches, None)
            except Exception:
                self.ranks.sum([0.0, 0.0, 0.0, 0.0, 1.0])
                raise
            if batch is None:
                return
            yield batch, time.perf_counter() - began

    def _mixture(self, step: Step) -> int:
        """Number of the mixture that the step reads: another one may have another loss."""
        return int(self.reader.order.rows(step.g, step.g + 1)["phase"][0])

    def _record(self, step: Step, tokens: float, flops: float, waited: float, learned: float) -> None:
        learner, seconds = self.learner, waited + learned
        done = self.schedule.tokens(learner.g)
        self.journal.write(
            event(
                self.job,
                learner,
                "step",
                rows=[step.g, learner.g],
                tokens=learner.tokens,
                loss=learner.loss,
                lr=step.lr,
                grad_norm=learner.norm,
                **speed_of(int(tokens), int(flops), seconds, self.peak),
                data_wait=waited,
                seconds=seconds,
            ),
            share=done / self.left.total,
            left=self.left.seconds(done),
        )

    def _rewind(self, leap: Leap) -> None:
        """Skip the rows at fault from here on, and go back to before anything was learned from them."""
        job, milestones = self.job, self.milestones
        milestones.saver.wait()
        milestones.tell_saved()
        self.ranks.wait()
        start = newest(job.checkpoints)
        back, step = (start.state.g, start.state.step) if start else (0, 0)
        spike = suspected(
            leap,
            self.reader,
            loss=self.learner.loss,
            tokenizer=job.tokenizer,
            back=back,
            again=went_back(self.skipped, step),
        )
        self.skipped = self.skipped.plus(spike) if self.ranks.leads else self.skipped
        self.skipped = self.ranks.gather(self.skipped)[0]
        self.learner = assemble(job, self.learner.model.vocab, self.ranks, milestones.device, start)
        self.journal.rewind(self.learner.step)
        self.journal.write(told_of(spike, job, self.learner, start))
        refuse_more(self.skipped, step, job.settings.spikes)
        self.reader = replace(self.reader, order=_order(job, self.reader.shards, self.skipped))
