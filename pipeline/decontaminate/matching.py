"""A batch of documents and the index -> where n-grams of evaluation texts stand in them, word for word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from pipeline.decontaminate.ngrams import BASE, Array, mixed, ngram_at, powers, words_of
from pipeline.words import decode, scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """An n-gram found a row, by document and then by place."""

    documents: Array
    grams: Array
    """int32: its number in the index."""
    begins: Array
    """int64: byte of the document's text at which its first word begins,"""
    ends: Array
    """and behind its last one."""


def find_matches(
    data: Array, offsets: Array, index: Mapping[str, Array], *, wide: int, narrow: int, characters: int
) -> Matches:
    """The n-grams of the index that stand in the texts data[offsets[d] : offsets[d + 1]], which are folded.

    `wide` and `narrow` are what n-grams weigh. That hashes are equal is not trusted: all words have to be.
    """
    scanned = scan(data, offsets)
    words, weights, tokens, bounds = words_of(scanned, characters)
    maybe = _maybe(words, weights, bounds, narrow, powers(narrow), index["bits"])
    parts = [index[name] for name in ("words", "keys", "at", "size", "slots")]
    documents, grams, first, last = _look_up(words, weights, bounds, maybe, wide, narrow, *parts)
    begins = scanned.starts[tokens[first]].astype(np.int64)
    ends = _bytes_to(scanned.data, scanned.starts[tokens[last]].astype(np.int64), scanned.characters[tokens[last]])
    start = offsets[documents]
    return Matches(documents=documents, grams=grams, begins=begins - start, ends=ends - start)


@njit(cache=True)
def _maybe(words: Any, weights: Any, bounds: Any, narrow: int, powers: Any, bits: Any) -> Any:
    """The words at which a narrow n-gram begins whose bit is set: all that are worth looking up."""
    out, n = np.empty(len(words), np.int32), np.int64(0)
    wide, word, low = np.uint64(len(bits) * 64 - 1), np.uint64(6), np.uint64(63)
    for d in range(len(bounds) - 1):
        end = bounds[d + 1]
        j, weight, value = bounds[d], np.int64(0), np.uint64(0)
        for i in range(bounds[d], end):
            while weight < narrow and j < end:
                value = value * BASE + words[j]
                weight += np.int64(weights[j])
                j += 1
            if weight < narrow:
                break
            bit = mixed(value) & wide
            out[n] = i
            n += np.int64((bits[bit >> word] >> (bit & low)) & np.uint64(1))
            value -= words[i] * powers[j - i - 1]
            weight -= np.int64(weights[i])
    return out[:n]


@njit(cache=True)
def _look_up(
    words: Any, weights: Any, bounds: Any, maybe: Any, wide: int, narrow: int,
    known: Any, keys: Any, at: Any, size: Any, slots: Any,
) -> Any:  # fmt: skip
    """(documents, n-grams, first words, last words) of what begins at the words `maybe` and is in the index."""
    most = 2 * len(maybe)
    documents, grams = np.empty(most, np.int64), np.empty(most, np.int32)
    first, last = np.empty(most, np.int64), np.empty(most, np.int64)
    n, d = 0, 0
    for i in maybe:
        while i >= bounds[d + 1]:
            d += 1
        for width in (wide, narrow):
            key, j = ngram_at(words, weights, i, bounds[d + 1], width)
            gram = _number(key, words, i, j, known, keys, at, size, slots) if j >= 0 else -1
            if gram >= 0:
                documents[n], grams[n], first[n], last[n] = d, gram, i, j - 1
                n += 1
    return documents[:n], grams[:n], first[:n], last[:n]


@njit(cache=True)
def _number(key: Any, words: Any, i: int, j: int, known: Any, keys: Any, at: Any, size: Any, slots: Any) -> int:
    """The number of the n-gram words[i:j] in the index, or -1."""
    mask = np.uint64(len(slots) - 1)
    place = key & mask
    while slots[place]:
        gram = slots[place] - 1
        if keys[gram] == key:
            same = size[gram] == j - i
            for k in range(j - i):
                same = same and known[at[gram] + k] == words[i + k]
            return gram if same else -1
        place = (place + np.uint64(1)) & mask
    return -1


@njit(cache=True)
def _bytes_to(data: Any, starts: Any, characters: Any) -> Any:
    """Behind so many characters from each byte on."""
    out = starts.copy()
    for n in range(len(starts)):
        for _ in range(characters[n]):
            _, size = decode(data, out[n])
            out[n] += size
    return out
