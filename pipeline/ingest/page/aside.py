"""The parts of a page that say of themselves that they stand beside its main text: navigation, comments, a sidebar."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.ingest.page import names
from pipeline.ingest.page.names import Mark, number_of

SPARE, SPARE_COMMENTS, SPARE_BOTH = 0.4, 0.1, 0.9
"""Share of the prose that must be left when a part that stands aside goes: in general; for comments, `nav`, `aside` and
`footer`, which are clear; and for a part that calls itself content, too."""

_ASIDE, _CONTENT, _MAIN, _HIDDEN = int(names.ASIDE), int(Mark.CONTENT), int(Mark.MAIN), int(Mark.HIDDEN)
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
    gone = np.zeros(len(tag), np.bool_)
    all_prose = sums[0, 0]
    left = all_prose
    e = 1
    while e < len(tag):
        spare = _spare(tag, parent, until, marks, sums, e)
        if spare < 0 or left - sums[e, 0] < spare * all_prose:
            e += 1
            continue
        left -= sums[e, 0]
        gone[e : until[e]] = True
        e = until[e]
    return gone


@njit(cache=True)
def _spare(tag: Any, parent: Any, until: Any, marks: Any, sums: Any, e: Any) -> Any:
    """The share of the prose that must be left if this element is to go; -1 if nothing says it should."""
    t, mark = tag[e], marks[e]
    if t <= _BODY or mark & _MAIN:
        return -1.0
    if mark & _HIDDEN or t in (_NAV, _FOOTER, _ASIDE_TAG, _SEARCH):
        return SPARE_COMMENTS
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
    return SPARE_COMMENTS if mark & _CLEAR else SPARE
