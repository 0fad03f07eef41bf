"""A key -> a random order that no release of NumPy can change, as a whole or a window at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Key = int | str | tuple[int | str, ...]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


def words(n: int, *key: Key) -> Words:
    """n random uint64 that depend on `key` alone.

    Raw Philox words keyed by BLAKE2b: NumPy may change what its Generator's methods make of a seed (NEP 19),
    the raw words of a bit generator it may not.
    """
    digest = hashlib.blake2b(json.dumps(key).encode(), digest_size=16).digest()
    return np.random.Philox(key=int.from_bytes(digest, "little")).random_raw(n)


def permutation(n: int, *key: Key) -> Ints:
    """The numbers 0 … n-1 in the order of `key`; O(n log n)."""
    return np.argsort(words(n, *key), kind="stable")


def feistel(places: Ints, n: int, keys: Sequence[int]) -> Ints:
    """A keyed bijection of [0, n), asked only at `places`: O(1) memory for any n.

    Balanced Feistel rounds, one for each key, on the 2h bits that hold n - 1; what lands at n or above goes
    round again (cycle walking: at most 4 times on average, as 2**2h <= 4n).
    """
    half = max(1, (max(n - 1, 1).bit_length() + 1) // 2)
    shift, low = np.uint64(half), np.uint64((1 << half) - 1)
    x = places.astype(np.uint64)
    todo = np.arange(len(x))
    while len(todo):
        left, right = x[todo] >> shift, x[todo] & low
        for key in keys:
            left, right = right, left ^ (_mix(right, key) & low)
        x[todo] = (left << shift) | right
        todo = todo[x[todo] >= n]
    return x.astype(np.int64)


def _mix(x: Words, key: int) -> Words:
    """Scatter 64 bits; the multipliers are those of splitmix64 (Steele, Lea and Flood 2014)."""
    x = (x ^ np.uint64(key)) * np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x = x * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Draws:
    """Endless draws from n rows: draw k -> (epoch, row), where each epoch is a permutation of all rows.

    Per epoch: chunks of consecutive rows are permuted by a Feistel network, then the rows inside a window of
    chunks by Philox words, and all is turned by a keyed offset, so that the edges of chunks differ. Fewer
    rows than a chunk are left over at the end and join the last window. Memory: two windows.
    """

    def __init__(self, rows: int, chunk: int, window: int, *key: Key) -> None:
        """chunk: rows that stay side by side; window: chunks whose rows are mixed with each other."""
        self.rows, self.chunk, self.window = rows, max(1, min(chunk, rows)), window
        self.chunks = rows // self.chunk
        self.last = max(0, self.chunks // window - 1)
        self.key = key
        self._keys = lru_cache(maxsize=2)(self._keys_of)
        self._rows = lru_cache(maxsize=2)(self._rows_of)

    def get(self, draws: Ints) -> tuple[Ints, Ints]:
        """Rising draw numbers (N,) -> epoch and row of each, (N,)."""
        epoch, place = np.divmod(draws, self.rows)
        width = self.chunk * self.window
        window = np.minimum(place // width, self.last)
        row = np.empty(len(draws), np.int64)
        edges = (np.flatnonzero((np.diff(epoch) != 0) | (np.diff(window) != 0)) + 1).tolist()
        for a, z in zip([0, *edges], [*edges, len(draws)], strict=True):
            number = int(window[a])
            row[a:z] = self._rows(int(epoch[a]), number)[place[a:z] - number * width]
        return epoch, row

    def _keys_of(self, epoch: int) -> tuple[int, list[int]]:
        """The offset and six round keys of an epoch."""
        offset, *keys = words(7, "epoch", *self.key, epoch).tolist()
        return offset % self.rows, keys

    def _rows_of(self, epoch: int, window: int) -> Ints:
        """The rows of one window in reading order: chunk * window of them, up to twice that in the last."""
        first = window * self.window
        chunks = np.arange(first, self.chunks if window == self.last else first + self.window)
        offset, keys = self._keys(epoch)
        rows = (feistel(chunks, self.chunks, keys)[:, None] * self.chunk + np.arange(self.chunk)).ravel()
        if window == self.last:
            rows = np.concatenate([rows, np.arange(self.chunks * self.chunk, self.rows)])
        return ((rows + offset) % self.rows)[permutation(len(rows), "window", *self.key, epoch, window)]
