"""One pass over UTF-8 bytes -> the lines of every document, and how much of them came before.

Spaces and line ends are those of Python's `str`: NEL, U+2028, VT and FF end lines in `split_lines`; `split_newlines`
knows "\\n" alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.words import decode

NEWLINE = 10

BEGINNING = 1 << 22
"""Lines of a document that are compared with each other: a table of 64 MB."""

_ENDS = np.zeros(256, np.bool_)
_ENDS[[*range(10, 14), 0x1C, 0x1D, 0x1E, 0xC2, 0xE2]] = True
"""What may begin a line end: ASCII ends, and the first bytes of NEL (C2 85), U+2028 and U+2029 (E2 80 A8, A9)."""

_NEWLINES = np.zeros(256, np.bool_)
_NEWLINES[NEWLINE] = True

_STEP, _FOLD, _TAKEN = np.uint64(0xFF51AFD7ED558CCD), np.uint64(32), np.uint64(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Parts of the documents of a batch in order; document d has parts bounds[d] : bounds[d + 1]."""

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.signedinteger[Any]]
    """Where the line begins in `data`."""
    ends: npt.NDArray[np.signedinteger[Any]]
    """Where what ends it begins."""
    bounds: npt.NDArray[np.int64]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(documents,) lines."""
        return np.diff(self.bounds)


def split_lines(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Lines:
    """The lines of the documents data[offsets[d] : offsets[d + 1]], as `str.splitlines` cuts them."""
    return _cut(data, offsets, _ENDS)


def split_newlines(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Lines:
    """The lines that end at "\\n" or with their document, but for empty ones."""
    return _cut(data, offsets, _NEWLINES)


def _cut(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], stops: npt.NDArray[np.bool_]) -> Lines:
    size, documents = int(offsets[-1] - offsets[0]), len(offsets) - 1
    bounds = np.zeros(len(offsets), np.int64)
    width: type[np.signedinteger[Any]] = np.int32 if offsets[-1] < 1 << 31 else np.int64
    for room in (size // 16 + documents, size + documents):
        starts, ends = np.empty(room, width), np.empty(room, width)
        if _split(data, offsets, stops, stops is _ENDS, starts, ends, bounds):
            break
    return Lines(data=data, starts=starts[: bounds[-1]], ends=ends[: bounds[-1]], bounds=bounds)


@njit(cache=True)
def _split(data: Any, offsets: Any, stops: Any, empty: bool, starts: Any, ends: Any, bounds: Any) -> bool:
    """Fill the bounds of lines, `empty` ones too or not; False if there is no room for all of them."""
    n = 0
    for document in range(len(offsets) - 1):
        i, end = offsets[document], offsets[document + 1]
        start = i
        while i < end:
            if not stops[data[i]]:
                i += 1
                continue
            size = _line_end(data, i, end)
            if size == 0:
                i += 1
                continue
            if empty or start < i:
                if n == len(starts):
                    return False
                starts[n], ends[n] = start, i
                n += 1
            i += size
            start = i
        if start < end:
            if n == len(starts):
                return False
            starts[n], ends[n] = start, end
            n += 1
        bounds[document + 1] = n
    return True


@njit(cache=True, inline="always")
def _line_end(data: Any, i: int, end: int) -> int:
    """The bytes of the line end at i, a byte that may begin one; 0 if it does not."""
    b = data[i]
    if b == 0xC2:
        return 2 if data[i + 1] == 0x85 else 0
    if b == 0xE2:
        return 3 if data[i + 1] == 0x80 and (data[i + 2] == 0xA8 or data[i + 2] == 0xA9) else 0
    return 2 if b == 13 and i + 1 < end and data[i + 1] == NEWLINE else 1


@njit(cache=True)
def is_space(code: Any) -> Any:
    """Is a code point a space as `str.isspace` has it?"""
    if code < 0x80:
        return code == 32 or 9 <= code <= 13 or 28 <= code <= 31
    if code < 0x1680:
        return code == 0x85 or code == 0xA0
    if code < 0x2000:
        return code == 0x1680
    return code <= 0x200A or code == 0x2028 or code == 0x2029 or code == 0x202F or code == 0x205F or code == 0x3000


@njit(cache=True)
def left_end(data: Any, start: int, end: int) -> int:
    """Where the spaces at the beginning of data[start:end] end."""
    while start < end:
        code, size = decode(data, start)
        if not is_space(code):
            break
        start += size
    return start


@njit(cache=True)
def last_character(data: Any, end: int) -> int:
    """Where the character begins that ends at `end`."""
    end -= 1
    while data[end] & 0xC0 == 0x80:
        end -= 1
    return end


@njit(cache=True)
def right_end(data: Any, start: int, end: int) -> int:
    """Where the spaces at the end of data[start:end] begin."""
    while end > start:
        last = last_character(data, end)
        if not is_space(decode(data, last)[0]):
            break
        end = last
    return end


@njit(cache=True)
def characters(data: Any, start: int, end: int) -> int:
    """The code points of data[start:end]."""
    count = 0
    for byte in data[start:end]:
        count += byte & 0xC0 != 0x80
    return count


@njit(cache=True)
def count_characters(data: Any, offsets: Any) -> Any:
    """(documents,) code points of each document."""
    counts = np.empty(len(offsets) - 1, np.int64)
    for document in range(len(counts)):
        counts[document] = characters(data, offsets[document], offsets[document + 1])
    return counts


@njit(cache=True)
def count_visible(data: Any, offsets: Any) -> Any:
    """(documents,) code points of each document without the spaces around it."""
    counts = np.empty(len(offsets) - 1, np.int64)
    for document in range(len(counts)):
        start = left_end(data, offsets[document], offsets[document + 1])
        counts[document] = characters(data, start, right_end(data, start, offsets[document + 1]))
    return counts


@njit(cache=True)
def slots(items: int) -> int:
    """Slots of a hash table, a power of two, that leave half of it free."""
    size = 16
    while size < 2 * items:
        size *= 2
    return size


@njit(cache=True)
def _hash(data: Any, start: int, end: int) -> Any:
    """64 bits of data[start:end], never 0."""
    h = np.uint64(end - start) * _STEP
    for i in range(start, end - 7, 8):
        word = np.uint64(0)
        for k in range(8):
            word |= np.uint64(data[i + k]) << np.uint64(8 * k)
        h = (h ^ word) * _STEP
        h ^= h >> _FOLD
    for i in range(end - (end - start) % 8, end):
        h = (h ^ np.uint64(data[i])) * _STEP
    return (h ^ (h >> _FOLD)) * _STEP | _TAKEN


@njit(cache=True)
def duplicates(data: Any, starts: Any, ends: Any, bounds: Any) -> Any:
    """(3, documents): the parts that are not empty, those of them that came before, and their characters.

    Of a document of more than `BEGINNING` parts the first so many are looked at.
    """
    counts = np.zeros((3, len(bounds) - 1), np.int64)
    most = np.diff(bounds).max() if len(bounds) > 1 else 0
    keys = np.empty(slots(min(most, BEGINNING)), np.uint64)
    for document in range(len(bounds) - 1):
        a = bounds[document]
        b = min(bounds[document + 1], a + BEGINNING)
        size = slots(b - a)
        mask = size - 1
        keys[:size] = 0
        for k in range(a, b):
            if starts[k] >= ends[k]:
                continue
            counts[0, document] += 1
            h = _hash(data, starts[k], ends[k])
            slot = np.int64(h >> np.uint64(20)) & mask
            while keys[slot] != 0 and keys[slot] != h:
                slot = (slot + 1) & mask
            if keys[slot] == h:
                counts[1, document] += 1
                counts[2, document] += characters(data, starts[k], ends[k])
            keys[slot] = h
    return counts
