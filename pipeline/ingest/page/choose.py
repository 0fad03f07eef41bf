"""The blocks of a page -> those of its main text: what a visitor came for, without what stands on every page.

Three steps, each of few thresholds. What says of itself that it stands aside (navigation, comments, a sidebar) goes,
unless most of the text is in it. Then the way leads from the root to the smallest element that holds nearly all prose
(after Readability's candidates, by mass instead of points). In it, lists of links and stray short blocks go, and at its
edges whatever is no prose (after the context rule of jusText, Pomikalek 2011, section 3.2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.ingest.page import names
from pipeline.ingest.page.aside import set_aside
from pipeline.ingest.page.names import Mark, number_of
from pipeline.ingest.page.tree import Tree

PROSE, SENTENCE = 60, 25
"""Characters outside of links, without spaces, from which a block is prose; from the second on if it ends like a
sentence. jusText calls a block short below 70 characters with spaces."""

SHORT = 30
"""A block of fewer characters that is no paragraph, item, cell or heading and no sentence is a label."""

MOST_LINKED, LIST_LINKED = 0.66, 0.7
"""Share of the characters in links from which a paragraph, or a list or table as a whole, is navigation."""

DOMINANT, DECLARED = 0.8, 0.5
"""Share of the prose that a part must hold for the way to lead into it; the second if it is `main` or `article`."""

_CONTENT, _MAIN = int(Mark.CONTENT), int(Mark.MAIN)
_BODY, _MAIN_TAG, _ARTICLE, _SECTION, _DIV, _FORM = (
    number_of(name) for name in ("body", "main", "article", "section", "div", "form")
)
_HEADER, _FOOTER, _NAV, _ASIDE_TAG, _FIELDSET, _SEARCH = (
    number_of(name) for name in ("header", "footer", "nav", "aside", "fieldset", "search")
)
_P, _H1, _H6, _UL, _DIR, _LI, _DL, _DT, _DD = (
    number_of(name) for name in ("p", "h1", "h6", "ul", "dir", "li", "dl", "dt", "dd")
)
_TABLE, _TR, _TD, _TH, _BLOCKQUOTE, _PRE, _LISTING, _FIGURE, _FIGCAPTION = (
    number_of(name) for name in ("table", "tr", "td", "th", "blockquote", "pre", "listing", "figure", "figcaption")
)


def _flags(line: str) -> npt.NDArray[np.bool_]:
    """(tags,) which are among those named."""
    return np.isin(names.TAGS, ["" if name == "text" else name for name in line.split()])


_CONTAINERS = _flags("html body main article section div center form table tbody tr td fieldset header")
"""What the way to the main text leads through."""
_UNLABELLED = _flags(
    "text html body main article section div center form header address figcaption figure details hgroup fieldset"
)
"""What does not say that its text is a paragraph, an item, a cell."""

DROPPED, WEAK, GOOD, HEADING = 0, 1, 2, 3
"""What a block is: none of the main text; of it if what surrounds it is; of it; of it if something follows."""


@njit(cache=True)
def choose(tree: Tree) -> Any:
    """(blocks,) which blocks are main text."""
    return _choose(
        tree.tag, tree.parent, tree.until, tree.marks, tree.text, tree.element, tree.begin, tree.end, tree.characters,
        tree.linked,
    )  # fmt: skip


@njit(cache=True)
def _choose(
    tag: Any, parent: Any, until: Any, marks: Any, text: Any,
    element: Any, begin: Any, end: Any, characters: Any, linked: Any,
) -> Any:  # fmt: skip
    sentence = np.zeros(len(element), np.bool_)
    own = np.zeros((len(tag), 3), np.float64)  # prose, characters, characters in links of the blocks in an element
    for b in range(len(element)):
        sentence[b] = _ends_sentence(text, begin[b], end[b])
        own[element[b], 0] += _prose(tag[element[b]], characters[b], linked[b], sentence[b])
        own[element[b], 1] += characters[b]
        own[element[b], 2] += linked[b]
    gone = set_aside(tag, parent, until, marks, _sum_up(own, parent))
    for e in range(len(tag)):
        if gone[e]:
            own[e] = 0.0
    sums = _sum_up(own, parent)
    inside = _descend(tag, until, marks, sums, gone)
    kinds = np.zeros(len(element), np.uint8)
    for b in range(len(element)):
        e = element[b]
        if inside[e] and not gone[e]:
            kinds[b] = _judge(tag, parent, sums, e, text, begin[b], end[b], characters[b], linked[b], sentence[b])
    _trim(kinds, tag, parent, sums, element, sentence, characters, linked)
    if not np.any(kinds == GOOD) and not np.any(kinds == WEAK):  # a page of hardly a word: what is no link
        for b in range(len(element)):
            kinds[b] = WEAK if not gone[element[b]] and 2 * linked[b] <= characters[b] else DROPPED
    return kinds > DROPPED


@njit(cache=True)
def _ends_sentence(text: Any, begin: Any, end: Any) -> Any:
    """Does it end with terminal punctuation, maybe in closing marks?"""
    k = end - 1
    while k > begin and (text[k] in (34, 39, 41, 93) or text[k] in (0x9C, 0x9D, 0x99, 0xBB)):  # "')] and ” “ ’ »
        k -= 2 if text[k] == 0xBB else 3 if text[k] >= 0x80 else 1
    c = text[max(k, begin)]
    if c in (46, 33, 63, 58, 59):
        return True
    # … is E2 80 A6, 。 E3 80 82, ！ EF BC 81, ？ EF BC 9F, । E0 A5 A4, ؟ D8 9F, ۔ DB 94
    return c in (0xA6, 0x82, 0x81, 0x9F, 0xA4, 0x94) and k - begin > 2 and text[k - 1] in (0x80, 0xBC, 0xA5, 0xD8, 0xDB)


@njit(cache=True)
def _prose(tag: Any, characters: Any, linked: Any, sentence: Any) -> Any:
    free = characters - linked
    if free < SENTENCE or (free < PROSE and not sentence and tag != _PRE) or (tag >= _H1 and tag <= _H6):
        return 0.0
    return free * (free / characters)


@njit(cache=True)
def _sum_up(own: Any, parent: Any) -> Any:
    """Sums over subtrees; a child comes after its parent."""
    sums = own.copy()
    for e in range(len(parent) - 1, 0, -1):
        sums[parent[e]] += sums[e]
    return sums


@njit(cache=True)
def _descend(tag: Any, until: Any, marks: Any, sums: Any, gone: Any) -> Any:
    """Which elements are in the smallest part that holds nearly all prose, or are prose beside the way to it."""
    inside = np.zeros(len(tag), np.bool_)
    node, declared = 0, False
    while True:
        best, e = 0, node + 1
        while e < until[node]:
            if not gone[e] and _CONTAINERS[tag[e]] and (best == 0 or sums[e, 0] > sums[best, 0]):
                best = e
            e = until[e]
        clear = tag[best] == _MAIN_TAG or tag[best] == _ARTICLE or marks[best] & (_MAIN | _CONTENT) != 0
        if best == 0 or sums[best, 0] <= 0 or sums[best, 0] < (DECLARED if clear else DOMINANT) * sums[node, 0]:
            break
        e = node + 1
        while e < until[node]:
            another = clear and tag[e] == tag[best] and marks[e] == marks[best]
            if e != best and not gone[e] and _belongs(tag[e], sums[e], sums[best, 0], declared and not another):
                inside[e : until[e]] = True
            e = until[e]
        declared = declared or (clear and tag[best] > _BODY)
        node = best
    inside[node : until[node]] = True
    for e in range(node - 1, 0, -1):  # the title stands before the text
        if tag[e] == _H1 and not gone[e]:
            inside[e] = True
            break
    return inside


@njit(cache=True)
def _belongs(tag: Any, sums: Any, main: Any, declared: Any) -> Any:
    """Is this, beside the part that holds nearly all prose, of the same text: a paragraph, its lead, its other half?

    Another article beside an article is, if it is nearly as large.
    """
    if sums[0] < PROSE or sums[2] > 0.3 * sums[1]:
        return False
    return declared or not _CONTAINERS[tag] or sums[0] >= 0.2 * main


@njit(cache=True)
def _judge(
    tag: Any, parent: Any, sums: Any, e: Any, text: Any, begin: Any, end: Any,
    characters: Any, linked: Any, sentence: Any,
) -> Any:  # fmt: skip
    """What a block is by itself and the list it stands in."""
    t = tag[e]
    if t >= _H1 and t <= _H6:
        return HEADING
    if t == _FIGCAPTION:
        return DROPPED
    if _claims_rights(text, begin, end) and characters < 150:
        return DROPPED
    listed = _list_of(tag, parent, e)
    if listed and sums[listed, 2] > LIST_LINKED * sums[listed, 1]:
        return DROPPED
    if not listed and (linked > MOST_LINKED * characters or (linked * 3 > characters < PROSE and not sentence)):
        return DROPPED
    if (
        linked * 3 < characters
        and _prose(t, characters, linked, sentence) > 0
        and (sentence or characters - linked >= 2 * PROSE or t == _PRE)
    ):
        return GOOD
    if _UNLABELLED[t] and characters < SHORT and not sentence:
        return DROPPED
    return WEAK


@njit(cache=True)
def _list_of(tag: Any, parent: Any, e: Any) -> Any:
    """The list or table that an item, a cell or something in them stands in; 0 for none."""
    while (e and not _CONTAINERS[tag[e]]) or (tag[e] >= _TABLE and tag[e] <= _TH):
        if (tag[e] >= _UL and tag[e] <= _DIR) or tag[e] == _DL or tag[e] == _TABLE:
            return e
        e = parent[e]
    return 0


@njit(cache=True)
def _claims_rights(text: Any, begin: Any, end: Any) -> Any:
    """Does it begin with © or "Copyright"?"""
    if end - begin < 10:
        return False
    if text[begin] == 0xC2 and text[begin + 1] == 0xA9:
        return True
    same = 0
    for k, c in enumerate(b"copyright"):
        same += text[begin + k] | 32 == c
    return same == 9


@njit(cache=True)
def _trim(
    kinds: Any, tag: Any, parent: Any, sums: Any, element: Any, sentence: Any, characters: Any, linked: Any
) -> None:
    """Before the first good block only headings and sentences stay, behind the last only sentences, and at both lists
    without links, and what else has no link and stands where good ones do; then headings that nothing follows go."""
    first, last = -1, -1
    home = np.zeros(len(tag), np.bool_)  # what paragraphs of the main text stand in
    for b in range(len(kinds)):
        if kinds[b] == GOOD:
            first, last = b if first < 0 else first, b
            home[parent[element[b]]] = True
    for b in range(len(kinds) - 1, -1, -1):  # backwards, so that a heading is still seen by what it heads
        edge = first >= 0 and (b < first or b > last)
        if (
            edge
            and kinds[b] == WEAK
            and not (sentence[b] and characters[b] >= SENTENCE and 3 * linked[b] < characters[b])
        ):
            labelled = not _UNLABELLED[tag[element[b]]]
            if labelled and characters[b] - 2 * linked[b] >= PROSE:
                continue
            if labelled and b < first and kinds[b - 1] == HEADING and linked[b] == 0:
                continue
            listed = _list_of(tag, parent, element[b])
            at_home = linked[b] == 0 and home[parent[listed if listed else element[b]]]
            if at_home and labelled and (sentence[b] or listed or tag[element[b]] == _PRE):
                continue
            if not listed or sums[listed, 2] > 0.2 * sums[listed, 1] or sums[listed, 1] < PROSE:
                kinds[b] = DROPPED
    below = 0  # level that a heading must stand above to have something under it; 9 right after text
    for b in range(len(kinds) - 1, -1, -1):
        if kinds[b] == HEADING:
            level = tag[element[b]] - _H1 + 1
            if level < below:
                below = level
            else:
                kinds[b] = DROPPED
        elif kinds[b]:
            below = 9
