"""Filling holes loses no token, cuts no document that fits, and leaves no row that could have been saved."""

from __future__ import annotations

import numpy as np
import pytest

from packing.fill import fill
from packing.greedy import Ints, Pieces, cut, pack

CONTEXT, SHORTEST = 1024, 30


def filled(lengths: Ints, context: int = CONTEXT) -> tuple[Pieces, Ints, int, int]:
    """(pieces, row of each, rows, rows before)."""
    pieces = cut(lengths, context - 2, SHORTEST)
    row_of, before = pack(pieces.length + 2, context)
    pieces, placed, rows = fill(pieces, row_of, before, context, shortest=SHORTEST)
    return pieces, placed.astype(np.int64), rows, before


def papers(documents: int, seed: int) -> Ints:
    """Long documents alone, which leave holes of all sizes."""
    return np.random.default_rng(seed).integers(1_500, 30_000, documents)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("documents", [1, 2, 7, 40])
def test_pieces_still_join_to_their_documents_in_rows_that_are_not_overfull(documents: int, seed: int) -> None:
    lengths = np.concatenate([papers(documents, seed), np.random.default_rng(seed).integers(1, 1022, documents)])
    pieces, row_of, rows, before = filled(lengths)
    assert rows <= before
    assert np.array_equal(np.unique(row_of), np.arange(rows))
    assert np.bincount(row_of, weights=pieces.length + 2).max() <= CONTEXT
    ends = pieces.start + pieces.length
    first = np.concatenate([[True], np.diff(pieces.document) > 0])
    assert np.array_equal(pieces.document[first], np.arange(len(lengths)))
    assert (pieces.start[first] == 0).all()
    assert np.array_equal(pieces.start[1:][~first[1:]], ends[:-1][~first[1:]])
    assert np.array_equal(ends[np.concatenate([first[1:], [True]])], lengths)
    assert (pieces.length >= np.minimum(lengths, SHORTEST)[pieces.document]).all()
    assert (np.bincount(pieces.document)[lengths <= CONTEXT - 2] == 1).all()


@pytest.mark.parametrize("context", [256, 1024, 8192])
def test_the_holes_that_are_left_have_no_room_for_one_more_full_piece(context: int) -> None:
    saved = 0
    for seed in range(10):
        pieces, row_of, rows, before = filled(papers(60, seed) * context // 1024, context)
        room = context - np.bincount(row_of, weights=pieces.length + 2)
        saved += before - rows
        assert (room[room >= 2 * SHORTEST + 2] - 2).sum() < context + SHORTEST
    assert saved


def test_holes_that_a_full_piece_does_not_fill_are_left() -> None:
    lengths = np.array([2044, 700])
    pieces, row_of, rows, before = filled(lengths)
    assert (rows, before) == (3, 3)
    assert pieces.length.tolist() == [1022, 1022, 700]
    assert len(set(row_of.tolist())) == 3


def test_a_document_of_just_a_row_is_never_the_one_that_is_cut() -> None:
    pieces, row_of, rows, _ = filled(np.array([1022, 700, 700, 700, 700]))
    assert rows == 5
    assert pieces.length.tolist() == [1022, 700, 700, 700, 700]
    assert len(row_of) == 5


def test_a_full_piece_goes_into_the_largest_holes_first() -> None:
    pieces, row_of, rows, before = filled(np.array([3066, 522, 700, 900]))
    assert (rows, before) == (6, 6)  # the holes have room for 498 + 320 + 120 tokens of text, less than a piece
    pieces, row_of, rows, before = filled(np.array([3066, 522, 700, 800]))
    assert (rows, before) == (5, 6)
    assert pieces.length.tolist() == [498, 320, 204, 1022, 1022, 522, 700, 800]
    assert row_of[[0, 1, 2]].tolist() == row_of[[5, 6, 7]].tolist()
