"""The words and hashed numbers of a fastText model -> the rows of their vectors: what a text is looked up in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.fasttext_file import ModelFile, Vectors

BASIS, PRIME, LOW = np.uint64(2166136261), np.uint64(16777619), np.uint64(0xFFFFFFFF)
"""Of the 32-bit hash FNV-1a: h = (h ^ byte) * PRIME & LOW, from BASIS on."""

_LABEL = np.frombuffer(b"__label__", np.uint8)
_1, _6, _63 = np.uint64(1), np.uint64(6), np.uint64(63)


def indexed(file: ModelFile) -> npt.NDArray[np.int32]:
    """Open addressing: hash of an entry of the dictionary -> its number, -1 for none; a power of two."""
    table = np.full(1 << (2 * len(file.counts)).bit_length(), -1, np.int32)
    _index(table, file.names, file.places)
    return table


def ranked(file: ModelFile) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32], Vectors]:
    """The bits and ranks of a pruned model, and its vectors in the order of the ranks."""
    if file.rows is None:
        return np.empty(0, np.uint64), np.empty(0, np.uint32), file.input
    kept = file.rows >= 0
    bits = np.packbits(np.pad(kept, (0, -len(kept) % 64)), bitorder="little").view("<u8")
    ranks = np.cumsum(np.append(0, np.bitwise_count(bits)[:-1]))
    order = np.append(np.arange(file.words), file.words + file.rows[kept])
    plain, codes, centroids, norms = file.input
    if len(codes):
        return bits, ranks.astype(np.uint32), Vectors(plain, codes[order], centroids, norms[order])
    return bits, ranks.astype(np.uint32), Vectors(plain[order], codes, centroids, norms)


@njit(cache=True)
def hash_bytes(data: Any, a: Any, b: Any) -> Any:
    """FNV-1a of bytes taken as signed, as fastText does."""
    h = BASIS
    for i in range(a, b):
        h = ((h ^ np.uint64(np.int8(data[i]))) * PRIME) & LOW
    return h


@njit(cache=True)
def entry_of(data: Any, a: Any, b: Any, h: Any, table: Any, names: Any, places: Any) -> Any:
    """The number of data[a:b] in the dictionary, or -1 less the free place in the table."""
    mask = len(table) - 1
    slot = np.int64(h) & mask
    entry = np.int64(table[slot])
    while entry >= 0:
        begin = places[entry]
        if places[entry + 1] - begin == b - a:
            i = 0
            while i < b - a and names[begin + i] == data[a + i]:
                i += 1
            if i == b - a:
                return entry
        slot = (slot + 1) & mask
        entry = np.int64(table[slot])
    return -1 - slot


@njit(cache=True)
def _index(table: Any, names: Any, places: Any) -> None:
    for entry in range(len(places) - 1):
        a, b = places[entry], places[entry + 1]
        found = entry_of(names, a, b, hash_bytes(names, a, b), table, names, places)
        if found < 0:
            table[-1 - found] = entry


@njit(cache=True)
def row_of(number: Any, words: Any, bits: Any, ranks: Any) -> Any:
    """The row of the vectors that a hashed number has, -1 if it was pruned."""
    if len(bits) == 0:
        return words + np.int64(number)
    word, bit = bits[number >> _6], np.uint64(1) << (number & _63)
    if not word & bit:
        return -1
    x = word & (bit - _1)  # the kept ones before it: the sum of all bits, by ever larger fields
    x = x - ((x >> _1) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (((x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return words + np.int64(ranks[number >> _6]) + np.int64(x)


@njit(cache=True)
def is_label(data: Any, a: Any, b: Any) -> bool:
    """Does data[a:b] begin as a label? fastText then does not take it for a word."""
    if b - a < len(_LABEL):
        return False
    same = 0
    while same < len(_LABEL) and data[a + same] == _LABEL[same]:
        same += 1
    return same == len(_LABEL)
