"""Bytes of HTML -> tags and stretches of text, in one pass that no page can make slow.

Follows the WHATWG tokenizer where pages of the wild need it (raw text, bogus comments, unquoted and unclosed
attributes), and reads of attributes only what says what an element is for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.ingest.page import names
from pipeline.ingest.page.names import AS_ATTRIBUTE, AS_ROLE, AS_TAG, AS_WORD, ATTRIBUTES, RAW, STEP, Mark, number_of

_RAW = np.uint8(RAW)
_OTHER, _TITLE, _SECTION = (number_of(name) for name in ("other", "title", "section"))
_CLASS, _ID, _ROLE, _ITEMPROP = (ATTRIBUTES.index(name) for name in ("class", "id", "role", "itemprop"))
_HREF, _HIDDEN, _STYLE, _ARIA_HIDDEN, _ALTTEXT, _TYPE, _ENCODING = (
    ATTRIBUTES.index(name) for name in ("href", "hidden", "style", "aria-hidden", "alttext", "type", "encoding")
)
_IS_HIDDEN, _IS_LINK, _IS_FRAGMENT, _NEGATION, _IS_SECTION, _IS_TEX = (
    int(mark) for mark in (Mark.HIDDEN, Mark.LINK, Mark.FRAGMENT, Mark.NEGATION, Mark.SECTION, Mark.TEX)
)
_ASIDE, _CONTENT = int(names.ASIDE), int(Mark.CONTENT)
_LT, _GT, _SLASH, _QUOTE, _APOSTROPHE, _EQUALS, _DASH, _BANG = (ord(character) for character in "<>/\"'=-!")
_ONE = np.uint64(1)
_LOWER = np.array([byte + 32 if 65 <= byte <= 90 else byte for byte in range(256)], np.uint8)
_SPACE, _LETTER = (
    np.array([chr(byte) in characters for byte in range(256)])
    for characters in (" \t\n\r\f", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
)

TEXT, OPEN, CLOSE = 0, 1, 2


class Tokens(NamedTuple):
    """A page in pieces, in order. Columns of (tokens,)."""

    what: npt.NDArray[np.uint8]
    """TEXT, OPEN or CLOSE."""
    tag: npt.NDArray[np.int16]
    begin: npt.NDArray[np.int64]
    """Of text its first byte; of a tag that holds raw text (script, title) that of the raw text; of `math` that of its
    `alttext`."""
    end: npt.NDArray[np.int64]
    marks: npt.NDArray[np.int32]
    """`Mark`s of an opened element."""
    title: int
    """The token that opens the first `title`; -1 if there is none."""


@njit(cache=True)
def tokenize(data: Any, tags: int, hashes: Any, values: Any, kinds: Any) -> Tokens:
    """The tags and texts of a page, UTF-8 bytes (size,) with so many "<"; `names.table()` and `names.kinds()`.

    Comments, declarations and unfinished tags are left out.
    """
    room = 2 * tags + 2
    what, tag = np.empty(room, np.uint8), np.empty(room, np.int16)
    begin, end, marks = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int32)
    n, title = _tokenize(data, hashes, values, kinds, what, tag, begin, end, marks)
    return Tokens(what[:n], tag[:n], begin[:n], end[:n], marks[:n], title)


@njit(cache=True)
def count_tags(data: Any) -> int:
    """Bytes of a page that may begin a tag; five times as fast as `bytes.count`."""
    count = 0
    for byte in data:
        count += byte == _LT
    return count


@njit(cache=True)
def _tokenize(
    data: Any, hashes: Any, values: Any, kinds: Any,
    what: Any, tag: Any, begin: Any, end: Any, marks: Any,
) -> Any:  # fmt: skip
    n, i, size, title = 0, 0, len(data), -1
    endless = np.zeros(len(kinds), np.bool_)  # raw tags that are not closed any more: looked for once
    span = np.zeros(2, np.int64)
    while i < size:
        if data[i] != _LT or i + 1 >= size or not (_LETTER[data[i + 1]] or data[i + 1] in (_SLASH, _BANG, 63)):
            start = i
            i = _next(data, i + 1, _LT)
            what[n], tag[n], begin[n], end[n], marks[n] = TEXT, 0, start, i, 0
            n += 1
        elif _LETTER[data[i + 1]]:
            i, name = _name(data, i + 1, hashes, values)
            span[:] = i
            i, mark = _attributes(data, i, _IS_SECTION if name == _SECTION else 0, hashes, values, span)
            if i > size:
                break
            what[n], tag[n], marks[n], begin[n], end[n] = OPEN, name, mark, span[0], span[1]
            if kinds[name] & _RAW and not endless[name]:
                close = _closing(data, i, name, hashes, values)
                if close < 0:
                    endless[name] = True
                else:
                    begin[n], end[n] = i, close
                    i = close
                if name == _TITLE and title < 0:
                    title = n
            n += 1
        elif data[i + 1] == _SLASH and i + 2 < size and _LETTER[data[i + 2]]:
            i, name = _name(data, i + 2, hashes, values)
            i = _next(data, i, _GT) + 1
            what[n], tag[n], begin[n], end[n], marks[n] = CLOSE, name, i, i, 0
            n += 1
        else:
            i = _behind_comment(data, i)
    return n, title


@njit(cache=True, inline="always")
def _next(data: Any, i: Any, byte: Any) -> Any:
    """Where a byte stands from i on, or the end."""
    at, size = np.uint64(i), np.uint64(len(data))  # unsigned: a negative place would have to be looked for
    while at < size and data[at] != byte:
        at += _ONE
    return np.int64(at)


@njit(cache=True, inline="always")
def _look(hashes: Any, values: Any, h: Any) -> Any:
    mask = np.uint64(len(hashes) - 1)
    slot = h & mask
    while hashes[slot] != 0:
        if hashes[slot] == h:
            return values[slot]
        slot = (slot + np.uint64(1)) & mask
    return 0


@njit(cache=True)
def _name(data: Any, i: Any, hashes: Any, values: Any) -> tuple[Any, ...]:
    """(behind the name that begins at i, number of the tag)."""
    h, size = AS_TAG, len(data)
    while i < size and data[i] != _GT and data[i] != _SLASH and not _SPACE[data[i]]:
        h = (h ^ np.uint64(_LOWER[data[i]])) * STEP
        i += 1
    found = _look(hashes, values, h)
    return i, found if found else _OTHER


@njit(cache=True)
def _attributes(data: Any, i: Any, mark: Any, hashes: Any, values: Any, span: Any) -> tuple[Any, ...]:
    """(behind the `>`, marks, those of the name among them) of a tag whose name ends at i.

    Beyond the data if it is never closed.
    """
    address, size = 0, len(data)
    while True:
        while i < size and (_SPACE[data[i]] or data[i] == _SLASH):
            i += 1
        if i >= size:
            return size + 1, mark
        if data[i] == _GT:
            return i + 1, mark | (address & ~(_ASIDE | _IS_HIDDEN) if mark & _IS_SECTION else address)
        h = AS_ATTRIBUTE
        while True:  # a name may begin with "="
            h = (h ^ np.uint64(_LOWER[data[i]])) * STEP
            i += 1
            if i >= size or data[i] == _EQUALS or data[i] == _GT or data[i] == _SLASH or _SPACE[data[i]]:
                break
        a, b, i = _value(data, i)
        name = _look(hashes, values, h)
        if name == _CLASS:
            mark |= _named(data, a, b, hashes, values, AS_WORD)
        elif name == _ID:
            address = _named(data, a, b, hashes, values, AS_WORD)
        elif name in (_ROLE, _ITEMPROP):
            mark |= _named(data, a, b, hashes, values, AS_ROLE)
        elif name == _HREF:
            mark |= _IS_LINK if b == a or data[a] != 35 else _IS_LINK | _IS_FRAGMENT
        elif name == _HIDDEN or (name == _ARIA_HIDDEN and b - a == 4) or (name == _STYLE and _unseen(data, a, b)):
            mark |= _IS_HIDDEN
        elif name == _ALTTEXT:
            span[0], span[1] = a, b
        elif name in (_TYPE, _ENCODING) and _says_tex(data, a, b):
            mark |= _IS_TEX


@njit(cache=True)
def _value(data: Any, i: Any) -> tuple[Any, ...]:
    """(begin, end, behind) of the value of the attribute whose name ends at i."""
    size = len(data)
    k = i
    while k < size and _SPACE[data[k]]:
        k += 1
    if k >= size or data[k] != _EQUALS:
        return i, i, i
    k += 1
    while k < size and _SPACE[data[k]]:
        k += 1
    if k < size and (data[k] == _QUOTE or data[k] == _APOSTROPHE):
        quote, k = data[k], k + 1
        close = _next(data, k, quote)
        return k, close, close + 1
    begin = k
    while k < size and data[k] != _GT and not _SPACE[data[k]]:
        k += 1
    return begin, k, k


@njit(cache=True)
def _named(data: Any, a: Any, b: Any, hashes: Any, values: Any, seed: Any) -> Any:
    """The marks of a list of names: a name as a whole, or else its words (post-comments, postComments).

    Of one name, what stands aside outweighs content: the comments of a post are comments. Only a whole name says that
    its element is hidden: in field-label-hidden the label is.
    """
    marks, i = 0, a
    while i < b:
        whole, word, name = seed, seed, 0
        negated: Any = False
        upper: Any = True
        while True:
            c = data[i] if i < b else np.uint8(32)
            capital = 65 <= c <= 90
            ends = not (_LETTER[c] or 48 <= c <= 57 or c >= 128)
            if ends or (capital and not upper):
                found = _look(hashes, values, word)
                name |= 0 if negated else found & ~_IS_HIDDEN
                negated = (negated and word == seed) or found & _NEGATION != 0
                word = seed
            if _SPACE[c]:
                break
            if not ends:
                word = (word ^ np.uint64(_LOWER[c])) * STEP
                whole = (whole ^ np.uint64(_LOWER[c])) * STEP
            upper, i = capital or ends, i + 1
        found = _look(hashes, values, whole)
        name = found if found else name
        marks |= name & ~_CONTENT if name & (_ASIDE | _IS_HIDDEN) else name
        i += 1
    return marks & ~_NEGATION


@njit(cache=True)
def _unseen(data: Any, a: Any, b: Any) -> Any:
    """Does a style say `display: none` or `visibility: hidden`?"""
    for i in range(a, b - 3):
        c = _LOWER[data[i]]
        if c == 110 and _LOWER[data[i + 1]] == 111 and _LOWER[data[i + 2]] == 110 and _LOWER[data[i + 3]] == 101:
            k = i - 1
            while k > a and (_SPACE[data[k]] or data[k] == 58):
                k -= 1
            if k - a >= 6 and _LOWER[data[k]] == 121 and _LOWER[data[k - 1]] == 97 and _LOWER[data[k - 6]] == 100:
                return True
        if c == 104 and i + 6 <= b and _LOWER[data[i + 2]] == 100 and _LOWER[data[i + 5]] == 110:
            k = i - 1
            while k > a and (_SPACE[data[k]] or data[k] == 58):
                k -= 1
            if k - a >= 9 and _LOWER[data[k]] == 121 and _LOWER[data[k - 9]] == 118:
                return True
    return False


@njit(cache=True)
def _says_tex(data: Any, a: Any, b: Any) -> Any:
    """Is a type `math/tex` or `application/x-tex`, whatever follows it?"""
    for i in range(a, b - 3):
        if data[i] in (_SLASH, _DASH) and _LOWER[data[i + 1]] == 116 and _LOWER[data[i + 2]] == 101:
            return _LOWER[data[i + 3]] == 120
    return False


@njit(cache=True)
def _closing(data: Any, i: Any, name: Any, hashes: Any, values: Any) -> Any:
    """Where `</name` stands from i on, or -1."""
    size = len(data)
    while i < size - 2:
        if data[i] == _LT and data[i + 1] == _SLASH and _LETTER[data[i + 2]]:
            _, found = _name(data, i + 2, hashes, values)
            if found == name:
                return i
        i += 1
    return -1


@njit(cache=True)
def _behind_comment(data: Any, i: Any) -> Any:
    """Behind the comment, declaration or other markup that begins at i."""
    size = len(data)
    if i + 3 < size and data[i + 1] == _BANG and data[i + 2] == _DASH and data[i + 3] == _DASH:
        i += 4
        if i < size and data[i] == _GT:  # <!-->
            return i + 1
        while i < size and not (data[i] == _GT and data[i - 1] == _DASH and data[i - 2] == _DASH):
            i += 1
        return i + 1
    return _next(data, i + 2, _GT) + 1
