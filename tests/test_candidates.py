"""Pairs are proposed by equal keys: all of them in small runs, a bounded number for each document in long ones."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from pipeline.dedup.candidates import BEFORE, FIRST, WIDE, Pairs, earlier, later, merge, propose, sort


def told(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(earlier(pairs).tolist(), later(pairs).tolist(), strict=True))


def numbered(size: int) -> npt.NDArray[np.uint32]:
    return np.arange(size, dtype=np.uint32)


def test_all_pairs_of_equal_keys_and_no_others_are_proposed() -> None:
    keys = np.random.default_rng(0).integers(0, 150, 1_000).astype(np.uint64)
    documents = numbered(1_000) * 3 + 5
    wanted = [
        (int(documents[a]), int(documents[b])) for a, b in itertools.combinations(range(1_000), 2) if keys[a] == keys[b]
    ]
    assert np.bincount(keys.astype(np.int64)).max() <= WIDE
    assert sorted(told(propose(keys, documents))) == sorted(wanted)


def test_a_long_run_pairs_each_document_with_the_first_ones_and_its_neighbours_only() -> None:
    size = 2_000
    keys = np.full(size, 7, np.uint64)
    pairs = told(sort([propose(keys, numbered(size))], size))
    wanted = {(a, b) for b in range(size) for a in (*range(min(b, FIRST)), *range(max(0, b - BEFORE), b))}
    assert set(pairs) == wanted
    assert len(pairs) == len(wanted) <= size * (FIRST + BEFORE)


def test_pairs_of_many_bands_come_once_in_the_order_in_which_they_are_decided() -> None:
    generator = np.random.default_rng(1)
    bands = [propose(generator.integers(0, 40, 300).astype(np.uint64), numbered(300)) for _ in range(4)]
    pairs = told(sort(bands, 300))
    assert told(merge([sort(bands[:2], 300), sort(bands[1:], 300)])) == pairs
    assert pairs == sorted(set(pairs), key=lambda pair: (pair[1], pair[0]))
    assert set(pairs) == {pair for band in bands for pair in told(band)}
    assert all(a < b for a, b in pairs)


def test_nothing_is_proposed_where_no_key_comes_twice() -> None:
    assert told(propose(numbered(50).astype(np.uint64), numbered(50))) == []
    assert told(propose(np.empty(0, np.uint64), numbered(0))) == []
    assert told(merge([])) == []
    assert told(sort([], 0)) == []


def test_what_an_earlier_band_proposed_is_left_out_and_nothing_else() -> None:
    generator = np.random.default_rng(2)
    for room in (1, 2, 64, 1 << 16):
        seen = np.zeros(room, np.uint64)
        keys = [generator.integers(0, 90, 900).astype(np.uint64) for _ in range(3)]
        bands = [propose(one, numbered(900)) for one in [*keys, *keys]]
        fewer = [propose(one, numbered(900), seen) for one in [*keys, *keys]]
        assert told(sort(fewer, 900)) == told(sort(bands, 900))
    assert sum(map(len, fewer)) < 0.8 * sum(map(len, bands))


def test_more_pairs_of_one_document_than_a_run_gives_are_sorted_too() -> None:
    generator = np.random.default_rng(3)
    later_ones, earlier_ones = generator.integers(900, 905, 4_000), generator.integers(0, 900, 4_000)
    pairs = later_ones.astype(np.uint64) << np.uint64(32) | earlier_ones.astype(np.uint64)
    assert told(sort([pairs[:1_000], pairs[1_000:]], 905)) == told(np.unique(pairs))
