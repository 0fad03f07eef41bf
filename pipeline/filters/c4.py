"""The rules of C4 (Raffel et al. 2020, section 2.2; the released code): which lines of a page are prose?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.lines import NEWLINE, Lines, is_space, left_end, right_end
from pipeline.filters.rules import Column, Rule, at_least, at_most
from pipeline.filters.sentences import count_sentences
from pipeline.filters.settings import C4
from pipeline.words import decode

_LOREM, _SCRIPT, _POLICY, _CURLY = 1, 2, 4, 8

_PHRASES = (
    (b"lorem ipsum", _LOREM),
    (b"javascript", _SCRIPT),
    (b"terms of use", _POLICY),
    (b"privacy policy", _POLICY),
    (b"cookie policy", _POLICY),
    (b"uses cookies", _POLICY),
    (b"use of cookies", _POLICY),
    (b"use cookies", _POLICY),
)
"""What a line is searched for, in letters of any case."""

_PHRASE_BYTES = np.zeros((len(_PHRASES), max(len(phrase) for phrase, _ in _PHRASES)), np.uint8)
for _row, (_phrase, _) in zip(_PHRASE_BYTES, _PHRASES, strict=True):
    _row[: len(_phrase)] = list(_phrase)
_PHRASE_LENGTHS = np.array([len(phrase) for phrase, _ in _PHRASES])
_PHRASE_FLAGS = np.array([flag for _, flag in _PHRASES])

_CURLY_BRACKET = ord("{")

_OPENINGS = np.zeros(65_536, np.bool_)
"""Which two bytes, the first above the second, begin a phrase."""
for _phrase, _ in _PHRASES:
    for _first in (_phrase[0], _phrase[0] - 32):
        for _second in (_phrase[1], _phrase[1] - 32):
            _OPENINGS[_first << 8 | _second] = True

_EDIT, _CITATION = (np.frombuffer(mark, np.uint8) for mark in (b"[edit]", b"[citation needed]"))
_OPEN, _CLOSE, _DOT = (ord(mark) for mark in "[].")
_ENDS = np.zeros(256, np.bool_)
_ENDS[[ord(mark) for mark in ".?!\"'"]] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """The texts of a batch as C4's rules leave them, and what was measured in them."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    """(documents + 1) where each text begins in `data`."""
    columns: dict[str, Column]
    tokens: npt.NDArray[np.int64]
    """(documents,) of the lines that are kept; -1 where a mark was cut out of one."""


def clean(lines: Lines, tokens: npt.NDArray[np.int32], settings: C4) -> Cleaned:
    """The lines that are kept, stripped, and the columns of `rules`.

    `lines` are those of `str.splitlines`, `tokens` (lines,) how many each has.

    "Lorem ipsum" and a curly bracket count only where they stand in a line that would be kept; lines that speak of
    JavaScript or of policies go alone.
    """
    documents = len(lines.bounds) - 1
    size = int(lines.ends[-1] - lines.starts[0]) if len(lines.starts) else 0
    data, offsets = np.empty(size + documents, np.uint8), np.zeros(documents + 1, np.int64)
    lorem, curly, sentences, left = _clean(
        lines.data, lines.starts, lines.ends, lines.bounds, tokens, settings.min_line_words, settings.max_word_length,
        settings.terminal_punctuation, settings.drop_citations, data, offsets,
    )  # fmt: skip
    columns = {"c4.lorem_ipsum": lorem, "c4.curly_brackets": curly, "c4.sentences": sentences}
    return Cleaned(data=data[: offsets[-1]], offsets=offsets, columns=columns, tokens=left)


def rules(settings: C4) -> list[Rule]:
    """Lorem ipsum, curly brackets, sentences: in this order."""
    return [
        at_most("c4_lorem_ipsum", "c4.lorem_ipsum", settings.max_lorem_ipsum),
        at_most("c4_curly_bracket", "c4.curly_brackets", settings.max_curly_brackets),
        at_least("c4_few_sentences", "c4.sentences", settings.min_sentences),
    ]


@njit(cache=True)
def _clean(
    data: Any, starts: Any, ends: Any, bounds: Any, tokens: Any, few: int, long: int, terminal: bool, citations: bool,
    out: Any, offsets: Any,
) -> Any:  # fmt: skip
    """Write the kept lines to `out`.

    (4, documents): lines of lorem ipsum, lines with a curly bracket, sentences, tokens (-1: a mark was cut out).
    """
    counts = np.zeros((4, len(bounds) - 1), np.int64)
    n = 0
    for document in range(len(bounds) - 1):
        begin = n
        for line in range(bounds[document], bounds[document + 1]):
            a = left_end(data, starts[line], ends[line])
            b = right_end(data, a, ends[line])
            if not _has_words(data, a, b, few) or (b - a > long and _endless(data, a, b, long)):
                continue
            mark = n
            if n > begin:
                out[n] = NEWLINE
                n += 1
            start, n = n, _copy(data, a, b, out, n, citations)
            if terminal and not _ends_well(out, start, n):
                n = mark
                continue
            found = _search(out, start, n)
            counts[0, document] += found & _LOREM != 0
            if not found & _SCRIPT:
                counts[1, document] += found & _CURLY != 0
            if found & (_SCRIPT | _POLICY):
                n = mark
                continue
            counts[2, document] += count_sentences(out, start, n)
            if n - start < b - a:
                counts[3, document] = -1
            elif counts[3, document] >= 0:
                counts[3, document] += tokens[line]
            if mark == begin:  # a removed citation may leave a space at the head of the text
                n = _move(out, left_end(out, start, n), n, begin)
        n = right_end(out, begin, n)
        offsets[document + 1] = n
    return counts


@njit(cache=True)
def _has_words(data: Any, a: int, b: int, few: int) -> bool:
    """Has a stripped line `few` words, which spaces separate?"""
    words, inside = 0, False
    while a < b and words < few:
        byte = data[a]
        if byte < 0x80:
            space, a = byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31, a + 1
        else:
            code, size = decode(data, a)
            space, a = is_space(code), a + size
        words += not space and not inside
        inside = not space
    return words >= few


@njit(cache=True)
def _endless(data: Any, a: int, b: int, long: int) -> bool:
    """Has a line a word of more than `long` characters?"""
    length = 0
    while a < b and length <= long:
        code, size = decode(data, a)
        length = 0 if is_space(code) else length + 1
        a += size
    return length > long


@njit(cache=True)
def _copy(data: Any, a: int, b: int, out: Any, n: int, citations: bool) -> int:
    """Write data[a:b] to `out` from n on, without Wikipedia's marks if asked; where it ends."""
    while a < b:
        if citations and data[a] == _OPEN:
            size = _citation(data, a, b)
            if size:
                a += size
                continue
        out[n] = data[a]
        n, a = n + 1, a + 1
    return n


@njit(cache=True)
def _citation(data: Any, a: int, b: int) -> int:
    """The bytes of the mark that begins at a: [], [12], [edit], [citation needed]; 0 if there is none."""
    i = a + 1
    while i < b and 48 <= data[i] <= 57:
        i += 1
    if i < b and data[i] == _CLOSE:
        return i + 1 - a
    for mark in (_EDIT, _CITATION):
        if a + len(mark) <= b and np.all(data[a : a + len(mark)] == mark):
            return len(mark)
    return 0


@njit(cache=True)
def _ends_well(out: Any, start: int, end: int) -> bool:
    if start == end or not _ENDS[out[end - 1]]:
        return False
    return end - start < 3 or not (out[end - 1] == out[end - 2] == out[end - 3] == _DOT)


@njit(cache=True)
def _search(out: Any, start: int, end: int) -> int:
    """The flags of the phrases in a line, and of a curly bracket."""
    found, pair = 0, 0
    for at in range(start, end):
        pair = (pair << 8 | out[at]) & 0xFFFF
        if out[at] == _CURLY_BRACKET:
            found |= _CURLY
        if not _OPENINGS[pair]:
            continue
        i = at - 1
        for phrase in range(len(_PHRASE_LENGTHS)):
            length = _PHRASE_LENGTHS[phrase]
            if i + length > end:
                continue
            k = 0
            while k < length and _lower(out[i + k]) == _PHRASE_BYTES[phrase, k]:
                k += 1
            if k == length:
                found |= _PHRASE_FLAGS[phrase]
    return found


@njit(cache=True)
def _lower(byte: Any) -> Any:
    return byte + 32 if 65 <= byte <= 90 else byte


@njit(cache=True)
def _move(out: Any, start: int, end: int, to: int) -> int:
    """Move out[start:end] down to `to`; where it ends."""
    if start > to:
        for i in range(start, end):
            out[to + i - start] = out[i]
    return to + end - start
