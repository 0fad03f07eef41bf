"""The files of a signed stage -> the units of a stage that reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.stage import Record, Stage
from pipeline.units import Piece, Unit


def stage_files(workspace: Path, stage: Stage) -> list[Path]:
    """The files of a signed stage, by unit number."""
    record = Record.signed(workspace, stage)
    return [workspace / stage.name / f"{number:05}{stage.suffix}" for number in range(record.units)]


def _pieces(workspace: Path, stage: Stage) -> list[Piece]:
    files = stage_files(workspace, stage)
    return [Piece(path=str(path), name=path.name, size=path.stat().st_size) for path in files]


def same_units(earlier: Stage) -> Callable[[Path], list[Unit]]:
    """One unit for each file of an earlier stage, with its number."""
    return lambda workspace: [Unit(number, (piece,)) for number, piece in enumerate(_pieces(workspace, earlier))]


def one_unit(earlier: Sequence[Stage]) -> Callable[[Path], list[Unit]]:
    """All files of earlier stages as one unit."""
    return lambda workspace: [Unit(0, tuple(piece for stage in earlier for piece in _pieces(workspace, stage)))]
