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

from pipeline.dedup.ordering import Places, repeated

Pairs = npt.NDArray[np.uint64]
"""Later document << 32 | earlier document; sorted and each once, so it stands in the order in which it is decided."""

WIDE, FIRST, BEFORE = 32, 8, 8

NUMBER = np.uint64(0xFFFFFFFF)
"""Mask of the earlier document; also the most documents that can be told apart."""

_HALF, _GOLDEN = np.uint64(32), np.uint64(0x9E3779B97F4A7C15)


def propose(
    keys: npt.NDArray[np.uint64], documents: npt.NDArray[np.uint32], seen: Pairs | None = None
) -> Pairs:  # fmt: skip
    """The pairs of `documents` whose `keys` are equal; not yet each once.

    `seen` (a power of two of zeros at first) remembers pairs from band to band, so that most of those that several
    bands propose are given once and need not be sorted.
    """
    order = repeated(keys)
    starts = _runs(keys, order)
    out = np.empty(_count(starts), np.uint64)
    return out[: _fill(order, documents, starts, np.zeros(1, np.uint64) if seen is None else seen, out)]


def merge(pairs: list[Pairs]) -> Pairs:
    """Sorted pairs of several units -> sorted, each once. (A stable sort merges what is sorted in parts.)"""
    ordered = np.sort(joined(pairs), kind="stable")
    return ordered[: _close_up(ordered)].copy()


def sort(pairs: list[Pairs], documents: int) -> Pairs:
    """Pairs of several bands in any order -> sorted, each once; `documents`: all numbers are below it.

    They are counted by their later document, of which each has a few: three times as fast as comparing all.
    """
    begins = np.zeros(documents + 2, np.int64)
    for one in pairs:
        _count_later(one, begins)
    np.cumsum(begins, out=begins)
    ordered = np.empty(begins[-1], np.uint64)
    for one in pairs:
        _place(one, begins, ordered)
    return ordered[: _sort_each(begins, ordered)].copy()


def joined(pairs: list[Pairs]) -> Pairs:
    return np.concatenate([np.empty(0, np.uint64), *pairs])


def pairs_from(later: int) -> np.uint64:
    """What the pairs of this later document, and of those after it, are not less than."""
    return np.uint64(later << 32)


def earlier(pairs: Pairs) -> npt.NDArray[np.uint32]:
    return (pairs & NUMBER).astype(np.uint32)


def later(pairs: Pairs) -> npt.NDArray[np.uint32]:
    return (pairs >> _HALF).astype(np.uint32)


@njit(cache=True)
def _close_up(ordered: Pairs) -> int:
    """Move the first of each run of equal pairs to the front; how many there are."""
    n = 0
    for pair in ordered:
        if n == 0 or pair != ordered[n - 1]:
            ordered[n] = pair
            n += 1
    return n


@njit(cache=True)
def _count_later(pairs: Pairs, begins: npt.NDArray[np.int64]) -> None:
    for pair in pairs:
        begins[(pair >> _HALF) + np.uint64(2)] += 1


@njit(cache=True)
def _place(pairs: Pairs, begins: npt.NDArray[np.int64], out: Pairs) -> None:
    """Put each pair behind those of its later document; begins[d + 1] is where that one's next goes."""
    for pair in pairs:
        at = (pair >> _HALF) + np.uint64(1)
        out[begins[at]] = pair
        begins[at] += 1


@njit(cache=True)
def _sort_each(ends: npt.NDArray[np.int64], pairs: Pairs) -> int:
    """Sort the pairs of each later document and move them up, each once; how many are left."""
    n = 0
    for document in range(len(ends) - 1):
        begin, end = ends[document], ends[document + 1]
        if end - begin > WIDE:
            pairs[begin:end].sort()
        for k in range(begin + 1, end if end - begin <= WIDE else begin):
            one, at = pairs[k], k
            while at > begin and pairs[at - 1] > one:
                pairs[at], at = pairs[at - 1], at - 1
            pairs[at] = one
        for k in range(begin, end):
            if n == 0 or pairs[n - 1] != pairs[k]:
                pairs[n] = pairs[k]
                n += 1
    return n


@njit(cache=True)
def _runs(keys: npt.NDArray[np.uint64], order: Places) -> npt.NDArray[np.int64]:
    """Where runs of two and more equal keys begin and end: (runs, 2)."""
    out = np.empty((len(order) // 2, 2), np.int64)
    n, begin = 0, 0
    for i in range(1, len(order) + 1):
        if i == len(order) or keys[order[i]] != keys[order[begin]]:
            if i - begin > 1:
                out[n, 0], out[n, 1] = begin, i
                n += 1
            begin = i
    return out[:n]


@njit(cache=True)
def _count(runs: npt.NDArray[np.int64]) -> int:
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
    order: Places, documents: npt.NDArray[np.uint32], runs: npt.NDArray[np.int64], seen: Pairs,
    out: Pairs,
) -> int:  # fmt: skip
    n, shift, few = 0, 64, np.empty(WIDE, np.uint32)
    while 1 << (64 - shift) < len(seen):
        shift -= 1
    for r in range(len(runs)):
        a, b = runs[r, 0], runs[r, 1]
        members = few[: b - a] if b - a <= WIDE else documents[order[a:b]]
        if b - a > WIDE:
            members.sort()
        else:  # nearly all runs: no array is made for them
            for k in range(b - a):
                one, at = documents[order[a + k]], k
                while at and few[at - 1] > one:
                    few[at], at = few[at - 1], at - 1
                few[at] = one
        first = len(members) if len(members) <= WIDE else FIRST
        for k in range(len(members)):
            high = np.uint64(members[k]) << _HALF
            for begin, end in ((0, min(k, first)), (max(first, k - BEFORE), k)):
                for m in range(begin, end):
                    pair = high | np.uint64(members[m])
                    slot = (pair * _GOLDEN) >> np.uint64(shift) if shift < 64 else np.uint64(0)
                    if seen[slot] != pair:
                        seen[slot] = pair
                        out[n] = pair
                        n += 1
    return n
