"""Many words looked for at once in a batch of texts: one pass over the bytes, whatever their number (Aho-Corasick)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit


class Keywords:
    """Words in lower-case ASCII, found in any case; none may end another one."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        paths: list[dict[int, int]] = [{}]
        ends: list[int] = [-1]
        for number, word in enumerate(self.words):
            state = 0
            for byte in word.encode():
                if byte not in paths[state]:
                    paths[state][byte] = len(paths)
                    paths.append({})
                    ends.append(-1)
                state = paths[state][byte]
            ends[state] = number
        self._next = np.zeros((len(paths), 256), np.uint16)
        self._ends = np.array(ends, np.int64)
        self._fill(paths)

    def _fill(self, paths: list[dict[int, int]]) -> None:
        """The state behind each state and byte: along the word, or along the longest word that this ends in."""
        fallback = [0] * len(paths)
        waiting = deque([0])
        while waiting:
            state = waiting.popleft()
            self._next[state] = self._next[fallback[state]] if state else 0
            for byte, target in paths[state].items():
                fallback[target] = int(self._next[state, byte])
                self._next[state, byte] = target
                if self._ends[target] < 0:
                    self._ends[target] = self._ends[fallback[target]]
                waiting.append(target)
        capitals = np.arange(ord("A"), ord("Z") + 1)
        self._next[:, capitals] = self._next[:, capitals + 32]

    def find(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], most: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(document, word, byte behind it) of the places where words stand in data[offsets[d] : offsets[d + 1]].

        Of each document the first `most` places.
        """
        room = int(offsets[-1] - offsets[0]) // 64 + 64
        found = np.empty((3, room), np.int64)
        count = _find(data, offsets, self._next, self._ends, most, found)
        if count > room:
            found = np.empty((3, count), np.int64)
            _find(data, offsets, self._next, self._ends, most, found)
        return found[0, :count], found[1, :count], found[2, :count]


@njit(cache=True)
def _find(data: Any, offsets: Any, following: Any, ends: Any, most: Any, found: Any) -> int:
    """Fill `found` as far as it goes; how many places there are."""
    n = 0
    for document in range(len(offsets) - 1):
        state = np.uint16(0)
        last = n + most
        for i in range(np.uint64(offsets[document]), np.uint64(offsets[document + 1])):  # unsigned: no check for < 0
            state = following[state, data[i]]
            word = ends[state]
            if word >= 0 and n < last:
                if n < found.shape[1]:
                    found[0, n], found[1, n], found[2, n] = document, word, np.int64(i) + 1
                n += 1
    return n
