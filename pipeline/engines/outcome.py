"""The records of a stage's units -> what to tell of a launch that did not bring all of them to stand."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from pipeline.stage import Stage, standing
from pipeline.stores.mirror import gather
from pipeline.units import Unit

SHOWN = 600
"""Characters shown of a unit's fault; `failed/` has all of it, and the trace."""

FEW = 5
"""Units with the same fault that are told one by one: more is what is wrong with a node, or with all of them."""

SETTLE = 60.0
"""Seconds in which what a node wrote is seen here: NFS asks anew for a missing name after 30 to 60 (acdirmax)"""


def left(stage: Stage, folder: Path, units: Iterable[Unit]) -> list[Unit]:
    """The units that do not stand."""
    gather(folder)
    return [unit for unit in units if standing(folder, unit.number, stage.suffix) is None]


def unsaid(stage: Stage, folder: Path, units: Iterable[Unit]) -> list[Unit]:
    """The units that neither stand nor have failed."""
    return [u for u in left(stage, folder, units) if not (folder / "failed" / f"{u.number:05}.json").exists()]


def begun(folder: Path, units: Iterable[Unit]) -> list[int]:
    """The numbers of those whose process ended while it was at work on them."""
    return [unit.number for unit in units if (folder / "running" / f"{unit.number:05}").exists()]


def failures(stage: Stage, folder: Path, total: int) -> str:
    """A line for each unit that failed, many equal faults in one; nothing if none did."""
    gather(folder)
    written = [orjson.loads(path.read_bytes()) for path in sorted((folder / "failed").glob("*.json"))]
    failed = [one for one in written if standing(folder, one["unit"], stage.suffix) is None]
    if not failed:
        return ""
    alike: dict[str, list[dict[str, Any]]] = {}
    for one in failed:
        alike.setdefault(" ".join(one["fault"].split()), []).append(one)
    lines = [f"  {name}: {fault[:SHOWN]}" for fault, some in alike.items() for name in _named(some)][:10]
    stand = "; the others stand" if len(failed) < total else ""
    head = f"{stage.name}: {len(failed)} of {total} units failed{stand}. Mend this and run again:"
    return "\n".join([head, *lines])


def undone(stage: Stage, folder: Path, units: Sequence[Unit], why: str, *, far: bool) -> str:
    """What to say of units that were left without a word of their own; nothing if all stand.

    Where the units were done `far` from here, and nobody knows of a fault, they are waited for.
    """
    still = left(stage, folder, units)
    until = time.monotonic() + (SETTLE if far and not why else 0.0)
    while still and time.monotonic() < until:
        time.sleep(1.0)
        still = left(stage, folder, still)
    if not still:
        return ""
    marks = begun(folder, still)
    at_work = f"a process ended while it was at work on {_listed(marks)}" if marks else ""
    told = "; ".join(filter(None, (at_work, why)))
    return (
        f"{stage.name}: {len(still)} of {len(units)} units are still to do: {_listed(unit.number for unit in still)}"
        f"{f' ({told})' if told else ''}. What the others did stands: run the same command again"
    )


def _named(alike: Sequence[dict[str, Any]]) -> list[str]:
    """Each of a few units with its files; many without."""
    if len(alike) > FEW:
        return [f"units {_listed(one['unit'] for one in alike)}"]
    return [f"unit {one['unit']} ({', '.join(one['files'][:3])})" for one in alike]


def _listed(numbers: Iterable[int]) -> str:
    found = list(numbers)
    return ", ".join(map(str, found[:10])) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
