"""The stages of a recipe, carried out and told as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands import report
from commands.run import prepare
from recipes.estimate import underfull
from recipes.plan import stages
from recipes.recipe import Recipe

if TYPE_CHECKING:
    from pipeline.engines.run import Engine


def prepared(asked: Recipe, workspace: Path, until: str | None, engine: Engine, redo: list[str]) -> None:
    """Carry out the stages, telling each as it ends, what is at work on a terminal, and the funnel at last."""
    width = max(len(stage.name) for stage in stages(asked))
    live = _live()

    def told(stage: Any, record: Any, worked: bool) -> None:
        notes = record.counts.get("notes", {}).items() if worked else ()
        lines = [f"  note: {stage.name}: {note} (in {units} of {record.units} units)" for note, units in notes]
        print("\n".join([report.line(stage, record, worked, width), *lines]), flush=True)

    try:
        prepare(
            asked,
            workspace,
            engine,
            until=until,
            redo=redo,
            told=told,
            watch=live,
            compiles=lambda: print("  compiling for this machine, once: about a minute", file=sys.stderr, flush=True),
        )
    finally:
        if live:
            print(end="\r\033[K", file=sys.stderr, flush=True)
    notes = [f"  note: {note}" for note in underfull(asked, workspace)]
    print("\n".join(["", *report.funnel(workspace, asked), *notes, ""]), flush=True)


def _live() -> Callable[[Any, int, int], None] | None:
    """One line that is written over while a stage works; nothing where no person watches."""
    if not sys.stderr.isatty():
        return None
    return lambda stage, done, total: print(
        f"\r\033[K  {stage.name}: {done} of {total} units", end="", file=sys.stderr, flush=True
    )
