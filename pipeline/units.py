"""A stage's work cut into units: pieces of input files, in an order that depends on the input alone."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


class InputError(Exception):
    """The input files are not as the recipe says; the message names pattern or file, and the mend."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An input file, or a run of row groups of one."""

    path: str
    name: str
    """The file relative to its source's root, with forward slashes."""
    size: int
    """Bytes on disk, of the part if it is a part: what units are balanced by."""
    groups: tuple[int, int] | None = None
    """Row groups [a, b) of a Parquet file; None for the whole file."""


@dataclass(frozen=True, slots=True)
class Unit:
    number: int
    pieces: tuple[Piece, ...]


def find(patterns: Sequence[str]) -> list[Piece]:
    """The files that match, sorted by name; names are relative to the patterns' common fixed folder.

    Raises InputError if a pattern matches no file.
    """
    fixed = [_fixed_folder(pattern) for pattern in patterns]
    root = Path(os.path.commonpath(fixed))
    found: dict[str, Piece] = {}
    for pattern in patterns:
        matches = [Path(name) for name in glob.iglob(pattern, recursive=True, include_hidden=False)]
        files = [path for path in matches if path.is_file()]
        if not files:
            raise InputError(f"read: {pattern} matches no file; mend the pattern or put the files there")
        for path in files:
            name = path.absolute().relative_to(root).as_posix()
            found[name] = Piece(path=str(path.absolute()), name=name, size=path.stat().st_size)
    return [found[name] for name in sorted(found)]


def _fixed_folder(pattern: str) -> str:
    """The part of a pattern before its first wildcard, as an absolute folder."""
    parts = Path(pattern).absolute().parts
    fixed = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return str(Path(*parts[:fixed]))


def group(pieces: Iterable[Piece], limit: int) -> list[Unit]:
    """Pieces in order -> units of at most `limit` bytes each; a larger piece is a unit of its own."""
    units: list[Unit] = []
    open_pieces: list[Piece] = []
    room = limit
    for piece in pieces:
        if open_pieces and piece.size > room:
            units.append(Unit(len(units), tuple(open_pieces)))
            open_pieces, room = [], limit
        open_pieces.append(piece)
        room -= piece.size
    if open_pieces:
        units.append(Unit(len(units), tuple(open_pieces)))
    return units


def stamps(pieces: Iterable[Piece]) -> dict[str, list[int]]:
    """name -> [size, mtime in ns] of each file: what a fingerprint holds of raw input."""
    return {piece.name: [(stat := os.stat(piece.path)).st_size, stat.st_mtime_ns] for piece in pieces}
