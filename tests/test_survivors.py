"""Who stays follows from the canonical order and true similarity, without chains."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from pipeline.dedup.survivors import KEPT, decide, first_copies, jaccard, settle


def verdicts(sets: list[set[int]], pairs: list[tuple[int, int]], threshold: float) -> tuple[list[int], list[float]]:
    arrays = [np.array(sorted(one), np.uint64) for one in sets]
    ordered = sorted(pairs, key=lambda pair: (pair[1], pair[0]))
    found = [(a, b, jaccard(arrays[a], arrays[b], threshold)) for a, b in ordered]
    similar = [(b << 32 | a, j) for a, b, j in found if j >= threshold]
    instead, similarity = np.full(len(sets), KEPT, np.int32), np.zeros(len(sets))
    decide(np.array([p for p, _ in similar], np.uint64), np.array([j for _, j in similar]), instead, similarity)
    return instead.tolist(), similarity.tolist()


def test_in_a_chain_only_the_middle_goes() -> None:
    a, b, c = set(range(100)), set(range(5, 105)), set(range(15, 115))
    instead, similarity = verdicts([a, b, c], [(0, 1), (1, 2), (0, 2)], 0.8)
    assert instead == [KEPT, 0, KEPT]
    assert similarity == [0, 95 / 105, 0]


def test_a_similarity_equal_to_the_threshold_is_enough() -> None:
    a, b = {1, 2, 3, 4, 5}, {1, 2, 3, 4}
    assert verdicts([a, b], [(0, 1)], 0.8) == ([KEPT, 0], [0, 0.8])
    assert verdicts([a, b], [(0, 1)], 0.8000001)[0] == [KEPT, KEPT]


def test_verdicts_equal_the_greedy_rule_written_out_on_random_sets() -> None:
    dice = random.Random(3)
    sets: list[set[int]] = []
    for _ in range(120):
        base = (
            set(dice.choice(sets))
            if sets and dice.random() < 0.7
            else set(range(dice.randrange(10**6), 10**9, 31_000_000))
        )
        sets.append({x + 1 if dice.random() < 0.06 else x for x in base})
    pairs = list(itertools.combinations(range(120), 2))
    instead, similarity = verdicts(sets, pairs, 0.7)
    wanted: list[int] = []
    for b in range(120):
        hits = [a for a in range(b) if wanted[a] == KEPT and len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= 0.7]
        wanted.append(hits[0] if hits else KEPT)
    assert instead == wanted
    assert 10 < wanted.count(KEPT) < 110
    for b, a in enumerate(instead):
        assert similarity[b] == (0 if a == KEPT else len(sets[a] & sets[b]) / len(sets[a] | sets[b]))


@pytest.mark.parametrize(
    ("a", "b", "wanted"), [([], [], 0.0), ([1], [], 0.0), ([1], [2], 0.0), ([1, 2], [2, 3], 1 / 3)]
)
def test_jaccard_of_small_sets(a: list[int], b: list[int], wanted: float) -> None:
    assert jaccard(np.array(a, np.uint64), np.array(b, np.uint64), 0.0) == wanted


def test_the_first_of_equal_hashes_stays_also_where_only_half_of_the_hash_is_equal() -> None:
    high = [5, 5, 9, 5, 5, 9, 7, 5]
    low = [1, 2, 1, 1, 2, 1, 1, 3]
    hashes = np.array([high, low], np.uint64).T.copy()
    for numbers in ([0, 1, 2, 3, 4, 5, 6, 7], [7, 3, 5, 6, 2, 4, 0, 1]):
        documents = np.array(numbers, np.uint32)
        wanted = {tuple(sorted((numbers[a], numbers[b]))) for a, b in ((0, 3), (1, 4), (2, 5))}
        pairs = first_copies(hashes, documents, 0)
        assert {(int(pair & 0xFFFFFFFF), int(pair >> 32)) for pair in pairs.tolist()} == wanted
        late = {pair for pair in wanted if pair[1] >= 5}
        assert 0 < len(first_copies(hashes, documents, 5)) == len(late)
    assert first_copies(np.empty((0, 2), np.uint64), np.empty(0, np.uint32), 0).tolist() == []


def test_a_copy_of_a_removed_document_goes_where_that_goes() -> None:
    instead, similarity = np.array([KEPT, 0, KEPT, KEPT, KEPT], np.int32), np.array([0, 0.9, 0, 0, 0])
    near = settle(instead, similarity, np.array([2 << 32 | 1, 3 << 32 | 0], np.uint64))
    assert instead.tolist() == [KEPT, 0, 0, 0, KEPT]
    assert near.tolist() == [0, 1, 1, 0, 0]
    assert similarity.tolist() == [0, 0.9, 0.9, 1.0, 0]
