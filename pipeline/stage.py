"""The one contract every stage keeps: read finished folders, fill one new folder, sign it.

A stage's work is cut into units. A unit's output is one file named by the unit's number and a pure function of its
input and the settings; `units/<number>.json` says that it stands. `stage.json` is the stage's signature: written
unsigned when work begins, signed when every unit stands. Readers trust the signature and never the listing.

    <workspace>/<name>/00000.parquet ...   what the units made
    <workspace>/<name>/units/00000.json    one unit's counts; its file stands only if this does
    <workspace>/<name>/dropped/00000.parquet   samples of what the unit dropped
    <workspace>/<name>/stage.json          the signature
    <workspace>/<name>/log/                the executor's own, not signed
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from pipeline.files import sealed, write_atomically
from pipeline.stores.mirror import Mirror, save
from pipeline.units import Unit

if TYPE_CHECKING:
    from pipeline.tally import Tally  # and with it pyarrow, which `plan` and `--help` need not wait for


class StageError(Exception):
    """A stage cannot run as asked; the message says why and what to do."""


Work: TypeAlias = "Callable[[Unit, Path, Tally], None]"
"""(unit, file to write, counts to fill) -> the file is written. A module-level function or a partial of one."""


@dataclass(frozen=True)
class Stage:
    """One step of the journey, declared: nothing is opened before it runs."""

    name: str
    """Where its folder stands in the workspace, and what the console prints: `filter/web`."""
    work: Callable[[Path], Work]
    """Workspace -> the work on one unit. Called when the stage runs, so that heavy imports wait until then."""
    units: Callable[[Path], Sequence[Unit]]
    """Workspace -> what is to be done, in order."""
    reads: tuple[Stage, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All that shapes the output, as plain values. Changing one makes the folder stale."""
    inputs: Callable[[], Mapping[str, Any]] = dict
    """Raw files read from outside the workspace: name -> [size, mtime in ns]."""
    suffix: str = ".parquet"
    finish: Callable[[Path, list[dict[str, Any]]], None] | None = None
    """(folder, the units' `info`) -> writes what spans the units, before the signature."""
    max_bad: float = 1.0
    """Share of the records that may be dropped for reasons that begin with `bad_`."""
    advice: str = ""
    """What else may be done where the settings have changed, beside restoring them and starting over."""


def print_of(parts: Any) -> str:
    """12 hex digits that depend on `parts` (anything JSON can hold) alone."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(kw_only=True)
class Record:
    """`stage.json`: what a stage leaves behind for people and for the next stage."""

    name: str
    fingerprint: str
    settings: Mapping[str, Any]
    reads: Mapping[str, str] = field(default_factory=dict)
    """The fingerprint of each stage it read."""
    units: int = 0
    finished: bool = False
    counts: dict[str, Any] = field(default_factory=dict)
    """documents_in, documents_out, dropped by reason, bytes_in, bytes_out, and what else the work counted."""
    seconds: float = 0.0
    """Wall time of all launches together."""
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """xxh64 of each file that spans the units; a unit's own record has those of the unit."""

    @classmethod
    def read(cls, folder: Path) -> Record | None:
        """The record of a folder, or None where no stage began. Raises StageError if it cannot be understood."""
        path = folder / "stage.json"
        if mirror := Mirror.of(folder):
            mirror.refresh(path, folder / "inputs.json")
        if not path.exists():
            return None
        try:
            content = dict(orjson.loads(path.read_bytes()))
            content.pop("seal", None)  # the file's own; `verify` looks at it
            return cls(**content)
        except (ValueError, TypeError) as fault:
            raise StageError(f"{path}: is damaged ({fault}); start the stage over with --redo") from None

    @classmethod
    def signed(cls, workspace: Path, stage: Stage) -> Record:
        """The signed record of a stage. Raises StageError if it is not finished, or was made with other settings."""
        record = cls.read(workspace / stage.name)
        if not (record and record.finished):
            raise StageError(f"{stage.name} is not finished. Run that first.")
        if record.settings != plain(stage.settings):
            raise _stale(workspace / stage.name, stage, differing(record.settings, stage.settings))
        return record

    def write(self, folder: Path) -> None:
        """Write it; in a store behind the files that it tells of."""
        if mirror := Mirror.of(folder):
            beside = [folder / name for name in self.files] or [folder / "inputs.json"]
            mirror.put(*(path for path in beside if path.exists()))
        save(folder / "stage.json", sealed(asdict(self)))


def begin(stage: Stage, workspace: Path) -> Record:
    """The record under which the stage goes on, or its signed one. Refuses a folder made with other settings.

    Raises StageError naming the settings or input files that differ and the mend.
    """
    folder = workspace / stage.name
    earlier = {read.name: Record.signed(workspace, read).fingerprint for read in stage.reads}
    inputs = stage.inputs()
    fingerprint = print_of([stage.name, stage.settings, inputs, list(earlier.values())])
    record = Record.read(folder)
    if record and record.fingerprint != fingerprint:
        raise _stale(folder, stage, _changes(record, stage, earlier, _read_inputs(folder), inputs))
    if record is None:
        clear(folder)  # of a stage that was being started over as its run was killed
        folder.mkdir(parents=True, exist_ok=True)
        if inputs:
            write_atomically(folder / "inputs.json", orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS))
        record = Record(name=stage.name, fingerprint=fingerprint, settings=plain(stage.settings), reads=earlier)
    return record


def changed_since(stage: Stage, workspace: Path) -> list[str]:
    """What of settings and input files is not as it was when the stage began; nothing for one that has not begun."""
    folder, inputs = workspace / stage.name, stage.inputs()
    record = Record.read(folder)
    return _changes(record, stage, {}, _read_inputs(folder), inputs) if record else []


def _read_inputs(folder: Path) -> dict[str, Any]:
    path = folder / "inputs.json"
    return dict(orjson.loads(path.read_bytes())) if path.exists() else {}


def _stale(folder: Path, stage: Stage, changes: list[str]) -> StageError:
    told = "; ".join(changes) or "the stage was declared otherwise"
    mend = f"Restore them, or start it over with --redo {stage.name}."
    return StageError(f"{folder} was made with other settings ({told}). {mend} {stage.advice}".rstrip())


def _changes(
    record: Record, stage: Stage, earlier: Mapping[str, str], before: Mapping[str, Any], now: Mapping[str, Any]
) -> list[str]:
    """What differs: settings by their place, input files by name, stages that were made anew."""
    told = differing(record.settings, stage.settings)
    for word, names in (
        ("new", [name for name in now if name not in before]),
        ("vanished", [name for name in before if name not in now]),
        ("changed", [name for name in now if name in before and list(now[name]) != list(before[name])]),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            told.append(f"input files {word}: {', '.join(sorted(names)[:3])}{more}")
    return told + [f"{name} was made anew" for name in earlier if record.reads.get(name) != earlier[name]]


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Settings that are not the same, by their place: `gopher.min_words: 50 -> 40`."""
    old, new = flat(before), flat(plain(now))
    return [f"{k}: {old.get(k)} -> {new.get(k)}" for k in sorted({*old, *new}) if old.get(k) != new.get(k)]


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a record: tuples are lists."""
    return dict(json.loads(json.dumps(settings)))


def flat(settings: Any, place: str = "") -> dict[str, Any]:
    """Nested settings -> {dotted place: value}."""
    if isinstance(settings, Mapping) and settings:
        return {k: v for name, value in settings.items() for k, v in flat(value, f"{place}.{name}").items()}
    return {place.removeprefix("."): settings}


def standing(folder: Path, number: int, suffix: str) -> dict[str, Any] | None:
    """The unit's counts if its output stands: the file is there and as long as its unit record says.

    In a mirror the record does: the file is in the store, and compared with it before it is used.
    """
    mirror = Mirror.of(folder)
    if mirror:
        mirror.refresh_unit(folder, number)
    try:
        counts: dict[str, Any] = orjson.loads((folder / "units" / f"{number:05}.json").read_bytes())
        written = counts["bytes_written"]
        size = written if mirror or written is None else (folder / f"{number:05}{suffix}").stat().st_size
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError):
        return None
    return counts if size == written else None


def clear(folder: Path) -> None:
    """Remove a stage's folder so that it starts over; the signature goes first, so a stop leaves it unsigned."""
    if mirror := Mirror.of(folder):
        mirror.clear(folder)
    (folder / "stage.json").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=False) if folder.exists() else None
