"""The bytes of MDS rows -> their sizes, faults and contents, many rows a call and no Python a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

_types: Any = types  # numba's own have no types

FAULTS = {
    1: "its offsets do not hold three columns",
    2: "a column is not an array of one dimension that fits its size",
    3: "cu_seqlens does not rise from 0 to the number of tokens",
    4: "there are more or fewer documents than pieces",
}


@njit(cache=True, nogil=True)
def _word(raw: Any, at: Any) -> Any:
    """The u32 at `at`."""
    return int(raw[at]) | int(raw[at + 1]) << 8 | int(raw[at + 2]) << 16 | int(raw[at + 3]) << 24


@njit(cache=True, nogil=True)
def _array(raw: Any, at: Any, size: Any, item: Any) -> Any:
    """(where its values begin, how many they are) of a column; (-1, 0) where it is not well formed."""
    head = 1 + (1 << (raw[at] & 3))
    if raw[at] >> 2 != 1 or size <= head or (size - head) % item:
        return -1, 0
    count = 0
    for byte in range(head - 1):
        count |= int(raw[at + 1 + byte]) << (8 * byte)
    if count != (size - head) // item:
        return -1, 0
    return at + head, count


@njit(cache=True, nogil=True)
def _columns(raw: Any, begin: Any, end: Any, item: Any) -> Any:
    """fault, then (begin, count) of cu_seqlens, doc and input_ids in the row at begin … end."""
    if begin + 12 > end or end > len(raw):
        return 1, 0, 0, 0, 0, 0, 0
    a, b, c = _word(raw, begin), _word(raw, begin + 4), _word(raw, begin + 8)
    at = begin + 12
    if at + a + b + c != end or not a or not b or not c:
        return 1, 0, 0, 0, 0, 0, 0
    cu, bounds = _array(raw, at, a, 4)
    doc, documents = _array(raw, at + a, b, 8)
    ids, tokens = _array(raw, at + a + b, c, item)
    fault = 2 if cu < 0 or doc < 0 or ids < 0 else 0
    return fault, cu, bounds, doc, documents, ids, tokens


@njit(cache=True, nogil=True)
def measure(raw: Any, offsets: Any, item: Any, counts: Any) -> Any:
    """Fill counts (N, 2) with tokens and pieces of each row -> (first row that is wrong, its fault or 0)."""
    for row in range(len(offsets) - 1):
        begin, end = int(offsets[row]), int(offsets[row + 1])
        fault, cu, bounds, _, documents, _, tokens = _columns(raw, begin, end, item)
        if fault:
            return row, fault
        if bounds < 2 or _word(raw, cu) != 0 or _word(raw, cu + 4 * (bounds - 1)) != tokens:
            return row, 3
        for piece in range(bounds - 1):
            if _word(raw, cu + 4 * piece) >= _word(raw, cu + 4 * piece + 4):
                return row, 3
        if documents != bounds - 1:
            return row, 4
        counts[row, 0], counts[row, 1] = tokens, documents
    return -1, 0


def _pointer(typing: Any, address: Any) -> Any:
    """The type of a pointer to the bytes at an address, and the code that makes one."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return _types.CPointer(_types.uint8)(address), code


_bytes_at: Any = intrinsic(_pointer)


@njit(cache=True, nogil=True)
def _row(file: Any, size: Any, row: Any) -> Any:
    """The bytes of a mapped shard, and where a row of it begins and ends."""
    raw = carray(_bytes_at(file), size, np.uint8)
    return raw, _word(raw, 4 + 4 * row), _word(raw, 8 + 4 * row)


@njit(cache=True, nogil=True)
def sizes(files: Any, file_sizes: Any, rows: Any, item: Any, counts: Any) -> None:
    """counts[n] = tokens and pieces of rows[n] of the shard that is mapped at files[n]; whole shards only."""
    for n in range(len(rows)):
        raw, begin, end = _row(files[n], file_sizes[n], rows[n])
        _, _, _, _, documents, _, tokens = _columns(raw, begin, end, item)
        counts[n, 0], counts[n, 1] = tokens, documents


@njit(cache=True, nogil=True)
def gather(files: Any, file_sizes: Any, rows: Any, item: Any, token: Any, piece: Any, out: Any) -> None:
    """Copy rows[n] of the shard that is mapped at files[n] to the place of token[n] and piece[n].

    out: bytes of input_ids and of doc, and cu_seqlens as int32, whose first value the caller has set to 0.
    """
    ids_out, doc_out, cu_out = out
    for n in range(len(rows)):
        raw, begin, end = _row(files[n], file_sizes[n], rows[n])
        _, cu, bounds, doc, documents, ids, tokens = _columns(raw, begin, end, item)
        t, p = token[n], piece[n]
        ids_out[t * item : (t + tokens) * item] = raw[ids : ids + tokens * item]
        doc_out[p * 8 : (p + documents) * 8] = raw[doc : doc + documents * 8]
        for bound in range(1, bounds):
            cu_out[p + bound] = t + _word(raw, cu + 4 * bound)
