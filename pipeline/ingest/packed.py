"""Compressed bytes -> what is in them: gzip, zstd or lz4, told by the first bytes and not by a file's name."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import zstandard
from isal import isal_zlib
from isal.igzip_lib import IsalError

from pipeline.ingest.reading import MissingPackage

try:
    import lz4.frame as lz4
except ImportError:
    lz4 = None

Bytes: TypeAlias = mmap.mmap | bytes

GZIP_FAULT: type[Exception] = IsalError  # type: ignore[assignment]  # a class, whatever its stub says

FIRST = 1 << 13
"""Compressed bytes of a member fed at first: what is left of them behind its end is copied."""

WIDEST = 1 << 31
"""Bytes of window that a zstd frame may ask for: `zstd --ultra --long=31` makes such files, and public data sets have
windows above the 128 MB that decoders take without being told."""

LARGEST_DICTIONARY = 1 << 27
"""Bytes of a zstd dictionary; those of crawls have some 100 kB to 1 MB."""

PADDING = 1 << 20
"""Zeros behind the last member are looked at so many at a time."""

SKIPPABLE = b"\x2a\x4d\x18"
"""A frame without content, of zstd and lz4 alike: 0x50 to 0x5f, these, and its size in four bytes."""


class CutOffError(Exception):
    """Compressed data that break off or are damaged: nothing more can be read.

    `reason` names the fault for counts, `member` is the byte of the file where the member at fault begins.
    """

    def __init__(self, reason: str, told: str, member: int = 0) -> None:
        super().__init__(told)
        self.reason = reason
        self.member = member


@dataclass(frozen=True)
class Packing:
    """A format of compressed data that come as members (frames), one after another."""

    name: str
    magic: bytes
    most_dense: int
    """Bytes that one can become at most."""
    feed: int
    """Compressed bytes taken at a time; times `most_dense`, the memory that a bomb can take."""
    opener: Callable[[bytes], Callable[[], Any]]
    """zstd dictionary -> what begins a member: () -> an object with `decompress`, `eof`, `unused_data`, as zlib's."""
    faults: tuple[type[Exception], ...]

    def member_from(self, data: Bytes, start: int, begins: re.Pattern[bytes]) -> int | None:
        """Where from `start` on the first member stands whose content begins so."""
        while (start := data.find(self.magic, start)) >= 0:
            if begins.match(self._peek(data, start)):
                return start
            start += 1
        return None

    def _peek(self, data: Bytes, start: int) -> bytes:
        """The first bytes of the member that may begin at `start`; none if there is no such."""
        try:
            return bytes(self.opener(_dictionary(data))().decompress(data[start : start + 1024]))
        except self.faults:
            return b""

    def members(self, data: Bytes, start: int) -> Iterator[tuple[int, bytes]]:
        """(where its member begins, a part of what is in it), from the member at `start` on. Raises CutOffError."""
        begin = self.opener(_dictionary(data))
        while (start := _behind_skippable(data, start)) < len(data) and not _is_padding(data, start):
            stream, at, size = begin(), start, min(FIRST, self.feed)
            while not stream.eof:
                if at >= len(data):
                    raise CutOffError(f"bad_{self.name}", f"the {self.name} data are cut off", start)
                try:
                    part = stream.decompress(data[at : at + size])
                except self.faults as fault:
                    del stream
                    if part := self._before_fault(begin(), data, start, at, at + size):
                        yield start, part
                    told = f"the {self.name} data are broken ({fault})"
                    raise CutOffError(f"bad_{self.name}", told, start) from None
                at, size = min(at + size, len(data)), self.feed
                if part:
                    yield start, part
            start = at - len(stream.unused_data or b"")
        if start > len(data):
            raise CutOffError(f"bad_{self.name}", f"the {self.name} data are cut off", start)

    def _before_fault(self, stream: Any, data: Bytes, start: int, begin: int, end: int) -> bytes:
        """What the bytes [begin, end) of the member at `start` hold before their fault: it would be lost with them."""
        parts: list[bytes] = []
        with suppress(*self.faults):
            for at in range(start, begin, self.feed):
                stream.decompress(data[at : min(at + self.feed, begin)])
            for at in range(begin, end):
                parts.append(stream.decompress(data[at : at + 1]))  # noqa: PERF401  # a comprehension would lose them
        return b"".join(parts)


def _gunzip(dictionary: bytes) -> Callable[[], Any]:
    return lambda: isal_zlib.decompressobj(31)


def _unlz4(dictionary: bytes) -> Callable[[], Any]:
    if lz4 is None:
        raise MissingPackage("lz4 files are read with a package that is not installed: pip install 'bertmill[lz4]'")
    frame: Callable[[], Any] = lz4.LZ4FrameDecompressor
    return frame


def _unzstd(dictionary: bytes) -> Callable[[], Any]:
    known = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    return zstandard.ZstdDecompressor(dict_data=known, max_window_size=WIDEST).decompressobj


GZIP = Packing("gzip", b"\x1f\x8b\x08", 1032, 1 << 16, _gunzip, (GZIP_FAULT,))
"""Density: zlib's technical notes."""

ZSTD = Packing("zstd", b"\x28\xb5\x2f\xfd", 1 << 15, 1 << 12, _unzstd, (zstandard.ZstdError, MemoryError))
"""A run of 128 kB is told in four bytes (RFC 8878, 3.1.1.2)."""

LZ4 = Packing("lz4", b"\x04\x22\x4d\x18", 255, 1 << 16, _unlz4, (RuntimeError, MemoryError))
"""A match grows by 255 bytes with each byte of its length (lz4's block format)."""


ENDINGS = {".gz": GZIP, ".zst": ZSTD, ".lz4": LZ4}
"""What files are called whose first bytes may be damaged."""


def packing(data: Bytes) -> Packing | None:
    """How these bytes are compressed; None if they are not."""
    start = _behind_skippable(data, 0)
    head = data[start : start + 4]
    return next((kind for kind in (GZIP, ZSTD, LZ4) if head.startswith(kind.magic)), ZSTD if start else None)


def is_text(data: bytes) -> bool:
    """Whether bytes read as text: control bytes are as good as absent, in compressed bytes one in nine."""
    head = data[:512]
    controls = sum(head.count(byte) for byte in range(1, 9)) + sum(head.count(byte) for byte in range(14, 27))
    return controls * 100 <= len(head)


def _behind_skippable(data: Bytes, start: int) -> int:
    while data[start + 1 : start + 4] == SKIPPABLE and data[start] >> 4 == 5:
        start += 8 + int.from_bytes(data[start + 4 : start + 8], "little")
    return start


def _dictionary(data: Bytes) -> bytes:
    """What all frames of a .warc.zst file refer to: it stands in its first frame, as it is or compressed.

    (IIPC, "Use of Zstandard in WARC": a skippable frame 0x184D2A5D.)
    """
    if data[:4] != b"\x5d" + SKIPPABLE:
        return b""
    content = data[8 : 8 + min(int.from_bytes(data[4:8], "little"), LARGEST_DICTIONARY)]
    if not content.startswith(ZSTD.magic):
        return content
    try:
        return zstandard.ZstdDecompressor().stream_reader(content).read(LARGEST_DICTIONARY)
    except zstandard.ZstdError:
        return b""


def _is_padding(data: Bytes, start: int) -> bool:
    """Zeros behind the last member, as tapes and block devices leave them."""
    return data[start] == 0 and not any(data[at : at + PADDING].strip(b"\0") for at in range(start, len(data), PADDING))


@contextmanager
def contents(path: Path) -> Iterator[Bytes]:
    """The bytes of a file, mapped: read when they are looked at."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:  # an empty file cannot be mapped
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
