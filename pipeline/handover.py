"""The files of a signed stage -> the units of a stage that reads it, each file checked before it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from pipeline.files import hash_of, unbroken
from pipeline.stage import Record, Stage, StageError, standing
from pipeline.units import Piece, Signed, Unit


def signed_pieces(workspace: Path, stage: Stage) -> list[Piece]:
    """The files of a signed stage, by unit number. Raises StageError for one that has gone or has another size."""
    folder, record = workspace / stage.name, Record.signed(workspace, stage)
    return [_piece(folder, stage, number) for number in range(record.units)]


def _piece(folder: Path, stage: Stage, number: int) -> Piece:
    file, told = folder / f"{number:05}{stage.suffix}", folder / "units" / f"{number:05}.json"
    if not file.exists():
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


def check(piece: Piece) -> None:
    """Raise StageError unless a signed piece's file is, to the byte, what its stage signed."""
    if piece.signed and not _is(Path(piece.path), piece.signed):
        raise _foreign(Path(piece.path), piece.signed.stage)


def check_beside(workspace: Path, stage: Stage, units: Iterable[Unit]) -> None:
    """Check what `stage` reads besides its units' pieces: other files of the stages it reads. Raises StageError."""
    taken = {piece.path for unit in units for piece in unit.pieces}
    for earlier in stage.reads:
        for piece in _all(workspace, earlier):
            if piece.path not in taken:
                check(piece)


def _all(workspace: Path, stage: Stage) -> Iterator[Piece]:
    """The units' files of a signed stage, and those that span them."""
    yield from signed_pieces(workspace, stage)
    folder = workspace / stage.name
    for name, digest in Record.signed(workspace, stage).files.items():
        if not (folder / name).exists():
            raise StageError(f"{folder / name}: has gone; start its stage over with --redo {stage.name}")
        size = (folder / name).stat().st_size
        yield Piece(str(folder / name), name, size, signed=Signed(stage.name, size, digest))


def _is(path: Path, signed: Signed) -> bool:
    try:
        found = path.stat()
        return found.st_size == signed.size and _hash(path, found.st_size, found.st_mtime_ns) == signed.xxh64
    except FileNotFoundError:
        return False


@lru_cache(maxsize=1024)
def _hash(path: Path, size: int, mtime: int) -> str:
    """xxh64 of a file as it is now: one whose row groups are several units is read for this once a process."""
    return hash_of(path)


def _foreign(file: Path, stage: str) -> StageError:
    return StageError(f"{file}: is not what {stage} signed; start it over with --redo {stage}")
