"""The parts of a page that say of themselves that they stand beside its main text: navigation, comments, a sidebar.

Parts that say the same are judged together: they go, or stay, all of them, so that of a forum's posts none is left
alone. The most prose is judged first, parts inside of one that stays after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.ingest.page import names
from pipeline.ingest.page.names import Mark, number_of

SPARE, SPARE_CLEAR, SPARE_BOTH = 0.4, 0.1, 0.9
"""Share of the prose that must stay when parts that stand aside go: in general; for comments, `nav`, `aside` and
`footer`, which are clear; and for parts that call themselves content, too."""

_ASIDE, _CONTENT, _MAIN, _HIDDEN = int(names.ASIDE), int(Mark.CONTENT), int(Mark.MAIN), int(Mark.HIDDEN)
_SAID = _ASIDE | _HIDDEN

GROUPS = 64
"""Groups of parts that say the same at most; a page that says more has the others in one."""

_CLEAR = int(Mark.COMMENTS | Mark.NAVIGATION | Mark.FOOTER)
_BODY, _H1, _H6, _MAIN_TAG, _ARTICLE, _SECTION, _FORM, _FIELDSET = (
    number_of(name) for name in ("body", "h1", "h6", "main", "article", "section", "form", "fieldset")
)
_HEADER, _FOOTER, _NAV, _ASIDE_TAG, _SEARCH = (
    number_of(name) for name in ("header", "footer", "nav", "aside", "search")
)


@njit(cache=True)
def set_aside(tag: Any, parent: Any, until: Any, marks: Any, sums: Any) -> Any:
    """Which elements go with all that is in them."""
    gone, judged = np.zeros(len(tag), np.bool_), np.zeros(len(tag), np.bool_)
    spares, group = np.empty(len(tag), np.float64), np.empty(len(tag), np.int64)
    for e in range(len(tag)):
        spares[e] = _spare(tag, parent, until, marks, e)
    left = sums[0, 0]
    number, prose = np.empty(_SAID + 3, np.int64), np.empty(GROUPS, np.float64)
    while True:
        outer = _outermost(until, spares, judged, gone)
        if len(outer) == 0:
            return gone
        groups = 0
        number[:], prose[:] = -1, 0
        for e in outer:
            said = marks[e] & _SAID
            kind = said if said else _SAID + 1 + (tag[e] in (_FORM, _FIELDSET))
            if number[kind] < 0:
                number[kind], groups = min(groups, GROUPS - 1), groups + 1
            group[e] = number[kind]
            prose[group[e]] += sums[e, 0]
        for _ in range(min(groups, GROUPS)):
            largest = 0
            for g in range(GROUPS):
                largest = g if prose[g] > prose[largest] else largest
            prose[largest] = -1
            left = _judge(largest, outer, group, until, sums, spares, left, judged, gone)


@njit(cache=True)
def _outermost(until: Any, spares: Any, judged: Any, gone: Any) -> Any:
    """The elements that may have to go, but for those inside of such, or of what is gone."""
    found, n, e = np.empty(len(until), np.int32), 0, 1
    while e < len(until):
        if gone[e]:
            e = until[e]
        elif spares[e] < 0 or judged[e]:
            e += 1
        else:
            found[n] = e
            n, e = n + 1, until[e]
    return found[:n]


@njit(cache=True)
def _judge(
    number: Any, outer: Any, group: Any, until: Any, sums: Any, spares: Any, left: Any, judged: Any, gone: Any
) -> Any:  # fmt: skip
    """Let all parts of a group go, or none; one that holds most of their prose may be something else, and stays.

    `left` is the prose that is left of the page; gives what is left then.
    """
    while True:
        prose, least, largest = 0.0, 0.0, -1
        for e in outer:
            if group[e] == number and not judged[e]:
                prose += sums[e, 0]
                least = max(least, spares[e])
                largest = e if largest < 0 or sums[e, 0] > sums[largest, 0] else largest
        goes = left - prose >= least * left
        if largest >= 0 and not goes and 2 * sums[largest, 0] > prose:
            judged[largest] = True
            continue
        for e in outer:
            if group[e] == number and not judged[e]:
                judged[e] = True
                gone[e : until[e]] |= goes
        return left - prose if goes else left


@njit(cache=True)
def _spare(tag: Any, parent: Any, until: Any, marks: Any, e: Any) -> Any:
    """The share of the prose that must stay if this element is to go; -1 if nothing says it should."""
    t, mark = tag[e], marks[e]
    if t <= _BODY or mark & _MAIN:
        return -1.0
    if t in (_NAV, _FOOTER, _ASIDE_TAG, _SEARCH):
        return SPARE_CLEAR
    if mark & _HIDDEN:
        return SPARE_CLEAR
    if t in (_FORM, _FIELDSET):
        return SPARE + 0.3
    if t == _HEADER:
        k = parent[e]
        while k and not (tag[k] == _ARTICLE or tag[k] == _MAIN_TAG or tag[k] == _SECTION or marks[k] & _MAIN):
            k = parent[k]
        for inner in range(e + 1, until[e]):
            k = inner if tag[inner] == _ARTICLE or tag[inner] == _MAIN_TAG else k
        return -1.0 if k else SPARE
    if not mark & _ASIDE or (t >= _H1 and t <= _H6) or t in (_ARTICLE, _MAIN_TAG):
        return -1.0
    if mark & _CONTENT:
        return SPARE_BOTH
    return SPARE_CLEAR if mark & _CLEAR else SPARE
