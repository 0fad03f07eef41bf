"""Texts -> their tokens as they are written, and one hash for every run of n of them.

A token is one of pipeline/words.py. Two tokens are the same if their bytes are: case counts, the white space between
tokens does not. The *written form* of a text is its tokens with one space after each, so equal runs of tokens are equal
bytes there, and a run can be compared without a look at the text it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from pipeline.words import Words, scan, text_of

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

PIECE_BYTES = 4 << 20
"""Text taken at a time (a longer document stands alone): with its tokens and hashes some 50 MB."""

SPACE = np.uint8(0x20)
"""Ends a token of the written form; no token holds one."""

_SEED, _STEP = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
"""FNV-1a of 64 bits (Fowler, Noll and Vo)."""

_MIX1, _MIX2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
"""The multipliers of MurmurHash3's 64-bit finaliser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The tokens of some documents in their written form; document d has tokens bounds[d] : bounds[d + 1]."""

    data: Bytes
    starts: Places
    """(tokens + 1) where each token begins in `data`, and the end."""
    bounds: Places
    """(documents + 1) tokens before each document."""


def pieces(texts: pa.Array) -> Iterator[tuple[int, Words]]:
    """(documents before, tokens) of a text column, in order, of about `PIECE_BYTES` each."""
    data, offsets = text_of(texts)
    begin = 0
    while begin < len(texts):
        end = int(np.searchsorted(offsets, offsets[begin] + PIECE_BYTES, side="right")) - 1
        end = max(end, begin + 1)
        yield begin, scan(data[offsets[begin] : offsets[end]], offsets[begin : end + 1] - offsets[begin])
        begin = end


def written(words: Words) -> Written:
    """Tokens -> their written form."""
    starts = np.empty(len(words.starts) + 1, np.int64)
    data = np.empty(int(words.offsets[-1] - words.offsets[0]) + len(words.starts), np.uint8)
    size = _write(words.data, words.starts, words.characters, data, starts)
    return Written(data=data[:size], starts=starts, bounds=words.bounds)


def reread(data: Bytes, offsets: Places) -> Written:
    """Written forms end to end, document d at data[offsets[d] : offsets[d + 1]] -> their tokens."""
    starts = np.concatenate([np.zeros(1, np.int64), np.flatnonzero(data == SPACE) + 1])
    return Written(data=data, starts=starts, bounds=np.searchsorted(starts, offsets).astype(np.int64))


def run_hashes(text: Written, tokens: int) -> Hashes:
    """(tokens - n + 1) the hash of the n tokens from each on, also of runs that go on into the next document.

    The hash of a run is made of those of its first and its last 2^m tokens, which overlap or touch: log n steps.
    """
    hashes = np.empty(len(text.starts) - 1, np.uint64)
    _hash_tokens(text.data, text.starts, hashes)
    wide = 1
    while 2 * wide <= tokens:
        hashes = _joined(hashes, wide)
        wide *= 2
    return _joined(hashes, tokens - wide) if wide < tokens else hashes


@njit(cache=True)
def token_ends(data: Bytes, starts: Places, characters: npt.NDArray[np.int32]) -> Places:
    """(tokens,) where each token of `Words` ends in its text."""
    ends = np.empty(len(starts), np.int64)
    for t in range(len(starts)):
        i = np.int64(starts[t])
        for _ in range(characters[t]):
            i += _width(data[i])
        ends[t] = i
    return ends


@njit(cache=True, inline="always")
def _width(byte: Any) -> int:
    """Bytes of the character that begins with `byte`."""
    return 1 + int(byte >= 0xC0) + int(byte >= 0xE0) + int(byte >= 0xF0)


@njit(cache=True)
def _write(data: Bytes, begins: Places, characters: npt.NDArray[np.int32], out: Bytes, starts: Places) -> int:
    n = 0
    for t in range(len(begins)):
        starts[t] = n
        i = np.int64(begins[t])
        for _ in range(characters[t]):
            for _ in range(_width(data[i])):
                out[n] = data[i]
                i, n = i + 1, n + 1
        out[n] = SPACE
        n += 1
    starts[len(begins)] = n
    return n


@njit(cache=True)
def _hash_tokens(data: Bytes, starts: Places, out: Hashes) -> None:
    for t in range(len(out)):
        h = _SEED
        for i in range(starts[t], starts[t + 1]):
            h = (h ^ np.uint64(data[i])) * _STEP
        out[t] = mixed(h)


@njit(cache=True, inline="always")
def mixed(h: np.uint64) -> np.uint64:
    """A hash -> another that has it in all its bits; one to one."""
    h = (h ^ (h >> np.uint64(33))) * _MIX1
    h = (h ^ (h >> np.uint64(33))) * _MIX2
    return h ^ (h >> np.uint64(33))


@njit(cache=True)
def _joined(hashes: Hashes, apart: int) -> Hashes:
    out = np.empty(max(0, len(hashes) - apart), np.uint64)
    for i in range(len(out)):
        h = (hashes[i] ^ (hashes[i] >> np.uint64(32))) * _MIX1 + hashes[i + apart]
        h = (h ^ (h >> np.uint64(29))) * _MIX2
        out[i] = h ^ (h >> np.uint64(32))
    return out
