"""The truth that the near-dedup bench holds tools to must itself be right: against every pair compared in Python."""

import random
from itertools import combinations

import numpy as np
import pytest

from bench.dedup.jaccard import NGRAM, score, shingle_sets, similar, words


def family(rng: random.Random) -> list[str]:
    """A text and copies of it, each with some words exchanged."""
    text = [rng.choice("abcdefghijklmnopqrstuvwxyz") * rng.randrange(1, 3) for _ in range(rng.randrange(3, 80))]
    changed = [[w if rng.random() > rate else f"new{rng.random()}" for w in text] for rate in (0, 0, 0.02, 0.05, 0.1)]
    return [", ".join(one) for one in (text, *changed)]


def jaccard(a: str, b: str) -> float:
    sets = [{tuple(one[i : i + NGRAM]) for i in range(len(one) - NGRAM + 1)} for one in map(words, (a, b))]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1]) if sets[0] | sets[1] else 0.0


@pytest.mark.parametrize("least", [0.3, 0.5, 0.8, 1.0])
def test_every_similar_pair_is_found_and_no_other(least: float) -> None:
    rng = random.Random(5)
    texts = [text for _ in range(12) for text in family(rng)]
    rng.shuffle(texts)
    a, b, found = similar(shingle_sets(texts), least)
    told = {(min(x, y), max(x, y)): j for x, y, j in zip(a.tolist(), b.tolist(), found.tolist(), strict=True)}
    expected = {(x, y): jaccard(texts[x], texts[y]) for x, y in combinations(range(len(texts)), 2)}
    assert told == pytest.approx({pair: j for pair, j in expected.items() if j >= least})
    assert len(told) == len(a) > 10


def test_a_word_is_what_stands_between_runs_of_other_characters() -> None:
    assert words("  Don't, Été_2!\n日本語 (x)") == ["don", "t", "été_2", "日本語", "x"]


def test_texts_without_a_shingle_are_similar_to_nothing() -> None:
    a, _, _ = similar(shingle_sets(["one two three", "one two three", "", "a b c d e", "a b c d e"]), 0.5)
    assert a.tolist() == [3]


def test_a_pair_is_resolved_if_one_of_it_goes_and_a_removal_justified_by_a_kept_neighbour_alone() -> None:
    pairs = (
        np.array([0, 1, 2], np.int32), np.array([1, 2, 3], np.int32), np.array([0.9, 0.85, 0.76])
    )  # fmt: skip
    kept = np.array([True, False, True, False, False])
    told = score(kept, pairs)
    assert told.recall == 1.0
    assert told.removed == 3
    assert told.justified == {0.75: pytest.approx(2 / 3), 0.8: pytest.approx(1 / 3)}
    assert score(np.array([True, True, False, False, True]), pairs).recall == 0.5
    assert score(np.array([True, False, False, True, True]), pairs).justified == {0.75: 1.0, 0.8: 0.5}
