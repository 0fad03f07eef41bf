"""Many rows end to end in four arrays: how rows are made, written and read without a Python object for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Row(NamedTuple):
    """One row of the training data: pieces end to end, from one source."""

    input_ids: npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
    """(T,), T at most the context."""
    cu_seqlens: npt.NDArray[np.int32]
    """(P + 1,): piece p is input_ids[cu_seqlens[p] : cu_seqlens[p + 1]]; from 0 to T."""
    doc: npt.NDArray[np.uint64]
    """(P,): the document of each piece."""


class Rows(NamedTuple):
    """Rows end to end; each is pieces end to end."""

    input_ids: npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
    """(T,)"""
    cu_seqlens: npt.NDArray[np.int32] | npt.NDArray[np.int64]
    """(P + 1,): bounds of all pieces in input_ids, from 0 to T. int32 as they are read."""
    doc: npt.NDArray[np.uint64]
    """(P,): the document of each piece."""
    bounds: npt.NDArray[np.int64]
    """(R + 1,): row r is input_ids[bounds[r] : bounds[r + 1]]."""

    def part(self, first: int, last: int) -> Rows:
        """Rows first ... last - 1; of their ids no copy is made."""
        bounds = self.bounds[first : last + 1]
        a, z = np.searchsorted(self.cu_seqlens, bounds[[0, -1]])
        begin = bounds[0]
        return Rows(
            self.input_ids[begin : bounds[-1]], self.cu_seqlens[a : z + 1] - begin, self.doc[a:z], bounds - begin
        )

    def each(self) -> Iterator[Row]:
        """Row by row, as views."""
        for number in range(len(self.bounds) - 1):
            one = self.part(number, number + 1)
            yield Row(one.input_ids, one.cu_seqlens.astype(np.int32), one.doc)


def joined(rows: Sequence[Row]) -> Rows:
    """Rows that were made one by one, copied end to end. ValueError where their dtypes differ."""
    kinds = [(row.input_ids.dtype, row.cu_seqlens.dtype, row.doc.dtype) for row in rows]
    ids = kinds[0][0] if rows else np.dtype(np.uint16)
    wanted = (ids, np.dtype(np.int32), np.dtype(np.uint64))
    if odd := [number for number, kind in enumerate(kinds) if kind != wanted]:
        raise ValueError(f"row {odd[0]} has other dtypes than int32, uint64, {ids}")
    bounds = np.cumsum([0, *(len(row.input_ids) for row in rows)], dtype=np.int64)
    ends = [row.cu_seqlens[1:] + at for row, at in zip(rows, bounds.tolist(), strict=False)]
    return Rows(
        np.concatenate([np.empty(0, ids), *(row.input_ids for row in rows)]),
        np.concatenate([np.zeros(1, np.int64), *ends]),
        np.concatenate([np.empty(0, np.uint64), *(row.doc for row in rows)]),
        bounds,
    )
