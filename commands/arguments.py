"""What several commands take: a recipe, a run's folder or an address in a store, an engine and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def opened_at(address: str) -> Path:
    """A path, or for an address in a store the folder that mirrors it."""
    from pipeline.stores.mirror import opened

    return opened(address)


def on_disk(address: str) -> Path:
    """A path; an address in a store is refused where a command cannot read one."""
    from pipeline.stores.store import URL, StoreError

    if URL in address:
        raise StoreError(f"{address}: this command reads folders on disk; copy it there first")
    return Path(address)


RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe's YAML file.")]
Work = Annotated[
    Path | None,
    typer.Option(parser=opened_at, metavar="DIR|URL", help="The run's folder; work/<recipe's name> if not given."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for another program.")]
Where = Annotated[
    str, typer.Option("--engine", help="local, ray or slurm; ray:FILE and slurm:FILE say what a task needs.")
]
Workers = Annotated[int | None, typer.Option(help="Tasks at the same time: 1, or all that a cluster has room for.")]
Tasks = Annotated[int | None, typer.Option(help="Parts that a stage's units are shared out to.")]
Redo = Annotated[list[str] | None, typer.Option(help="Start this stage, and all that read it, over.")]
Processes = Annotated[
    int | None,
    typer.Option(help="Processes of this machine that train together: one for each GPU, or 1, if not given."),
]
