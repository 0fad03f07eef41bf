"""Source bytes -> how much of a file is comment, string, number and name: a scanner that knows no grammar.

It errs where only a parser would not (a quote in a regular expression of JavaScript, a here-document), and recovers at
the end of the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.code.syntaxes import number_of, tables

CHARACTER_WITHIN = 12
"""Bytes of a character literal at most: '\\\\U0001F600'."""

_QUOTE, _BACKTICK, _BACKSLASH, _APOSTROPHE, _LF, _HASH = 34, 96, 92, 39, 10, 35


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexemes:
    """Visible bytes of each document, (documents,) int64; -1 where the language's syntax is not known."""

    comments: npt.NDArray[np.int64]
    """With their marks; documentation strings are comments."""
    strings: npt.NDArray[np.int64]
    """With their quotes."""
    numbers: npt.NDArray[np.int64]
    names: npt.NDArray[np.int64]
    """Words of code: identifiers and key words."""
    visible: npt.NDArray[np.int64]
    """All bytes that are no white space."""


def lexemes(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], languages: Sequence[str | None]) -> Lexemes:
    """Scan the documents data[offsets[d] : offsets[d + 1]]."""
    rows = np.array([number_of(language) for language in languages], np.int64)
    counts = np.full((5, len(rows)), -1, np.int64)
    _scan(data, offsets, rows, *tables(), _kinds(), counts)
    names = ("comments", "strings", "numbers", "names", "visible")
    return Lexemes(**dict(zip(names, counts, strict=True)))


def _kinds() -> npt.NDArray[np.uint8]:
    """Byte -> 1 visible, 2 part of a word."""
    kinds = np.ones(256, np.uint8)
    kinds[[9, 10, 11, 12, 13, 32]] = 0
    for byte in range(128):
        kinds[byte] |= 2 * (chr(byte).isalnum() or chr(byte) == "_")
    kinds[128:] |= 2
    return kinds


@njit(cache=True, inline="always")
def _stands(data: Any, i: Any, end: Any, mark: Any) -> bool:
    """Does the mark stand at byte i?"""
    if i + mark[0] > end:
        return False
    for k in range(mark[0]):  # noqa: SIM110
        if data[i + k] != mark[k + 1]:
            return False
    return True


@njit(cache=True)
def _comment(data: Any, i: Any, start: Any, end: Any, pairs: Any, habit: Any, kinds: Any) -> Any:
    """Which pair of marks begins a comment at byte i, -1 for none. The start of a file counts as a line's start."""
    for m in range(habit[0]):
        mark = pairs[m, 0]
        line = pairs[m, 1, 1] == _LF and pairs[m, 1, 0] == 1
        if mark[1] == _LF and data[i] != _LF:
            continue
        if not _stands(data, i, end, mark):
            continue
        if line and i > start:
            before = data[i - 1]
            if before == _BACKSLASH or (habit[2] and kinds[before] and before != 59):
                continue
        return m
    return -1


@njit(cache=True)
def _behind_comment(data: Any, i: Any, end: Any, pair: Any, nested: Any) -> Any:
    """The byte behind the comment that begins at i."""
    close = pair[1]
    depth = 1
    i += pair[0, 0]
    while i < end:
        if data[i] == close[1] and _stands(data, i, end, close):
            depth -= 1
            if close[0] == 1 and close[1] == _LF:
                return i
            i += close[0]
            if depth == 0:
                return i
        elif nested and close[1] != _LF and data[i] == pair[0, 1] and _stands(data, i, end, pair[0]):
            depth += 1
            i += pair[0, 0]
        else:
            i += 1
    return end


@njit(cache=True)
def _behind_string(data: Any, i: Any, end: Any, triple: bool) -> Any:
    """The byte behind the string that begins at i; all but ` and three quotes end with their line."""
    quote = data[i]
    if triple:
        i += 3
        while i < end:
            if data[i] == _BACKSLASH:
                i += 2
            elif data[i] == quote and i + 2 < end and data[i + 1] == quote and data[i + 2] == quote:
                return i + 3
            else:
                i += 1
        return end
    i += 1
    while i < end:
        if data[i] == _BACKSLASH:
            i += 2
        elif data[i] == quote:
            return i + 1
        elif data[i] == _LF and quote != _BACKTICK:
            return i
        else:
            i += 1
    return end


@njit(cache=True)
def _scan(data: Any, offsets: Any, rows: Any, firsts: Any, marks: Any, habits: Any, kinds: Any, counts: Any) -> None:
    for document in range(len(offsets) - 1):
        if rows[document] < 0:
            continue
        first, pairs, habit = firsts[rows[document]], marks[rows[document]], habits[rows[document]]
        start, end = offsets[document], offsets[document + 1]
        comments = strings = numbers = names = other = 0
        i = start
        fresh = True  # nothing but white space stands before on this line
        before = _LF  # the visible byte of code before
        while i < end:
            byte = data[i]
            begins, j, what = first[byte], i, 0
            if begins & 1:
                m = _comment(data, i, start, end, pairs, habit, kinds)
                if m >= 0:
                    j, what = _behind_comment(data, i, end, pairs[m], habit[1]), 1
            if what == 0 and begins & 2:
                triple = bool(habit[3]) and i + 2 < end and data[i + 1] == byte and data[i + 2] == byte
                j = min(_behind_string(data, i, end, triple), end)
                alone = before != 61 and before != 40 and before != 44 and before != 91 and before != 43
                what = 1 if triple and fresh and alone else 2
            elif what == 0 and begins & 4 and i + 2 < end:
                if data[i + 1] == _BACKSLASH:
                    k = i + 3
                    while k < min(i + CHARACTER_WITHIN, end) and data[k] != _APOSTROPHE:
                        k += 1
                    if k < end and data[k] == _APOSTROPHE:
                        j, what = k + 1, 2
                elif data[i + 2] == _APOSTROPHE:
                    j, what = i + 3, 2
            if what == 0 and kinds[byte] & 2:
                j = i + 1
                while j < end and kinds[data[j]] & 2:
                    j += 1
                if begins & 8:
                    while j + 1 < end and data[j] == 46 and kinds[data[j + 1]] & 2:
                        j += 2
                        while j < end and kinds[data[j]] & 2:
                            j += 1
                what = 3 if begins & 8 else 4
            if what == 0:
                if byte == _LF:
                    fresh = True
                elif kinds[byte]:
                    other += 1
                    fresh, before = False, byte
                i += 1
                continue
            seen = j - i
            if what <= 2:
                for k in range(i, j):
                    seen -= ~kinds[data[k]] & 1
            if what == 1:
                comments += seen
            else:
                before = data[j - 1]
                if what == 2:
                    strings += seen
                elif what == 3:
                    numbers += seen
                else:
                    names += seen
            # a prefix letter (r"", b"") does not keep a documentation string from standing alone
            fresh = what == 1 or (what == 4 and fresh and j - i <= 2)
            i = j
        counts[0, document], counts[1, document], counts[2, document] = comments, strings, numbers
        counts[3, document], counts[4, document] = names, comments + strings + numbers + names + other
