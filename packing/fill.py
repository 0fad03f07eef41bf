"""Rows that are not full -> fewer rows: full pieces of long documents are cut once more and put into the holes.

Best fit decreasing fills rows where there are many short pieces. A source of a few hundred rows, or of long
documents alone, lacks them: 36 papers (359,000 tokens) fill rows of 1,024 to 98.8 % and of 8,192 to 97.2 %; with
their holes filled, to 99.6 and 99.4 %: what is left is the last row's. A unit of mixed lengths is hardly changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from packing.greedy import Ints, Pieces

Packed = tuple[Pieces, npt.NDArray[np.int32], int]
"""Pieces without their special tokens, the row of each, rows."""


def fill(pieces: Pieces, row_of: npt.NDArray[np.int32], rows: int, capacity: int, *, shortest: int) -> Packed:
    """Take rows that one full piece of a long document fills, and put that piece into the holes of other rows.

    capacity: tokens of a row; shortest: tokens of text in a piece at least; each piece has two special tokens more.
    The largest holes are filled first, so that cuts are few; holes under two `shortest` are left. What is taken
    fits as a whole, or it stays in its row; so no row is added, and no document that fits a row is cut. Linear.
    """
    text = capacity - 2
    room = capacity - np.bincount(row_of, weights=pieces.length + 2, minlength=rows).astype(np.int64)
    least = 2 * shortest + 2
    holes = np.flatnonzero(room >= least)
    holes = holes[np.argsort(-room[holes], kind="stable")]
    spare = (np.bincount(pieces.document) > 1)[pieces.document] & (pieces.length == text)
    if not spare.any() or (room[holes] - 2).sum() < text:
        return pieces, row_of, rows
    full = np.flatnonzero(spare)
    taken, part, row, size = _spread(len(full), room[holes], text, shortest)
    if not taken:
        return pieces, row_of, rows

    kept = np.ones(len(row_of), np.bool_)
    kept[full[:taken]] = False
    gone = np.zeros(rows, np.bool_)
    gone[row_of[~kept]] = True
    number = np.cumsum(~gone) - 1
    begin = np.cumsum(size) - size
    first = np.searchsorted(part, np.arange(taken))
    start = pieces.start[full[part]] + begin - begin[first][part]
    merged = Pieces(
        np.concatenate([pieces.document[kept], pieces.document[full[part]]]),
        np.concatenate([pieces.start[kept], start]),
        np.concatenate([pieces.length[kept], size]),
    )
    order = np.argsort((merged.document << 32) + merged.start, kind="stable")  # as `cut` gives them: two runs to merge
    placed = number[np.concatenate([row_of[kept], holes[row]])].astype(np.int32)
    return Pieces(*(values[order] for values in merged)), placed[order], rows - taken


def _spread(count: int, holes: Ints, text: int, shortest: int) -> tuple[int, Ints, Ints, Ints]:
    """`_into_holes` with room for its answer: (pieces taken, (N,) which of them, which hole, how many tokens)."""
    most = len(holes) + min(count, int(holes.sum()) // text + 1) + 1  # a part ends its hole or its piece
    out = np.empty((3, most), np.int64)
    taken, parts = _into_holes(count, holes, text, shortest, out)
    return int(taken), *out[:, :parts]


@njit(cache=True)
def _into_holes(count: Any, holes: Any, text: Any, shortest: Any, out: Any) -> Any:
    """Pieces of `text` tokens into holes, one after the other; the last one that does not fit is taken back."""
    parts = taken = hole = 0
    room = holes[0]
    for piece in range(count):
        left, begun = text, parts
        while left and hole < len(holes):
            size = min(left, room - 2)
            if 0 < left - size < shortest:
                size = left - shortest  # what is left is a piece too
            out[0, parts], out[1, parts], out[2, parts] = piece, hole, size
            parts += 1
            left -= size
            room -= size + 2
            if room < 2 * shortest + 2:
                hole += 1
                room = holes[hole] if hole < len(holes) else 0
        if left:
            return taken, begun
        taken += 1
    return taken, parts
