"""UTF-8 bytes -> where e-mail and IP addresses and what may be phone numbers stand: one pass, linear on any input."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.internet import (
    CLASS,
    DIGIT,
    ENTRY,
    LETTER,
    OTHER,
    WORD,
    Bytes,
    email,
    ipv6,
    is_reserved,
    quad,
)  # fmt: skip

Spans = npt.NDArray[np.int64]
"""(found, 4) of document, first byte, end, and one of the kinds below; sorted by document."""

EMAIL, IPV4, RESERVED, IPV6, DIALLED, NATIONAL, CUED = range(7)
"""An e-mail address; IPv4 of the public internet; another IPv4; what may be IPv6; a `+` and digits; a North American
number; seven digits or more soon after a letter: a phone number if a word before it says so."""


@njit(cache=True)
def spans(data: Bytes, offsets: Any, scripts: Bytes) -> Spans:
    """What is found in documents data[offsets[d] : offsets[d + 1]], each valid UTF-8; spans may overlap."""
    found, n = np.empty((64, 4), np.int64), 0
    for d in range(len(offsets) - 1):
        a, z = offsets[d], offsets[d + 1]
        i = a
        while i < z:
            if not CLASS[data[i]] & ENTRY:
                i += 1
                continue
            start, end, kind = i, -1, EMAIL
            step = i + 1
            if data[i] == 64:
                start, end = email(data, a, i, z, scripts)
            elif data[i] == 58:
                start, end, kind = i - 4, ipv6(data, a, i, z), IPV6
            elif data[i] == 43:
                if i + 2 < z and CLASS[data[i + 1]] & DIGIT and (i == a or _before(data[i - 1])):
                    end, kind = min(z, i + 40), DIALLED
            elif i == a or not CLASS[data[i - 1]] & WORD:
                end, kind, step = _number(data, a, i, z)
            if end > start:
                if n == len(found):
                    wider = np.empty((2 * n, 4), np.int64)
                    wider[:n] = found
                    found = wider
                found[n, 0], found[n, 1], found[n, 2], found[n, 3] = d, start, end, kind
                n += 1
            i = max(step, end if kind != CUED and kind != DIALLED else step)
    return found[:n]


@njit(cache=True)
def _number(data: Bytes, a: int, i: int, z: int) -> tuple[int, int, int]:
    """(end or -1, kind, where to go on) of the address or phone number that begins with the digit or bracket at i."""
    before = data[i - 1] if i > a else np.uint8(32)
    end = i
    while end < z and CLASS[data[end]] & DIGIT:
        end += 1
    if 0 < end - i <= 3 and end < z and data[end] == 46 and before not in (46, 95):
        stop, address = quad(data, i, z)
        if stop > 0 and (before != 45 or (i - a > 1 and not CLASS[data[i - 2]] & LETTER)):
            return stop, RESERVED if is_reserved(address) else IPV4, stop
    if end - i <= 3 and _before(before):
        stop = _national(data, i, z)
        if stop > 0:
            return stop, NATIONAL, stop
    if _before(before) and _letter_before(data, a, i) and _seven(data, i, z):
        return min(z, i + 40), CUED, max(end, i + 1)
    return -1, CUED, max(end, i + 1)


@njit(cache=True, inline="always")
def _before(byte: Any) -> Any:
    """Whether a phone number may begin behind this byte: no part of a word, a path, a sum or a longer number."""
    return not (CLASS[byte] & WORD or byte in (35, 37, 38, 42, 43, 45, 47, 61, 92, 94, 95) or byte == 36)


@njit(cache=True)
def _letter_before(data: Bytes, a: int, i: int) -> bool:
    """Whether a letter stands at most five bytes before i, and no digit between."""
    for at in range(i - 1, max(a, i - 6) - 1, -1):
        if CLASS[data[at]] & np.uint8(LETTER | OTHER):
            return True
        if CLASS[data[at]] & DIGIT:
            return False
    return False


@njit(cache=True)
def _seven(data: Bytes, i: int, z: int) -> bool:
    """Whether seven digits follow, with no more than two of " -./()" between them."""
    digits = gap = 0
    while i < z and gap < 3 and digits < 7:
        if CLASS[data[i]] & DIGIT:
            digits, gap = digits + 1, 0
        elif data[i] in (32, 40, 41, 45, 46, 47) or data[i] == 194 or data[i] == 160:
            gap += 1
        else:
            break
        i += 1
    return digits == 7


@njit(cache=True)
def _national(data: Bytes, i: int, z: int) -> int:
    """End of a North American number: 415-555-2671, 1.415.555.2671, (415) 555-2671; -1 if there is none."""
    if i + 1 < z and data[i] == 49 and data[i + 1] in (45, 46):
        i += 2
    bracket = i < z and data[i] == 40
    i += bracket
    i = _digits(data, i, z, 3)
    if i < 0 or i == z or data[i - 3] < 50:
        return -1
    mark = data[i]
    if bracket:
        if mark != 41:
            return -1
        i += 1
        i += i < z and data[i] == 32
    elif mark in (45, 46):
        i += 1
    else:
        return -1
    i = _digits(data, i, z, 3)
    if i < 0 or i == z or data[i - 3] < 50 or (data[i] not in (32, 45, 46) if bracket else data[i] != mark):
        return -1
    i = _digits(data, i + 1, z, 4)
    if i < 0 or (i < z and (CLASS[data[i]] & WORD or data[i] in (45, 64, 95))):
        return -1
    return -1 if i + 1 < z and data[i] in (46, 47) and CLASS[data[i + 1]] & WORD else i


@njit(cache=True)
def _digits(data: Bytes, i: int, z: int, many: int) -> int:
    """Where `many` digits that begin at i end, or -1."""
    if i + many > z:
        return -1
    for at in range(i, i + many):
        if not CLASS[data[at]] & DIGIT:
            return -1
    return i + many
