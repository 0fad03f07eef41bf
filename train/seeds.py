"""(key, row number, place) -> the seed of a token's dropout: the same in any batch and on any process."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from train.masking import Ints


def seeds_of(bounds: Ints, numbers: Ints, key: int) -> npt.NDArray[np.int32]:
    """(T,): a number for each token that depends on (key, number of its row, place in the row) alone."""
    of_row = _mixed(numbers.astype(np.uint64) ^ np.uint64(key))
    lengths = np.diff(bounds)
    places = np.arange(bounds[-1] - bounds[0]) - np.repeat(bounds[:-1] - bounds[0], lengths)
    drawn = _mixed(np.repeat(of_row, lengths) + places.astype(np.uint64))
    return (drawn >> np.uint64(32)).astype(np.uint32).view(np.int32)


def _mixed(h: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The mixing of SplitMix64 (Steele, Lea and Flood 2014)."""
    h = h + np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = h ^ (h >> np.uint64(31))
    return mixed
