"""One of several processes that read the steps of a training together, each its slice; it may be killed on the way."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.toy_training import job, reader, unmasked
from train.audit import Audit
from train.schedule import Schedule
from train.settings import Train


def read(data: Path, settings: Train, rank: int, world: int, steps: range, out: Path, killed: bool = False) -> None:
    """Write what this rank read in each step to out/<step>-<rank>.json: row numbers, tokens, masks and counts."""
    run: Any = job(data, data, settings=settings)
    mine = reader(run, settings=settings, rank=rank, world=world)
    for step in Schedule(settings).steps():
        if step.number in steps:
            batch, audit = mine.read(step), Audit()
            audit.add(settings.phases[step.phase].name, batch.read)
            masked = [label for part in batch.microbatches for label in part.labels.tolist()]
            told = {"ids": unmasked(batch), "masked": masked, "read": audit.told(settings)}
            (out / f"{step.number:04}-{rank}.json").write_text(json.dumps(told))
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
