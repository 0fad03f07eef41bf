"""The documents of a unit -> shuffled rows of [CLS] … [SEP] pieces, each token in exactly one row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from packing.fill import fill
from packing.flat import Rows
from packing.greedy import Ints, PackError, cut, least_first, pack
from packing.shuffle import Key, permutation

SPECIALS = 2
"""Each piece is `[CLS]`, text, `[SEP]`."""

SHORTEST = 32
"""Tokens of a piece at least, with its specials, unless its document is shorter: DESIGN 3.4."""


class Layout(NamedTuple):
    """Which pieces of a unit's documents stand in which row: known from their lengths alone."""

    document: Ints
    """(P,): which document, counted from 0; pieces in the order of the rows, in a row as they stand in it."""
    start: Ints
    """(P,): where in its document a piece begins."""
    length: Ints
    """(P,): its tokens, without the special ones."""
    pieces: Ints
    """(R,): pieces of each row."""


def lay_out(lengths: npt.ArrayLike, *, context: int, seed: int, unit: Key, shortest: int = SHORTEST) -> Layout:
    """Cut and pack documents of these lengths (D,), at least 1; what comes of it depends on the arguments alone.

    Documents are shuffled before packing and rows after it, both by (seed, unit), where `unit` is whatever
    tells units apart: best fit decreasing would else write the longest documents first. In a row, pieces stand
    in the shuffled order. PackError where `context` is too short for `shortest`.
    """
    documents = np.asarray(lengths, np.int64)
    shuffled = permutation(len(documents), "documents", seed, unit)
    pieces = cut(documents[shuffled], context - SPECIALS, shortest - SPECIALS)
    row_of, rows = pack(pieces.length + SPECIALS, context)
    pieces, row_of, rows = fill(pieces, row_of, rows, context, shortest=shortest - SPECIALS)
    placed = permutation(rows, "rows", seed, unit)[row_of]
    by_row = least_first(placed, rows)
    counts = np.bincount(placed, minlength=rows)
    return Layout(shuffled[pieces.document[by_row]], pieces.start[by_row], pieces.length[by_row], counts)


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
) -> Rows:
    """Pack a whole unit at once; rows and their order depend on the arguments alone (`lay_out`).

        tokens   (T,)   ids of all documents end to end, without special tokens; the rows keep their dtype
        lengths  (D,)   tokens of each document, at least 1
        doc      (D,)   number of each document, as the rows shall tell it

    Memory: the tokens once more.
    """
    documents = np.asarray(lengths, np.int64)
    if len(documents) != len(doc) or documents.sum() != len(tokens):
        raise ValueError(
            f"{len(documents)} lengths of {documents.sum()} tokens, {len(doc)} numbers, {len(tokens)} tokens"
        )
    if empty := np.flatnonzero(documents < 1).tolist():
        raise PackError(f"document {doc[empty[0]]} of unit {unit} has no tokens; leave empty documents out")
    layout = lay_out(documents, context=context, seed=seed, unit=unit, shortest=shortest)
    return laid_out(tokens, documents, doc, layout, cls=cls, sep=sep)


def laid_out(
    tokens: npt.NDArray[Any], lengths: Ints, doc: npt.NDArray[np.uint64], layout: Layout, *, cls: int, sep: int
) -> Rows:
    """The rows of a layout, in order; arrays as for `rows_of_unit`."""
    begin = (np.cumsum(lengths) - lengths)[layout.document] + layout.start
    cu_seqlens = np.concatenate([[0], np.cumsum(layout.length + SPECIALS)])
    flat = np.empty(cu_seqlens[-1], tokens.dtype)
    _lay(tokens, begin, layout.length, flat, cls, sep)
    bounds = cu_seqlens[np.concatenate([[0], np.cumsum(layout.pieces)])]
    return Rows(flat, cu_seqlens, doc[layout.document], bounds)


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
