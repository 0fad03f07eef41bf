"""Numbers -> the same sorted, each once. `numpy.unique` (2.3 and later) hashes first and takes ten times as long."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

Number = TypeVar("Number", np.uint32, np.uint64)


def distinct(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The values of a one-dimensional array in order, each once; a new array."""
    ordered = np.sort(values)
    return ordered[: close_up(ordered)].copy()


@njit(cache=True)
def close_up(ordered: npt.NDArray[Any]) -> int:
    """Move the first of each run of equal values to the front; how many there are."""
    n = 0
    for i in range(len(ordered)):
        if n == 0 or ordered[i] != ordered[n - 1]:
            ordered[n] = ordered[i]
            n += 1
    return n
