"""A recipe -> a finished work folder: the stages in order, the training, the export."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pipeline.engines.slurm_queue import refuse_if_queued
from pipeline.stage import Record, Stage, StageError, clear
from pipeline.stores.lease import leased
from pipeline.stores.mirror import remove, save
from pipeline.stores.store import FULL
from recipes import ready
from recipes.dump import signed
from recipes.estimate import vocabulary
from recipes.plan import stages
from recipes.recipe import Recipe

if TYPE_CHECKING:
    from pipeline.engines.run import Engine, Watch

TRAIN = "train"
"""The name by which `--until` and `--redo` know the training, which is no stage: it owns its checkpoints."""

DOCUMENTS = ("ingest", "filter", "dedup", "lines", "substrings", "decontaminate", "apart")
"""The stages that leave documents of a source."""

Told = Callable[[Stage, Record, bool], None]
"""(stage, its record, whether it did anything), called as each stage ends."""


def prepare(
    recipe: Recipe,
    workspace: Path,
    engine: Engine,
    *,
    until: str | None = None,
    redo: Sequence[str] = (),
    told: Told | None = None,
    watch: Watch | None = None,
    compiles: Callable[[], None] | None = None,
) -> list[Record]:
    """Carry out the stages of a recipe, up to `until` (a stage, or the first part of its name).

    Finished stages are skipped, cut-off ones go on. Raises StageError (see `pipeline.engines.run`) also as soon as
    nothing is left of a source that is mixed, and PlanError or InputError for files that are missing. `compiles` is
    called before the first work where nothing was compiled yet for this machine and state of the sources.
    """
    from pipeline.engines.run import held, run

    declared = stages(recipe)
    last = _last(declared, until)
    cold = not compiled()
    vocabulary(recipe)
    for stage in declared:
        stage.inputs()  # which tells of what is missing now, not after hours of work
    ready.check(recipe)
    for name in redo:
        start_over(declared, workspace, name)
    workspace.mkdir(parents=True, exist_ok=True)
    save(workspace / "recipe.yaml", signed(recipe))
    records: list[Record] = []
    with held(engine):
        for stage in declared[: last + 1]:
            if compiles and cold and not finished(stage, workspace):
                compiles()
                cold = False
            record, worked = run(stage, workspace, engine, watch)
            records.append(record)
            if told:
                told(stage, record, worked)
            _check_left(recipe, stage, record, workspace)
    return records


def compiled() -> bool:
    """Whether there are compiled kernels of this state of the sources, or nobody can tell: numba keeps them then."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    return folder is None or next(Path(folder).rglob("*.nbi"), None) is not None


def finished(stage: Stage, workspace: Path) -> bool:
    record = Record.read(workspace / stage.name)
    return record is not None and record.finished


def _check_left(recipe: Recipe, stage: Stage, record: Record, workspace: Path) -> None:
    """Raise StageError if a stage has left nothing of a source that training draws from."""
    kind, _, source = stage.name.partition("/")
    mixed = {name for context in recipe.contexts for name in recipe.mixed(context)}
    if kind not in DOCUMENTS or source not in mixed or record.counts["documents_out"]:
        return
    dropped = sorted(record.counts["dropped"].items(), key=lambda item: (-item[1], item[0]))[:3]
    why = ", ".join(f"{count} {reason}" for reason, count in dropped) or "it has no records"
    raise StageError(
        f"{stage.name}: nothing is left of source {source}, {record.counts['documents_in']} in ({why}). See bertmill "
        f"look {workspace / stage.name} --dropped; mend its files or filters, or take it out of the mixes."
    )


def home(recipe: Recipe, work: Path | None) -> Path:
    """The run's folder. Raises StageError if it is a file, or the run of a recipe with another name."""
    workspace = work or Path("work") / recipe.name
    if workspace.exists() and not workspace.is_dir():
        raise StageError(f"{workspace}: is a file; name a folder with --work")
    path = workspace / "recipe.yaml"
    if path.is_file() and (name := _name_in(path)) not in (None, recipe.name):
        raise StageError(
            f"{workspace}: is the run of recipe '{name}', not of '{recipe.name}'; name another folder with --work"
        )
    return workspace


def _name_in(path: Path) -> str | None:
    """The recipe's name in a work folder's recipe.yaml; None where there is none to be read."""
    try:
        return str(yaml.safe_load(path.read_text(encoding="utf-8"))["name"])
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError):
        return None


def _last(declared: Sequence[Stage], until: str | None) -> int:
    """Number of the last stage to run."""
    if until is None or until == TRAIN:
        return len(declared) - 1
    matching = [n for n, stage in enumerate(declared) if stage.name == until or stage.name.startswith(f"{until}/")]
    if not matching:
        raise StageError(f"there is no stage '{until}'; the stages are: {_names(declared)}, {TRAIN}")
    return matching[-1]


def start_over(declared: Sequence[Stage], workspace: Path, name: str) -> None:
    """Clear a stage (or all whose names begin with `name/`), and every stage that reads what is cleared."""
    if name == TRAIN:
        for part in ("checkpoints", "export", "track", "profile"):
            clear(workspace / part)
        for file in ("metrics.jsonl", "skipped.json"):
            remove(workspace / file)
        return
    gone = {stage.name for stage in declared if stage.name == name or stage.name.startswith(f"{name}/")}
    if not gone:
        raise StageError(f"there is no stage '{name}'; the stages are: {_names(declared)}, {TRAIN}")
    for stage in declared:  # a stage stands after those it reads
        if any(earlier.name in gone for earlier in stage.reads):
            gone.add(stage.name)
    for name in gone:
        refuse_if_queued(workspace / name)
    for stage in reversed(declared):
        if stage.name in gone:
            clear(workspace / stage.name)


def _names(declared: Sequence[Stage]) -> str:
    return ", ".join(stage.name for stage in declared)


@contextmanager
def only_one(workspace: Path) -> Iterator[None]:
    """Hold the work folder for this process. Raises StageError if another one does, or if it cannot be written."""
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        lock = (workspace / ".lock").open("w")
    except OSError as fault:
        if fault.errno in FULL:
            raise
        raise StageError(
            f"{workspace}: cannot be written ({fault.strerror}); name another folder with --work"
        ) from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(f"{workspace}: another bertmill works in this folder; wait for it or end it") from None
        with leased(workspace):
            yield
