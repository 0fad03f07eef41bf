"""A set of numbers knows its members in order, and the place of each."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.dedup.members import Members


@pytest.mark.parametrize("bound", [1, 63, 64, 65, 5_000])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.6, 3.0])
def test_members_and_their_places_are_those_numpy_finds(bound: int, share: float) -> None:
    drawn = np.random.default_rng(bound).integers(0, bound, (2, int(bound * share)), np.uint32)
    found = Members.of(bound, *drawn)
    wanted = np.unique(drawn)
    assert found.numbers().tolist() == wanted.tolist()
    assert len(found) == len(wanted)
    for some in drawn:
        assert found.places(some).tolist() == np.searchsorted(wanted, some).tolist()


def test_the_ends_of_words_are_members_too() -> None:
    numbers = np.array([0, 63, 64, 127, 128, 191], np.uint32)
    found = Members.of(192, numbers)
    assert found.numbers().tolist() == numbers.tolist()
    assert found.places(numbers[::-1].copy()).tolist() == [5, 4, 3, 2, 1, 0]
    assert len(Members.of(0)) == 0
