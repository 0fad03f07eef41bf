"""The arrays behind merges.py: words as cells, pairs of neighbours in a hash table, and a heap of the frequent ones.

Arrays of cells: `ids` (-1 between words), `weights` (the word's count), and `after`, `before`: the next and last place
of the same pair, -1 for none. Arrays of pairs by slot: see `no_pairs`. `sizes` is [pairs in the table, pairs on
the heap]. Whoever calls has seen to it that there is room.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

NONE = np.uint64(0xFFFFFFFFFFFFFFFF)
"""The key of no pair."""

_STEP = np.uint64(0x9E3779B97F4A7C15)


def no_pairs(room: int) -> tuple[npt.NDArray[Any], ...]:
    """Of the pairs by slot: key (first id, second id), sum of the counts, first place, number of places, and the
    merge that last made the pair more frequent."""
    heads = np.full(room, -1, np.int32)
    return np.full(room, NONE), np.zeros(room, np.int64), heads, np.zeros(room, np.int32), np.zeros(room, np.int32)


@njit(cache=True)
def size_of(tokens: Any, lengths: Any) -> int:
    size = 0
    for token in tokens:
        size += lengths[token]
    return size


@njit(cache=True)
def lay(tokens: Any, offsets: Any, counts: Any, lengths: Any, ids: Any, weights: Any) -> None:
    """Fill the cells: a cell of -1 stands before each word and after the last."""
    at = 1
    for word in range(len(counts)):
        for k in range(offsets[word], offsets[word + 1]):
            size = lengths[tokens[k]]
            ids[at] = ids[at + size - 1] = tokens[k]
            weights[at] = counts[word]
            at += size
        at += 1


@njit(cache=True)
def gather(
    ids: Any, lengths: Any, weights: Any, after: Any, before: Any, keys: Any, sums: Any, heads: Any, places: Any,
    _: Any, sizes: Any,
) -> bool:  # fmt: skip
    """Find all pairs; False if there are too many for the table."""
    at = len(ids) - 2
    while at > 0:
        if ids[at] < 0:
            at -= 1
            continue
        token = ids[at]
        at -= lengths[token] - 1
        right = ids[at + lengths[token]]
        if right >= 0:
            if 3 * sizes[0] > 2 * len(keys):
                return False
            slot = _slot(_key(token, right), keys, sizes)
            sums[slot] += np.int64(weights[at])
            _link(at, slot, after, before, heads, places)
        at -= 1
    return True


@njit(cache=True, inline="always")
def _key(first: Any, second: Any) -> Any:
    return np.uint64(first) << np.uint64(32) | np.uint64(second)


@njit(cache=True)
def _slot(key: Any, keys: Any, sizes: Any) -> Any:
    """Where a pair stands in the table; put there if it was not."""
    mask = np.uint64(len(keys) - 1)
    slot = (key * _STEP) >> np.uint64(20) & mask
    while keys[slot] != key:
        if keys[slot] == NONE:
            keys[slot] = key
            sizes[0] += 1
            break
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@njit(cache=True)
def _find(key: Any, keys: Any) -> Any:
    """Where a pair stands in the table, -1 for nowhere."""
    mask = np.uint64(len(keys) - 1)
    slot = (key * _STEP) >> np.uint64(20) & mask
    while keys[slot] != key:
        if keys[slot] == NONE:
            return np.int64(-1)
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@njit(cache=True)
def _link(at: Any, slot: Any, after: Any, before: Any, heads: Any, places: Any) -> None:
    head = heads[slot]
    after[at], before[at] = head, -1
    if head >= 0:
        before[head] = at
    heads[slot] = at
    places[slot] += 1


@njit(cache=True)
def _unlink(at: Any, slot: Any, after: Any, before: Any, heads: Any, places: Any) -> None:
    if before[at] >= 0:
        after[before[at]] = after[at]
    else:
        heads[slot] = after[at]
    if after[at] >= 0:
        before[after[at]] = before[at]
    places[slot] -= 1


@njit(cache=True)
def places_of(key: Any, keys: Any, sums: Any, heads: Any, places: Any, merges: Any) -> int:
    slot = _find(key, keys)
    return places[slot] if slot >= 0 else 0


@njit(cache=True)
def merge_all(
    key: Any, to: Any, number: Any, lengths: Any, ids: Any, weights: Any, after: Any, before: Any,
    keys: Any, sums: Any, heads: Any, places: Any, merges: Any, sizes: Any, fresh: Any,
) -> tuple[int, int]:  # fmt: skip
    """Merge a pair wherever it stands -> (places, pairs that became more frequent, their slots in `fresh`).

    Of equal tokens in a run, the leftmost two are merged first. The pair's own sum is left as it is, but for
    overlaps: so does `tokenizers`, and by it a pair that comes back is merged at once.
    """
    first, second = np.int64(key >> np.uint64(32)), np.int64(key & np.uint64(0xFFFFFFFF))
    own, merged, changed = _find(key, keys), 0, 0
    if own < 0:
        return 0, 0
    while heads[own] >= 0:
        at = np.int64(heads[own])
        if first == second:
            while ids[at - 1] == first:
                at -= lengths[first]
        while True:
            middle = at + lengths[first]
            right = middle + lengths[second]
            weight = np.int64(weights[at])
            _unlink(at, own, after, before, heads, places)
            if ids[at - 1] >= 0:
                left = at - lengths[ids[at - 1]]
                slot = _find(_key(ids[left], first), keys)
                sums[slot] -= weight
                _unlink(left, slot, after, before, heads, places)
                slot = _slot(_key(ids[left], to), keys, sizes)
                sums[slot] += weight
                _link(left, slot, after, before, heads, places)
                if merges[slot] != number:
                    merges[slot], fresh[changed] = number, slot
                    changed += 1
            if ids[right] >= 0:
                slot = _find(_key(second, ids[right]), keys)
                sums[slot] -= weight
                _unlink(middle, slot, after, before, heads, places)
                slot = _slot(_key(to, ids[right]), keys, sizes)
                sums[slot] += weight
                _link(at, slot, after, before, heads, places)
                if merges[slot] != number:
                    merges[slot], fresh[changed] = number, slot
                    changed += 1
            ids[at] = ids[right - 1] = to
            merged += 1
            if first != second or ids[right] != first or ids[right + lengths[first]] != first:
                break
            at = right
    return merged, changed


@njit(cache=True)
def move(
    old_keys: Any, old_sums: Any, old_heads: Any, old_places: Any, old_merges: Any,
    keys: Any, sums: Any, heads: Any, places: Any, merges: Any, sizes: Any,
) -> None:  # fmt: skip
    for old in range(len(old_keys)):
        if old_keys[old] != NONE and old_sums[old] > 0:
            slot = _slot(old_keys[old], keys, sizes)
            sums[slot], heads[slot] = old_sums[old], old_heads[old]
            places[slot], merges[slot] = old_places[old], old_merges[old]


@njit(cache=True)
def push(new_keys: Any, new_sums: Any, counts: Any, keys: Any, sizes: Any) -> None:
    """Put pairs that stand somewhere on the heap."""
    for k in range(len(new_keys)):
        if new_sums[k] <= 0:
            continue
        at = sizes[1]
        sizes[1] += 1
        counts[at], keys[at] = new_sums[k], new_keys[k]
        while at > 0 and _ahead(at, (at - 1) // 2, counts, keys):
            up = (at - 1) // 2
            _swap(at, up, counts, keys)
            at = up


@njit(cache=True, inline="always")
def _ahead(a: Any, b: Any, counts: Any, keys: Any) -> bool:
    return bool(counts[a] > counts[b] or (counts[a] == counts[b] and keys[a] < keys[b]))


@njit(cache=True, inline="always")
def _swap(a: Any, b: Any, counts: Any, keys: Any) -> None:
    count, key = counts[a], keys[a]
    counts[a], keys[a] = counts[b], keys[b]
    counts[b], keys[b] = count, key


@njit(cache=True)
def pop(counts: Any, keys: Any, sizes: Any, pair_keys: Any, sums: Any, heads: Any, places: Any, merges: Any) -> Any:
    """The most frequent pair, off the heap. Counts on the heap are of when a pair was put there: an old one is
    brought up to date and sinks to where it belongs."""
    while sizes[1] > 0:
        count, key = counts[0], keys[0]
        slot = _find(key, pair_keys)
        now = sums[slot] if slot >= 0 else 0
        if now == count or now <= 0:
            sizes[1] -= 1
            counts[0], keys[0] = counts[sizes[1]], keys[sizes[1]]
        else:
            counts[0] = now
        at = 0
        while True:
            best = at
            for child in (2 * at + 1, 2 * at + 2):
                if child < sizes[1] and _ahead(child, best, counts, keys):
                    best = child
            if best == at:
                break
            _swap(at, best, counts, keys)
            at = best
        if now == count:
            return key
    return NONE
