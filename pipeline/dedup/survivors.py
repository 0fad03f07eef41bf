"""Who stays: the first in canonical order of all that are equal, and of all that are truly similar.

Documents stand under numbers in canonical order, so "earlier" is "preferred", and no result depends on files or units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Numbers = npt.NDArray[np.int32]
"""Documents by number. 4 bytes a document: some 2,000 million of them."""

Hashes = npt.NDArray[np.uint64]
Bounds = npt.NDArray[np.int64]

KEPT = -1
"""Stands for "kept" where else the number of the document stands that is kept instead."""


def first_copies(hashes: Hashes) -> Numbers:
    """(documents, 2) halves of 128-bit hashes -> the first equal document of each, or `KEPT` for the first itself."""
    order = np.argsort(hashes[:, 0])
    out = np.full(len(hashes), KEPT, np.int32)
    _first_copies(hashes, order, out)
    return out


@njit(cache=True)
def _first_copies(hashes: Hashes, order: npt.NDArray[np.int64], out: Numbers) -> None:
    begin, n = 0, len(order)
    for i in range(1, n + 1):
        if i < n and hashes[order[i], 0] == hashes[order[begin], 0]:
            continue
        if i - begin > 1:
            members = np.sort(order[begin:i])
            originals = members[:1].copy()  # nearly always the only one: 64 bits are equal, so 128 are
            for document in members[1:]:
                for original in originals:
                    if hashes[original, 1] == hashes[document, 1]:
                        out[document] = original
                        break
                if out[document] == KEPT:
                    originals = np.append(originals, document)
        begin = i


def decide(
    later: Numbers, earlier: Numbers, sets: Hashes, bounds: Bounds, threshold: float
) -> tuple[Numbers, npt.NDArray[np.float64]]:
    """Greedy in canonical order: a document goes if and only if a kept earlier one has J >= threshold with it.

        later, earlier   (pairs,)  candidates, sorted by (later, earlier)
        sets, bounds     the shingle set of document d is sets[bounds[d, 0] : bounds[d, 1]], sorted, each once
        ->               (documents,) the first such kept document, or `KEPT`; (documents,) J with it, or 0

    There is no chain: of A~B~C where A and C differ, B goes and C stays. A pair is compared only while its earlier
    document is kept and its later one has not gone, so a million copies of one page cost a million comparisons.
    """
    instead = np.full(len(bounds), KEPT, np.int32)
    similarity = np.zeros(len(bounds), np.float64)
    _decide(later, earlier, sets, bounds, threshold, instead, similarity)
    return instead, similarity


@njit(cache=True)
def _decide(
    later: Numbers,
    earlier: Numbers,
    sets: Hashes,
    bounds: Bounds,
    threshold: float,
    instead: Numbers,
    similarity: npt.NDArray[np.float64],
) -> None:
    for pair in range(len(later)):
        a, b = earlier[pair], later[pair]
        if instead[a] == KEPT and instead[b] == KEPT:
            found = jaccard(sets[bounds[a, 0] : bounds[a, 1]], sets[bounds[b, 0] : bounds[b, 1]], threshold)
            if found >= threshold:
                instead[b], similarity[b] = a, found


@njit(cache=True)
def jaccard(a: Hashes, b: Hashes, least: float) -> float:
    """|a and b| / |a or b| of two sorted sets; 0 at once where their sizes alone keep it below `least`."""
    if not len(a) or not len(b) or min(len(a), len(b)) / max(len(a), len(b)) < least:
        return 0.0
    i = j = shared = 0
    while i < len(a) and j < len(b):
        x, y = a[i], b[j]
        shared += x == y
        i += x <= y
        j += y <= x
    return shared / (len(a) + len(b) - shared)


@dataclass(frozen=True, slots=True)
class Removed:
    """The documents that go, ascending, and what stands for each."""

    documents: Numbers
    kept: Numbers
    near: npt.NDArray[np.bool_]
    """False where the texts are equal."""
    jaccard: npt.NDArray[np.float64]
    """1 where the texts are equal."""


def settle(copies: Numbers, near: Numbers, similarity: npt.NDArray[np.float64]) -> Removed:
    """Join both kinds. A copy of a document that resembles a kept one goes for the same reason as that document.

    copies      (documents,) first equal document, or `KEPT`
    near        (documents,) kept similar document, or `KEPT`; similarity: J with it
    """
    original = np.where(copies == KEPT, np.arange(len(copies), dtype=np.int32), copies)
    instead = np.where(near[original] == KEPT, copies, near[original])
    documents = np.flatnonzero(instead != KEPT).astype(np.int32)
    similar = near[original[documents]] != KEPT
    jaccard = np.where(similar, similarity[original[documents]], 1.0)
    return Removed(documents, instead[documents], similar, jaccard)
