"""HTML bytes -> how many characters a reader would see: no tree is built, so no page can make it slow."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

_HIDDEN = np.zeros((4, 10), np.int64)
for _number, _name in enumerate((b"script", b"style", b"template", b"title")):
    _HIDDEN[_number, 0] = len(_name)
    _HIDDEN[_number, 1 : 1 + len(_name)] = np.frombuffer(_name, np.uint8)

ENTITY = 32
"""Bytes of a character reference at most: the longest name has 31."""


def visible_characters(data: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """Characters outside of tags, comments, scripts and styles in data[start:end]; white space counts as one."""
    return int(_count(data, start, end, _HIDDEN))


@njit(cache=True)
def _named(data: Any, i: Any, end: Any, name: Any) -> Any:
    """Does an element of this name stand at byte i, in any case?"""
    size = name[0]
    if i + size >= end:
        return False
    for k in range(size):
        if data[i + k] | 32 != name[k + 1]:
            return False
    after = data[i + size]
    return after == 62 or after == 47 or after <= 32


@njit(cache=True)
def _behind_hidden(data: Any, i: Any, end: Any, name: Any) -> Any:
    """The byte of the end tag of the element that begins before i."""
    while i + 2 < end:
        if data[i] == 60 and data[i + 1] == 47 and _named(data, i + 2, end, name):
            return i
        i += 1
    return end


@njit(cache=True)
def _count(data: Any, i: Any, end: Any, hidden: Any) -> Any:
    seen = 0
    space = True
    while i < end:
        byte = data[i]
        if byte == 60 and i + 1 < end and (data[i + 1] == 33 or data[i + 1] == 47 or data[i + 1] | 32 >= 97):
            if data[i + 1] == 33 and i + 3 < end and data[i + 2] == 45 and data[i + 3] == 45:
                i += 4
                while i + 2 < end and not (data[i] == 45 and data[i + 1] == 45 and data[i + 2] == 62):
                    i += 1
                i += 3
                continue
            within = -1
            for n in range(len(hidden)):
                if _named(data, i + 1, end, hidden[n]):
                    within = n
            quote = 0
            i += 1
            while i < end and (quote or data[i] != 62):
                if quote == 0 and (data[i] == 34 or data[i] == 39) and data[i - 1] == 61:
                    quote = data[i]
                elif data[i] == quote:
                    quote = 0
                i += 1
            i += 1
            if within >= 0:
                i = _behind_hidden(data, i, end, hidden[within])
            continue
        if byte <= 32:
            seen += not space
            space = True
        elif byte & 0xC0 != 0x80:
            seen += 1
            space = False
            if byte == 38:  # &eacute; is one character
                j = i + 1
                while j < min(i + ENTITY, end) and (data[j] == 35 or 48 <= data[j] <= 57 or 97 <= data[j] | 32 <= 122):
                    j += 1
                if j < end and data[j] == 59:
                    i = j
        i += 1
    return seen - (space and seen > 0)
