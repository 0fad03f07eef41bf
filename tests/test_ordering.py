"""Hashes come out in the order numpy gives them, whatever they look like."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.dedup.ordering import BITS, FEW, ordered, repeated


def hashes(shape: str, size: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    generator = np.random.default_rng(size)
    drawn = generator.integers(0, 2**64, size, np.uint64)
    if shape == "one large run":
        drawn[: size // 2] = drawn[:1]
    if shape == "equal first bits":
        drawn >>= np.uint64(2 * BITS + 9)
    if shape == "few values":
        drawn %= np.uint64(7)
    return generator.permutation(drawn)


@pytest.mark.parametrize("size", [0, 1, 2, FEW, FEW + 1, 500, 30_000])
@pytest.mark.parametrize("shape", ["hashes", "one large run", "equal first bits", "few values"])
def test_the_order_is_that_of_a_stable_sort_and_the_input_stays(shape: str, size: int) -> None:
    given = hashes(shape, size)
    before = given.copy()
    assert ordered(given).tolist() == np.argsort(given, kind="stable").tolist()
    again = repeated(given)
    assert np.array_equal(given, before)
    assert given[again].tolist() == sorted(given[again].tolist())
    values, counts = np.unique(given, return_counts=True)
    assert set(np.flatnonzero(np.isin(given, values[counts > 1])).tolist()) <= set(again.tolist())
    assert len(set(again.tolist())) == len(again)


def test_most_of_what_stands_there_once_is_left_out() -> None:
    given = hashes("hashes", 100_000)
    assert len(repeated(given)) < 25_000
