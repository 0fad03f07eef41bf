"""Arrow files of batches sorted by `hash` -> what one range of hashes holds of all of them, and an answer to each.

A unit of such a stage takes an equal range of all hashes, so that any number of rows fits into memory; how many ranges
there are is no part of the result. Its file has one batch for each file that it read, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from pipeline.dedup.columns import opened
from pipeline.dedup.substrings.tokens import Hashes, Places

PART_BYTES = 256 << 20
"""Of files that one range takes, about; its unit needs up to 6 times as much memory."""

Rows = dict[str, npt.NDArray[Any]]


def ranges(size: int) -> int:
    """Ranges for files of `size` bytes together."""
    return max(1, -(-size // PART_BYTES))


def in_range(path: Path, part: int, of: int) -> Rows:
    """The rows of a file whose hash lies in range `part` of `of`, column by column."""
    edges = [np.uint64((n << 64) // of) for n in (part, part + 1) if n < of]
    reader = opened(path)
    found: list[Rows] = []
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        hashes = batch.column("hash").to_numpy()
        cuts = [*np.searchsorted(hashes, edges).tolist(), len(hashes)]
        found.append(columns_of(batch.slice(cuts[0], cuts[1] - cuts[0])))
    return joined(found, reader.schema)


def answers(paths: Sequence[Path], file: int) -> Rows:
    """What the ranges' files, in order, answer to file number `file`: by hash, each once."""
    found: list[Rows] = []
    for path in paths:
        reader = opened(path)
        rows = columns_of(reader.get_batch(file))
        _, first = np.unique(rows["hash"], return_index=True)
        found.append({name: values[first] for name, values in rows.items()})
    return joined(found, reader.schema)


def columns_of(batch: pa.RecordBatch) -> Rows:
    columns = zip(batch.schema.names, batch.columns, strict=True)
    return {name: column.to_numpy(zero_copy_only=False) for name, column in columns}


def joined(parts: Sequence[Rows], schema: pa.Schema) -> Rows:
    """Rows one after the other; the parts are emptied, so that few of them are there twice."""
    empty = {field.name: np.empty(0, field.type.to_pandas_dtype()) for field in schema}
    return {name: np.concatenate([empty[name], *(part.pop(name) for part in parts)]) for name in empty}


def write_answers(path: Path, schema: pa.Schema, rows: Iterator[Rows]) -> None:
    """Write a batch for each file."""
    with pa.ipc.new_file(path, schema) as writer:
        for one in rows:
            writer.write_batch(pa.record_batch([pa.array(one[name]) for name in schema.names], schema=schema))


class Known:
    """A sorted set of hashes that can be asked for many at once: at most 4 bytes a hash more."""

    def __init__(self, hashes: Hashes) -> None:
        self.hashes = np.ascontiguousarray(hashes)
        bits = max(1, len(hashes).bit_length() - 2)
        self._shift = np.uint64(64 - bits)
        edges = np.arange(1 << bits, dtype=np.uint64) << self._shift
        self._begins = np.append(np.searchsorted(self.hashes, edges), len(hashes)).astype(np.int64)

    def find(self, hashes: Hashes) -> Places:
        """(hashes,) at which place of the set each stands, or -1."""
        return _find(self.hashes, self._begins, self._shift, hashes)


@njit(cache=True)
def _find(known: Hashes, begins: Places, shift: np.uint64, hashes: Hashes) -> Places:
    out = np.full(len(hashes), -1, np.int64)
    for n in range(len(hashes)):
        bucket = np.int64(hashes[n] >> shift)
        for i in range(begins[bucket], begins[bucket + 1]):
            if known[i] == hashes[n]:
                out[n] = i
                break
    return out
