"""A recipe -> rows that are ready to be trained on: its own stages make them once, and every training shares them."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from bench import samples
from commands.train import job_of
from recipes.load import load
from recipes.recipe import Recipe
from train.job import Job, Result
from train.loop import train
from train.phase import Phase
from train.settings import Batch

HOME = Path(__file__).parents[2]
QUICKSTART = HOME / "recipes" / "quickstart.yaml"
PROGRAM = Path(sys.executable).with_name("bertmill")


def options(about: str | None, name: str) -> argparse.ArgumentParser:
    """What every proof may be told: the data, where to work, where the figure goes, and how many threads."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", type=Path, help="whose sources are read; the quickstart's by default")
    parser.add_argument("--work", type=Path, default=HOME / "work" / "proofs", help="where rows and trainings stand")
    parser.add_argument("--figure", type=Path, default=HOME / "docs" / "figures" / f"{name}.svg")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    return parser


def prepared(path: Path | None, work: Path) -> tuple[Recipe, Job]:
    """The recipe, and its training on rows that stand in a folder of `work`; they are made at first use."""
    if path is None:
        samples.samples("web/*")
        path = QUICKSTART
    recipe = load(path)
    rows = work / f"rows-{recipe.name}"
    command = [PROGRAM, "run", path.resolve(), "--work", rows.resolve(), "--until", "heldout", "--workers", "2"]
    subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr, cwd=HOME if path == QUICKSTART else None)
    return recipe, job_of(recipe, rows)


def like(
    first: Phase,
    name: str,
    tokens: int,
    *,
    warmup: int = 0,
    decay: Literal["1-sqrt"] | None = None,
    mix: Mapping[str, float] | None = None,
) -> Phase:
    """A phase that reads as the recipe's first one does, by its mixture if no other is given."""
    return Phase(
        name=name,
        tokens=tokens,
        context=first.context,
        mix=first.mix if mix is None else mix,
        mask=first.mask,
        rope=first.rope,
        local_rope=first.local_rope,
        warmup=warmup,
        decay=decay,
    )


def other(job: Job, folder: Path, phases: tuple[Phase, ...], threads: int, **words: Any) -> Job:
    """Another training on the same rows: by these phases, in batches of one size, and with these words changed."""
    rows = Batch(rows=job.settings.batch.rows)
    settings = replace(job.settings, phases=phases, batch=rows, **words)
    return replace(job, settings=settings, folder=folder, threads=threads)


def ended(job: Job, **more: Any) -> Result:
    """Train to the end. A SIGTERM on the way ends the proof too: a run that was cut short proves nothing."""
    result = train(job, **more)
    if not result.finished:
        sys.exit(f"{job.folder}: was stopped at step {result.step}; run the proof again")
    return result


def fresh(folder: Path) -> Path:
    """The folder, empty: every proof trains anew, by the code as it stands."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
