"""Words with their counts -> the merges of a byte-level BPE, the same as `tokenizers`' BpeTrainer learns from them.

Always the most frequent pair of neighbours is merged next, wherever it stands; of equally frequent ones that with the
smaller first id, then second id. Counts are sums over words, so no order of words, files or tasks is part of it.

Each byte of a word is a cell. A token lies over the cells of its bytes and is written in the first and the last, so
both neighbours are found without pointers. The places of a pair are a doubly linked list through the cells: a merge
touches its own places and their neighbours alone, and a word's length costs nothing. 16 bytes a cell, and 28 a pair
in a table at most two thirds full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.cells import NONE, gather, lay, merge_all, move, no_pairs, places_of, pop, push, size_of


class Cells:
    """Words as tokens, and the pairs of neighbours in them."""

    def __init__(
        self, tokens: npt.NDArray[Any], offsets: npt.NDArray[np.int64], counts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int32],
    ) -> None:  # fmt: skip
        """Word w is tokens[offsets[w] : offsets[w + 1]] and occurs counts[w] times; `lengths` in bytes by id.

        Raises ValueError for a count of 2**32 or more, and for words of 2 GB together: their cells have 31 bits.
        """
        self._lengths = lengths
        size = size_of(tokens, lengths) + len(counts) + 1
        if size >= 1 << 31 or counts.max(initial=0) >= 1 << 32:
            raise ValueError(f"{size} bytes of words, one {counts.max(initial=0)} times, are too many; sample less")
        self._ids, self._weights = np.full(size, -1, np.int32), np.empty(size, np.uint32)
        self._next, self._before = np.empty(size, np.int32), np.empty(size, np.int32)
        lay(tokens, offsets, counts, lengths, self._ids, self._weights)
        self._heap: Any = np.empty(1 << 16, np.int64), np.empty(1 << 16, np.uint64)
        self._sizes = np.zeros(2, np.int64)  # of the pairs, of the heap
        self._number = 0
        room = 1 << 17
        while True:
            self._pairs: Any = no_pairs(room)
            self._sizes[0] = 0
            cells = self._ids, lengths, self._weights, self._next, self._before
            if gather(*(*cells, *self._pairs, self._sizes)):
                break
            room *= 2
        keys, sums = self._pairs[:2]
        found = np.flatnonzero(keys != NONE)
        self._push(keys[found], sums[found])

    def most_frequent(self) -> tuple[int, int] | None:
        """The pair to merge next, or None when no two tokens are neighbours any more."""
        key = pop(*(*self._heap, self._sizes, *self._pairs))
        return None if key == NONE else (int(key) >> 32, int(key) & 0xFFFFFFFF)

    def merge(self, first: int, second: int, to: int) -> int:
        """Put the token `to` wherever `first` is followed by `second` -> how many places there were."""
        if to >= len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.zeros(max(1024, to), np.int32)])
        self._lengths[to] = self._lengths[first] + self._lengths[second]
        key = np.uint64(first << 32 | second)
        most = 2 * min(places_of(key, *self._pairs), to + 2)
        self._make_room(most)
        fresh = np.empty(most, np.int64)
        self._number += 1
        cells = self._lengths, self._ids, self._weights, self._next, self._before
        merged, changed = merge_all(*(key, to, self._number, *cells, *self._pairs, self._sizes, fresh))
        keys, sums = self._pairs[:2]
        fresh = fresh[:changed]
        self._push(keys[fresh], sums[fresh])
        return int(merged)

    def _make_room(self, more: int) -> None:
        """Room for more pairs; those that stand nowhere and never did again go on the way."""
        if 3 * (self._sizes[0] + more) > 2 * len(self._pairs[0]):
            old = self._pairs
            living = int(np.count_nonzero((old[0] != NONE) & (old[1] > 0)))
            room = len(old[0])
            while 2 * (living + more) > room:
                room *= 2
            self._pairs = no_pairs(room)
            self._sizes[0] = 0
            move(*(*old, *self._pairs, self._sizes))

    def _push(self, keys: npt.NDArray[np.uint64], sums: npt.NDArray[np.int64]) -> None:
        needed = int(self._sizes[1]) + len(keys)
        if needed > len(self._heap[0]):
            more = max(needed, 2 * len(self._heap[0])) - len(self._heap[0])
            self._heap = (
                np.concatenate([self._heap[0], np.empty(more, np.int64)]),
                np.concatenate([self._heap[1], np.empty(more, np.uint64)]),
            )
        push(*(keys, sums, *self._heap, self._sizes))


def learn(
    cells: Cells, texts: list[str], size: int, *, allowed: Callable[[str], bool] = lambda _: True
) -> dict[tuple[int, int], int]:
    """Merge until there are `size` tokens or nothing is left -> pair -> token, in order; `texts` of the ids grow.

    A pair whose text is a token already (`--` + `--` after `---` + `-`) becomes that token and adds none; one that
    was merged before and stands somewhere again moves to the end: so does `tokenizers`. A pair whose text is not
    `allowed` is passed over.
    """
    ids = {text: number for number, text in enumerate(texts)}
    merges: dict[tuple[int, int], int] = {}
    while len(texts) < size and (pair := cells.most_frequent()):
        text = texts[pair[0]] + texts[pair[1]]
        if not allowed(text):
            continue
        to = ids.get(text, len(texts))
        if not cells.merge(*pair, to):
            continue
        if to == len(texts):
            ids[text] = to
            texts.append(text)
        merges.pop(pair, None)
        merges[pair] = to
    return merges
