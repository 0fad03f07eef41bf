"""Cutting loses nothing and respects both bounds; packing is best fit decreasing, piece for piece."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from packing.greedy import PackError, cut, pack

Ints = npt.NDArray[np.int64]


def lognormal(n: int, seed: int = 0) -> Ints:
    draws = np.exp(np.random.default_rng(seed).normal(np.log(600), 1.1, n))
    return np.clip(draws, 1, 200_000).astype(np.int64)


def packed_slowly(lengths: Ints, capacity: int) -> tuple[list[int], int]:
    """Best fit decreasing by looking at every row; of equally full rows the one that became so last."""
    row_of, rooms, changed = [0] * len(lengths), list[int](), list[int]()
    for turn, piece in enumerate(np.argsort(-lengths, kind="stable").tolist()):
        length = int(lengths[piece])
        fitting = [row for row, room in enumerate(rooms) if room >= length]
        row = min(fitting, key=lambda row: (rooms[row], -changed[row])) if fitting else len(rooms)
        if not fitting:
            rooms.append(capacity)
            changed.append(0)
        rooms[row] -= length
        changed[row] = turn
        row_of[piece] = row
    return row_of, len(rooms)


@pytest.mark.parametrize("capacity", [63, 64, 65, 1024, 4096, 4097, 8192])
def test_packing_equals_best_fit_decreasing_that_looks_at_every_row(capacity: int) -> None:
    lengths = np.concatenate([lognormal(800, capacity) % capacity + 1, [capacity, 1, 1, capacity]])
    row_of, rows = pack(lengths, capacity)
    slow, slow_rows = packed_slowly(lengths, capacity)
    assert rows == slow_rows
    assert row_of.tolist() == slow


def test_no_row_is_overfull_and_none_is_empty() -> None:
    lengths = cut(lognormal(20_000), 1022).length + 2
    row_of, rows = pack(lengths, 1024)
    filled = np.bincount(row_of, weights=lengths, minlength=rows)
    assert filled.max() <= 1024
    assert filled.min() > 0
    assert len(filled) == rows


@pytest.mark.parametrize("context", [1024, 8192])
def test_rows_of_a_whole_unit_are_at_least_999_in_1000_full(context: int) -> None:
    lengths = cut(lognormal(50_000), context - 2, 30).length + 2
    _, rows = pack(lengths, context)
    assert lengths.sum() / (rows * context) > 0.999


def test_nothing_to_pack_gives_no_rows() -> None:
    row_of, rows = pack([], 1024)
    assert len(row_of) == rows == 0


@pytest.mark.parametrize("length", [0, -1, 1025])
def test_a_piece_that_no_row_can_hold_is_named(length: int) -> None:
    with pytest.raises(PackError, match=f"piece 1 has {length} tokens"):
        pack([5, length], 1024)


@pytest.mark.parametrize("context", [63, 64, 100, 1022])
def test_pieces_join_to_their_document_and_none_is_too_long_or_too_short(context: int) -> None:
    documents = np.concatenate([np.arange(1, 5 * context), lognormal(1000)])
    pieces = cut(documents, context, shortest=32)
    ends = pieces.start + pieces.length
    first = np.concatenate([[True], np.diff(pieces.document) > 0])
    assert np.array_equal(pieces.document[first], np.arange(len(documents)))
    assert (pieces.start[first] == 0).all()
    assert np.array_equal(pieces.start[1:][~first[1:]], ends[:-1][~first[1:]])
    assert np.array_equal(ends[np.concatenate([first[1:], [True]])], documents)
    assert pieces.length.max() <= context
    assert (pieces.length >= np.minimum(documents, 32)[pieces.document]).all()


def test_a_document_that_fits_is_never_cut_and_a_long_one_as_seldom_as_possible() -> None:
    documents = np.arange(1, 3000)
    counts = np.bincount(cut(documents, 1022).document)
    assert np.array_equal(counts, -(-documents // 1022))


def test_a_short_rest_grows_to_an_eighth_of_a_row_at_the_cost_of_the_piece_before() -> None:
    assert cut([2058, 2044, 1030], 1024).length.tolist() == [1024, 906, 128, 1024, 1020, 902, 128]


def test_a_context_too_short_for_two_shortest_pieces_is_refused() -> None:
    assert cut([63], 63, shortest=32).length.tolist() == [63]
    with pytest.raises(PackError, match="longer context, with room for 63"):
        cut([10], 62, shortest=32)
