"""The rows that made a training go back, beside its checkpoints: what it is not to learn from, and why.

    <run>/skipped.json   {"spikes": [{step, since, context, why, loss, rows: [{row, source, index, loss, text}]}], seal}

Each spike is there before anything is learned again: a run that is killed meanwhile goes on without these rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packing.quarantine import Quarantine
from pipeline.files import sealed, unbroken
from pipeline.stores.mirror import Mirror, save

SKIPPED = "skipped.json"


class SkippedError(Exception):
    """A list of skipped rows that cannot be trusted; one line."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row that is left out."""

    row: int
    """Its number in the run."""
    source: str
    index: int
    """Its number in pack/<source>/<context>."""
    loss: float
    """Mean of its masked tokens, in nats, by the weights that the spike was met with."""
    text: str
    """How it begins."""


@dataclass(frozen=True, kw_only=True)
class Spike:
    """One time that a run went back."""

    step: int
    """The step that was not taken, counted from 1."""
    since: int
    """The step's first row: from there on these rows are left out, in later epochs too."""
    context: int
    why: str
    loss: float
    """Of the step."""
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Skipped:
    path: Path
    spikes: tuple[Spike, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Skipped:
        """What the training in this folder has skipped; nothing where there is no list. Raises SkippedError."""
        path = folder / SKIPPED
        if mirror := Mirror.of(folder):
            mirror.refresh(path)
        if not path.exists():
            return cls(path)
        try:
            if not unbroken(path):
                raise ValueError("is not what was written")
            return cls(path, tuple(_spike(told) for told in json.loads(path.read_bytes())["spikes"]))
        except (ValueError, TypeError, KeyError) as fault:
            raise SkippedError(
                f"{path}: is damaged ({fault}); bring it back from a copy, or start the training over with --redo train"
            ) from None

    def plus(self, spike: Spike) -> Skipped:
        """The list with one more, on disk before this returns, and in the store of a run that is in one."""
        more = Skipped(self.path, (*self.spikes, spike))
        save(self.path, sealed({"spikes": [_told(one) for one in more.spikes]}))
        return more

    def quarantine(self) -> tuple[Quarantine, ...]:
        """As the order of rows takes it."""
        return tuple(
            Quarantine(source=source, context=spike.context, rows=rows, since=spike.since)
            for spike in self.spikes
            for source, rows in _by_source(spike).items()
        )


def _by_source(spike: Spike) -> dict[str, tuple[int, ...]]:
    """A source that is read more than once may have the same row twice in a step."""
    names = sorted({row.source for row in spike.rows})
    return {name: tuple(sorted({row.index for row in spike.rows if row.source == name})) for name in names}


def _told(spike: Spike) -> dict[str, Any]:
    """JSON has no word for what is no number."""
    told = asdict(spike)
    for part in (told, *told["rows"]):
        part["loss"] = part["loss"] if math.isfinite(part["loss"]) else str(part["loss"])
    return told


def _spike(told: Mapping[str, Any]) -> Spike:
    rows = tuple(Row(**{**row, "loss": float(row["loss"])}) for row in told["rows"])
    return Spike(**{**told, "loss": float(told["loss"]), "rows": rows})
