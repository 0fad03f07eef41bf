"""Which bytes at an edge of a chunk, or inside of it, are a token of their own, as spaCy's English rules have it.

A chunk is what stands between spaces; `tokens` says what comes of it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.lines import last_character
from pipeline.words import UNSPACED, decode

GAP, EDGE, FRONT, LETTER, SMALL, CAPITAL, DIGIT, ALONE = (np.uint8(1 << bit) for bit in range(8))
WORDLY = LETTER | DIGIT

_DOT, _PLUS, _HYPHEN, _COMMA, _PERCENT, _SLASH, _COLON, _AT, _APOSTROPHE = (ord(mark) for mark in ".+-,%/:@'")

_SUMS, _JOINS = np.zeros(128, np.bool_), np.zeros(128, np.bool_)
_SUMS[[ord(mark) for mark in "+-*^"]] = True
_JOINS[[ord(mark) for mark in "-~:<>=/"]] = True
"""What cuts between digits, and what does before a letter."""


@cache
def character_flags() -> npt.NDArray[np.uint8]:
    """Code point -> flags. Planes 4 and up hold no characters but private ones."""
    flags = np.zeros(0x110000, np.uint8)
    alone = re.compile(f"[{UNSPACED}]")
    for code in (*range(0xD800), *range(0xE000, 0x40000)):
        character = chr(code)
        category = unicodedata.category(character)
        if character.isspace():
            flags[code] = GAP
        elif category[0] == "L" or category[0] == "M":
            small, capital = character.islower(), character.isupper()
            flags[code] = LETTER | SMALL * (small or not capital) | CAPITAL * (capital or not small)
            if alone.match(character):
                flags[code] |= ALONE
        elif category[0] == "N":
            flags[code] = DIGIT
        elif character in "§%=$" or category == "Sc":
            flags[code] = FRONT
        elif character in "<>`´_–—" or (category in ("Ps", "Pe", "Pi", "Pf", "Po", "So") and character not in "/\\@.•"):
            flags[code] = EDGE
    return flags


@njit(cache=True)
def front(data: Any, a: int, b: int, flags: Any) -> int:
    """The bytes of the token at the front edge; 0 if there is none."""
    code, size = decode(data, a)
    if flags[code] & (EDGE | FRONT):
        return 2 if code == _APOSTROPHE and a + 1 < b and data[a + 1] == _APOSTROPHE else size
    if code == _PLUS and not (a + 1 < b and 48 <= data[a + 1] <= 57):
        return 1
    return dots_at(data, a, b)


@njit(cache=True)
def dots_at(data: Any, a: int, b: int) -> int:
    """The full stops that begin at a, if there are two or more."""
    i = a
    while i < b and data[i] == _DOT:
        i += 1
    return i - a if i - a > 1 else 0


@njit(cache=True)
def back(data: Any, a: int, b: int, flags: Any) -> int:
    """The bytes of the token at the back edge; 0 if there is none."""
    last = last_character(data, b)
    code = decode(data, last)[0]
    if flags[code] & EDGE:
        return 2 if code == _APOSTROPHE and last > a and data[last - 1] == _APOSTROPHE else b - last
    if last == a:
        return 0
    before = last_character(data, last)
    kind = flags[decode(data, before)[0]]
    if code | 32 == 115 and (data[before] == _APOSTROPHE or decode(data, before)[0] == 0x2019):
        return b - before
    if kind & DIGIT and (code == _PLUS or flags[code] & FRONT):
        return b - last
    if code != _DOT:
        return 0
    if data[before] == _DOT:
        i = before
        while i > a and data[i - 1] == _DOT:
            i -= 1
        return b - i
    if before == a:
        return 1 if kind & (DIGIT | EDGE) or data[a] >= 0x80 else 0
    earlier = last_character(data, before)
    if kind & SMALL and data[earlier] == _DOT:  # e.g.
        return 0
    if kind & CAPITAL and not kind & SMALL:
        return 1 if flags[decode(data, earlier)[0]] & CAPITAL else 0
    ends = kind & (SMALL | DIGIT | EDGE) or data[before] == _PERCENT or data[before] == _HYPHEN or data[before] == _PLUS
    return 1 if ends else 0


@njit(cache=True)
def contraction(data: Any, a: int, b: int) -> int:
    """The bytes of a contraction at the end of a word: n't 'll 're 've 'd 'm; 0 if there is none."""
    for size in (2, 3):  # letters after the apostrophe, and it, as bytes of ASCII
        at = b - size
        mark = at
        if at > a and data[at] == _APOSTROPHE:
            pass
        elif at - 2 > a and data[at] == 0x99 and data[at - 1] == 0x80 and data[at - 2] == 0xE2:
            mark = at - 2
        else:
            continue
        first, second = data[at + 1] | 32, data[b - 1] | 32
        if size == 2:
            if first == 116 and mark - 1 > a and data[mark - 1] | 32 == 110:  # n't
                return b - mark + 1
            if first == 100 or first == 109:
                return b - mark
        elif (first == 108 and second == 108) or (second == 101 and (first == 114 or first == 118)):
            return b - mark
    return 0


@njit(cache=True)
def infix(data: Any, i: int, b: int, code: int, size: int, before: Any, flags: Any) -> int:
    """The bytes of the token at i that cuts what stands before and after it, after a character of kind `before`."""
    dots = dots_at(data, i, b)
    if dots:
        return dots
    if code > 0x7F and flags[code] & EDGE and code != 0x2013 and code != 0x2014:
        return size if _cuts_anywhere(code) else 0
    after = i + size
    if code == _HYPHEN:
        while after < b and after < i + 3 and data[after] == _HYPHEN:
            after += 1
    if after >= b:
        return 0
    kind = flags[decode(data, after)[0]]
    if before & DIGIT and code < 0x80 and _SUMS[code] and (48 <= data[i + 1] <= 57 or data[i + 1] == _HYPHEN):
        return 1
    if code == _DOT:
        return 1 if before & SMALL and kind & CAPITAL and not kind & SMALL else 0
    if not kind & LETTER:
        return 0
    if code == _COMMA:
        return 1 if before & LETTER else 0
    joins = _JOINS[code] if code < 0x80 else code in (0x2013, 0x2014)
    return after - i if joins and before & WORDLY else 0


@njit(cache=True)
def _cuts_anywhere(code: int) -> bool:
    """Is a mark beyond ASCII one that cuts wherever it stands: a symbol, an ellipsis?"""
    if code < 0x100:
        return code == 0xA6 or code == 0xA9 or code == 0xAE or code == 0xB0
    return code == 0x2026 or 0x2100 <= code < 0x3000 or code == 0xFFFD or code >= 0x1F000


@njit(cache=True)
def is_address(data: Any, a: int, b: int, flags: Any) -> bool:
    """Is data[a:b] a host whose domain is in small letters? Scheme or user may come before it, port or path after."""
    for i in range(a, b - 2):
        if data[i] == _COLON and data[i + 1] == _SLASH and data[i + 2] == _SLASH:
            a = i + 3
            break
        if data[i] >= 0x80 or data[i] == _SLASH:
            break
    for i in range(b - 1, a, -1):
        if data[i] == _AT:
            a = i + 1
            break
    dot, i = -1, a
    while i < b:
        code, size = decode(data, i)
        if code == _DOT:
            if i == a or dot == i - 1:
                return False
            dot = i
        elif not (flags[code] & WORDLY or code == _HYPHEN or code == 95 or code > 0xA0):
            break
        i += size
    if dot < 0 or i - dot < 3:
        return False
    for k in range(dot + 1, i):
        if not (97 <= data[k] <= 122 or data[k] >= 0x80):
            return False
    if i == b or data[i] == _SLASH or data[i] == 63 or data[i] == 35:
        return True
    return data[i] == _COLON and i + 1 < b and 48 <= data[i + 1] <= 57
