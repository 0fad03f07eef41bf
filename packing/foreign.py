"""A shard file that somebody else wrote -> where the ids of each of its samples lie in it.

Any MDS v2 file: columns of fixed and of variable size, arrays with and without dtype and shape in their encoding, plain
or as one zstd frame. A plain file is mapped; one that is packed or in a store is written to a nameless file in the
temporary folder first (the two used last stay there), so memory does not grow with its size. What the index tells is
checked once a process and file: size, hashes, samples, columns; and of every sample that its columns fill it.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from packing.mds import ShardError
from pipeline.ingest.remote import fetched
from pipeline.shard_files import ShardFile
from pipeline.stores.store import URL

Ints = npt.NDArray[np.int64]

MEND = "fetch it anew, or take it out of the index"

WIDTHS = {8: 1, 9: 1, 16: 2, 17: 2, 32: 4, 33: 4, 64: 8, 65: 8}
"""Code of a dtype before an array that has none in its encoding -> bytes of an integer, unsigned or signed."""

BLOCK = 1 << 20
"""Bytes that are copied, unpacked and hashed at a time."""

XXH = ("xxh32", "xxh64", "xxh128", "xxh3_64", "xxh3_128")


class Samples(NamedTuple):
    """Where the ids of some samples lie: three arrays (N,)."""

    begin: Ints
    """The first byte of the values in the file."""
    length: Ints
    width: Ints
    """Bytes of one id, little-endian."""


class ForeignShard:
    """One shard, mapped. Sample i lies at raw[offsets[i] : offsets[i + 1]]."""

    def __init__(self, file: ShardFile, raw: mmap.mmap) -> None:
        """ShardError unless offsets and columns are those that index and format say."""
        self.path, self.columns, n = file.piece.path, file.columns, file.samples
        self.raw = np.frombuffer(raw, np.uint8)
        head = 4 + 4 * (n + 1)
        if (told := int.from_bytes(raw[:4], "little")) != n or head > len(raw):
            raise ShardError(f"{self.path}: has {told} samples by offset 0, its index says {n}; {MEND}")
        self.offsets: Ints = np.frombuffer(raw, "<u4", n + 1, offset=4).astype(np.int64)
        if self.offsets[0] < head or self.offsets[-1] != len(raw) or (np.diff(self.offsets) < 0).any():
            raise ShardError(f"{self.path}: the offsets from 4 on do not rise to the file's end; {MEND}")
        try:
            config = json.loads(raw[head : int(self.offsets[0])])
            lists = (config["column_names"], config["column_encodings"], config["column_sizes"])
            columns = tuple(zip(*lists, strict=True))
        except (ValueError, KeyError, TypeError) as fault:
            said = f"the configuration at offset {head} is damaged ({fault!r})"
            raise ShardError(f"{self.path}: {said}; {MEND}") from None
        if columns != file.columns:
            raise ShardError(f"{self.path}: other columns at offset {head} than in its index; {MEND}")

    def samples(self, column: str, first: int = 0, last: int | None = None) -> Samples:
        """Where the ids of the samples first … last - 1 lie. ShardError names the first sample that is damaged."""
        names = [name for name, _, _ in self.columns]
        if column not in names:
            raise ShardError(f"{self.path}: has no column {column}; the columns are {', '.join(names)}")
        last = len(self.offsets) - 1 if last is None else last
        begin, size = self._column(names.index(column), first, last)
        kind, _, rest = self.columns[names.index(column)][1].partition(":")
        if kind != "ndarray":
            raise ShardError(f"{self.path}: column {column} is {kind}, no array (ndarray); name another column")
        dtype, _, shape = rest.partition(":")
        width = np.full(last - first, _width(dtype) if dtype else 0)
        if not dtype:
            code = self.raw[begin]
            width = np.array([WIDTHS.get(one, 0) for one in range(256)])[code]
            begin, size = begin + 1, size - 1
        if last > first and not width.min():
            self._fault(first + int(np.argmin(width)), f"column {column} has no dtype of integers")
        if shape:
            count, wrong = size // np.maximum(width, 1), np.full(last - first, "," in shape)
        else:
            count, head, wrong = self._length(begin, size)
            begin, size = begin + head, size - head
        if (bad := np.flatnonzero(wrong | (count * width != size))).size:
            self._fault(first + int(bad[0]), f"column {column} is no array of one dimension that fits its size")
        return Samples(begin, count, width)

    def _column(self, number: int, first: int, last: int) -> tuple[Ints, Ints]:
        """First byte and size of a column in each sample; the columns of a sample have to fill it."""
        begin, end = self.offsets[first:last], self.offsets[first + 1 : last + 1]
        variable = [at for at, (_, _, size) in enumerate(self.columns) if size is None]
        if (bad := np.flatnonzero(end - begin < 4 * len(variable))).size:
            self._fault(first + int(bad[0]), "ends before its columns")
        sizes = [
            np.full(last - first, size) if size is not None else _words(self.raw, begin + 4 * variable.index(at))
            for at, (_, _, size) in enumerate(self.columns)
        ]
        if (bad := np.flatnonzero(begin + 4 * len(variable) + sum(sizes) != end)).size:
            self._fault(first + int(bad[0]), "its columns do not fill it")
        before = sum(sizes[:number], np.zeros(last - first, np.int64))
        return begin + 4 * len(variable) + before, sizes[number]

    def _length(self, begin: Ints, size: Ints) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
        """Values of arrays of one dimension, the bytes before them, and where there is no such array."""
        code = self.raw[np.minimum(begin, len(self.raw) - 1)] if len(begin) else np.zeros(0, np.uint8)
        bytes_ = np.left_shift(1, (code & 3).astype(np.int64))
        wrong = (code >> 2 != 1) | (size < 1 + bytes_)
        count = np.zeros(len(begin), np.int64)
        for place in range(8):
            there = ~wrong & (place < bytes_)
            count[there] |= self.raw[begin[there] + 1 + place].astype(np.int64) << (8 * place)
        return count, 1 + bytes_, wrong | (count < 0)

    def _fault(self, sample: int, said: str) -> None:
        raise ShardError(f"{self.path}: sample {sample} at offset {self.offsets[sample]}: {said}; {MEND}")


def _words(raw: npt.NDArray[np.uint8], at: Ints) -> Ints:
    """The u32 at each place, which may begin anywhere."""
    return np.ascontiguousarray(raw[at[:, None] + np.arange(4)]).view("<u4").ravel().astype(np.int64)


def _width(dtype: str) -> int:
    """Bytes of an integer; 0 where it is none."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        return 0
    return kind.itemsize if kind.kind in "iu" else 0


def opened(file: ShardFile) -> ForeignShard:
    """The shard of a file that stands, unpacked and checked. ShardError, or UnreadableFile from a store."""
    here = None if URL in file.piece.path else Path(file.piece.path).stat()
    return _opened(file, (here.st_ino, here.st_size, here.st_mtime_ns) if here else ())


@lru_cache(maxsize=2)
def _opened(file: ShardFile, _: tuple[int, ...]) -> ForeignShard:
    with fetched(file.piece) as local, Path(local.path).open("rb") as stands:
        _check(file, stands, file.packed_hashes if file.packed else file.hashes, file.piece.size)
        if not file.packed:
            return ForeignShard(file, mmap.mmap(stands.fileno(), 0, access=mmap.ACCESS_READ))
        with tempfile.TemporaryFile(prefix="bertmill-") as whole:
            for block in _unpacked(file, stands):
                whole.write(block)
            whole.flush()
            _check(file, whole, file.hashes, file.size)
            return ForeignShard(file, mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_READ))


def _unpacked(file: ShardFile, packed: IO[bytes]) -> Iterator[bytes]:
    """The blocks of the one frame. ShardError where it breaks off, or holds more than the index says."""
    import zstandard

    packed.seek(0)
    written = 0
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed, closefd=False) as reader:
            while block := reader.read(BLOCK):
                written += len(block)
                if written > file.size:
                    break
                yield block
    except zstandard.ZstdError as fault:
        at = packed.tell()
        raise ShardError(f"{file.piece.path}: is damaged before offset {at} ({fault}); {MEND}") from None
    if written != file.size:
        held = "more than" if written > file.size else f"{written} of"
        raise ShardError(f"{file.piece.path}: holds {held} the {file.size} bytes that its index says; {MEND}")


def _check(file: ShardFile, content: IO[bytes], hashes: tuple[tuple[str, str], ...], size: int) -> None:
    """ShardError unless a file has its size and hashes: 0.1 s a GB and xxh64."""
    if (found := content.seek(0, 2)) != size:
        raise ShardError(f"{file.piece.path}: has {found} bytes, its index says {size}; {MEND}")
    if not found:
        raise ShardError(f"{file.piece.path}: is empty; {MEND}")
    for name, digest in hashes:
        hash_ = _hash(name, file.piece.path)
        content.seek(0)
        while block := content.read(BLOCK):
            hash_.update(block)
        if hash_.hexdigest() != digest:
            told = f"its {size} bytes from offset 0 have the {name} {hash_.hexdigest()}, its index says {digest}"
            raise ShardError(f"{file.piece.path}: {told}; {MEND}")


def _hash(name: str, path: str) -> Any:
    if name in XXH:
        return getattr(xxhash, name)()
    if name not in hashlib.algorithms_available or name.startswith("shake"):
        raise ShardError(f"{path}: its index has a hash {name}, which nothing here computes; take it out of the index")
    return hashlib.new(name)
