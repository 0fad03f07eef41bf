"""The shape of source files: characters, lines, letters and runs of encoded data, counted from their bytes."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.words import decode

LONG = 500
"""Characters from which a line is written for machines: five times what style guides allow."""

LETTER, DIGIT, SPACE, BASE64, HEX, WORD = (np.uint8(1 << n) for n in range(6))

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Counts of each document, (documents,) int64."""

    characters: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    """As editors count: a line feed, a carriage return or both end one; what is behind the last one is a line, too."""
    inside: npt.NDArray[np.int64]
    """Characters that end no line."""
    longest: npt.NDArray[np.int64]
    """Characters of the longest line."""
    in_long: npt.NDArray[np.int64]
    """Characters in lines of more than `LONG`."""
    letters: npt.NDArray[np.int64]
    digits: npt.NDArray[np.int64]
    visible: npt.NDArray[np.int64]
    """Characters that are no white space."""
    encoded: npt.NDArray[np.int64]
    """Characters in runs of base64, of bytes in hexadecimal, or of \\\\u escapes."""
    longest_encoded: npt.NDArray[np.int64]


def shape(data: Bytes, offsets: Offsets) -> Shape:
    """Count the documents data[offsets[d] : offsets[d + 1]]; each is valid UTF-8."""
    counts = np.zeros((10, len(offsets) - 1), np.int64)
    _count(data, offsets, _bytes(), _beyond(), counts)
    _runs(data, offsets, _bytes(), counts[8:])
    names = ("characters", "lines", "inside", "longest", "in_long", "letters", "digits", "visible", "encoded")
    return Shape(**dict(zip((*names, "longest_encoded"), counts, strict=True)))


@cache
def _bytes() -> Bytes:
    """ASCII byte -> what it is."""
    table = np.zeros(256, np.uint8)
    for byte in range(128):
        character = chr(byte)
        table[byte] |= LETTER * character.isalpha() | DIGIT * character.isdigit() | SPACE * character.isspace()
        table[byte] |= BASE64 * (character.isalnum() or character in "+/=\n")
        table[byte] |= HEX * (character in "0123456789abcdefABCDEF") | WORD * (character.isalnum() or character == "_")
    return table


@cache
def _beyond() -> Bytes:
    """Code point -> letter, digit or space; planes 4 to 16 hold none of them but a few marks."""
    table = np.zeros(0x110000, np.uint8)
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x40000)):
        kind = unicodedata.category(chr(code))
        table[code] = LETTER if kind[0] == "L" else DIGIT if kind[0] == "N" else SPACE if kind[0] == "Z" else 0
    return table


@njit(cache=True)
def _count(data: Any, offsets: Any, ascii: Any, beyond: Any, counts: Any) -> None:
    for document in range(len(offsets) - 1):
        i, end = offsets[document], offsets[document + 1]
        characters = lines = inside = longest = in_long = letters = digits = visible = line = 0
        while i < end:
            byte = data[i]
            if byte < 0x80:
                i += 1
                characters += 1
                if byte == 10 or byte == 13:
                    if byte == 13 and i < end and data[i] == 10:
                        i += 1
                        characters += 1
                    lines += 1
                    inside += line
                    longest = max(longest, line)
                    in_long += line if line > LONG else 0
                    line = 0
                    continue
                kind = ascii[byte]
            else:
                code, size = decode(data, i)
                i += size
                characters += 1
                kind = beyond[code]
            line += 1
            letters += kind & 1
            digits += kind >> 1 & 1
            visible += ~kind >> 2 & 1
        if line:
            lines += 1
            inside += line
            longest = max(longest, line)
            in_long += line if line > LONG else 0
        counts[0, document], counts[1, document], counts[2, document] = characters, lines, inside
        counts[3, document], counts[4, document], counts[5, document] = longest, in_long, letters
        counts[6, document], counts[7, document] = digits, visible


@njit(cache=True)
def _runs(data: Any, offsets: Any, ascii: Any, counts: Any) -> None:
    """Characters in the three runs of The Stack v2 (Lozhkov et al. 2024, section 2.1.3): 64 of base64's and line feeds,
    8 bytes in hexadecimal (`0x0f, ` or `\\\\x0f`), 8 escapes `\\\\u00e9`."""
    for document in range(len(offsets) - 1):
        i, end = offsets[document], offsets[document + 1]
        total = longest = run = 0
        before = np.uint8(0)
        while i < end:
            byte = data[i]
            kind = ascii[byte]
            length = 0
            if kind & HEX and not before & WORD and i + 1 < end and (ascii[data[i + 1]] & HEX or data[i + 1] == 120):
                length = _hex(data, i, end, ascii)
            elif byte == 92 and i + 1 < end:
                length = _escapes(data, i, end, ascii) if data[i + 1] == 117 else _hex(data, i, end, ascii)
            if length:
                total += length
                longest = max(longest, length)
                kind = np.uint8(0)
            if kind & BASE64:
                run += 1
            else:
                if run >= 64:
                    total += run
                    longest = max(longest, run)
                run = 0
            before = kind
            i += max(length, 1)
        if run >= 64:
            total += run
            longest = max(longest, run)
        counts[0, document] = min(total, end - offsets[document])
        counts[1, document] = longest


@njit(cache=True)
def _hex(data: Any, start: Any, end: Any, ascii: Any) -> int:
    """Bytes of a run of at least 8 bytes in hexadecimal that begins here, or 0."""
    i, units = start, 0
    while True:
        j = i
        if j + 1 < end and (data[j] == 92 or data[j] == 48) and (data[j + 1] == 120 or data[j + 1] == 88):
            j += 2
        if j + 1 >= end or not ascii[data[j]] & HEX or not ascii[data[j + 1]] & HEX:
            break
        j += 2
        if j < end and ascii[data[j]] & WORD:
            break
        if j < end and data[j] == 44:
            j += 1
        while j < end and ascii[data[j]] & SPACE:
            j += 1
        i, units = j, units + 1
    return i - start if units >= 8 else 0


@njit(cache=True)
def _escapes(data: Any, start: Any, end: Any, ascii: Any) -> int:
    """Bytes of a run of at least 8 escapes \\\\u00e9 that begins here, or 0."""
    i = start
    while i + 6 <= end and data[i] == 92 and data[i + 1] == 117:
        for k in range(i + 2, i + 6):
            if not ascii[data[k]] & HEX:
                return i - start if i - start >= 48 else 0
        i += 6
    return i - start if i - start >= 48 else 0
