"""Sorted and each once, as `numpy.unique` has it."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.dedup.distinct import distinct


@pytest.mark.parametrize("size", [0, 1, 2, 500])
@pytest.mark.parametrize("most", [1, 100, 2**32])
def test_distinct_values_are_those_numpy_finds_and_the_input_stays(size: int, most: int) -> None:
    values = np.random.default_rng(size).integers(0, most, size, np.uint64)
    before = values.copy()
    assert distinct(values).tolist() == np.unique(values).tolist()
    assert values.tolist() == before.tolist()
    small = values.astype(np.uint32)
    assert distinct(small).tolist() == np.unique(small).tolist()
    assert distinct(small).dtype == np.uint32
