"""A tar archive, plain or compressed, read once from front to end -> its files, up to the end or the first damage."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.documents import clean
from pipeline.ingest.lines import blocks
from pipeline.ingest.packed import CutOffError, contents, packing
from pipeline.ingest.reading import DamagedFile, UnreadableFile

LARGEST = 128 << 20
"""Bytes of a file in an archive at most; arXiv takes papers with their figures up to 50 MB."""

LONGEST_HEADER = 1 << 20
"""Bytes of a header that goes on behind its block (long names and other facts): tarfile keeps them in memory."""


class Member(NamedTuple):
    at: str
    """Its name; `name~2` for the second file of that name, which tar allows."""
    name: str
    size: int
    content: bytes | None
    """None if it is larger than `LARGEST`."""


class DamagedTarError(Exception):
    """An archive, or the part of one, that cannot be read on."""


class _Header(tarfile.TarInfo):
    """A member's header; a damaged one is an error, where tarfile takes it for the archive's end."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> _Header:
        try:
            header = super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as fault:  # type: ignore[attr-defined]
            raise DamagedTarError(str(fault)) from None
        if header.size < 0 or (header.size > LONGEST_HEADER and not (header.isfile() or header.isdev())):
            raise DamagedTarError(f"a header of {header.size} bytes")
        return header


def members(path: Path) -> Iterator[Member]:
    """The files of the archive at `path` in order; folders and links are passed over.

    Raises UnreadableFile if not even its first file can be read, DamagedFile behind the last one that can.
    """
    stream = _Blocks(blocks(path))
    name = ""
    try:
        for member in inside(stream):
            name = member.name
            yield member
        with contents(path) as data:
            if not packing(data) and stream.last.strip(b"\0"):  # a packed archive is whole if its packing is
                raise DamagedTarError("no zeros mark its end")
    except DamagedTarError as fault:
        if not name:
            raise UnreadableFile(f"{path}: is no tar archive ({fault}); fetch it anew or remove it") from None
        raise DamagedFile.told(path, f"the file behind {name}", str(fault)) from None


def inside(stream: Any) -> Iterator[Member]:
    """The files of an archive that is read from an open stream, and of those that follow it. Raises DamagedTarError."""
    seen: dict[str, int] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header, ignore_zeros=True) as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                if not info.isfile():
                    continue
                name = clean(info.name)  # bytes that are no UTF-8 come as lone surrogates
                seen[name] = times = seen.get(name, 0) + 1
                at = name if times == 1 else f"{name}~{times}"
                file = archive.extractfile(info) if info.size <= LARGEST else None
                yield Member(at, name, info.size, file.read() if file else None)
    except (CutOffError, tarfile.TarError, EOFError, ValueError, RecursionError) as fault:
        raise DamagedTarError(str(fault)) from None


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a stream to read from; where they break off, what came before is given first."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._left = b""
        self._fault: CutOffError | None = None
        self.last = b""
        """The last bytes that were read, a block of tar's (512 bytes) or more unless there were fewer."""

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, all if negative; fewer at the end or before damage only. Raises CutOffError."""
        parts = [self._left]
        have = len(self._left)
        try:
            while (size < 0 or have < size) and (part := next(self._parts, b"")):
                parts.append(part)
                have += len(part)
        except CutOffError as fault:
            self._fault = fault
        if self._fault and not have:
            raise self._fault
        whole = b"".join(parts)
        end = have if size < 0 else size
        self._left = whole[end:]
        self.last = whole[:end][-512:] or self.last
        return whole[:end]
