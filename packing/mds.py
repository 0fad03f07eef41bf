"""Packed rows <-> the bytes of one MDS v2 shard file, which `mosaicml-streaming` reads as it is.

    u32   N                rows
    u32   offsets[N + 1]   where each row begins; the last one is the size of the file, hence the 4 GiB
    bytes configuration    JSON with sorted keys
    bytes rows             u32 size of each column, then the columns in the order of their names

A column is an array of one dimension: u8 (1 << 2 | k), its length as u8, u16, u32 or u64 for k = 0 … 3 (the
smallest that holds it), its values. All is little-endian, nothing is aligned: arrays may begin anywhere.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from packing import walk
from packing.rows import Row

NAMES = ("cu_seqlens", "doc", "input_ids")
"""The columns in the order of the format: by name."""

SIZES = 4 * len(NAMES)
"""Bytes before the columns of a row: the size of each."""

LIMIT = 1 << 32
"""Offsets are uint32."""

OPEN = 512
"""Shards that stay mapped in a process. Each holds a file descriptor, of which 1,024 are the usual limit."""


MEND = "restore it or pack this source again"


class ShardError(Exception):
    """A shard or index that is missing, damaged or cannot be written; told in one line."""


def configuration(ids: npt.DTypeLike) -> dict[str, Any]:
    """What a shard says of its format, in the file and in the index. ids: dtype of input_ids."""
    return {
        "column_encodings": ["ndarray:int32", "ndarray:uint64", f"ndarray:{np.dtype(ids).name}"],
        "column_names": list(NAMES),
        "column_sizes": [None] * len(NAMES),
        "compression": None,
        "format": "mds",
        "hashes": ["xxh64"],
        "size_limit": None,
        "version": 2,
    }


def write_shard(path: Path, rows: Iterable[Row]) -> dict[str, Any]:
    """Write one shard file, aside and then renamed -> its entry for `write_index`.

    The rows are held until the last one is known, as the offsets come first. No rows at all make a file
    without rows, which an index leaves out. ShardError where the file would reach 4 GiB.
    """
    parts: list[bytes | memoryview] = []
    lengths: list[int] = []
    ids: npt.DTypeLike = np.uint16
    space = LIMIT - len(json.dumps(configuration(np.uint16))) - 8
    for row in rows:
        ids = row.input_ids.dtype if not lengths else ids
        if row.cu_seqlens.dtype != np.int32 or row.doc.dtype != np.uint64 or row.input_ids.dtype != ids:
            raise ValueError(f"{path}: row {len(lengths)} has other dtypes than int32, uint64, {ids}")
        columns = [_encoded(row.cu_seqlens), _encoded(row.doc), _encoded(row.input_ids)]
        sizes = [len(head) + values.nbytes for head, values in columns]
        parts.append(struct.pack("<3I", *sizes))
        for column in columns:
            parts += column
        lengths.append(SIZES + sum(sizes))
        space -= lengths[-1] + 4
        if space <= 0:
            raise ShardError(f"{path}: a shard ends below 4 GiB; lower `unit`, so that it gets fewer rows")

    config = configuration(ids)
    head = json.dumps(config, sort_keys=True).encode()
    offsets = np.cumsum([4 + 4 * (len(lengths) + 1) + len(head), *lengths])
    digest = _put(path, [np.array([len(lengths), *offsets], "<u4").tobytes(), head, *parts])
    raw = {"basename": path.name, "bytes": int(offsets[-1]), "hashes": {"xxh64": digest}}
    return {**config, "raw_data": raw, "samples": len(lengths), "zip_data": None}


def _encoded(values: npt.NDArray[Any]) -> tuple[bytes, memoryview]:
    if values.ndim != 1 or not values.size:
        raise ValueError(f"a column is an array of one dimension that is not empty, not of shape {values.shape}")
    width = sum(values.size >= 1 << bits for bits in (8, 16, 32))
    return bytes([1 << 2 | width]) + values.size.to_bytes(1 << width, "little"), np.ascontiguousarray(values).data


def _put(path: Path, parts: list[bytes | memoryview]) -> str:
    """Write, fsync, rename -> xxh64 of the whole file."""
    digest = xxhash.xxh64()
    aside = path.with_name(path.name + ".part")
    with aside.open("wb") as file:
        for first in range(0, len(parts), 4096):  # joined, as a write of each part costs more than its bytes
            joined = b"".join(parts[first : first + 4096])
            digest.update(joined)
            file.write(joined)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    return digest.hexdigest()


class Entry(NamedTuple):
    """What an index says of a shard."""

    path: Path
    size: int
    rows: int
    xxh64: str
    ids: str
    """dtype of input_ids: uint16 or uint32."""

    def check_size(self) -> None:
        """ShardError unless the file stands and is as long as it was written."""
        try:
            found = self.path.stat().st_size
        except FileNotFoundError:
            raise ShardError(f"{self.path}: is missing; {MEND}") from None
        if found != self.size:
            raise ShardError(f"{self.path}: has {found} bytes, its index says {self.size}; {MEND}")


class Shard:
    """One shard file, mapped and not copied. Row i lies at raw[offsets[i] : offsets[i + 1]]."""

    def __init__(self, entry: Entry) -> None:
        """ShardError unless the file has the size and the rows that the index says."""
        self.entry, self.path, rows = entry, entry.path, entry.rows
        self.ids: np.dtype[Any] = np.dtype(entry.ids)
        self.dtypes: tuple[np.dtype[Any], ...] = (np.dtype(np.int32), np.dtype(np.uint64), self.ids)
        entry.check_size()
        with self.path.open("rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.raw = np.frombuffer(self.map, np.uint8)
        told = int.from_bytes(self.map[:4], "little")
        if told != rows or 4 + 4 * (rows + 1) > entry.size:
            raise ShardError(f"{self.path}: has {told} rows by offset 0, its index says {rows}; {MEND}")
        self.offsets = np.frombuffer(self.map, "<u4", rows + 1, offset=4)

    def check(self) -> None:
        """ShardError unless the bytes are those that were written: 0.1 s a GB that is in memory."""
        found = xxhash.xxh64(self.map).hexdigest()
        if found != self.entry.xxh64:
            raise ShardError(f"{self.path}: has the xxh64 {found}, its index says {self.entry.xxh64}; {MEND}")

    def row(self, i: int) -> Row:
        """Read-only views of the file, which may begin at any address; copy them to hand them to torch."""
        begin = int(self.offsets[i])
        sizes = np.frombuffer(self.map, "<u4", len(NAMES), begin).tolist()
        at, columns = begin + SIZES, []
        for size, dtype in zip(sizes, self.dtypes, strict=True):
            head = 1 + (1 << (self.map[at] & 3))
            columns.append(np.frombuffer(self.map, dtype, (size - head) // dtype.itemsize, at + head))
            at += size
        return Row(columns[2], columns[0], columns[1])

    def counts(self) -> npt.NDArray[np.int64]:
        """Tokens and pieces of each row, (N, 2). ShardError names the first row that is not well formed."""
        found = np.zeros((len(self.offsets) - 1, 2), np.int64)
        bad, fault = walk.measure(self.raw, self.offsets, self.ids.itemsize, found)
        if fault:
            at = self.offsets[bad]
            raise ShardError(f"{self.path}: row {bad} at offset {at}: {walk.FAULTS[fault]}; {MEND}")
        return found

    def verify(self) -> None:
        """ShardError unless the file is whole: bytes, configuration, offsets (the rows: `counts`)."""
        self.check()
        begin = 4 + 4 * len(self.offsets)
        config = json.dumps(configuration(self.ids), sort_keys=True).encode()
        if self.map[begin : begin + len(config)] != config or self.offsets[0] != begin + len(config):
            raise ShardError(f"{self.path}: another configuration at offset {begin}; {MEND}")
        if self.offsets[-1] != len(self.raw) or (np.diff(self.offsets.astype(np.int64)) <= 0).any():
            raise ShardError(f"{self.path}: the offsets from 4 on do not rise to the file's end; {MEND}")


@lru_cache(maxsize=OPEN)
def opened(entry: Entry) -> Shard:
    """The shard, mapped; its hash is checked when this process sees the file for the first time."""
    shard, stat = Shard(entry), entry.path.stat()
    file = (entry, stat.st_ino, stat.st_mtime_ns)
    if file not in _checked:
        shard.check()
        _checked.add(file)
    return shard


_checked: set[tuple[Entry, int, int]] = set()
