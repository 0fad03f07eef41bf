"""A text file, plain or packed, as its lines; of a packed file that is cut off, the lines before the cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.ingest.packed import CutOffError, contents, is_text, packing

__all__ = ["LONGEST", "CutOffError", "Line", "blocks", "lines"]

PACKED = (".gz", ".zst", ".lz4")

LONGEST = 32 << 20
"""Bytes of a line at most: read as JSON it may take some thirty times as much memory (an array of empty objects)."""

BLOCK = 1 << 20


class Line(NamedTuple):
    number: int
    """1 for the first, as editors count."""
    content: bytes
    """Without its line feed; empty if the line is longer than `LONGEST`."""
    size: int
    ended: bool = True
    """Whether a line feed ends it: the last line of a file that was cut off has none."""


def lines(path: Path) -> Iterator[Line]:
    """The lines of a file, cut at line feeds alone (JSON strings may hold U+2028 and carriage returns).

    Raises CutOffError after the last whole line of a packed file that is broken.
    """
    number, size = 1, 0
    parts: list[bytes] = []
    for block in _text(path):
        *ended, rest = block.split(b"\n")
        for piece in ended:
            size += len(piece)
            parts.append(piece)
            yield Line(number, b"".join(parts) if size <= LONGEST else b"", size + 1)
            parts, size, number = [], 0, number + 1
        size += len(rest)
        parts = [*parts, rest] if size <= LONGEST else []
    if size:
        yield Line(number, b"".join(parts), size, ended=False)


def blocks(path: Path) -> Iterator[bytes]:
    """The decompressed bytes of a file in blocks. Raises CutOffError."""
    with contents(path) as data:
        if packed := packing(data):
            for _, part in packed.members(data, 0):
                yield part
            return
        for at in range(0, len(data), BLOCK):
            yield data[at : at + BLOCK]


def _text(path: Path) -> Iterator[bytes]:
    """The blocks of a file that holds text. One that is called packed may be plain, as downloads are at times."""
    if path.name.lower().endswith(PACKED):
        with contents(path) as data:
            if not packing(data) and not is_text(data[:512]):
                raise CutOffError("bad_gzip", f"it is not compressed as {path.suffix} is")
    yield from blocks(path)
