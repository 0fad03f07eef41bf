"""Texts as they are compared with evaluation texts: composed (NFC), without the characters that nobody sees, and with
those letters written out that are others when they were capitals once.

A soft hyphen stands within a word and would cut it in two; an e with an accent beside it is the letter é; Straße
becomes STRASSE, and a ligature of f and i is printed where both were written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

INVISIBLE = "\u00ad\u200c\u200d\u2060\ufeff"
"""Soft hyphen, zero-width non-joiner and joiner, word joiner, byte order mark: they part no words."""

WRITTEN_OUT = {
    letter: letter.upper().lower()
    for letter in map(chr, (*range(0x80, 0xD800), *range(0xFB00, 0xFB18)))
    if letter.upper().lower() != letter.lower() and letter not in "ς"
} | dict.fromkeys(INVISIBLE, "")
"""What replaces a character: ss for ß, μ for µ, i for ı, its letters for a ligature, nothing for the invisible."""

_REPLACED = re.compile(f"[{''.join(WRITTEN_OUT)}]")

_CLUSTER = re.compile(
    "(?s).[\u0300-\u036f\u0483-\u0489\u0591-\u08ff\u0900-\u0eff\u1100-\u11ff\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    "\u302a-\u302f\u3099\u309a\ua800-\uabff\ufb1e\ufe20-\ufe2f]*"
)
"""A character with what may be composed with it."""


_APART = "[^ \n\u3001\u3002\u4e00-\u9fff]*"
"""Up to a space, a line feed or an ideograph: none of these is composed with what stands before it."""

_SPLITS = [*(re.compile(f"(?s).{{{size}}}{_APART}|.+") for size in (4000, 400, 40, 1)), _CLUSTER]
"""Where a text is split, more finely from one to the next."""


def fold(text: str) -> str:
    """The text with characters replaced as `WRITTEN_OUT` says, composed."""
    return unicodedata.normalize("NFC", _REPLACED.sub(lambda found: WRITTEN_OUT[found[0]], text))


def folded(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
    """The same texts folded, but for their spaces. Text d is data[offsets[d] : offsets[d + 1]], valid UTF-8."""
    changed: dict[int, bytes] = {}
    for number in np.flatnonzero(_doubtful(data, offsets)).tolist():
        text = data[offsets[number] : offsets[number + 1]].tobytes().decode()
        if _REPLACED.search(text) or not unicodedata.is_normalized("NFC", text):
            changed[number] = fold(text).encode()
    if not changed:
        return data, offsets
    whole = data.tobytes()
    texts = [changed.get(d, whole[a:b]) for d, (a, b) in enumerate(pairwise(offsets.tolist()))]
    ends = np.cumsum([len(text) for text in texts])
    return np.frombuffer(b"".join(texts), np.uint8), np.concatenate([[0], ends]).astype(np.int64)


def unfolded(text: str, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """Byte places in the folded text -> the bytes of `text` where the same characters begin.

    None where characters that stand apart were composed into one: what belongs to what cannot be told.
    """
    whole = fold(text)
    if whole == text:
        return places
    before, after, same, out = [0], [0], [], []
    for part, small in _parts(text):
        out.append(small)
        same.append(part == small)
        before.append(before[-1] + len(part.encode()))
        after.append(after[-1] + len(small.encode()))
    if "".join(out) != whole:
        return None
    found = np.searchsorted(np.array(after), places, side="right") - 1
    within = np.where(np.array([*same, True])[found], places - np.array(after)[found], 0)
    mapped: npt.NDArray[np.int64] = np.array(before)[found] + within
    return mapped


def _parts(text: str, level: int = 0) -> Iterator[tuple[str, str]]:
    """The parts of a text and each folded: long ones where folding changes nothing, else a character's."""
    for part in _SPLITS[level].findall(text):
        small = fold(part)
        if small == part or level == len(_SPLITS) - 1:
            yield part, small
        else:
            yield from _parts(part, level + 1)


@njit(cache=True)
def _doubtful(data: Bytes, offsets: Offsets) -> npt.NDArray[np.bool_]:
    """Which texts hold what folding might change: a character above U+0130, but for U+2000 to U+203F; U+00AD, U+00B5,
    U+00DF."""
    out = np.zeros(len(offsets) - 1, np.bool_)
    for d in range(len(out)):
        for i in range(offsets[d], offsets[d + 1]):
            byte = data[i]
            if byte < 0xC2:
                continue
            after = data[i + 1]
            if byte == 0xC2 and after != 0xAD and after != 0xB5:
                continue
            if byte == 0xC3 and after != 0x9F:
                continue
            if byte == 0xE2 and after == 0x80 and data[i + 2] != 0x8C and data[i + 2] != 0x8D:
                continue
            out[d] = True
            break
    return out
