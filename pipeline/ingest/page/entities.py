"""Character references (`&amp;`, `&#8212;`) -> code points, as the HTML standard reads them."""

from __future__ import annotations

import html.entities
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.ingest.page.names import SEED, STEP, name_hash

References = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]
"""Open-addressed: (slots,) hashes, 0 where free; (slots, 2) code points, the second 0 if there is one."""

_LONGEST, _LONGEST_BARE = 33, 6
"""Characters of the longest name with its semicolon, and of those that need none."""

_WINDOWS = np.frombuffer(bytes(range(128, 160)).decode("cp1252", "replace").encode("utf-32-le"), np.uint32).copy()
"""What &#128; to &#159; mean: the standard reads them as Windows-1252."""

_DIGITS = np.array([int(chr(c), 16) if chr(c) in "0123456789abcdefABCDEF" else 16 for c in range(256)], np.int64)
"""What a byte counts as a digit; 16 if it is none."""

_HASH, _SEMICOLON, _X, _REPLACEMENT = ord("#"), ord(";"), ord("x"), 0xFFFD


@cache
def references() -> References:
    """All named references, with and without semicolon as the standard lists them."""
    slots = 1 << 13
    hashes, codes = np.zeros(slots, np.uint64), np.zeros((slots, 2), np.int32)
    for name, characters in html.entities.html5.items():
        h = name_hash(name)
        slot = h & slots - 1
        while hashes[slot]:
            slot = (slot + 1) & slots - 1
        hashes[slot] = h
        codes[slot, : len(characters)] = [ord(character) for character in characters]
    return hashes, codes


@njit(cache=True)
def reference(data: Any, i: Any, end: Any, hashes: Any, codes: Any) -> tuple[Any, ...]:
    """(behind it, code point, second one or 0) of the reference whose `&` stands at i; (i, 0, 0) if it is none."""
    if i + 1 < end and data[i + 1] == _HASH:
        return _numeric(data, i, end)
    mask = np.uint64(len(hashes) - 1)
    h, k, behind = SEED, i + 1, i
    found: Any = -1
    while k < end and k - i <= _LONGEST:
        c = data[k]
        alphanumeric = 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122
        if not alphanumeric and c != _SEMICOLON:
            break
        h = (h ^ np.uint64(c)) * STEP
        k += 1
        if c == _SEMICOLON or k - i - 1 <= _LONGEST_BARE:
            slot = h & mask
            while hashes[slot] != 0 and hashes[slot] != h:
                slot = (slot + np.uint64(1)) & mask
            if hashes[slot] == h:
                found, behind = np.int64(slot), k
        if c == _SEMICOLON:
            break
    if found < 0:
        return i, 0, 0
    return behind, codes[found, 0], codes[found, 1]


@njit(cache=True)
def _numeric(data: Any, i: Any, end: Any) -> tuple[Any, ...]:
    k, base = i + 2, 10
    code: Any = 0
    if k < end and data[k] | 32 == _X:
        k, base = k + 1, 16
    first = k
    while k < end and _DIGITS[data[k]] < base:
        code, k = min(code * base + _DIGITS[data[k]], 0x110000), k + 1
    if k == first:
        return i, 0, 0
    if k < end and data[k] == _SEMICOLON:
        k += 1
    if 128 <= code < 160:
        code = np.int64(_WINDOWS[code - 128])
    if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        code = _REPLACEMENT
    return k, code, 0
