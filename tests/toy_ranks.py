"""One of several processes that read the steps of a training together, each its slice; it may be killed on the way."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from packing.shards import Shards
from tests.toy_training import job
from train.audit import Audit
from train.batches import IGNORED, Batch, Reader
from train.masking import key_of, words_of
from train.schedule import Schedule, order_of
from train.settings import Train


def unmasked(batch: Batch) -> list[int]:
    """The tokens as they stood in the rows."""
    ids: list[int] = []
    for part in batch.microbatches:
        stood = part.input_ids.clone()
        real = part.labels != IGNORED
        stood[part.masked[real]] = part.labels[real]
        ids += stood.tolist()
    return ids


def read(data: Path, settings: Train, rank: int, world: int, steps: range, out: Path, killed: bool = False) -> None:
    """Write what this rank read in each step to out/<step>-<rank>.json: row numbers, tokens, masks and counts."""
    run: Any = job(data, data, settings=settings)
    shards = {key: Shards(folder) for key, folder in run.shards.items()}
    reader = Reader(
        settings=settings,
        order=order_of(settings, {key: len(rows) for key, rows in shards.items()}, run.seed),
        shards=shards,
        words=words_of(run.tokenizer),
        key=key_of("mask", run.seed),
        pad_id=None,
        rank=rank,
        world=world,
    )
    for step in Schedule(settings).steps():
        if step.number in steps:
            batch, audit = reader.read(step), Audit()
            audit.add(settings.phases[step.phase].name, batch.read)
            masked = [label for part in batch.microbatches for label in part.labels.tolist()]
            told = {"ids": unmasked(batch), "masked": masked, "read": audit.told(settings)}
            (out / f"{step.number:04}-{rank}.json").write_text(json.dumps(told))
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
