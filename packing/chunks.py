"""Chunks of ids -> documents: cut at the special tokens where they stand, which go; no other id is lost.

[CLS] a b [SEP]           one document: a b
a b                       one: a chunk without [CLS] and [SEP] is a document, or a part of one
[CLS] a [SEP] [CLS] b     two: a, and b
[CLS] [SEP]               none
a [PAD] [PAD]             one: a
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

CLS, SEP, PAD, UNKNOWN = 1, 2, 4, 8
"""What an id may be, as bits; 0 is a token of text."""

DOCUMENTS, TOKENS, SPECIAL, HAS = range(4)
"""Columns of what is counted of a chunk: documents, tokens of text, special tokens, and which of them as bits."""


def kinds(vocabulary: dict[str, int]) -> npt.NDArray[np.uint8]:
    """What each id is (V,); `vocabulary` has [CLS], [SEP] and [PAD]."""
    table = np.full(max(vocabulary.values()) + 1, UNKNOWN, np.uint8)
    table[list(vocabulary.values())] = 0
    for name, bit in (("[CLS]", CLS), ("[SEP]", SEP), ("[PAD]", PAD)):
        table[vocabulary[name]] |= bit
    return table


@njit(cache=True, nogil=True)
def _id(raw: Any, at: Any, width: Any) -> Any:
    """The little-endian integer of 1, 2, 4 or 8 bytes at `at`.

    Places are unsigned and the common widths written out, so that an id is one load and not four.
    """
    at = np.uint64(at)
    if width == 4:
        low = np.uint64(raw[at]) | np.uint64(raw[at + np.uint64(1)]) << np.uint64(8)
        high = np.uint64(raw[at + np.uint64(2)]) | np.uint64(raw[at + np.uint64(3)]) << np.uint64(8)
        return low | high << np.uint64(16)
    if width == 2:
        return np.uint64(raw[at]) | np.uint64(raw[at + np.uint64(1)]) << np.uint64(8)
    value = np.uint64(raw[at])
    for byte in range(1, width):
        value |= np.uint64(raw[at + np.uint64(byte)]) << np.uint64(8 * byte)
    return value


@njit(cache=True, nogil=True)
def count(raw: Any, begin: Any, length: Any, width: Any, table: Any, found: Any) -> Any:
    """Fill found (N, 4) -> (chunk, place in it, id) of the first id outside of the vocabulary, or (-1, 0, 0)."""
    for chunk in range(len(begin)):
        documents, tokens, special, has, run = 0, 0, 0, 0, 0
        at = begin[chunk]
        for place in range(length[chunk]):
            id_ = _id(raw, at + place * width[chunk], width[chunk])
            kind = table[id_] if id_ < np.uint64(len(table)) else UNKNOWN
            if kind == 0:
                run += 1
                continue
            if kind == UNKNOWN:
                return chunk, place, id_
            has |= kind
            special += 1
            tokens += run
            documents += run > 0
            run = 0
        found[chunk, 0], found[chunk, 1] = documents + (run > 0), tokens + run
        found[chunk, 2], found[chunk, 3] = special, has
    return -1, 0, np.uint64(0)


@njit(cache=True, nogil=True)
def copy(raw: Any, begin: Any, length: Any, width: Any, table: Any, ids: Any, lengths: Any, chunk_of: Any) -> None:
    """Write the ids of all documents end to end, and of each how long it is and which chunk it is from."""
    at, document, first = 0, 0, 0
    for chunk in range(len(begin)):
        for place in range(length[chunk] + 1):
            if place < length[chunk]:
                id_ = _id(raw, begin[chunk] + place * width[chunk], width[chunk])
                if table[id_] == 0:
                    ids[at] = id_
                    at += 1
                    continue
            if at > first:
                lengths[document], chunk_of[document] = at - first, chunk
                document, first = document + 1, at
