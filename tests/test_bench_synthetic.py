"""The documents by which growth is measured: shaped as real ones are, and one large cluster between them."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from bench.dedup.jaccard import shingle_sets, similar
from bench.dedup.real_signatures import Profile
from bench.dedup.synthetic import Synthetic

REAL, ROUNDS, STEP = 40, 5, 20
NUMBERS = np.arange(-(-REAL * ROUNDS * STEP // (STEP - 1)), dtype=np.int64)


@pytest.fixture
def made() -> Synthetic:
    """Of 40 real documents, five rounds; every twentieth is of the large cluster."""
    keys = np.arange(2 * REAL, dtype=np.uint64).reshape(REAL, 2)
    keys[1:4, 0], keys[10:12, 1] = keys[0, 0], keys[10, 1]
    exact = np.arange(2 * REAL, dtype=np.uint64).reshape(REAL, 2)
    exact[7] = exact[6]
    words = np.full(REAL, 100, np.int32)
    words[39] = 4
    instead = np.arange(REAL, dtype=np.int32)
    instead[1:3] = 0
    instead[7] = 6
    profile = Profile(keys=keys, exact=exact, words=words, bytes=np.full(REAL, 600), similar=instead)
    return Synthetic(profile=profile, documents=len(NUMBERS), step=STEP)


def buckets(keys: npt.NDArray[np.uint64]) -> Counter[int]:
    """Size of a bucket -> how many there are."""
    return Counter(np.unique(keys, return_counts=True)[1].tolist())


def test_every_round_has_the_buckets_of_the_real_documents_and_the_cluster_is_one_of_each_band(made: Synthetic) -> None:
    large = len(NUMBERS[::STEP])
    assert len(NUMBERS) - large == REAL * ROUNDS
    assert buckets(made.keys(NUMBERS, 0)) == {1: 36 * ROUNDS, 4: ROUNDS, large: 1}
    assert buckets(made.keys(NUMBERS, 1)) == {1: 38 * ROUNDS, 2: ROUNDS, large: 1}
    assert len(np.unique(made.keys(NUMBERS[::STEP], 0))) == 1


def test_texts_are_similar_exactly_where_the_real_ones_are_and_equal_where_those_are_equal(made: Synthetic) -> None:
    texts = made.texts(NUMBERS).to_pylist()
    a, _, jaccard = similar(shingle_sets(texts), 0.3)
    large = len(NUMBERS[::STEP])
    assert len(a) == 4 * ROUNDS + large * (large - 1) // 2
    assert Counter(np.round(jaccard, 3).tolist()) == {0.818: len(a) - ROUNDS, 1.0: ROUNDS}
    same = np.unique(made.exact(NUMBERS), axis=0, return_counts=True)[1]
    assert Counter(same.tolist()) == {1: len(NUMBERS) - 2 * ROUNDS, 2: ROUNDS}
    assert len(set(texts)) == len(NUMBERS) - ROUNDS


def test_any_part_of_the_documents_is_the_same_as_in_the_whole(made: Synthetic) -> None:
    names = ["id", "bytes", "quality", "exact", "words", "band_00", "band_01"]
    whole, part = made.signature_columns(NUMBERS, names), made.signature_columns(NUMBERS[50:60], names)
    assert [column.slice(50, 10).to_pylist() for column in whole] == [column.to_pylist() for column in part]
    assert len(set(whole[0].to_pylist())) == len(NUMBERS)
    assert {len(id) for id in whole[0].to_pylist()} == {32}
    assert whole[5].null_count == ROUNDS
