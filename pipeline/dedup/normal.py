"""Texts -> the bytes by which two documents count as the same: NFC, every run of white space one space."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from pipeline.words import text_of

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

PIECE_BYTES = 1 << 20
"""Text taken at a time (a longer document stands alone): bounds what words and shingles take to some 30 MB."""

SPACE, MAYBE_SPACE = np.uint8(0x20), np.uint8(0)

PLAIN = np.arange(256, dtype=np.uint8)
"""What a byte becomes; those with which a wider white-space character may begin, and NUL, are looked at closely."""
PLAIN[[*range(0x09, 0x0E), *range(0x1C, 0x20)]] = SPACE
PLAIN[[0xC2, 0xE1, 0xE2, 0xE3]] = MAYBE_SPACE


def pieces(texts: pa.Array) -> Iterator[tuple[Bytes, Offsets]]:
    """The normalised documents of a text column, in order: (bytes, offsets) of about `PIECE_BYTES` each."""
    if not len(texts):
        return
    data, offsets = text_of(texts)
    begin = 0
    while begin < len(texts):
        end = int(np.searchsorted(offsets, offsets[begin] + PIECE_BYTES, side="right")) - 1
        end = max(end, begin + 1)
        yield normalised(data[offsets[begin] : offsets[end]], offsets[begin : end + 1] - offsets[begin])
        begin = end


def normalised(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
    """Document d is data[offsets[d] : offsets[d + 1]], valid UTF-8, before and after.

    Equal to `" ".join(unicodedata.normalize("NFC", text).split())`, but only documents that hold characters which
    NFC might change pass through Python. Case stays: `Polish` and `polish` are two texts.
    """
    changed: dict[int, bytes] = {}
    for number in np.flatnonzero(_doubtful(data, offsets)).tolist():
        text = data[offsets[number] : offsets[number + 1]].tobytes().decode()
        if not unicodedata.is_normalized("NFC", text):
            changed[number] = unicodedata.normalize("NFC", text).encode()
    if changed:
        whole = data.tobytes()
        texts = [changed.get(d, whole[a:b]) for d, (a, b) in enumerate(pairwise(offsets.tolist()))]
        data = np.frombuffer(b"".join(texts), np.uint8)
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    return _collapsed(data, offsets)


@njit(cache=True)
def _doubtful(data: Bytes, offsets: Offsets) -> npt.NDArray[np.bool_]:
    """Which documents hold a character above U+02FF, but for U+2000 to U+203F: elsewhere NFC changes spaces at most."""
    out = np.zeros(len(offsets) - 1, np.bool_)
    for d in range(len(out)):
        for i in range(offsets[d], offsets[d + 1]):
            byte = data[i]
            if byte >= 0xCC and not (byte == 0xE2 and data[i + 1] == 0x80):
                out[d] = True
                break
    return out


@njit(cache=True)
def _space_bytes(data: Bytes, i: int, end: int) -> int:
    """Bytes of the white-space character (as `str.isspace` has it) beyond ASCII that begins at i, or 0."""
    a = data[i]
    if a < 0xC2 or i + 1 >= end:
        return 0
    b = data[i + 1]
    if a == 0xC2:
        return 2 if b == 0x85 or b == 0xA0 else 0
    if i + 2 >= end or not 0xE1 <= a <= 0xE3:
        return 0
    c = data[i + 2]
    if a == 0xE2 and b == 0x80:  # U+2000 to U+200A, U+2028, U+2029, U+202F
        return 3 if c <= 0x8A or c == 0xA8 or c == 0xA9 or c == 0xAF else 0
    ogham, mathematical, ideographic = a == 0xE1 and b == 0x9A, a == 0xE2 and b == 0x81, a == 0xE3 and b == 0x80
    return 3 if (c == 0x80 and (ogham or ideographic)) or (c == 0x9F and mathematical) else 0


@njit(cache=True)
def _collapsed(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
    """Without a branch at each word's end: a space after a space is written, and written over by what follows."""
    out, bounds, n = np.empty(len(data) + 1, np.uint8), np.zeros(len(offsets), np.int64), 0
    for d in range(len(offsets) - 1):
        i, end, first, after_space = offsets[d], offsets[d + 1], n, 1
        while i < end:
            byte = PLAIN[data[i]]
            if byte == MAYBE_SPACE:
                width = _space_bytes(data, i, end)
                byte = SPACE if width else data[i]
                i += max(0, width - 1)
            out[n] = byte
            space = int(byte == SPACE)
            n += 1 - (space & after_space)
            after_space = space
            i += 1
        n -= after_space & int(n > first)
        bounds[d + 1] = n
    return out[:n], bounds
