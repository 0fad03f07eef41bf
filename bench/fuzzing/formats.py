"""The raw formats that are fuzzed: real records to mutate, a good one to stand between them, and what holds both."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import lz4.frame
import zstandard

LARGEST, MOST = 60_000, 200
"""Bytes of a record that is mutated, and how many are."""

PACKS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.compress,
    "lz4": lz4.frame.compress,
}
OPENERS: dict[str, Callable[[], Any]] = {
    "gz": lambda: zlib.decompressobj(31),
    "zst": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "lz4": lz4.frame.LZ4FrameDecompressor,
}

Hold = Callable[[Sequence[bytes]], bytes]
"""Records -> the file they stand in."""

Intact = Callable[[bytes, bytes], bytes]
"""A file and what was made of it -> bytes of its records that the damage spared, for certain."""


@dataclass(frozen=True)
class Format:
    name: str
    kind: str
    """The kind of source that reads it."""
    ending: str
    seeds: Sequence[bytes]
    good: Callable[[str], bytes]
    """Name -> a record whose document holds that name."""
    hold: Hold
    intact: Intact | None = None
    """The file is mutated and not its records, if there is this; the good ones that it shows have to be kept."""
    single: bool = False
    """A file has one record."""


def prose(name: str) -> str:
    return f"A neighbour stands between the mutated records, {name} is its name, and it has to be kept as it is. " * 3


def found(raw: Path, *endings: str) -> list[Path]:
    return sorted(path for path in raw.rglob("*") if path.name.endswith(endings) and path.is_file())


def few(seeds: Iterable[bytes]) -> list[bytes]:
    return [*islice((seed for seed in seeds if 0 < len(seed) <= LARGEST), MOST)]


def joined(wrap: Callable[[bytes], bytes]) -> Hold:
    """Each record wrapped by itself."""
    return lambda parts: b"".join(map(wrap, parts))


def lines(parts: Sequence[bytes]) -> bytes:
    return b"".join(part + b"\n" for part in parts)


def packed(hold: Hold, ending: str) -> Hold:
    """All records in one member."""
    return lambda parts: PACKS[ending](hold(parts))


def before(whole: bytes, damaged: bytes) -> bytes:
    """Of a file whose records stand as they are: what both begin with."""
    same, most = 0, min(len(whole), len(damaged))
    while same < most:
        middle = (same + most + 1) // 2
        same, most = (middle, most) if whole[same:middle] == damaged[same:middle] else (same, middle - 1)
    return whole[:same]


def unpacked_before(ending: str) -> Intact:
    """Of a file that is one packed member: what stands in the bytes before the damage."""

    def intact(whole: bytes, damaged: bytes) -> bytes:
        return bytes(OPENERS[ending]().decompress(before(whole, damaged)))

    return intact


def nothing(whole: bytes, damaged: bytes) -> bytes:
    """Of a file that is one record or whose directory stands at its end."""
    return b""
