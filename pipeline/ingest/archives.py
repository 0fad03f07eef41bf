"""A tar archive, plain or compressed, read once from front to end -> its files, up to the end or the first damage."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.documents import clean
from pipeline.ingest.lines import CutOffError, blocks
from pipeline.ingest.reading import UnreadableFile

LARGEST = 128 << 20
"""Bytes of a file in an archive at most; arXiv takes papers with their figures up to 50 MB."""


class Member(NamedTuple):
    at: str
    """Its name; `name~2` for the second file of that name, which tar allows."""
    name: str
    size: int
    content: bytes | None
    """None if it is larger than `LARGEST`."""


class DamagedTarError(Exception):
    """An archive, or the part of one, that cannot be read on. `reason` names the fault for counts."""

    def __init__(self, reason: str, told: str) -> None:
        super().__init__(told)
        self.reason = reason


class _Header(tarfile.TarInfo):
    """A member's header; a damaged one is an error, where tarfile takes it for the archive's end."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> _Header:
        try:
            return super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as fault:  # type: ignore[attr-defined]
            raise DamagedTarError("bad_tar", str(fault)) from None


def members(path: Path) -> Iterator[Member]:
    """The files of the archive at `path` in order; folders and links are passed over.

    Raises UnreadableFile if not even its first header can be read, DamagedTarError where it cannot be read on.
    """
    count = 0
    try:
        for count, member in enumerate(inside(_Blocks(blocks(path))), 1):  # noqa: B007
            yield member
    except DamagedTarError as fault:
        if not count:
            raise UnreadableFile(f"{path}: is no tar archive ({fault}); fetch it anew or remove it") from None
        raise


def inside(stream: Any) -> Iterator[Member]:
    """The files of an archive that is read from an open stream. Raises DamagedTarError."""
    seen: dict[str, int] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                if not info.isfile():
                    continue
                name = clean(info.name)  # bytes that are no UTF-8 come as lone surrogates
                seen[name] = times = seen.get(name, 0) + 1
                at = name if times == 1 else f"{name}~{times}"
                file = archive.extractfile(info) if info.size <= LARGEST else None
                yield Member(at, name, info.size, file.read() if file else None)
    except CutOffError as fault:
        raise DamagedTarError(fault.reason, str(fault)) from None
    except (tarfile.TarError, EOFError, ValueError) as fault:
        raise DamagedTarError("bad_tar", str(fault)) from None


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a stream to read from; where they break off, what came before is given first."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._left = b""
        self._fault: CutOffError | None = None

    def read(self, size: int = -1) -> bytes:
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
        return whole[:end]
