"""The keys of one band -> the pairs of documents worth comparing, never more than `WIDE` for one document.

Documents stand under numbers in canonical order. In a run of up to `WIDE` documents of equal key every pair is
proposed. In a longer run a document is paired with the `FIRST` first of the run and the `BEFORE` just before it, so a
million copies of one page cost 16 million pairs and not half a million million. What this can miss: two documents far
apart in such a run that resemble each other but neither its first documents nor their neighbours, and that share none
of the shorter runs of the other bands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.dedup.distinct import distinct

Pairs = npt.NDArray[np.uint64]
"""Later document << 32 | earlier document; sorted and each once, so it stands in the order in which it is decided."""

WIDE, FIRST, BEFORE = 32, 8, 8

NUMBER = np.uint64(0xFFFFFFFF)
"""Mask of the earlier document; also the most documents that can be told apart."""

_HALF = np.uint64(32)


def propose(keys: npt.NDArray[np.uint64], documents: npt.NDArray[np.uint32]) -> Pairs:
    """The pairs of `documents` (ascending numbers) whose `keys` are equal; not yet each once."""
    order = np.argsort(keys)
    starts = _runs(keys, order)
    out = np.empty(_count(starts, len(keys)), np.uint64)
    _fill(order, documents, starts, out)
    return out


def merge(pairs: list[Pairs]) -> Pairs:
    """Pairs of several bands -> sorted, each once."""
    return distinct(np.concatenate(pairs)) if pairs else np.empty(0, np.uint64)


def earlier(pairs: Pairs) -> npt.NDArray[np.uint32]:
    return (pairs & NUMBER).astype(np.uint32)


def later(pairs: Pairs) -> npt.NDArray[np.uint32]:
    return (pairs >> _HALF).astype(np.uint32)


@njit(cache=True)
def _runs(keys: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where runs of two and more equal keys begin and end: (runs, 2)."""
    out = np.empty((len(keys) // 2, 2), np.int64)
    n, begin = 0, 0
    for i in range(1, len(keys) + 1):
        if i == len(keys) or keys[order[i]] != keys[order[begin]]:
            if i - begin > 1:
                out[n, 0], out[n, 1] = begin, i
                n += 1
            begin = i
    return out[:n]


@njit(cache=True)
def _count(runs: npt.NDArray[np.int64], documents: int) -> int:
    total = 0
    for r in range(len(runs)):
        size = runs[r, 1] - runs[r, 0]
        if size <= WIDE:
            total += size * (size - 1) // 2
        else:
            for k in range(size):
                total += min(k, FIRST) + max(0, min(k - FIRST, BEFORE))
    return total


@njit(cache=True)
def _fill(
    order: npt.NDArray[np.int64], documents: npt.NDArray[np.uint32], runs: npt.NDArray[np.int64], out: Pairs
) -> None:
    n = 0
    for r in range(len(runs)):
        members = np.sort(order[runs[r, 0] : runs[r, 1]])
        first = len(members) if len(members) <= WIDE else FIRST
        for k in range(len(members)):
            one = np.uint64(documents[members[k]]) << _HALF
            for m in range(min(k, first)):
                out[n] = one | np.uint64(documents[members[m]])
                n += 1
            for m in range(max(first, k - BEFORE), k):
                out[n] = one | np.uint64(documents[members[m]])
                n += 1
