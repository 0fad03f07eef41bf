"""The files of a signed stage -> the units of a stage that reads it, each file checked before it is used."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.files import hash_of, unbroken
from pipeline.stage import Record, Stage, StageError, standing
from pipeline.stores.mirror import Mirror
from pipeline.units import Piece, Signed, Unit

AT_ONCE = 8
"""Files that are copied from a store at the same time: one stream of S3 gives some 100 MB/s."""


def signed_pieces(workspace: Path, stage: Stage) -> list[Piece]:
    """The files of a signed stage, by unit number. Raises StageError for one that has gone or has another size."""
    folder, record = workspace / stage.name, Record.signed(workspace, stage)
    if mirror := Mirror.of(folder):
        mirror.refresh_units(folder)
    return [_piece(folder, stage, number) for number in range(record.units)]


def _piece(folder: Path, stage: Stage, number: int) -> Piece:
    file, told = folder / f"{number:05}{stage.suffix}", folder / "units" / f"{number:05}.json"
    if not (file.exists() or Mirror.of(folder)):
        raise StageError(f"{file}: has gone; start its stage over with --redo {stage.name}")
    counts = standing(folder, number, stage.suffix)
    if counts is None or not unbroken(told):
        raise _foreign(file if unbroken(told) else told, stage.name)
    size = counts["bytes_written"]
    return Piece(str(file), file.name, size, signed=Signed(stage.name, size, counts["xxh64"]))


def same_units(earlier: Stage) -> Callable[[Path], list[Unit]]:
    """One unit for each file of an earlier stage, with its number."""
    return lambda workspace: [Unit(n, (piece,)) for n, piece in enumerate(signed_pieces(workspace, earlier))]


def one_unit(earlier: Sequence[Stage]) -> Callable[[Path], list[Unit]]:
    """All files of earlier stages as one unit."""
    return lambda workspace: [Unit(0, tuple(piece for stage in earlier for piece in signed_pieces(workspace, stage)))]


def check(piece: Piece) -> bool:
    """Raise StageError unless a signed piece's file is, to the byte, what its stage signed -> whether it was here.

    In a mirror one that is not is copied from the store; StoreError if it is not there either.
    """
    path, signed = Path(piece.path), piece.signed
    if signed is None or _is(path, signed):
        return True
    if (mirror := Mirror.of(path)) is None:
        raise _foreign(path, signed.stage)
    mirror.fetch(path, signed.xxh64, f"start it over with --redo {signed.stage}")
    return False


def bring(pieces: Iterable[Piece]) -> bool:
    """Check pieces, and copy those from their store that are not here -> whether all were here."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return all(list(threads.map(check, pieces)))


def check_beside(workspace: Path, stage: Stage, units: Iterable[Unit]) -> None:
    """Check what `stage` reads besides its units' pieces: other files of the stages it reads. Raises StageError."""
    for piece in _beside(workspace, stage, units):
        check(piece)


def units_of(stage: Stage, workspace: Path) -> list[Unit]:
    """What is to be done, in order.

    In a mirror, the files that this is told from are brought first: those that are no pieces, and those that were
    looked into, of which pieces are parts.
    """
    if Mirror.of(workspace) is None:
        return list(stage.units(workspace))
    try:
        units = list(stage.units(workspace))
    except Exception:  # of a file that is not here yet, or an old one: it is asked again
        units = []
    whole = [Unit(unit.number, tuple(p for p in unit.pieces if p.groups is None)) for unit in units]
    here = bring(_beside(workspace, stage, whole))
    return units if units and here else list(stage.units(workspace))


def own_files(stage: Stage, folder: Path) -> None:
    """Bring what the stage's own units made, on whatever machine, to what spans them."""
    if Mirror.of(folder):
        bring(_own(stage, folder))


def _own(stage: Stage, folder: Path) -> Iterator[Piece]:
    for number in range(len(list((folder / "units").glob("*.json")))):
        counts = standing(folder, number, stage.suffix) or {}
        files = {} if counts["bytes_written"] is None else {f"{number:05}{stage.suffix}": counts["xxh64"]}
        for name, digest in (files | counts["files"]).items():
            yield Piece(str(folder / name), name, 0, signed=Signed(stage.name, None, digest))


@dataclass(frozen=True)
class Reach:
    """What a process on another machine needs before it works in the mirror that it has there."""

    mirror: Mirror
    beside: tuple[Piece, ...]
    node: str
    """Where all of it is already."""

    @classmethod
    def of(cls, workspace: Path, stage: Stage, units: Iterable[Unit]) -> Reach | None:
        """None where there is no store: such a machine sees the run's own folder."""
        mirror = Mirror.of(workspace)
        return cls(mirror, tuple(_beside(workspace, stage, units)), platform.node()) if mirror else None

    def arrive(self) -> None:
        """Set the mirror up, and bring the files that all units read."""
        self.mirror.stand()
        if platform.node() != self.node:
            bring(self.beside)


def _beside(workspace: Path, stage: Stage, units: Iterable[Unit]) -> list[Piece]:
    """The files that a stage reads besides its units' pieces."""
    taken = {piece.path for unit in units for piece in unit.pieces}
    return [piece for earlier in stage.reads for piece in everything(workspace, earlier) if piece.path not in taken]


def everything(workspace: Path, stage: Stage) -> Iterator[Piece]:
    """The units' files of a signed stage, and those that span them."""
    yield from (piece for piece in signed_pieces(workspace, stage) if piece.signed and piece.signed.xxh64)
    folder = workspace / stage.name
    for name, digest in Record.signed(workspace, stage).files.items():
        here = (folder / name).exists()
        if not (here or Mirror.of(folder)):
            raise StageError(f"{folder / name}: has gone; start its stage over with --redo {stage.name}")
        size = (folder / name).stat().st_size if here else 0
        yield Piece(str(folder / name), name, size, signed=Signed(stage.name, None, digest))


def _is(path: Path, signed: Signed) -> bool:
    try:
        found = path.stat()
        return signed.size in (None, found.st_size) and _hash(path, found.st_size, found.st_mtime_ns) == signed.xxh64
    except FileNotFoundError:
        return False


@lru_cache(maxsize=1024)
def _hash(path: Path, size: int, mtime: int) -> str:
    """xxh64 of a file as it is now: one whose row groups are several units is read for this once a process."""
    return hash_of(path)


def _foreign(file: Path, stage: str) -> StageError:
    return StageError(f"{file}: is not what {stage} signed; start it over with --redo {stage}")
