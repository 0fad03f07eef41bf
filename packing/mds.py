"""Packed rows -> the bytes of one MDS v2 shard file, which `mosaicml-streaming` reads as it is.

    u32   N                rows
    u32   offsets[N + 1]   where each row begins; the last one is the size of the file, hence the 4 GiB
    bytes configuration    JSON with sorted keys
    bytes rows             u32 size of each column, then the columns in the order of their names

A column is an array of one dimension: u8 (1 << 2 | k), its length as u8, u16, u32 or u64 for k = 0 … 3 (the
smallest that holds it), its values. All is little-endian, nothing is aligned: arrays may begin anywhere.

Memory: the rows, 40 bytes a row and piece, and a block of 4 MiB (or one row) of the file at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from numba import njit

from packing.flat import Row, Rows, joined
from pipeline.files import durable

Ints = npt.NDArray[np.int64]

NAMES = ("cu_seqlens", "doc", "input_ids")
"""The columns in the order of the format: by name."""

SIZES = 4 * len(NAMES)
"""Bytes before the columns of a row: the size of each."""

LIMIT = 1 << 32
"""Offsets are uint32."""

BLOCK = 1 << 22
"""Bytes that are laid out, hashed and written at a time: they stay in the processor's cache meanwhile."""

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


def head_of(ids: npt.DTypeLike) -> bytes:
    """The configuration as it stands in the file."""
    return json.dumps(configuration(ids), sort_keys=True).encode()


def write_shard(path: Path, rows: Rows | Iterable[Row]) -> dict[str, Any]:
    """Write one shard file, aside and then renamed -> its entry for `write_index`.

    No rows at all make a file without rows, which an index leaves out. ShardError, before anything is written,
    where the file would reach 4 GiB; ValueError for rows that are none: empty, or not cut where pieces are.
    """
    if isinstance(rows, Rows):
        first = np.searchsorted(rows.cu_seqlens, rows.bounds)
        tokens, pieces = np.diff(rows.bounds), np.diff(first)
        ids = rows.input_ids.dtype
    else:
        rows = list(rows)
        tokens = np.array([len(row.input_ids) for row in rows], np.int64)
        pieces = np.array([len(row.cu_seqlens) - 1 for row in rows], np.int64)
        first = np.cumsum([0, *pieces])
        ids = rows[0].input_ids.dtype if rows else np.dtype(np.uint16)
    head = head_of(ids)
    sizes = np.stack([_size(pieces + 1, 4), _size(pieces, 8), _size(tokens, ids.itemsize)], axis=1)
    offsets = 4 + 4 * (len(tokens) + 1) + len(head) + np.cumsum(np.append(0, SIZES + sizes.sum(axis=1)))
    if offsets[-1] >= LIMIT:
        raise ShardError(f"{path}: a shard ends below 4 GiB; lower `unit`, so that it gets fewer rows")
    rows = rows if isinstance(rows, Rows) else joined(rows)
    if (tokens < 1).any() or not np.array_equal(rows.cu_seqlens[first], rows.bounds) or len(rows.doc) != first[-1]:
        raise ValueError(f"{path}: rows are not empty, begin and end with pieces, and each piece has a document")
    if rows.doc.dtype != np.uint64 or ids not in (np.uint16, np.uint32):
        raise ValueError(f"{path}: holds documents as uint64, ids as uint16 or uint32, not {rows.doc.dtype}, {ids}")

    digest = xxhash.xxh64()
    with durable(path) as draft, draft.open("wb") as file:
        top = np.append(len(tokens), offsets).astype("<u4").tobytes() + head
        digest.update(top)
        file.write(top)
        for block in _blocks(rows, first, sizes, offsets):
            digest.update(block)
            file.write(block)
    raw = {"basename": path.name, "bytes": int(offsets[-1]), "hashes": {"xxh64": digest.hexdigest()}}
    return {**configuration(ids), "raw_data": raw, "samples": len(tokens), "zip_data": None}


def _size(count: Ints, item: int) -> Ints:
    """Bytes of columns of `count` values each."""
    width = sum((count >= 1 << bits).astype(np.int64) for bits in (8, 16, 32))
    return 1 + (1 << np.asarray(width)) + count * item


def _blocks(rows: Rows, first: Ints, sizes: Ints, offsets: Ints) -> Iterable[memoryview]:
    """The bytes of all rows, some at a time, in a buffer that is used again."""
    ids, doc = (np.ascontiguousarray(part).view(np.uint8) for part in (rows.input_ids, rows.doc))
    buffer, item, at = np.empty(0, np.uint8), rows.input_ids.dtype.itemsize, 0
    while at < len(sizes):
        end = max(at + 1, int(np.searchsorted(offsets, offsets[at] + BLOCK, side="right")) - 1)
        size = int(offsets[end] - offsets[at])
        buffer = buffer if len(buffer) >= size else np.empty(size, np.uint8)
        _lay(ids, item, rows.bounds, rows.cu_seqlens, first, doc, sizes, offsets, at, end, buffer)
        yield buffer[:size].data
        at = end


@njit(cache=True, nogil=True)
def _word(out: Any, at: Any, value: Any) -> None:
    for byte in range(4):
        out[at + byte] = (value >> (8 * byte)) & 255


@njit(cache=True, nogil=True)
def _column(out: Any, at: Any, count: Any) -> Any:
    """Write what stands before the values of a column -> where they begin."""
    k = (count >= 1 << 8) + (count >= 1 << 16) + (count >= 1 << 32)
    out[at] = 1 << 2 | k
    for byte in range(1 << k):
        out[at + 1 + byte] = (count >> (8 * byte)) & 255
    return at + 1 + (1 << k)


@njit(cache=True, nogil=True)
def _lay(
    ids: Any, item: Any, bounds: Any, cu: Any, first: Any, doc: Any, sizes: Any, offsets: Any, begin: Any, end: Any,
    out: Any,
) -> None:  # fmt: skip
    """Lay the rows begin … end out in `out`. ids, doc: bytes; first: each row's first piece."""
    for row in range(begin, end):
        at = offsets[row] - offsets[begin]
        token, last, piece, pieces = bounds[row], bounds[row + 1], first[row], first[row + 1] - first[row]
        for column in range(3):
            _word(out, at + 4 * column, sizes[row, column])
        values = _column(out, at + 12, pieces + 1)
        for bound in range(pieces + 1):
            _word(out, values + 4 * bound, cu[piece + bound] - token)
        at += 12 + sizes[row, 0]
        values = _column(out, at, pieces)
        out[values : values + 8 * pieces] = doc[8 * piece : 8 * (piece + pieces)]
        at += sizes[row, 1]
        values = _column(out, at, last - token)
        out[values : values + item * (last - token)] = ids[item * token : item * last]
