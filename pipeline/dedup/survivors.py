"""Who stays: the first in canonical order of all that are equal, and of all that are truly similar.

Documents stand under numbers in canonical order, so "earlier" is "preferred", and no result depends on files or units.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.dedup.candidates import Pairs
from pipeline.dedup.ordering import Places, repeated

Numbers = npt.NDArray[np.int32]
"""Documents by number. 4 bytes a document: some 2,000 million of them."""

Hashes = npt.NDArray[np.uint64]

KEPT = -1
"""Stands for "kept" where else the number of the document stands that is kept instead."""


def first_copies(hashes: Hashes, documents: npt.NDArray[np.uint32], earlier: int) -> Pairs:
    """The pairs (copy, first equal document), for copies from `earlier` on; not in order.

    hashes     (documents, 2) halves of 128-bit hashes
    documents  (documents,) their numbers
    """
    order = repeated(np.ascontiguousarray(hashes[:, 0]))
    out = np.empty(len(hashes), np.uint64)
    return out[: _first_copies(hashes, documents, order, earlier, out)].copy()


@njit(cache=True)
def _first_copies(hashes: Hashes, documents: npt.NDArray[np.uint32], order: Places, earlier: int, out: Pairs) -> int:
    begin, n, found = 0, len(order), 0
    for i in range(1, n + 1):
        if i < n and hashes[order[i], 0] == hashes[order[begin], 0]:
            continue
        if i - begin > 1:
            members = order[begin:i]
            members = members[np.argsort(documents[members])]
            originals = members[:1].copy()  # nearly always the only one: 64 bits are equal, so 128 are
            for one in members[1:]:
                known = False
                for original in originals:
                    if hashes[original, 1] == hashes[one, 1]:
                        known = True
                        if documents[one] >= earlier:
                            out[found] = np.uint64(documents[one]) << np.uint64(32) | np.uint64(documents[original])
                            found += 1
                        break
                if not known:
                    originals = np.append(originals, one)
        begin = i
    return found


@njit(cache=True)
def decide(pairs: Pairs, found: npt.NDArray[np.float64], instead: Numbers, similarity: npt.NDArray[np.float64]) -> None:
    """Greedy in canonical order: a document goes if and only if a kept earlier one has J >= threshold with it.

        pairs       (pairs,) of J >= threshold, sorted by (later, earlier)
        found       (pairs,) J of each
        instead     (documents,) filled in: the first such kept document; else as it was, `KEPT`
        similarity  (documents,) filled in: J with it

    There is no chain: of A~B~C where A and C differ, B goes and C stays.
    """
    for n in range(len(pairs)):
        a, b = np.int64(pairs[n] & np.uint64(0xFFFFFFFF)), np.int64(pairs[n] >> np.uint64(32))
        if instead[a] == KEPT and instead[b] == KEPT:
            instead[b], similarity[b] = a, found[n]


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


def settle(instead: Numbers, similarity: npt.NDArray[np.float64], copies: Pairs) -> npt.NDArray[np.uint8]:
    """Enter the copies: one of a document that resembles a kept one goes for the same reason as that document.

    instead, similarity   as `decide` left them, changed in place; similarity is 1 where texts are equal
    copies                (copy, first equal document), sorted
    ->                    (documents,) 1 where the reason is that it resembles a kept one

    """
    copy, original = copies >> np.uint64(32), copies & np.uint64(0xFFFFFFFF)
    near: npt.NDArray[np.uint8] = (instead != KEPT).astype(np.uint8)
    near[copy] = near[original]
    similar = near[original] == 1
    similarity[copy] = np.where(similar, similarity[original], 1.0)
    instead[copy] = np.where(similar, instead[original], original.astype(np.int32))
    return near
