"""UTF-8 text -> how many tokens and words it has, cut as spaCy's English rules cut it: what Gopher's shares are of.

What stands between spaces is cut by its punctuation (a new form of the rules, not their code):

    edges       quotes, brackets, stops and symbols go one by one, dots in a row, '' and 's as one:
                ("os.path"),  ->  ( " os.path " ) ,
    inside      rows of dots and symbols, and hyphens, slashes, colons, < > = before a letter: key=value -> key = value;
                + - * ^ between digits, commas between letters, full stops between a small letter and a capital
    together    addresses (of the web and of mail), abbreviations (e.g.), and numbers: 3.14, 10:30
    n't 'll 're 've 'd 'm   are tokens of their own

In a text that is not English each character of a script written without spaces is a word. The lists of exceptions
(emoticons, units, "Mr.") are left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.lines import Lines, characters
from pipeline.filters.punctuation import (
    ALONE,
    GAP,
    LETTER,
    WORDLY,
    back,
    character_flags,
    contraction,
    front,
    infix,
    is_address,
)
from pipeline.words import decode

_COMMA = ord(",")
_PLAIN, _SPACES = np.zeros(256, np.bool_), np.zeros(256, np.bool_)
_PLAIN[[code for code in range(128) if chr(code).isalpha()]] = True
_SPACES[[code for code in range(128) if chr(code).isspace()]] = True
"""Bytes of ASCII letters, and of ASCII spaces."""
_NOTHING = np.empty(0, np.int32)


class Tokens(NamedTuple):
    """Counts by document."""

    tokens: npt.NDArray[np.int64]
    lettered: npt.NDArray[np.int64]
    """Tokens that hold a letter."""
    words: npt.NDArray[np.int64]
    """Tokens that hold a letter or a digit."""
    characters: npt.NDArray[np.int64]
    """Of the words."""
    alone: npt.NDArray[np.int64]
    """Words that are one character of a script written without spaces."""


def count_tokens(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], english: npt.NDArray[np.bool_]) -> Tokens:
    """Count in the documents data[offsets[d] : offsets[d + 1]], of which `english` says which are in English."""
    bounds = np.arange(len(offsets))
    return Tokens(*_count(data, offsets[:-1], offsets[1:], bounds, english, character_flags(), _NOTHING))


def count_line_tokens(lines: Lines, english: npt.NDArray[np.bool_]) -> tuple[Tokens, npt.NDArray[np.int32]]:
    """The same by document, and (lines,) the tokens of each line, since no token goes over the end of one."""
    each = np.empty(len(lines.starts), np.int32)
    counts = _count(lines.data, lines.starts, lines.ends, lines.bounds, english, character_flags(), each)
    return Tokens(*counts), each


@njit(cache=True)
def _count(data: Any, starts: Any, ends: Any, bounds: Any, english: Any, flags: Any, each: Any) -> Any:
    """(5, documents) of the parts bounds[d] : bounds[d + 1] of each document; the tokens of each part, if asked."""
    counts = np.zeros((5, len(bounds) - 1), np.int64)
    for document in range(len(bounds) - 1):
        into = counts[:, document]
        for part in range(bounds[document], bounds[document + 1]):
            before = into[0]
            _count_part(data, starts[part], ends[part], english[document], flags, into)
            if len(each):
                each[part] = into[0] - before
    return counts


@njit(cache=True)
def _count_part(data: Any, i: Any, end: Any, english: bool, flags: Any, into: Any) -> None:
    words = letters = commas = 0  # of words of ASCII letters alone, after which a comma may stand: most chunks
    while i < end:
        start = i
        while i < end and _PLAIN[data[i]]:
            i += 1
        comma = i > start and i + 1 < end and data[i] == _COMMA and _SPACES[data[i + 1]]
        if i > start and (comma or i == end or _SPACES[data[i]]):
            words, letters, commas, i = words + 1, letters + i - start, commas + comma, i + 1 + comma
            continue
        i = start
        code, size = decode(data, i)
        if flags[code] & GAP:
            i += size
            continue
        while i < end and not flags[code] & GAP:
            i += size
            if i < end:
                code, size = decode(data, i)
        _cut(data, start, i, english, flags, into)
    into[0] += words + commas
    into[1] += words
    into[2] += words
    into[3] += letters


@njit(cache=True)
def _add(into: Any, data: Any, start: int, end: int, lettered: bool, word: bool) -> None:
    """Count the token data[start:end]."""
    into[0] += 1
    into[1] += lettered
    if word:
        into[2] += 1
        into[3] += characters(data, start, end)


@njit(cache=True)
def _cut(data: Any, a: int, b: int, english: bool, flags: Any, into: Any) -> None:
    """Count the tokens of data[a:b], which holds no space."""
    while a < b:
        size = front(data, a, b, flags)
        if size == 0:
            break
        into[0] += 1
        a += size
    while a < b:
        size = back(data, a, b, flags)
        if size == 0:
            break
        if data[b - 1] | 32 == 115:  # 's
            _add(into, data, b - size, b, True, True)
        else:
            into[0] += 1
        b -= size
    if a < b:
        short = contraction(data, a, b)
        if short:
            _add(into, data, b - short, b, True, True)
        _inside(data, a, b - short, english, flags, into)


@njit(cache=True)
def _inside(data: Any, a: int, b: int, english: bool, flags: Any, into: Any) -> None:
    """Count the tokens of what is left between the edges."""
    if a >= b:
        return
    start, lettered, word, i, before = a, False, False, a, 0
    while i < b:
        code, size = decode(data, i)
        kind = flags[code]
        if kind & ALONE and not english:
            if start < i:
                _add(into, data, start, i, lettered, word)
            _add(into, data, i, i + size, True, True)
            into[4] += 1
            i += size
            start, lettered, word, before = i, False, False, kind
            continue
        length = 0
        if not kind & WORDLY and i > a:
            length = infix(data, i, b, code, size, before, flags)
        if length:
            if start == a and is_address(data, a, b, flags):
                break
            if start < i:
                _add(into, data, start, i, lettered, word)
            into[0] += 1
            i += length
            start, lettered, word, before = i, False, False, 0
            continue
        lettered |= kind & LETTER != 0
        word |= kind & WORDLY != 0
        i, before = i + size, kind
    if start < b:
        _add(into, data, start, b, lettered, word)
