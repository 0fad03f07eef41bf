"""A step whose loss leapt -> the rows that are likely at fault, what is told of it, and when to give up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from train.batches import Reader
from train.checkpoint import Checkpoint
from train.job import Job
from train.learn import TrainError
from train.learner import Learner, event
from train.metrics import Record
from train.schedule import Schedule, Step
from train.settings import Spikes
from train.skipped import SKIPPED, Skipped, Spike
from train.spikes import Why
from train.suspects import named

MOST = 16_384
"""Rows that are left out at once, but for a step that has more."""


@dataclass(frozen=True, kw_only=True)
class Leap:
    """A step that was not taken."""

    step: Step
    why: Why
    losses: Mapping[int, float]
    """Of its rows, by their numbers in the run."""
    rows: Sequence[int]
    """Those that are likely at fault."""


def suspected(leap: Leap, reader: Reader, *, loss: float, tokenizer: Path, back: int, again: int) -> Spike:
    """What is to be left out so that a step does not leap once more.

    loss   of the step
    back   row of the run to which it goes back
    again  times that it went back there before

    At first these are the rows of the step that stand out. If it leaps again on the way from the same checkpoint, what
    did the harm was learned earlier: then all rows of the last 4, 16, 64 ... steps are, as far back as the checkpoint
    and the phase go.
    """
    step, numbers = leap.step, leap.rows
    first, last = step.g, step.g + step.rows
    if again:
        begun = Schedule(reader.settings).starts[step.phase]
        first = max(back, begun, last - min(4**again * step.rows, max(MOST, step.rows)))
        numbers = range(first, last)
    decode = Tokenizer.from_file(str(tokenizer)).decode
    rows = named(reader.order, reader.shards, numbers, leap.losses, decode)
    context = reader.settings.phases[step.phase].context
    return Spike(step=step.number + 1, since=first, context=context, why=str(leap.why), loss=loss, rows=rows)


def told_of(spike: Spike, job: Job, learner: Learner, start: Checkpoint | None) -> Record:
    """The record of a rewind to where the learner stands now."""
    return event(
        job,
        learner,
        "spike",
        at=spike.step,
        loss=spike.loss,
        why=spike.why,
        rows=[{"source": row.source, "context": spike.context, "row": row.index} for row in spike.rows],
        checkpoint=str(start.folder) if start else None,
    )


def went_back(skipped: Skipped, step: int) -> int:
    """Times that the run went back from behind this step: how often it could not come on from there."""
    return sum(spike.step > step for spike in skipped.spikes)


def refuse_more(skipped: Skipped, step: int, settings: Spikes | None) -> None:
    """Raise TrainError where the run has gone back to this step too often: then it is not the rows."""
    allowed, last = (settings or Spikes()).rewinds, skipped.spikes[-1]
    if went_back(skipped, step) > allowed:
        raise TrainError(
            f"step {last.step} (row {last.since} and on): {last.why}, and the run went back to step {step} {allowed} "
            f"times. Lower the peak, or look at the rows in {SKIPPED} with bertmill trace; or raise spikes.rewinds"
        )
