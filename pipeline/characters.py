"""Which characters are letters, digits and white space to `tokenizers`, and which texts NFC may change.

Asked of the library itself, each character once a process, so that it holds for whatever Unicode version it has.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel

from pipeline.words import decode

LETTER, DIGIT, OTHER, SPACE, KIND = np.uint8(1), np.uint8(2), np.uint8(3), np.uint8(4), np.uint8(7)
"""Kinds of characters, and the bits of a trait that hold the kind."""

COMPOSES, ASK, _PENDING = np.uint8(8), np.uint8(16), np.uint8(32)
"""Traits: NFC may change it or join it to another; only `tokenizers`' own tables are sure to know how."""


@cache
def traits_of_all() -> npt.NDArray[np.uint8]:
    """Code point -> its kind, and whether NFC may change it or what stands beside it; 0 until it was asked for."""
    return np.zeros(0x110000, np.uint8)


def learned(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The traits, after a look at all characters of these texts."""
    traits = traits_of_all()
    found = np.empty(0x110000, np.int32)
    for code in found[: _unknown(data, offsets, traits, found)].tolist():
        traits[code] = _kind(chr(code)) | _composing(chr(code))
    return traits


@cache
def _cutter() -> ByteLevel:
    return ByteLevel(add_prefix_space=False, use_regex=True)


def _kind(character: str) -> np.uint8:
    """What the cutter's own tables take a character for: what it forms one word with."""
    for before, kind in (("a", LETTER), ("1", DIGIT), ("!", OTHER)):
        if len(_cutter().pre_tokenize_str(before + character)) == 1:
            return kind
    return SPACE


def _composing(character: str) -> np.uint8:
    """0 if NFC never changes it nor joins it to another; ASK where only `tokenizers`' own tables are sure to know.

    Normal forms of characters that are assigned never change, so Python's tables do for those of Unicode 3.2, and
    later symbols compose with nothing. The first characters with a mark to compose with stand from U+0300 on.
    """
    category = unicodedata.category(character)
    if character < "\u0300" or category[0] in "SP":
        return np.uint8(0) if NFC().normalize_str(character) == character else COMPOSES
    if unicodedata.ucd_3_2_0.category(character) == "Cn":
        return COMPOSES | ASK
    inert = category[0] != "M" and not "\u1100" <= character <= "\u11ff"
    return np.uint8(0) if inert and unicodedata.normalize("NFC", character) == character else COMPOSES


def composed(text: str, *, ask: bool) -> str:
    return str(NFC().normalize_str(text)) if ask else unicodedata.normalize("NFC", text)


@njit(cache=True)
def _unknown(data: Any, offsets: Any, traits: Any, found: Any) -> int:
    """Fill `found` with the characters that have no traits yet, each once."""
    n = 0
    i, end = offsets[0], offsets[-1]
    while i < end:
        code, size = decode(data, i)
        if traits[code] == 0:
            traits[code] = _PENDING
            found[n] = code
            n += 1
        i += size
    return n


@njit(cache=True)
def marked(data: Any, offsets: Any, traits: Any, marks: Any) -> None:
    """Which texts are to be put in NFC first, and by whom."""
    for document in range(len(offsets) - 1):
        i = offsets[document]
        while i < offsets[document + 1]:
            code, size = decode(data, i)
            marks[document] |= traits[code] & (COMPOSES | ASK)
            i += size
