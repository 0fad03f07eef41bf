"""Texts -> every pair whose sets of word 5-grams have J >= `least`, exactly: the truth that tools are held to.

A word is what `re.split` at runs of non-word characters leaves of the text in lower case. The pairs come from an index
of shingles, rare ones first: two sets of J >= t share one of the rarest n - ceil(t * n) + 1 of each (prefix filtering,
Chaudhuri et al. 2006), so nothing is skipped and no common shingle is ever followed. Two different shingles count as
one where their 64-bit hashes are equal: one case in a million for 10^7 different ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt
from numba import njit

NGRAM = 5

Pairs = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64]]
"""(pairs,) one document, another, their similarity."""

_FOLD = np.uint64(0xFF51AFD7ED558CCD)  # the finalizer of MurmurHash3
_SHIFT = np.uint64(33)


@dataclass(frozen=True, kw_only=True)
class Sets:
    """Documents as sets of shingles."""

    sizes: npt.NDArray[np.int64]
    """(documents,)"""
    shared: npt.NDArray[np.int32]
    """Of each document the shingles that another one has too, as ranks: the rarer, the smaller; ascending."""
    bounds: npt.NDArray[np.int64]
    """(documents + 1,) where each one's begin in `shared`."""


def words(text: str) -> list[str]:
    return [word for word in re.split(r"\W+", text.lower()) if word]


def shingle_sets(texts: Iterable[str]) -> Sets:
    """The sets of all texts. Memory: some 30 bytes a shingle."""
    vocabulary: dict[str, int] = {}
    hashes, sizes = [], []
    for text in texts:
        ids = np.array([vocabulary.setdefault(word, len(vocabulary)) for word in words(text)], np.uint64)
        hashes.append(_distinct(_shingles(ids, NGRAM)))
        sizes.append(len(hashes[-1]))
    values = np.concatenate([np.empty(0, np.uint64), *hashes])
    del hashes
    owners = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    ranks = _ranks(values, np.argsort(values))
    wanted = ranks >= 0
    owners, ranks = owners[wanted], ranks[wanted]
    shared = ranks[np.lexsort((ranks, owners))]
    bounds = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(sizes)))]).astype(np.int64)
    return Sets(sizes=np.array(sizes, np.int64), shared=shared, bounds=bounds)


def similar(sets: Sets, least: float) -> Pairs:
    """All pairs of J >= `least`, of documents that have shingles."""
    by_size = np.argsort(sets.sizes, kind="stable").astype(np.int32)
    highest = int(sets.shared.max(initial=-1)) + 1
    a, b, overlap = _similar(sets.sizes, sets.shared, sets.bounds, by_size, highest, least)
    return a, b, overlap / (sets.sizes[a] + sets.sizes[b] - overlap)


@dataclass(frozen=True, kw_only=True)
class Score:
    recall: float
    """Share of the pairs of J >= .8 of which at most one document is kept."""
    justified: dict[float, float]
    """Least J -> the share of the removed documents that have a kept one with it."""
    removed: int


def score(kept: npt.NDArray[np.bool_], pairs: Pairs, least: Iterable[float] = (0.75, 0.8)) -> Score:
    """`kept`: (documents,) those that a tool keeps."""
    a, b, jaccard = pairs
    high = jaccard >= 0.8
    resolved = ~(kept[a[high]] & kept[b[high]])
    removed = ~kept
    justified = {}
    for threshold in least:
        near = jaccard >= threshold
        has = np.zeros(len(kept), np.bool_)
        for one, other in ((a[near], b[near]), (b[near], a[near])):
            has[one[kept[other]]] = True
        justified[threshold] = float(has[removed].mean()) if removed.any() else 1.0
    return Score(recall=float(resolved.mean()) if high.any() else 1.0, justified=justified, removed=int(removed.sum()))


@njit(cache=True)
def _shingles(ids: npt.NDArray[np.uint64], ngram: int) -> npt.NDArray[np.uint64]:
    out = np.empty(max(0, len(ids) - ngram + 1), np.uint64)
    for i in range(len(out)):
        value = np.uint64(0)
        for k in range(ngram):
            value = (value ^ (ids[i + k] + np.uint64(1))) * _FOLD
            value ^= value >> _SHIFT
        out[i] = value
    return out


@njit(cache=True)
def _distinct(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    ordered, n = np.sort(values), 0
    for i in range(len(ordered)):
        if i == 0 or ordered[i] != ordered[i - 1]:
            ordered[n] = ordered[i]
            n += 1
    return ordered[:n].copy()


def _ranks(values: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Each value's place among those that occur twice and more, the rarest first; -1 for one that occurs once."""
    starts, counts = _runs(values, order)
    rank = np.empty(len(starts), np.int32)
    rank[np.argsort(counts, kind="stable")] = np.arange(len(starts), dtype=np.int32)
    out = np.full(len(values), -1, np.int32)
    _spread(order, starts, counts, rank, out)
    return out


@njit(cache=True)
def _runs(
    values: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Where runs of two and more equal values begin in the order, and how long they are."""
    starts, counts = np.empty(len(order) // 2, np.int64), np.empty(len(order) // 2, np.int32)
    n, begin = 0, 0
    for i in range(1, len(order) + 1):
        if i == len(order) or values[order[i]] != values[order[begin]]:
            if i - begin > 1:
                starts[n], counts[n] = begin, i - begin
                n += 1
            begin = i
    return starts[:n], counts[:n]


@njit(cache=True)
def _spread(
    order: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int32],
    rank: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
) -> None:
    for run in range(len(starts)):
        for i in range(starts[run], starts[run] + counts[run]):
            out[order[i]] = rank[run]


@njit(cache=True)
def _prefix(size: int, share: float, unshared: int) -> int:
    """How many of the shared shingles belong to the rarest size - ceil(share * size) + 1 of all; those of one document
    are the rarest."""
    return size - ceil(share * size - 1e-9) + 1 - unshared


@njit(cache=True)
def _similar(
    sizes: npt.NDArray[np.int64],
    shared: npt.NDArray[np.int32],
    bounds: npt.NDArray[np.int64],
    by_size: npt.NDArray[np.int32],
    ranks: int,
    least: float,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Each document asks the index of those not larger than itself, then enters it."""
    smaller = 2 * least / (1 + least)  # of the smaller one's size, what two sets of equal size must share
    heads = np.zeros(ranks + 1, np.int64)
    for d in by_size:
        held = bounds[d + 1] - bounds[d]
        for i in range(min(held, max(0, _prefix(sizes[d], smaller, sizes[d] - held)))):
            heads[shared[bounds[d] + i] + 1] += 1
    heads = np.cumsum(heads)
    tails, index = heads[:-1].copy(), np.empty(heads[-1], np.int32)
    heads = heads[:-1].copy()
    seen = np.full(len(sizes), -1, np.int32)
    candidates = np.empty(len(sizes), np.int32)
    first, second, overlaps, n = np.empty(1024, np.int32), np.empty(1024, np.int32), np.empty(1024, np.int64), 0
    for d in by_size:
        mine = shared[bounds[d] : bounds[d + 1]]
        unshared = sizes[d] - len(mine)
        found = 0
        for i in range(min(len(mine), max(0, _prefix(sizes[d], least, unshared)))):
            r = mine[i]
            while heads[r] < tails[r] and sizes[index[heads[r]]] < least * sizes[d] - 1e-9:
                heads[r] += 1  # too small for this one and for all that come
            for p in range(heads[r], tails[r]):
                other = index[p]
                if seen[other] != d:
                    seen[other] = d
                    candidates[found] = other
                    found += 1
        for c in range(found):
            other = candidates[c]
            needed = least / (1 + least) * (sizes[d] + sizes[other]) - 1e-9
            overlap = _overlap(mine, shared[bounds[other] : bounds[other + 1]], needed)
            if overlap >= needed:
                if n == len(first):
                    first, second = np.append(first, first), np.append(second, second)
                    overlaps = np.append(overlaps, overlaps)
                first[n], second[n], overlaps[n] = other, d, overlap
                n += 1
        for i in range(min(len(mine), max(0, _prefix(sizes[d], smaller, unshared)))):
            index[tails[mine[i]]] = d
            tails[mine[i]] += 1
    return first[:n], second[:n], overlaps[:n]


@njit(cache=True)
def _overlap(a: npt.NDArray[np.int32], b: npt.NDArray[np.int32], needed: float) -> int:
    """Elements that two ascending sets share, or fewer as soon as it is sure to be below `needed`."""
    i = j = shared = 0
    while i < len(a) and j < len(b) and shared + min(len(a) - i, len(b) - j) >= needed:
        x, y = a[i], b[j]
        shared += x == y
        i += x <= y
        j += y <= x
    return shared
