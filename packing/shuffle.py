"""A key -> a random order that no release of NumPy can change, a part of it at a time."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Key = int | str | tuple[int | str, ...]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

ROUNDS = 6
"""Of the Feistel network: three for each half of the bits. Four make a permutation that nobody tells from a random
one by asking it at few places (Luby and Rackoff 1988); the other two are for the small halves that we have."""


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


class Feistel:
    """A keyed bijection of [0, n), asked only at some places.

    Each round changes one half of the bits that hold n - 1 by a table of random words that the other half chooses
    from. What lands at n or above goes round again (cycle walking: at most twice on average, as 2**bits < 2n).
    Memory: 48 bytes times the root of 2n at most, 2 MB for a thousand million places.
    """

    def __init__(self, n: int, *key: Key) -> None:
        bits = (n - 1).bit_length()
        self.n, self.shift = n, bits // 2
        sizes = [1 << self.shift, 1 << bits - self.shift]  # of the low half, of the high
        drawn = words(ROUNDS // 2 * sum(sizes), *key).view(np.int64)
        edges = np.cumsum(sizes * (ROUNDS // 2))[:-1]
        masks = [sizes[1] - 1, sizes[0] - 1]
        self._tables = [table & masks[i % 2] for i, table in enumerate(np.split(drawn, edges))]

    def __call__(self, places: Ints) -> Ints:
        """Places in [0, n), (N,) -> where each goes, (N,)."""
        x = self._round(places)
        while len(outside := np.flatnonzero(x >= self.n)):
            x[outside] = self._round(x[outside])
        return x

    def _round(self, x: Ints) -> Ints:
        high, low = x >> self.shift, x & ((1 << self.shift) - 1)
        for by_low, by_high in zip(self._tables[::2], self._tables[1::2], strict=True):
            high ^= by_low[low]
            low ^= by_high[high]
        return (high << self.shift) | low


class Draws:
    """Endless draws from n rows: draw k -> (epoch, row), where each epoch is a permutation of all rows.

    Per epoch: chunks of consecutive rows are permuted, then the rows inside a window of chunks, and all is turned by a
    keyed offset, so that the edges of chunks differ. Fewer rows than a chunk are left over at the end and join the
    last window. Nothing is made for rows that are not asked for but the chunks of their window; two of these are kept.
    """

    def __init__(self, rows: int, chunk: int, window: int, *key: Key) -> None:
        """chunk: rows that stay side by side; window: chunks whose rows are mixed with each other."""
        self.rows, self.chunk, self.window = rows, max(1, min(chunk, rows)), window
        self.chunks = rows // self.chunk
        self.last = max(0, self.chunks // window - 1)
        self.key = key
        self._epoch = lru_cache(maxsize=2)(self._epoch_of)
        self._window = lru_cache(maxsize=2)(self._window_of)

    def take(self, first: int, last: int) -> tuple[Ints, Ints]:
        """Draws first ... last-1 -> epoch and row of each, (last - first,)."""
        epochs, rows = np.empty(last - first, np.int64), np.empty(last - first, np.int64)
        width, at = self.chunk * self.window, first
        while at < last:
            epoch, place = divmod(at, self.rows)
            window = min(place // width, self.last)
            end = self.rows if window == self.last else (window + 1) * width
            part = slice(at - first, min(at + end - place, last) - first)
            places = np.arange(place, place + part.stop - part.start) - window * width
            epochs[part], rows[part] = epoch, self._shuffled(epoch, window, places)
            at = first + part.stop
        return epochs, rows

    def _shuffled(self, epoch: int, window: int, places: Ints) -> Ints:
        """The rows at some places of a window."""
        offset, _ = self._epoch(epoch)
        starts, shuffle = self._window(epoch, window)
        which, within = np.divmod(shuffle(places), self.chunk)
        rows = starts[which] + within + offset
        return np.where(rows < self.rows, rows, rows - self.rows)

    def _epoch_of(self, epoch: int) -> tuple[int, Feistel]:
        """The offset and the permutation of the chunks."""
        (word,) = words(1, "offset", *self.key, epoch).tolist()
        return word % self.rows, Feistel(self.chunks, "chunks", *self.key, epoch)

    def _window_of(self, epoch: int, window: int) -> tuple[Ints, Feistel]:
        """The first row of each chunk of a window, and the permutation of the rows in it."""
        first = window * self.window
        last = self.chunks if window == self.last else first + self.window
        _, shuffle = self._epoch(epoch)
        starts = shuffle(np.arange(first, last)) * self.chunk
        size = self.chunk * len(starts)
        if window == self.last and (left := self.rows - self.chunks * self.chunk):
            starts, size = np.append(starts, self.chunks * self.chunk), size + left
        return starts, Feistel(size, "window", *self.key, epoch, window)
