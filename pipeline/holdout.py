"""Ids of documents -> which are kept for evaluation, and which of the others a context is packed from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def held_out(words: npt.NDArray[np.uint64], holdout: float) -> npt.NDArray[np.bool_]:
    """Whether each document is kept for evaluation: its id's second word (uint64) lies in the first `holdout` share."""
    held: npt.NDArray[np.bool_] = words < np.uint64(int(holdout * 2**64))
    return held


def trained_on(
    words: npt.NDArray[np.uint64], holdout: float, part: tuple[float, float] = (0.0, 1.0)
) -> npt.NDArray[np.bool_]:
    """Which documents belong to a part: bool (documents,). words: the second of each id's two, `id_words`.

    The first `holdout` share of all words is held out; parts share out the rest, so that each word is in one of
    them or held out, and `holdout` alone decides which documents are.
    """
    first, end = (int((holdout + (1 - holdout) * bound) * 2**64) for bound in part)
    inside: Any = words >= np.uint64(first)
    if part[1] < 1:
        inside &= words < np.uint64(end)
    found: npt.NDArray[np.bool_] = inside
    return found
