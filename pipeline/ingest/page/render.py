"""Blocks of a page -> plain text in which headings, lists, tables and code can be read.

Paragraphs and headings are set apart by an empty line; items begin with "- " or their number and are indented by
two spaces a level; cells of a row are parted by " | ", unless the table holds more than short entries; preformatted
text is as it was.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.ingest.page.names import number_of
from pipeline.ingest.page.tree import Tree

ENTRY = 80
"""Mean characters, without spaces, of the cells that hold text, up to which a table is one of data."""

DEEPEST = 8
"""Levels of lists up to which an item is indented."""

WIDEST = 2 * DEEPEST + 24
"""Bytes at most before a block: line ends, indent, number."""

_UL, _OL, _DIR, _LI, _DL, _TABLE, _TR, _TD, _TH, _PRE, _LISTING = (
    number_of(name) for name in ("ul", "ol", "dir", "li", "dl", "table", "tr", "td", "th", "pre", "listing")
)
_ROW, _GRID, _LIST, _ITEM, _CODE = range(5)


@njit(cache=True)
def render(tree: Tree, kept: Any) -> Any:
    """The text of the blocks `kept` (blocks,) in order, UTF-8 bytes (size,)."""
    return _render(tree.tag, tree.parent, tree.text, tree.element, tree.begin, tree.end, tree.characters, kept)


@njit(cache=True)
def _entries(tag: Any, parent: Any, element: Any, characters: Any) -> Any:
    """(elements,) which elements are tables of data: no table inside, and short entries."""
    cells, sums, nested = np.zeros(len(tag)), np.zeros(len(tag)), np.zeros(len(tag), np.bool_)
    for e in range(len(tag)):
        if tag[e] == _TABLE:
            k = _above(tag, parent, parent[e], _TABLE)
            nested[k] = True
    before = -1
    for b in range(len(element)):
        table = _above(tag, parent, element[b], _TABLE)
        if table:
            cells[table] += element[b] != before
            sums[table] += characters[b]
        before = element[b]
    data = np.zeros(len(tag), np.bool_)
    for e in range(len(tag)):
        data[e] = tag[e] == _TABLE and not nested[e] and 0 < sums[e] <= ENTRY * cells[e]
    return data


@njit(cache=True)
def _above(tag: Any, parent: Any, e: Any, name: Any) -> Any:
    """The nearest element of this name, from e upwards; 0 for none."""
    while e and tag[e] != name:
        e = parent[e]
    return e


@njit(cache=True)
def _render(
    tag: Any, parent: Any, text: Any, element: Any, begin: Any, end: Any, characters: Any, kept: Any
) -> Any:  # fmt: skip
    room, o = 0, 0
    for b in range(len(kept)):
        room += (end[b] - begin[b] + WIDEST) * kept[b]
    out, data = np.empty(room, np.uint8), _entries(tag, parent, element, characters)
    numbers, told = np.zeros(len(tag), np.int32), np.zeros(len(tag), np.bool_)
    before, place = np.zeros(5, np.int64), np.zeros(5, np.int64)
    for b in range(len(kept)):
        if not kept[b]:
            continue
        depth = _place(tag, parent, data, element[b], place)
        if o:
            o = _part(before, place, out, o)
        item = place[_ITEM]
        if item and not told[item]:
            told[item] = True
            o = _bullet(tag, parent, numbers, item, min(depth, DEEPEST), out, o)
        for k in range(begin[b], end[b]):
            out[o] = 32 if text[k] == 10 and place[_ROW] else text[k]
            o += 1
        before[:] = place
    return out[:o]


@njit(cache=True)
def _place(tag: Any, parent: Any, data: Any, e: Any, place: Any) -> Any:
    """Where a block stands: row and table if it is one of data, outermost list, item, preformatted. Gives the depth of
    lists around it."""
    place[:] = 0
    row, depth = 0, 0
    while e:
        t = tag[e]
        if t == _TR and not row:
            row = e
        elif t == _TABLE:
            if data[e] and not place[_GRID]:
                place[_GRID], place[_ROW] = e, row
            if place[_LIST] == 0 and not data[e]:
                break
        elif t == _LI and not place[_ITEM]:
            place[_ITEM] = e
        elif (t >= _UL and t <= _DIR) or t == _DL:
            place[_LIST] = e
            depth += t != _DL
        elif (t in (_PRE, _LISTING)) and not place[_CODE]:
            place[_CODE] = e
        e = parent[e]
    return depth


@njit(cache=True)
def _part(before: Any, place: Any, out: Any, o: Any) -> Any:
    """What stands between two blocks."""
    if place[_ROW] and place[_ROW] == before[_ROW]:
        out[o], out[o + 1], out[o + 2] = 32, 124, 32
        return o + 3
    near = False
    for kind in (_GRID, _LIST, _CODE):
        near |= place[kind] != 0 and place[kind] == before[kind]
    out[o], out[o + 1] = 10, 10
    return o + 1 if near else o + 2


@njit(cache=True)
def _bullet(tag: Any, parent: Any, numbers: Any, item: Any, depth: Any, out: Any, o: Any) -> Any:
    """The beginning of an item: indented, a dash or its number."""
    for _ in range(2 * (depth - 1)):
        out[o] = 32
        o += 1
    listed = parent[item]
    if tag[listed] != _OL:
        out[o], out[o + 1] = 45, 32
        return o + 2
    numbers[listed] += 1
    number, digits = numbers[listed], 1
    while number >= 10**digits:
        digits += 1
    for k in range(digits):
        out[o + digits - 1 - k] = 48 + number % 10
        number //= 10
    out[o + digits], out[o + digits + 1] = 46, 32
    return o + digits + 2
