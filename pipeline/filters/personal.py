"""UTF-8 bytes -> where e-mail and IP addresses and what may be phone numbers stand: one pass, linear on any input."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Spans = npt.NDArray[np.int64]
"""(found, 4) of document, first byte, end, and one of the kinds below; sorted by document."""

EMAIL, IPV4, RESERVED, IPV6, DIALLED, NATIONAL, CUED = range(7)
"""An e-mail address; IPv4 of the public internet; another IPv4; what may be IPv6; a `+` and digits; a North American
number; seven digits or more soon after a letter: a phone number if a word before it says so."""

_DIGIT, _LETTER, _ADDRESS, _OTHER, _ENTRY, _HEX = (np.uint8(1 << n) for n in range(6))
_LOCAL, _LABEL, _LABELS = 64, 63, 20
"""Bytes of a local part and of a label (RFC 5321, 4.5.3.1; RFC 1035, 2.3.4); labels of a domain that is looked at."""
_IPV6 = 45
"""Characters of the longest IPv6 address."""


def _classes() -> Bytes:
    """What each byte may be part of."""
    table = np.zeros(256, np.uint8)
    for flag, members in (
        (_DIGIT, b"0123456789"),
        (_LETTER, b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        (_ADDRESS, b"._%+-"),
        (_OTHER, bytes(range(128, 256))),
        (_ENTRY, b"0123456789@+(:"),
        (_HEX, b"0123456789abcdefABCDEF"),
    ):
        table[list(members)] |= flag
    return table


_CLASS = _classes()
_WORD = np.uint8(_DIGIT | _LETTER)
_LOCAL_PART = np.uint8(_WORD | _ADDRESS)


@njit(cache=True)
def spans(data: Bytes, offsets: Any) -> Spans:
    """What is found in documents data[offsets[d] : offsets[d + 1]]; spans may overlap."""
    found, n = np.empty((64, 4), np.int64), 0
    for d in range(len(offsets) - 1):
        a, z = offsets[d], offsets[d + 1]
        i = a
        while i < z:
            if not _CLASS[data[i]] & _ENTRY:
                i += 1
                continue
            start, end, kind = i, -1, EMAIL
            step = i + 1
            if data[i] == 64:
                start, end = _email(data, a, i, z)
            elif data[i] == 58:
                start, end, kind = i - 4, _ipv6(data, a, i, z), IPV6
            elif data[i] == 43:
                if i + 2 < z and _CLASS[data[i + 1]] & _DIGIT and (i == a or _before(data[i - 1])):
                    end, kind = min(z, i + 40), DIALLED
            elif i == a or not _CLASS[data[i - 1]] & _WORD:
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
def _email(data: Bytes, a: int, at: int, z: int) -> tuple[int, int]:
    """Bounds of the address around the @ at `at`; the end is -1 if there is none."""
    start = at
    while start > a and at - start <= _LOCAL and _CLASS[data[start - 1]] & _LOCAL_PART:
        start -= 1
        if data[start] == 46 and data[start + 1] in (46, 64):  # two dots, or one before the @, cannot be in it
            start += 1
            break
    while start < at and not _CLASS[data[start]] & _WORD and data[start] != 95:
        start += 1
    if start == at or at - start > _LOCAL or data[at - 1] == 46:
        return start, -1
    end = _domain(data, at + 1, z)
    if end < 0 or (end < z and data[end] == 40):  # a call: x@y.sum()
        return start, -1
    git = at - start == 3 and data[start] == 103 and data[start + 1] == 105 and data[start + 2] == 116
    if git and end < z and data[end] in (47, 58):
        return start, -1  # git@host:path, which is no one's
    return start, end


@njit(cache=True)
def _domain(data: Bytes, start: int, z: int) -> int:
    """End of the domain that begins at `start`, behind its last label that can be a top one; -1 if it has none."""
    bracket = start < z and data[start] == 91
    quad, _ = _quad(data, start + bracket, z)
    if quad > 0 and not bracket:
        return quad
    if bracket:
        return quad + 1 if 0 < quad < z and data[quad] == 93 else -1
    end, i = -1, start
    for label in range(_LABELS):
        first, letters = i, i
        while i < z and i - first <= _LABEL and (_CLASS[data[i]] & np.uint8(_WORD | _OTHER) or data[i] == 45):
            letters += letters == i and bool(_CLASS[data[i]] & _LETTER)
            i += 1
        if i == first or i - first > _LABEL or data[first] == 45:
            break
        top = letters - first >= 2 and (letters == i or bool(_CLASS[data[letters]] & _OTHER))
        top_in_ascii = i - first > 4 and data[first] == 120 and data[first + 2] == 45  # xn--
        if label and (top or top_in_ascii):
            end = letters if top else i
        scaled = label == 0 and data[i - 1] == 120 and _CLASS[data[first]] & _DIGIT  # icon@2x.png
        if i + 1 >= z or data[i] != 46 or scaled:
            break
        i += 1
    return end if end < z and end > 0 and data[end] != 95 else z if end == z else -1


@njit(cache=True)
def _quad(data: Bytes, i: int, z: int) -> tuple[int, int]:
    """(end of the four numbers up to 255 with dots between them that begin at i, the address); -1 if there are none."""
    address = 0
    for part in range(4):
        first, value = i, 0
        while i < z and i - first < 4 and _CLASS[data[i]] & _DIGIT:
            value = 10 * value + data[i] - 48
            i += 1
        if i == first or i - first > 3 or value > 255 or (data[first] == 48 and i - first > 1):
            return -1, 0
        address = address << 8 | value
        if part < 3:
            if i == z or data[i] != 46:
                return -1, 0
            i += 1
    if i < z and (_CLASS[data[i]] & _WORD or data[i] in (64, 95)):
        return -1, 0
    if i + 1 < z and data[i] in (45, 46) and _CLASS[data[i + 1]] & (_WORD if data[i] == 46 else _LETTER):
        return -1, 0  # 1.2.3.4.5, 1.2.3.4.tar, 1.2.3.4-beta
    return i, address


@njit(cache=True)
def _reserved(address: int) -> bool:
    """Whether IPv4 keeps the address for private networks, documentation, multicast ... (RFC 6890, RFC 5771)."""
    top, two = address >> 24, address >> 16
    if top in (0, 10, 127) or top >= 224 or two in (0xA9FE, 0xC0A8) or address >> 22 == 0x6440 >> 6:
        return True
    if address >> 20 == 0xAC1 or address >> 17 == 0xC612 >> 1:
        return True
    return address >> 8 in (0xC00000, 0xC00002, 0xC05863, 0xC63364, 0xCB0071)


@njit(cache=True)
def _ipv6(data: Bytes, a: int, colon: int, z: int) -> int:
    """End of what may be an IPv6 address whose first group of four digits ends at `colon`, or -1."""
    if colon - a < 4:
        return -1
    for i in range(colon - 4, colon):
        if not _CLASS[data[i]] & _HEX:
            return -1
    before = data[colon - 5] if colon - a > 4 else np.uint8(32)
    if _CLASS[before] & _WORD or before in (46, 58, 95):
        return -1
    end, colons = colon, 0
    while end < z and end - colon <= _IPV6 and (_CLASS[data[end]] & _HEX or data[end] in (46, 58)):
        colons += data[end] == 58
        end += 1
    if end < z and (_CLASS[data[end]] & _WORD or data[end] == 95):
        return -1
    while end > colon and (data[end - 1] == 46 or (data[end - 1] == 58 and data[end - 2] != 58)):
        end -= 1
    return end if colons > 1 else -1


@njit(cache=True)
def _number(data: Bytes, a: int, i: int, z: int) -> tuple[int, int, int]:
    """(end or -1, kind, where to go on) of the address or phone number that begins with the digit or bracket at i."""
    before = data[i - 1] if i > a else np.uint8(32)
    end = i
    while end < z and _CLASS[data[end]] & _DIGIT:
        end += 1
    if 0 < end - i <= 3 and end < z and data[end] == 46 and before not in (46, 95):
        stop, address = _quad(data, i, z)
        if stop > 0 and (before != 45 or (i - a > 1 and not _CLASS[data[i - 2]] & _LETTER)):
            return stop, RESERVED if _reserved(address) else IPV4, stop
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
    return not (_CLASS[byte] & _WORD or byte in (35, 37, 38, 42, 43, 45, 47, 61, 92, 94, 95) or byte == 36)


@njit(cache=True)
def _letter_before(data: Bytes, a: int, i: int) -> bool:
    """Whether a letter stands at most five bytes before i, and no digit between."""
    for at in range(i - 1, max(a, i - 6) - 1, -1):
        if _CLASS[data[at]] & np.uint8(_LETTER | _OTHER):
            return True
        if _CLASS[data[at]] & _DIGIT:
            return False
    return False


@njit(cache=True)
def _seven(data: Bytes, i: int, z: int) -> bool:
    """Whether seven digits follow, with no more than two of " -./()" between them."""
    digits = gap = 0
    while i < z and gap < 3 and digits < 7:
        if _CLASS[data[i]] & _DIGIT:
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
    if i < 0 or (i < z and (_CLASS[data[i]] & _WORD or data[i] in (45, 64, 95))):
        return -1
    return -1 if i + 1 < z and data[i] in (46, 47) and _CLASS[data[i + 1]] & _WORD else i


@njit(cache=True)
def _digits(data: Bytes, i: int, z: int, many: int) -> int:
    """Where `many` digits that begin at i end, or -1."""
    if i + many > z:
        return -1
    for at in range(i, i + many):
        if not _CLASS[data[at]] & _DIGIT:
            return -1
    return i + many
