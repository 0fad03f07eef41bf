"""UTF-8 bytes of a line -> how many sentences it has, for C4's least number of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.filters.lines import is_space
from pipeline.words import decode

_LOOK = np.zeros(256, np.bool_)
_LOOK[[ord("."), ord("!"), ord("?"), 0xE2, 0xE3, 0xEF]] = True
"""Bytes that may begin the end of a sentence: its mark, or the first byte of it."""


@njit(cache=True)
def count_sentences(data: Any, start: int, end: int) -> int:
    """The sentences of data[start:end]; what stands after the last end is one, too.

    After . ! ? … a sentence ends if closing marks and a space follow, and then something that is no small letter;
    after 。 ！ ？ closing marks may follow, and anything but a space.
    """
    count, i = int(start < end), start
    while i < end:
        if not _LOOK[data[i]]:
            i += 1
            continue
        code, size = decode(data, i)
        i += size
        if code == 0x2E or code == 0x21 or code == 0x3F or code == 0x2026:
            after = _after_closing(data, i, end, False)
            if after < end and is_space(decode(data, after)[0]):
                while after < end and is_space(decode(data, after)[0]):
                    after += decode(data, after)[1]
                count += after < end and not 97 <= data[after] <= 122
            i = after
        elif code == 0x3002 or code == 0xFF01 or code == 0xFF1F:
            i = _after_closing(data, i, end, True)
            if i < end:
                code = decode(data, i)[0]
                count += not (is_space(code) or code == 0x3002 or code == 0xFF01 or code == 0xFF1F)
    return count


@njit(cache=True)
def _after_closing(data: Any, i: int, end: int, wide: bool) -> int:
    """Where the closing marks that begin at i end: quotation marks and brackets of one style."""
    while i < end:
        code, size = decode(data, i)
        both = code == 0x201D or code == 0x2019
        if wide:
            closes = both or code == 0x300D or code == 0x300F or code == 0xFF09
        else:
            closes = both or code == 0x22 or code == 0x27 or code == 0xBB or code == 0x29 or code == 0x5D
        if not closes:
            break
        i += size
    return i
