"""A capture file, plain or gzip, as a window of bytes that moves forward; a broken gzip member spoils no other."""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GZIP = b"\x1f\x8b\x08"
FIRST, BLOCK = 1 << 13, 1 << 16
"""Compressed bytes fed at first and later: what is left of a block behind a member's end is copied, so a small member
is fed little."""

PLAIN = 1 << 20
"""Bytes of a plain file taken at a time."""

MOST_DENSE = 1032
"""Bytes that deflate makes of one at most (zlib's technical notes)."""


class GzipError(Exception):
    """A gzip member that breaks off or does not decompress."""


class Tape:
    """The (decompressed) bytes of a file from byte `start` of it on, up to its end or the first broken gzip member.

    `window` holds what was read and not let go; `at` is the place in it.
    """

    def __init__(self, data: mmap.mmap | bytes, start: int = 0) -> None:
        self.window = b""
        self.at = 0
        self.fault: str | None = None
        """Why the bytes end before their time."""
        self._data = data
        self._gzip = data[:3] == GZIP
        self._base = 0 if self._gzip else start
        self._members = [(0, start)]
        """(place on the tape, byte of the file) of the gzip members in the window."""
        self._parts = self._inflate(start) if self._gzip else self._plain(start)

    @property
    def position(self) -> int:
        return self._base + self.at

    @property
    def most(self) -> int:
        """Bytes that the tape can have at most."""
        return len(self._data) * (MOST_DENSE if self._gzip else 1)

    def place(self) -> str:
        """Where this is: byte of the file, or in gzip `byte of the member` with `+place in it` unless that is 0."""
        if not self._gzip:
            return str(self.position)
        while len(self._members) > 1 and self._members[1][0] <= self.position:
            del self._members[0]
        begin, byte = self._members[0]
        return f"{byte}+{self.position - begin}" if self.position > begin else str(byte)

    def need(self, size: int) -> int:
        """Have at least `size` bytes from `at` on in the window; returns how many there are, fewer only at the end."""
        have = len(self.window) - self.at
        if have >= size:
            return have
        parts = [self.window[self.at :]]
        try:
            while have < size and (part := next(self._parts, b"")):
                parts.append(part)
                have += len(part)
        except GzipError as fault:
            self.fault, self._parts = str(fault), iter(())
        self._base, self.at = self.position, 0
        self.window = b"".join(parts)
        return have

    def skip(self, size: int) -> int:
        """Move on by `size` bytes without keeping them; returns how many there were."""
        left = size
        while left and (have := min(self.need(1), left)):
            self.at += have
            left -= have
        return size - left

    def resume(self) -> int | None:
        """Behind a fault, the byte of the file where the next gzip member that holds a capture begins."""
        start = self._members[-1][1] + 1
        while self.fault and (start := self._data.find(GZIP, start)) >= 0:
            try:
                if zlib.decompressobj(31).decompress(self._data[start : start + FIRST], 16).startswith(b"WARC/"):
                    return start
            except zlib.error:
                pass
            start += 1
        return None

    def _plain(self, start: int) -> Iterator[bytes]:
        for at in range(start, len(self._data), PLAIN):
            yield self._data[at : at + PLAIN]

    def _inflate(self, start: int) -> Iterator[bytes]:
        given = 0
        while start < len(self._data) and not self._is_padding(start):
            if given:
                self._members.append((given, start))
            stream, at, size = zlib.decompressobj(31), start, FIRST
            while not stream.eof:
                if at >= len(self._data):
                    raise GzipError("the gzip data are cut off")
                try:
                    part = stream.decompress(self._data[at : at + size])
                except zlib.error as fault:
                    raise GzipError(f"the gzip data are broken ({fault})") from None
                at, size = min(at + size, len(self._data)), BLOCK
                given += len(part)
                if part:
                    yield part
            start = at - len(stream.unused_data)

    def _is_padding(self, start: int) -> bool:
        """Zeros behind the last member, as tapes and block devices leave them; 1 MB of them is proof enough."""
        return self._data[start] == 0 and not self._data[start : start + (1 << 20)].strip(b"\0")


@contextmanager
def contents(path: Path) -> Iterator[mmap.mmap | bytes]:
    """The bytes of a file, mapped: read when they are looked at."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:  # an empty file cannot be mapped
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
