"""One shard file, mapped: its rows without a copy, and whether its bytes are those that were written."""

from __future__ import annotations

import mmap
import os
import time
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from packing import walk
from packing.arrival import bring
from packing.flat import Row
from packing.index import Entry
from packing.mds import MEND, NAMES, SIZES, ShardError, head_of
from pipeline.stores.mirror import Mirror

OPEN = 512
"""Shards that stay mapped in a process. Each holds a file descriptor, of which 1,024 are the usual limit."""


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
        self.address = self.raw.ctypes.data
        """Of the mapped bytes, for as long as this object lives."""
        told = int.from_bytes(self.map[:4], "little")
        if told != rows or 4 + 4 * (rows + 1) > entry.size:
            raise ShardError(f"{self.path}: has {told} rows by offset 0, its index says {rows}; {MEND}")
        self.offsets = np.frombuffer(self.map, "<u4", rows + 1, offset=4)

    def check(self) -> npt.NDArray[np.int64]:
        """Tokens and pieces of each row, (N, 2). ShardError unless the file is whole: bytes, head and rows.

        What is damaged is told by its offset where the head or a row no longer makes sense, and by the hash of all
        if only values changed. 0.1 s a GB that is in memory.
        """
        found = xxhash.xxh64(self.map).hexdigest()
        self._check_head()
        counts = np.zeros((len(self.offsets) - 1, 2), np.int64)
        bad, fault = walk.measure(self.raw, self.offsets, self.ids.itemsize, counts)
        if fault:
            at = self.offsets[bad]
            raise ShardError(f"{self.path}: row {bad} at offset {at}: {walk.FAULTS[fault]}; {MEND}")
        if found != self.entry.xxh64:
            size = self.entry.size
            raise ShardError(
                f"{self.path}: bytes 0 to {size} have the xxh64 {found}, its index says {self.entry.xxh64}; {MEND}"
            )
        return counts

    def _check_head(self) -> None:
        begin = 4 + 4 * len(self.offsets)
        head = head_of(self.ids)
        if self.map[begin : begin + len(head)] != head:
            raise ShardError(f"{self.path}: another configuration at offset {begin}; {MEND}")
        offsets = self.offsets.astype(np.int64)
        rise = np.diff(offsets, prepend=begin + len(head) - 1)
        good = rise > 0
        good[0] = rise[0] == 1
        good[-1] &= offsets[-1] == len(self.raw)
        if not good.all():
            at = 4 + 4 * int(good.argmin())
            raise ShardError(f"{self.path}: the offset at {at} does not rise as rows do, up to the file's end; {MEND}")

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


@lru_cache(maxsize=OPEN)
def opened(entry: Entry, mirror: Mirror | None = None) -> Shard:
    """The shard, mapped; it is checked as a whole when this process sees the file for the first time.

    In a mirror it is brought first if it is not there, and once more if it is damaged.
    """
    try:
        return _checked_shard(entry, mirror)
    except ShardError:
        if mirror is None:
            raise
        bring(entry, mirror, anew=True)
        return _checked_shard(entry, mirror)


def _checked_shard(entry: Entry, mirror: Mirror | None) -> Shard:
    if mirror:
        bring(entry, mirror)
    shard, stat = Shard(entry), entry.path.stat()
    if mirror:  # the shards that were opened last are removed last
        os.utime(entry.path, ns=(time.time_ns(), stat.st_mtime_ns))
    file = (entry, stat.st_ino, stat.st_mtime_ns)
    if file not in _checked:
        shard.check()
        _checked.add(file)
    return shard


_checked: set[tuple[Entry, int, int]] = set()
