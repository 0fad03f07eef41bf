"""UTF-8 bytes -> the sum of the vectors of what fastText sees in them: words, their subwords, runs of words.

A word ends at a space, tab, line break or NUL. Here a line break is a space: a document is one line, and the end
of the line stands once, after its last word. The sums of frequent words are kept, so that a language's common
words cost one addition; a sum is the same whether it was kept or not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.fasttext_file import ModelFile, Vectors
from pipeline.filters.vocabulary import BASIS, LOW, PRIME, entry_of, hash_bytes, indexed, is_label, ranked, row_of

_RUN = np.uint64(116049371)
_ROWS = 1024  # rows that are gathered before they are added
_END = np.frombuffer(b"</s>", np.uint8)
_END_KEY = np.uint64(int.from_bytes(b"</s>", "big"))
_SPACE = np.isin(np.arange(256), [0, 9, 10, 11, 12, 13, 32])
_KEPT = 4 << 20
"""Bytes of kept sums: from 4 MB on (65,536 words of lid.176) web pages go as fast as with 16 MB."""
_LONGEST = 16
"""Bytes of the longest word that is kept."""


class Net(NamedTuple):
    """What the words of a text are looked up in."""

    table: npt.NDArray[np.int32]
    """vocabulary.indexed"""
    names: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]
    words: int
    word_ngrams: int
    minn: int
    maxn: int
    bucket: int
    bits: npt.NDArray[np.uint64]
    """(bucket / 64) which hashed numbers were kept when the model was pruned; empty: all."""
    ranks: npt.NDArray[np.uint32]
    """(bucket / 64) how many were kept before: the row of a number is its rank, and all this fits into a cache."""
    vectors: Vectors


class Kept(NamedTuple):
    """The sums of words seen before; the last row is room for a word that is not kept."""

    keys: npt.NDArray[np.uint64]
    """(slots, 2) the bytes of the word."""
    hashes: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.int64]
    """Vectors in the sum; -1: it is a label, and counts as no word."""
    sums: npt.NDArray[np.float32]


class Bag:
    """A model's first half."""

    def __init__(self, file: ModelFile) -> None:
        bits, ranks, vectors = ranked(file)
        self.net = Net(
            table=indexed(file), names=file.names, places=file.places, words=file.words, word_ngrams=file.word_ngrams,
            minn=file.minn, maxn=file.maxn, bucket=file.bucket, bits=bits, ranks=ranks,
            vectors=vectors,
        )  # fmt: skip
        self.dim = file.output.shape[1]
        slots = 1 << max(8, (_KEPT // (4 * self.dim)).bit_length() - 1)
        self._kept = Kept(
            np.zeros((slots + 1, 2), np.uint64), np.empty(slots + 1, np.uint64), np.zeros(slots + 1, np.int64),
            np.empty((slots + 1, self.dim), np.float32),
        )  # fmt: skip

    def sums(
        self, data: npt.NDArray[np.uint8], begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], window: int = 0
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Of each document data[begins[d] : ends[d]], row by row: its windows, and what the end of the line adds.

        A window ends with the first word that ends `window` bytes or more after its beginning; 0: one window.

            sums    (rows, dim)      vectors = (rows,) how many they are of; bytes = (rows,) of the window
            first   (documents + 1)  the rows of document d are first[d] : first[d + 1], the last that of the end
        """
        data = data.view()
        data.flags.writeable = False  # as Arrow's are: one kernel is compiled, not two
        sizes = ends - begins
        room = int((sizes // window).sum() if window else 0) + 2 * len(begins)
        sums, counts = np.zeros((room, self.dim), np.float32), np.zeros(room, np.int64)
        sizes_read, first = np.zeros(room, np.int64), np.zeros(len(begins) + 1, np.int64)
        word, rows = np.empty(int(sizes.max(initial=0)) + 2, np.uint8), np.empty(_ROWS, np.int64)
        _add_up(data, begins, ends, window, self.net, self._kept, word, rows, sums, counts, sizes_read, first)
        n = first[-1]
        return sums[:n], counts[:n], sizes_read[:n], first


@njit(cache=True)
def _add_rows(
    rows: Any, n: Any, plain: Any, codes: Any, centroids: Any, norms: Any, sums: Any, at: Any
) -> None:  # fmt: skip
    for k in range(n):
        row = rows[k]
        if len(codes) == 0:
            for d in range(sums.shape[1]):
                sums[at, d] += plain[row, d]
        else:
            width, norm = centroids.shape[2], norms[row]
            for part in range(len(centroids)):
                code = codes[row, part]
                for d in range(part * width, min((part + 1) * width, sums.shape[1])):
                    sums[at, d] += norm * centroids[part, code, d - part * width]


@njit(cache=True)
def _add_subwords(
    word: Any, size: Any, minn: Any, maxn: Any, bucket: Any, words: Any, bits: Any, ranks: Any,
    rows: Any, plain: Any, codes: Any, centroids: Any, norms: Any, sums: Any, at: Any,
) -> int:  # fmt: skip
    """Add the character n-grams of word[:size], which stands between < and >; how many there were."""
    n, total = 0, 0
    for begin in range(size):
        if word[begin] & 0xC0 == 0x80:
            continue
        h, i, characters = BASIS, begin, 0
        while i < size and characters < maxn:
            h = ((h ^ np.uint64(np.int8(word[i]))) * PRIME) & LOW
            i += 1
            while i < size and word[i] & 0xC0 == 0x80:
                h = ((h ^ np.uint64(np.int8(word[i]))) * PRIME) & LOW
                i += 1
            characters += 1
            if characters < minn or (characters == 1 and (begin == 0 or i == size)):
                continue
            row = row_of(h % bucket, words, bits, ranks)
            if row >= 0:
                rows[n] = row
                n += 1
                if n == len(rows):
                    _add_rows(rows, n, plain, codes, centroids, norms, sums, at)
                    total, n = total + n, 0
    _add_rows(rows, n, plain, codes, centroids, norms, sums, at)
    return total + n


@njit(cache=True)
def _add_runs(
    h: Any, runs: Any, before: Any, bucket: Any, words: Any, bits: Any, ranks: Any,
    rows: Any, plain: Any, codes: Any, centroids: Any, norms: Any, sums: Any, at: Any,
) -> int:  # fmt: skip
    """Add the word n-grams that end with the word of hash h; runs[k] is the one that began k + 1 words ago."""
    n, signed = 0, np.uint64(np.int64(np.int32(h)))
    for k in range(min(before, len(runs))):
        runs[k] = runs[k] * _RUN + signed
        row = row_of(runs[k] % bucket, words, bits, ranks)
        if row >= 0:
            rows[0], n = row, n + 1
            _add_rows(rows, 1, plain, codes, centroids, norms, sums, at)
    for k in range(len(runs) - 1, 0, -1):
        runs[k] = runs[k - 1]
    runs[0] = signed
    return n


@njit(cache=True)
def _add_word(
    data: Any, a: Any, b: Any, h: Any, table: Any, names: Any, places: Any, words: Any, minn: Any, maxn: Any,
    bucket: Any, bits: Any, ranks: Any, word: Any, rows: Any,
    plain: Any, codes: Any, centroids: Any, norms: Any, sums: Any, at: Any,
) -> int:  # fmt: skip
    """Set sums[at] to the vectors of the word data[a:b]; how many there were, -1 for a label."""
    for d in range(sums.shape[1]):
        sums[at, d] = 0
    entry, n = entry_of(data, a, b, h, table, names, places), 0
    if entry >= words or (entry < 0 and is_label(data, a, b)):
        return -1
    if entry >= 0:
        rows[0], n = entry, 1
        _add_rows(rows, 1, plain, codes, centroids, norms, sums, at)
    if maxn > 0:
        size = b - a + 2
        word[0], word[size - 1] = 60, 62
        for k in range(size - 2):
            word[k + 1] = data[a + k]
        n += _add_subwords(
            word, size, minn, maxn, bucket, words, bits, ranks, rows, plain, codes, centroids, norms, sums, at
        )
    return n


@njit(cache=True)
def _add_up(
    data: Any, begins: Any, ends: Any, window: Any, net: Any, kept: Any, word: Any, rows: Any,
    sums: Any, counts: Any, sizes: Any, first: Any,
) -> None:  # fmt: skip
    table, names, places, words, word_ngrams, minn, maxn, divisor, bits, ranks, vectors = net
    plain, codes, centroids, norms = vectors  # arrays by themselves: those in tuples are counted at each call
    keys, hashes, known, kept_sums = kept
    bucket, spare, row = np.uint64(divisor), len(keys) - 1, 0
    mask, runs = np.uint64(spare - 1), np.zeros(max(1, word_ngrams - 1), np.uint64)
    for document in range(len(begins)):
        i, end, begin, before = begins[document], ends[document], begins[document], 0
        while True:
            while i < end and _SPACE[data[i]]:
                i += 1
            if i >= end:
                break
            a, low, high = i, np.uint64(0), np.uint64(0)
            while i < end and not _SPACE[data[i]]:
                high = high << np.uint64(8) | low >> np.uint64(56)
                low = low << np.uint64(8) | np.uint64(data[i])
                i += 1
            if low == _END_KEY and i - a == len(_END):
                break
            mixed = (low ^ (high * _RUN)) * np.uint64(0x9E3779B97F4A7C15)
            slot = np.int64((mixed >> np.uint64(32)) & mask) if i - a <= _LONGEST else spare
            if slot == spare or keys[slot, 0] != low or keys[slot, 1] != high:
                h = hash_bytes(data, a, i)
                keys[slot, 0], keys[slot, 1], hashes[slot] = low, high, h
                known[slot] = _add_word(
                    data, a, i, h, table, names, places, words, minn, maxn, bucket, bits, ranks,
                    word, rows, plain, codes, centroids, norms, kept_sums, slot,
                )  # fmt: skip
            if known[slot] < 0:
                continue
            counts[row] += known[slot]
            for d in range(sums.shape[1]):
                sums[row, d] += kept_sums[slot, d]
            if word_ngrams > 1:
                counts[row] += _add_runs(
                    hashes[slot], runs, before, bucket, words, bits, ranks,
                    rows, plain, codes, centroids, norms, sums, row,
                )  # fmt: skip
                before += 1
            if window and i - begin >= window:
                sizes[row], begin, row = i - begin, i, row + 1
        sizes[row] = i - begin
        row += 1
        h = hash_bytes(_END, 0, len(_END))
        entry = entry_of(_END, 0, len(_END), h, table, names, places)
        if 0 <= entry < words:
            rows[0], counts[row] = entry, 1
            _add_rows(rows, 1, plain, codes, centroids, norms, sums, row)
        if word_ngrams > 1:
            counts[row] += _add_runs(
                h, runs, before, bucket, words, bits, ranks, rows, plain, codes, centroids, norms, sums, row
            )
        row += 1
        first[document + 1] = row
