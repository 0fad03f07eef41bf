"""Words -> the hashes of their n-grams, an n-gram being as many words as weigh so much.

A word of a script written with spaces weighs `characters`, a character of one without weighs 1, so an n-gram of 13
words is one of 26 Han or Kana characters where two of them count as a word, and a mixed text needs no rule of its own.
An n-gram is the least run of words from a given one on that weighs enough: the same run in any text.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.words import ALONE, LETTER, WORD, Words

Hashes = npt.NDArray[np.uint64]
Array = npt.NDArray[Any]

BASE = np.uint64(0x9E3779B97F4A7C15)
"""Of the rolling sum modulo 2^64 over words' hashes, which are spread over all 64 bits themselves."""

_MIX, _HALF = np.uint64(0xFF51AFD7ED558CCD), np.uint64(32)


@cache
def powers(width: int) -> Hashes:
    """The powers of the base that n-grams of up to `width` words ask for."""
    return np.array([pow(int(BASE), n, 1 << 64) for n in range(width + 1)], np.uint64)


def words_of(scanned: Words, characters: int) -> tuple[Hashes, Array, Array, Array]:
    """The words of a batch without its symbols.

    ->  hashes     (words,) uint64
        weights    (words,) uint8: `characters`, or 1 for a character of a script without spaces
        tokens     (words,) int64: which token of `scanned` each word is
        bounds     (documents + 1,) int64: words before each document
    """
    found: tuple[Hashes, Array, Array, Array] = _words_of(scanned.hashes, scanned.kinds, scanned.bounds, characters)
    return found


def telling(scanned: Words, tokens: Array) -> npt.NDArray[np.bool_]:
    """Whether each word says something: it holds a letter and is longer than one, or needs no second character.

    Numbers and names of one letter do not: 1, 2, 3, ... and a, b, c, ... stand in any text.
    """
    kinds = scanned.kinds[tokens]
    says: npt.NDArray[np.bool_] = (kinds & ALONE != 0) | (kinds & LETTER != 0) & (scanned.characters[tokens] > 1)
    return says


@njit(cache=True)
def _words_of(hashes: Any, kinds: Any, bounds: Any, characters: int) -> Any:
    out, weights = np.empty(len(hashes), np.uint64), np.empty(len(hashes), np.uint8)
    tokens, begins, n = np.empty(len(hashes), np.int64), np.zeros(len(bounds), np.int64), 0
    for d in range(len(bounds) - 1):
        for i in range(bounds[d], bounds[d + 1]):
            out[n], tokens[n] = hashes[i], i
            weights[n] = 1 if kinds[i] & ALONE else characters
            n += (kinds[i] & WORD) != 0
        begins[d + 1] = n
    return out[:n], weights[:n], tokens[:n], begins


@njit(cache=True)
def mixed(value: Any) -> Any:
    """A rolling sum with all its bits in each of the upper ones."""
    value = (value ^ (value >> _HALF)) * _MIX
    return value ^ (value >> _HALF)


@njit(cache=True)
def ngram_at(words: Any, weights: Any, begin: int, end: int, width: int) -> Any:
    """The n-gram that begins at a word: (hash, where it ends), or (0, -1) where words[begin:end] is too light."""
    value, weight, j = np.uint64(0), 0, begin
    while weight < width:
        if j >= end:
            return np.uint64(0), -1
        value = value * BASE + words[j]
        weight += weights[j]
        j += 1
    return mixed(value), j
