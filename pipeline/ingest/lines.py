"""A text file, plain or compressed, as its lines; of a compressed file that is cut off, the lines before the cut."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

LONGEST = 256 << 20
"""Bytes of a line at most. orjson takes some five times as much memory to read it."""

BLOCK = 1 << 20

WIDEST = 1 << 31
"""Bytes of window that a zstd frame may ask for: `zstd --ultra --long=31` makes such files, and public data sets have
windows above the 128 MB that decoders take without being told."""


class Line(NamedTuple):
    number: int
    """1 for the first, as editors count."""
    content: bytes
    """Without its line feed; empty if the line is longer than `LONGEST`."""
    size: int


class CutOffError(Exception):
    """Compressed data that break off or are damaged: nothing more can be read. `reason` names the fault for counts."""

    def __init__(self, reason: str, told: str) -> None:
        super().__init__(told)
        self.reason = reason


def lines(path: Path) -> Iterator[Line]:
    """The lines of a file, cut at line feeds alone (JSON strings may hold U+2028 and carriage returns).

    Raises CutOffError after the last whole line of a compressed file that is broken.
    """
    number, size = 1, 0
    parts: list[bytes] = []
    for block in blocks(path):
        *ended, rest = block.split(b"\n")
        for piece in ended:
            size += len(piece)
            parts.append(piece)
            yield Line(number, b"".join(parts) if size <= LONGEST else b"", size + 1)
            parts, size, number = [], 0, number + 1
        size += len(rest)
        parts = [*parts, rest] if size <= LONGEST else []
    if size:
        yield Line(number, b"".join(parts), size)


def blocks(path: Path) -> Iterator[bytes]:
    """The decompressed bytes of a file in blocks. Raises CutOffError."""
    if path.name.endswith(".gz"):
        yield from _unpacked(path, lambda: zlib.decompressobj(31), zlib.error, "bad_gzip")
    elif path.name.endswith(".zst"):
        packer = zstandard.ZstdDecompressor(max_window_size=WIDEST)
        yield from _unpacked(path, packer.decompressobj, zstandard.ZstdError, "bad_zstd")
    else:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block


def _unpacked(path: Path, begin: Callable[[], Any], fault: type[Exception], reason: str) -> Iterator[bytes]:
    """All members (frames) of a compressed file, one after another; zeros behind the last are padding."""
    stream = None
    with path.open("rb") as file:
        while block := file.read(BLOCK >> 3):
            while block and (stream or block.strip(b"\0")):
                stream = stream or begin()
                try:
                    content = stream.decompress(block)
                except fault as told:
                    raise CutOffError(reason, f"the compressed data are broken ({told})") from None
                if content:
                    yield content
                block = b""
                if stream.eof:
                    block, stream = stream.unused_data, None
    if stream:
        raise CutOffError(reason, "the compressed data are cut off")
