"""The documents of a unit -> shuffled rows of [CLS] … [SEP] pieces, each token in exactly one row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from packing.greedy import PackError, cut, pack
from packing.shuffle import Key, permutation

SPECIALS = 2
"""Each piece is `[CLS]`, text, `[SEP]`."""

SHORTEST = 32
"""Tokens of a piece at least, with its specials, unless its document is shorter: DESIGN 3.4."""


class Row(NamedTuple):
    """One row of the training data: pieces end to end, from one source."""

    input_ids: npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
    """(T,), T at most the context."""
    cu_seqlens: npt.NDArray[np.int32]
    """(P + 1,): piece p is input_ids[cu_seqlens[p] : cu_seqlens[p + 1]]; from 0 to T."""
    doc: npt.NDArray[np.uint64]
    """(P,): the document of each piece."""


def rows_of_unit(
    tokens: npt.NDArray[Any],
    lengths: npt.ArrayLike,
    doc: npt.NDArray[np.uint64],
    *,
    cls: int,
    sep: int,
    context: int,
    seed: int,
    unit: Key,
    shortest: int = SHORTEST,
) -> Iterator[Row]:
    """Pack a whole unit at once; rows and their order depend on the arguments alone.

        tokens   (T,)   ids of all documents end to end, without special tokens; the rows keep their dtype
        lengths  (D,)   tokens of each document, at least 1
        doc      (D,)   number of each document, as the rows shall tell it

    Documents are shuffled before packing and rows after it, both by (seed, unit), where `unit` is whatever
    tells units apart: best fit decreasing would else write the longest documents first. In a row, pieces stand
    in the shuffled order. Memory: the tokens once more.
    """
    documents = np.asarray(lengths, np.int64)
    if len(documents) != len(doc) or documents.sum() != len(tokens):
        raise ValueError(
            f"{len(documents)} lengths of {documents.sum()} tokens, {len(doc)} numbers, {len(tokens)} tokens"
        )
    if empty := np.flatnonzero(documents < 1).tolist():
        raise PackError(f"document {doc[empty[0]]} of unit {unit} has no tokens; leave empty documents out")
    if not len(documents):
        return

    shuffled = permutation(len(documents), "documents", seed, unit)
    pieces = cut(documents[shuffled], context - SPECIALS, shortest - SPECIALS)
    row_of, rows = pack(pieces.length + SPECIALS, context)
    placed = permutation(rows, "rows", seed, unit)[row_of]
    by_row = np.argsort(placed, kind="stable")

    document, length = shuffled[pieces.document[by_row]], pieces.length[by_row]
    begin = (np.cumsum(documents) - documents)[document] + pieces.start[by_row]
    ends = np.cumsum(length + SPECIALS)
    flat = np.empty(int(ends[-1]), tokens.dtype)
    _lay(tokens, begin, length, flat, cls, sep)
    yield from _split(flat, ends, doc[document], np.bincount(placed, minlength=rows))


def _split(
    flat: npt.NDArray[Any], ends: npt.NDArray[np.int64], doc: npt.NDArray[np.uint64], counts: Any
) -> Iterator[Row]:
    """Rows as views of what lies end to end. ends, doc: (P,) of all pieces; counts: pieces of each row."""
    last = np.cumsum(counts)  # one past each row's last piece
    bounds = np.concatenate([[0], ends[last - 1]])
    # cu_seqlens of all rows end to end: each row's leading 0, then its pieces' ends from the row's start
    cu = np.zeros(len(ends) + len(counts), np.int32)
    row = np.repeat(np.arange(len(counts)), counts)
    cu[np.arange(len(ends)) + row + 1] = ends - bounds[row]
    first = 0
    for number, end in enumerate(last.tolist()):
        yield Row(flat[bounds[number] : bounds[number + 1]], cu[first + number : end + number + 1], doc[first:end])
        first = end


@njit(cache=True, nogil=True)
def _lay(tokens: Any, begin: Any, length: Any, flat: Any, cls: Any, sep: Any) -> None:
    """Write [CLS], tokens[begin : begin + length], [SEP] of each piece, end to end."""
    at = 0
    for piece in range(len(begin)):
        end = at + 1 + length[piece]
        flat[at] = cls
        flat[at + 1 : end] = tokens[begin[piece] : begin[piece] + length[piece]]
        flat[end] = sep
        at = end + 1
