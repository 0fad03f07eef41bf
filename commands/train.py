"""A recipe and the rows of its run -> the training's job, and the order of rows that it reads."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from commands.kept import bring_checkpoint, keep_checkpoint
from commands.run import only_one
from pipeline.handover import bring, everything
from pipeline.stage import Record as Signed
from pipeline.stage import Stage
from pipeline.stores.mirror import Mirror
from recipes.plan import documents, evaluated, stages
from recipes.recipe import Recipe
from recipes.rows import held_out_name, pack_name
from recipes.settle import settled_by_run
from train.stop import before_training

EVERY = 10.0
"""Seconds between the steps that are told."""

if TYPE_CHECKING:
    from packing.mixture import Order
    from train.job import Job, Result


def packed(recipe: Recipe, workspace: Path) -> Iterator[tuple[tuple[str, int], Signed]]:
    """The signed record of each (source, context) that the phases draw from. Raises StageError if one is not done."""
    declared = {stage.name: stage for stage in stages(recipe)}
    for context in recipe.contexts:
        for name in recipe.mixed(context):
            yield (name, context), _signed(workspace, declared[pack_name(name, context)])


def _signed(workspace: Path, stage: Stage) -> Signed:
    return Signed.signed(workspace, stage)


def order_of(recipe: Recipe, workspace: Path) -> Order:
    """The order of the run's rows, without those that the run has skipped so far."""
    from train.order import order_of as ordered
    from train.skipped import Skipped

    rows = {key: record.counts.get("rows", 0) for key, record in packed(recipe, workspace)}
    settled = settled_by_run(recipe, documents(recipe)[1], workspace).train
    skipped = Skipped.read(workspace).quarantine()
    return ordered(replace(settled, quarantine=(*settled.quarantine, *skipped)), rows, recipe.seed)


def job_of(recipe: Recipe, workspace: Path) -> Job:
    """What `train` is asked to do: the recipe's training on the run's rows, tokenizer and held-out documents."""
    from train.job import Job

    records = dict(packed(recipe, workspace))
    declared = {stage.name: stage for stage in stages(recipe)}
    held = {name: _signed(workspace, declared[held_out_name(name)]) for name in evaluated(recipe)}
    read = ["tokenizer", *(pack_name(*key) for key in records), *map(held_out_name, held)]
    if Mirror.of(workspace):
        bring(piece for name in read for piece in everything(workspace, declared[name]))
    return Job(
        settings=settled_by_run(recipe, documents(recipe)[1], workspace).train,
        shape=recipe.model,
        tokenizer=workspace / "tokenizer" / "tokenizer.json",
        shards={(name, context): workspace / pack_name(name, context) for name, context in records},
        heldout={name: workspace / held_out_name(name) for name in held if held[name].counts.get("rows")},
        folder=workspace,
        seed=recipe.seed,
        max_epochs=recipe.packing.max_epochs,
        apart=bool(recipe.packing.partition),
    )


def train(recipe: Recipe, workspace: Path, say: Callable[[str], None]) -> Result:
    """Train to the end, telling each event in a line; see `train.loop.train` for what it raises."""
    from train.loop import train as learn
    from train.metrics import Record, console_line

    job = job_of(recipe, workspace)
    bring_checkpoint(workspace)
    last = -math.inf

    def notify(record: Record) -> None:
        """Every event, but of the steps no more than one in `EVERY` seconds; metrics.jsonl has them all."""
        nonlocal last
        now = time.monotonic()
        if record["kind"] == "saved":
            keep_checkpoint(workspace, Path(record["checkpoint"]), recipe.train.keep)
        if record["kind"] != "step" or now - last >= EVERY:
            say(f"  {console_line(record)}")
            last = now

    for name in sorted(set(evaluated(recipe)) - set(job.heldout)):
        say(f"  {name} has no held-out document, so it is not evaluated; raise packing.holdout to have some")
    return learn(job, notify=notify)


LAUNCHED = "BERTMILL_LAUNCHED"
"""Set for processes whose parent holds the run's folder."""


def one_of_several() -> bool:
    """Whether this process was started as one of those that train together."""
    from train.ranks import Ranks

    return Ranks.of_environment().world > 1


def together(recipe: Recipe, path: Path, workspace: Path, processes: int | None, *, export: bool) -> None:
    """Train in this process, or start several that do, and export the end of the run if asked for.

    A training that was asked to stop (SIGTERM) has saved, which is told; it is no fault.
    """
    from commands.release import release
    from train.launch import default_processes, launch, this_command
    from train.loop import reached

    if (processes or default_processes()) == 1:
        with before_training():
            result = train(recipe, workspace, _say)
    else:
        os.environ[LAUNCHED] = "1"
        launch(this_command("train", str(path), "--work", str(workspace)), processes or default_processes())
        result = reached(job_of(recipe, workspace))
    if not result.finished:
        _say(f"  stopped after step {result.step}, which is saved; the same command goes on from there")
    elif export:
        _say(release(recipe, workspace, result))
    else:
        _say(f"  finished: {result.tokens:,} tokens in {result.step:,} steps, {result.checkpoint}")


def as_one_of_several(recipe: Recipe, workspace: Path) -> None:
    """Train as torchrun, or our own start of several processes, has told this one; the first of them tells of it."""
    from train.ranks import Ranks

    leads = Ranks.of_environment().leads
    with before_training(), only_one(workspace) if leads and LAUNCHED not in os.environ else nullcontext():
        train(recipe, workspace, _say if leads else lambda line: None)


def _say(line: str) -> None:
    print(line, flush=True)
