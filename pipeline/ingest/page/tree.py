"""Tags and texts of a page -> its elements and the blocks of text in them, however badly the tags are nested.

Elements that may not stand in one another end one another as the WHATWG tree builder has it, in short: a block ends a
paragraph, an item the item before it, a cell the cell; an end tag ends what stands open inside of its element.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.ingest.page.lexer import CLOSE, OPEN, TEXT, Tokens
from pipeline.ingest.page.names import BLOCK, RAW, SKIPPED, VOID, Mark, number_of
from pipeline.ingest.page.text import (
    BLOCKS,
    CHARACTERS,
    COUNTED,
    ELEMENTS,
    GAP,
    HEIGHT,
    LINK,
    LINKED,
    OUT,
    PLACES,
    SKIP,
    break_line,
    end_link,
    flush,
    write,
)  # fmt: skip

_TAG, _PARENT, _UNTIL, _MARKS = range(4)
"""Rows of the table of elements."""

DEEPEST = 256
"""Elements open at a time; what is nested deeper counts to the deepest. Browsers have 512; few pages are 100 deep."""

_BLOCK, _VOID, _RAW, _SKIPPED = (np.uint8(kind) for kind in (BLOCK, VOID, RAW, SKIPPED))
_IS_LINK, _IS_FRAGMENT, _IS_HIDDEN, _IS_TEX = (int(mark) for mark in (Mark.LINK, Mark.FRAGMENT, Mark.HIDDEN, Mark.TEX))
_HTML, _BODY, _P, _LI, _DT, _DD, _DIV, _ADDRESS = (
    number_of(name) for name in ("html", "body", "p", "li", "dt", "dd", "div", "address")
)
_TABLE, _TR, _TD, _TH, _CAPTION, _THEAD, _TBODY, _TFOOT = (
    number_of(name) for name in ("table", "tr", "td", "th", "caption", "thead", "tbody", "tfoot")
)
_H1, _H6, _A, _BR, _PRE, _LISTING, _MATH, _HEAD = (
    number_of(name) for name in ("h1", "h6", "a", "br", "pre", "listing", "math", "head")
)

_LAST_BLOCK = number_of("hr")
"""The tags of blocks are numbered up to here."""


class Tree(NamedTuple):
    """Elements that are set apart, in document order (elements,), and blocks of text (blocks,) with the text of all."""

    tag: npt.NDArray[np.int32]
    parent: npt.NDArray[np.int32]
    """0 is the root, its own parent."""
    until: npt.NDArray[np.int32]
    """The subtree of element e is e : until[e]."""
    marks: npt.NDArray[np.int32]
    text: npt.NDArray[np.uint8]
    """UTF-8 with references resolved and white space collapsed, but for preformatted text."""
    element: npt.NDArray[np.int32]
    """(blocks,) where the block stands."""
    begin: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    characters: npt.NDArray[np.int32]
    """Without spaces; one of Chinese, Japanese or Korean counts as three, since it says as much."""
    linked: npt.NDArray[np.int32]
    """Those of them in links."""


@njit(cache=True)
def grow(data: Any, tokens: Tokens, kinds: Any, hashes: Any, codes: Any) -> Tree:
    """The elements and blocks of a page; `names.kinds()` and `entities.references()`."""
    room = len(tokens.what) + 2
    elements, blocks = np.empty((4, room), np.int32), np.empty((5, room), np.int32)
    elements[:, 0] = 0
    text = np.empty(len(data) + len(data) // 4 + 64, np.uint8)  # a reference is at most 1.2 times as long as its name
    n, m, size = _grow(
        data, tokens.what, tokens.tag, tokens.begin, tokens.end, tokens.marks, kinds, hashes, codes,
        elements, text, blocks,
    )  # fmt: skip
    return Tree(
        elements[_TAG, :n], elements[_PARENT, :n], elements[_UNTIL, :n], elements[_MARKS, :n], text[:size],
        blocks[0, :m], blocks[1, :m], blocks[2, :m], blocks[3, :m], blocks[4, :m],
    )  # fmt: skip


@njit(cache=True)
def _grow(
    data: Any, what: Any, tags: Any, begin: Any, end: Any, marks: Any, kinds: Any, hashes: Any, codes: Any,
    elements: Any, out: Any, blocks: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Fill the columns of elements and of blocks; how many there are of each, and bytes of text."""
    s = np.zeros(PLACES, np.int64)
    s[LINK] = s[SKIP] = -1
    s[ELEMENTS] = s[HEIGHT] = 1
    stack = np.zeros((DEEPEST, 3), np.int64)  # tag, element, whether preformatted
    anchor = np.zeros(4, np.int64)  # the state of the block where the open link began
    told = False  # whether the open formula has told its TeX
    for t in range(len(what)):
        tag = tags[t]
        if what[t] == OPEN:
            if tag == _BR:
                break_line(s, stack, out, blocks)
            elif kinds[tag] & _BLOCK:
                flush(s, stack, out, blocks)
                _imply(s, stack, elements, tag)
                _push_block(s, stack, elements, tag, marks[t], kinds)
            elif tag == _MATH or marks[t] & _IS_TEX:
                inside = tag != _MATH and not kinds[tag] & _RAW  # else its TeX is an attribute, or raw
                k = t + inside
                if _is_read(s, stack) and not (inside and told) and k < len(what) and (k == t or what[k] == TEXT):
                    write(s, stack, data, begin[k], end[k], out, hashes, codes)
                if inside or tag == _MATH:
                    told = inside or end[t] > begin[t]
                    _push(s, stack, tag, True)
            elif not kinds[tag] & (_VOID | _RAW) and tag != _HEAD:
                if marks[t] & _IS_LINK and tag == _A:
                    end_link(s, out, anchor)
                    anchor[:] = s[OUT], s[CHARACTERS], s[LINKED], s[GAP]
                _push(s, stack, tag, kinds[tag] & _SKIPPED != 0 or marks[t] & _IS_HIDDEN != 0)
                if marks[t] & _IS_LINK and tag == _A and s[LINK] < 0:
                    s[LINK] = s[HEIGHT] - 1
                    s[COUNTED] = not marks[t] & _IS_FRAGMENT or _leads_away(elements[_TAG, stack[s[LINK], 1]])
        elif what[t] == CLOSE:
            if tag == _BR:
                break_line(s, stack, out, blocks)
            elif kinds[tag] & _BLOCK:
                flush(s, stack, out, blocks)
                _close_block(s, stack, elements, tag)
            else:
                if tag == _A:
                    end_link(s, out, anchor)
                _close_inline(s, stack, elements, tag, kinds)
        elif s[SKIP] < 0:
            write(s, stack, data, begin[t], end[t], out, hashes, codes)
    flush(s, stack, out, blocks)
    _pop(s, stack, elements, 0)
    return s[ELEMENTS], s[BLOCKS], s[OUT]


@njit(cache=True)
def _is_read(s: Any, stack: Any) -> Any:
    """Is what stands here read, or passed over for the formula alone that it is in?"""
    return s[SKIP] < 0 or stack[s[SKIP], 0] == _MATH


@njit(cache=True)
def _leads_away(tag: Any) -> Any:
    """Is a link to the page itself one of a table of contents, and not a term or heading that links to itself?"""
    return not (tag in (_P, _DT, _DD, _PRE) or (tag >= _H1 and tag <= _H6))


@njit(cache=True)
def _push(s: Any, stack: Any, tag: Any, skipped: Any) -> None:
    """Open an element inside of a line."""
    h = s[HEIGHT]
    if h < DEEPEST:
        stack[h, 0], stack[h, 1], stack[h, 2] = tag, stack[h - 1, 1], stack[h - 1, 2]
        s[HEIGHT] = h + 1
        if skipped and s[SKIP] < 0:
            s[SKIP] = h


@njit(cache=True)
def _push_block(s: Any, stack: Any, elements: Any, tag: Any, mark: Any, kinds: Any) -> None:
    h, e = s[HEIGHT], s[ELEMENTS]
    if kinds[tag] & _VOID or h == DEEPEST or (tag <= _BODY and tag >= _HTML and _open(s, stack, tag)):
        return
    elements[_TAG, e], elements[_PARENT, e], elements[_MARKS, e] = tag, stack[h - 1, 1], mark
    stack[h, 0], stack[h, 1] = tag, e
    stack[h, 2] = stack[h - 1, 2] != 0 or tag in (_PRE, _LISTING)
    s[ELEMENTS], s[HEIGHT] = e + 1, h + 1
    if kinds[tag] & _SKIPPED and s[SKIP] < 0:
        s[SKIP] = h


@njit(cache=True)
def _open(s: Any, stack: Any, tag: Any) -> Any:
    found = False
    for k in range(min(s[HEIGHT], 4)):
        found |= stack[k, 0] == tag
    return found


@njit(cache=True)
def _pop(s: Any, stack: Any, elements: Any, to: Any) -> None:
    """End all elements from the height `to` on."""
    for k in range(s[HEIGHT] - 1, to - 1, -1):
        elements[_UNTIL, stack[k, 1]] = s[ELEMENTS]
    s[HEIGHT] = to
    if s[LINK] >= to:
        s[LINK] = -1
    if s[SKIP] >= to:
        s[SKIP] = -1


@njit(cache=True)
def _imply(s: Any, stack: Any, elements: Any, tag: Any) -> None:
    """End what may not hold a block that begins."""
    item, definition, row, cell = tag == _LI, tag in (_DT, _DD), tag == _TR, tag in (_TD, _TH)
    part, heading = tag >= _THEAD and tag <= _TFOOT, tag >= _H1 and tag <= _H6
    first = True
    for k in range(s[HEIGHT] - 1, 0, -1):
        t = stack[k, 0]
        if t > _LAST_BLOCK:
            continue  # inside of a line
        if first and (t == _P or (heading and t >= _H1 and t <= _H6)):
            _pop(s, stack, elements, k)
        elif (item and t == _LI) or (definition and (t in (_DT, _DD))):
            _pop(s, stack, elements, k)
            return
        elif row or cell or part:
            if t == _TABLE or (cell and t == _TR) or (row and t >= _THEAD and t <= _TFOOT):
                return
            if (cell and (t in (_TD, _TH))) or (row and t == _TR) or (part and t >= _THEAD and t <= _TFOOT):
                _pop(s, stack, elements, k)
                return
        elif not ((item or definition) and (t in (_DIV, _ADDRESS))):
            return
        first = False


@njit(cache=True)
def _close_block(s: Any, stack: Any, elements: Any, tag: Any) -> None:
    """End the nearest open element of this name; in a cell only those inside of it."""
    heading = tag >= _H1 and tag <= _H6
    of_table = tag >= _TABLE and tag <= _TH
    for k in range(s[HEIGHT] - 1, 0, -1):
        t = stack[k, 0]
        if t == tag or (heading and t >= _H1 and t <= _H6):
            _pop(s, stack, elements, k)
            return
        if t == _TABLE or (not of_table and (t in (_TD, _TH, _CAPTION))):
            return


@njit(cache=True)
def _close_inline(s: Any, stack: Any, elements: Any, tag: Any, kinds: Any) -> None:
    """End an element of a line; where blocks were opened inside of it, it goes on for them but as what it was not."""
    for k in range(s[HEIGHT] - 1, 0, -1):
        if stack[k, 0] == tag:
            if k == s[SKIP]:
                s[SKIP] = -1
            if k == s[LINK]:
                s[LINK] = -1
            inner = True
            for m in range(k + 1, s[HEIGHT]):
                inner &= kinds[stack[m, 0]] & _BLOCK == 0
            if inner:
                _pop(s, stack, elements, k)
            return
        if stack[k, 0] >= _TABLE and stack[k, 0] <= _TH:
            return
