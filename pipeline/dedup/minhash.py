"""Word hashes -> shingles -> minima of 32-bit multiply-add permutations -> one 64-bit key a band, in one pass.

Two documents share a band's key if all its minima are equal. A permutation's minimum is equal with probability J, the
Jaccard similarity of their sets of shingles, so with r rows and b bands a pair is proposed with 1 - (1 - J^r)^b.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from pipeline.dedup.normal import pieces
from pipeline.words import WORD, Words, scan

Hashes = npt.NDArray[np.uint64]

SEED = 1
"""Where the permutations begin. Another seed makes every signature ever written worthless."""

NOTHING = np.uint32(0xFFFFFFFF)

SMALL = 64
"""Up to so many shingles are put in order one by one; for more, numpy's sort is worth the call."""

_GOLDEN, _MIX1, _MIX2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_STEP = np.uint64(_GOLDEN)
_FOLD = np.uint64(0xFF51AFD7ED558CCD)  # the finalizer of MurmurHash3
_HALF, _SHIFT = np.uint64(32), np.uint64(33)


def splitmix(state: int) -> int:
    """SplitMix64 (Steele, Lea and Flood 2014), spelled out so that no library can change what is drawn at `state`."""
    z = (state + 1) * _GOLDEN % 2**64
    z = (z ^ (z >> 30)) * _MIX1 % 2**64
    z = (z ^ (z >> 27)) * _MIX2 % 2**64
    return z ^ (z >> 31)


@cache
def permutations(count: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """The factors (odd, so that x -> x * a + b permutes the 32-bit numbers) and the summands."""
    drawn = [splitmix((SEED << 32) + k) for k in range(2 * count)]
    return np.array([d >> 32 | 1 for d in drawn[:count]], np.uint32), np.array(
        [d >> 32 for d in drawn[count:]], np.uint32
    )


def word_hashes(scanned: Words) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The hashes of all words of a batch without its symbols, and where each document's begin (documents + 1)."""
    return _word_hashes(scanned.hashes, scanned.kinds, scanned.bounds, WORD)


def band_keys(words: Hashes, bounds: npt.NDArray[np.int64], ngram: int, bands: int, rows: int) -> Hashes:
    """The keys of the documents whose words are words[bounds[d] : bounds[d + 1]].

    ->  (documents, bands) uint64; zeros for a document of fewer than `ngram` words, which has no shingle
    """
    return _band_keys(words, bounds, ngram, rows, *permutations(bands * rows))


def sets_of(texts: pa.Array, ngram: int) -> Iterator[tuple[Hashes, npt.NDArray[np.int64]]]:
    """The sets of shingles of a text column, some documents at a time, as `shingle_sets` gives them."""
    for data, offsets in pieces(texts):
        yield shingle_sets(*word_hashes(scan(data, offsets)), ngram)


def shingle_sets(words: Hashes, bounds: npt.NDArray[np.int64], ngram: int) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The 64-bit hashes of each document's runs of `ngram` words, sorted and each once.

    ->  the sets end to end, and where each begins (documents + 1); of fewer than `ngram` words it is empty
    """
    values, begins = _shingles(words, bounds, ngram)
    for d in np.flatnonzero(np.diff(begins) > SMALL).tolist():
        values[begins[d] : begins[d + 1]].sort()
    return _distinct(values, begins)


@njit(cache=True)
def _word_hashes(
    hashes: Hashes, kinds: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], flag: int
) -> tuple[Hashes, npt.NDArray[np.int64]]:
    out, begins, n = np.empty(len(hashes), np.uint64), np.zeros(len(bounds), np.int64), 0
    for d in range(len(bounds) - 1):
        for i in range(bounds[d], bounds[d + 1]):
            out[n] = hashes[i]
            n += (kinds[i] & flag) != 0
        begins[d + 1] = n
    return out[:n], begins


@njit(cache=True)
def shingle(words: Hashes, at: int, ngram: int) -> np.uint64:
    """The hash of words[at : at + ngram]."""
    value = np.uint64(0)
    for k in range(ngram):
        value = (value ^ words[at + k]) * _FOLD
        value ^= value >> _SHIFT
    return value


@njit(cache=True)
def _shingles(words: Hashes, bounds: npt.NDArray[np.int64], ngram: int) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The shingles of all documents; those of small ones are in order."""
    out, begins, n = np.empty(len(words), np.uint64), np.zeros(len(bounds), np.int64), 0
    for d in range(len(bounds) - 1):
        for i in range(bounds[d], bounds[d + 1] - ngram + 1):
            out[n] = shingle(words, i, ngram)
            n += 1
        begins[d + 1] = n
        if n - begins[d] <= SMALL:
            for i in range(begins[d] + 1, n):
                one, at = out[i], i
                while at > begins[d] and out[at - 1] > one:
                    out[at] = out[at - 1]
                    at -= 1
                out[at] = one
    return out[:n], begins


@njit(cache=True)
def _distinct(ordered: Hashes, begins: npt.NDArray[np.int64]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Close up where a hash stands in its document's set again."""
    n, bounds = 0, np.zeros(len(begins), np.int64)
    for d in range(len(begins) - 1):
        for i in range(begins[d], begins[d + 1]):
            ordered[n] = ordered[i]
            n += int(i == begins[d] or ordered[i] != ordered[n - 1])
        bounds[d + 1] = n
    return ordered[:n], bounds


@njit(cache=True)
def _band_keys(
    words: Hashes,
    bounds: npt.NDArray[np.int64],
    ngram: int,
    rows: int,
    multiply: npt.NDArray[np.uint32],
    add: npt.NDArray[np.uint32],
) -> Hashes:
    documents, bands = len(bounds) - 1, len(multiply) // rows
    out = np.zeros((documents, bands), np.uint64)
    minima = np.empty(len(multiply), np.uint32)
    for d in range(documents):
        if bounds[d + 1] - bounds[d] < ngram:
            continue
        minima[:] = NOTHING
        for i in range(bounds[d], bounds[d + 1] - ngram + 1):
            x = np.uint32(shingle(words, i, ngram) >> _HALF)
            for j in range(len(minima)):
                minima[j] = min(minima[j], np.uint32(x * multiply[j] + add[j]))
        for band in range(bands):
            key = np.uint64(0)
            for row in range(band * rows, band * rows + rows):
                key = (key ^ np.uint64(minima[row])) * _STEP
                key ^= key >> _HALF
            out[d, band] = key
    return out
