"""A place in UTF-8 bytes -> the e-mail, IPv4 or IPv6 address that stands there: linear on any input."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.words import UNSPACED, decode

Bytes = npt.NDArray[np.uint8]

DIGIT, LETTER, _ADDRESS, OTHER, ENTRY, _HEX = (np.uint8(1 << n) for n in range(6))
_LOCAL, _LABEL, _LABELS = 64, 63, 20
"""Bytes of a local part and of a label (RFC 5321, 4.5.3.1; RFC 1035, 2.3.4); labels of a domain that is looked at."""
_IPV6 = 45
"""Characters of the longest IPv6 address."""

_SPACED, _UNSPACED, _MARK = (np.uint8(1 << n) for n in range(3))
_UNSPACED_TOP = 4
"""Characters of a top-level domain in a script written without spaces: 中国, 组织机构. A longer run is text."""


@cache
def scripts() -> Bytes:
    """Code point -> a letter of a script written with spaces, or of one without, or a mark; 0 for anything else."""
    table = np.zeros(0x110000, np.uint8)
    unspaced = re.compile(f"[{UNSPACED}]")
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x40000)):  # planes 4 and up hold no letters
        category = unicodedata.category(chr(code))
        if category[0] in "LM":
            letter = _UNSPACED if unspaced.match(chr(code)) else _SPACED
            table[code] = _MARK if category[0] == "M" else letter
    return table


def _classes() -> Bytes:
    """What each byte may be part of."""
    table = np.zeros(256, np.uint8)
    for flag, members in (
        (DIGIT, b"0123456789"),
        (LETTER, b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        (_ADDRESS, b"._%+-"),
        (OTHER, bytes(range(128, 256))),
        (ENTRY, b"0123456789@+(:"),
        (_HEX, b"0123456789abcdefABCDEF"),
    ):
        table[list(members)] |= flag
    return table


CLASS = _classes()
WORD = np.uint8(DIGIT | LETTER)
_LOCAL_PART = np.uint8(WORD | _ADDRESS)


@njit(cache=True)
def email(data: Bytes, a: int, at: int, z: int, scripts: Bytes) -> tuple[int, int]:
    """Bounds of the address around the @ at `at`; the end is -1 if there is none."""
    start = _local_part(data, a, at, scripts)
    if start == at or at - start > _LOCAL or data[at - 1] == 46:
        return start, -1
    end = _domain(data, at + 1, z, scripts)
    if end < 0 or (end < z and data[end] == 40):  # a call: x@y.sum()
        return start, -1
    git = at - start == 3 and data[start] == 103 and data[start + 1] == 105 and data[start + 2] == 116
    if git and end < z and data[end] in (47, 58):
        return start, -1  # git@host:path, which is no one's
    return start, end


@njit(cache=True)
def _local_part(data: Bytes, a: int, at: int, scripts: Bytes) -> int:
    """Where the name before the @ begins. Letters beyond ASCII are part of it (RFC 6531), but for those of scripts
    written without spaces: they may be the sentence that the address stands in."""
    start = first = at
    while start > a and at - start <= _LOCAL:
        if data[start - 1] < 128:
            if not CLASS[data[start - 1]] & _LOCAL_PART:
                break
            start -= 1
            if data[start] == 46 and data[start + 1] in (46, 64):  # two dots, or one before the @, cannot be in it
                break
            if CLASS[data[start]] & WORD or data[start] == 95:
                first = start
            continue
        lead = start - 1
        while lead > a and data[lead] & 0xC0 == 0x80:
            lead -= 1
        code, _ = decode(data, lead)
        if not scripts[code] & np.uint8(_SPACED | _MARK):
            break
        start = lead
        if scripts[code] == _SPACED:  # a mark belongs to the letter before it, or to an emoji
            first = start
    return first


@njit(cache=True)
def _domain(data: Bytes, start: int, z: int, scripts: Bytes) -> int:
    """End of the domain that begins at `start`, behind its last label that can be a top one; -1 if it has none."""
    bracket = start < z and data[start] == 91
    numbers, _ = quad(data, start + bracket, z)
    if numbers > 0 and not bracket:
        return numbers
    if bracket:
        return numbers + 1 if 0 < numbers < z and data[numbers] == 93 else -1
    end, i, ascii_top = -1, start, False
    for label in range(_LABELS):
        first = i
        i, letters, foreign = _label(data, first, z, scripts)
        if i == first or i - first > _LABEL or data[first] == 45:
            break
        top = letters - first >= 2 and (letters == i or data[letters] >= 128)
        top_in_ascii = i - first > 4 and data[first] == 120 and data[first + 2] == 45  # xn--
        if label and (top or top_in_ascii):
            end, ascii_top = letters if top else i, True
        elif label and foreign and not ascii_top:  # behind an ASCII one it is the next sentence
            end = i
        scaled = label == 0 and data[i - 1] == 120 and CLASS[data[first]] & DIGIT  # icon@2x.png
        if i + 1 >= z or data[i] != 46 or scaled:
            break
        i += 1
    return end if end < z and end > 0 and data[end] != 95 else z if end == z else -1


@njit(cache=True)
def _label(data: Bytes, first: int, z: int, scripts: Bytes) -> tuple[int, int, bool]:
    """(end of a domain's label, end of the ASCII letters that it begins with, whether it can be a top one beyond
    ASCII)."""
    i, letters = first, first
    many = unspaced = 0
    while i < z and i - first <= _LABEL:
        if data[i] < 128:
            if not CLASS[data[i]] & WORD and data[i] != 45:
                break
            letters += letters == i and bool(CLASS[data[i]] & LETTER)
            many = -_LABEL  # not of letters beyond ASCII alone
            i += 1
            continue
        code, size = decode(data, i)
        if not scripts[code]:
            break
        many += 1
        unspaced += scripts[code] == _UNSPACED
        i += size
    return i, letters, many >= 2 and (not unspaced or many <= _UNSPACED_TOP)


@njit(cache=True)
def quad(data: Bytes, i: int, z: int) -> tuple[int, int]:
    """(end of the four numbers up to 255 with dots between them that begin at i, the address); -1 if there are none."""
    address = 0
    for part in range(4):
        first, value = i, 0
        while i < z and i - first < 4 and CLASS[data[i]] & DIGIT:
            value = 10 * value + data[i] - 48
            i += 1
        if i == first or i - first > 3 or value > 255 or (data[first] == 48 and i - first > 1):
            return -1, 0
        address = address << 8 | value
        if part < 3:
            if i == z or data[i] != 46:
                return -1, 0
            i += 1
    if i < z and (CLASS[data[i]] & WORD or data[i] in (64, 95)):
        return -1, 0
    if i + 1 < z and data[i] in (45, 46) and CLASS[data[i + 1]] & (WORD if data[i] == 46 else LETTER):
        return -1, 0  # 1.2.3.4.5, 1.2.3.4.tar, 1.2.3.4-beta
    return i, address


@njit(cache=True)
def is_reserved(address: int) -> bool:
    """Whether IPv4 keeps the address for private networks, documentation, multicast ... (RFC 6890, RFC 5771)."""
    top, two = address >> 24, address >> 16
    if top in (0, 10, 127) or top >= 224 or two in (0xA9FE, 0xC0A8) or address >> 22 == 0x6440 >> 6:
        return True
    if address >> 20 == 0xAC1 or address >> 17 == 0xC612 >> 1:
        return True
    return address >> 8 in (0xC00000, 0xC00002, 0xC05863, 0xC63364, 0xCB0071)


@njit(cache=True)
def ipv6(data: Bytes, a: int, colon: int, z: int) -> int:
    """End of what may be an IPv6 address whose first group of four digits ends at `colon`, or -1."""
    if colon - a < 4:
        return -1
    for i in range(colon - 4, colon):
        if not CLASS[data[i]] & _HEX:
            return -1
    before = data[colon - 5] if colon - a > 4 else np.uint8(32)
    if CLASS[before] & WORD or before in (46, 58, 95):
        return -1
    end, colons = colon, 0
    while end < z and end - colon <= _IPV6 and (CLASS[data[end]] & _HEX or data[end] in (46, 58)):
        colons += data[end] == 58
        end += 1
    if end < z and (CLASS[data[end]] & WORD or data[end] == 95):
        return -1
    while end > colon and (data[end - 1] == 46 or (data[end - 1] == 58 and data[end - 2] != 58)):
        end -= 1
    return end if colons > 1 else -1
