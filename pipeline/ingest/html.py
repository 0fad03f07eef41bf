"""A page's HTML -> its title and main text, in time and memory that its author cannot blow up."""

from __future__ import annotations

import re

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

CHECKED_TAGS = 20_000
"""A page with fewer `<` is not checked: at worst (10,000 nested `div`) it costs 2 seconds."""

MOST_STEPS = 30_000_000
"""Tags times depth at most. Extraction climbs from every block to the root: 34 ns a step measured, so about a second.
Real pages: a manual of 100,000 tags nested 30 deep has 3 million."""

CHECKED_TAG, MOST_WORDS = 8192, 1_000
"""A tag longer than 8,192 characters may hold 1,000 words at most: the parser compares each attribute with all before
(2 ns a pair), 300,000 of them cost minutes. Long data: URLs have no spaces."""

LONG_TAG = re.compile(rf"<[A-Za-z][^<>]{{{CHECKED_TAG},}}")
NESTING = re.compile(
    r"<(/?)(?!(?:br|img|input|hr|meta|link|area|base|col|source|wbr|p|li|d[td]|t[drh]|option)\b)[A-Za-z]"
)
"""Tags that may stand in one another, as far as they count: void elements and those that end one another do not."""


class HostileMarkupError(Exception):
    """A page that would take minutes to read; the message says what is in it."""


def main_text(html: str) -> tuple[str | None, str]:
    """(title, main text): paragraphs and headings are set apart by an empty line, list items have bullets.

    Raises HostileMarkupError.
    """
    if fault := _hostile(html):
        raise HostileMarkupError(fault)
    tree = HTMLTree.parse(html)
    text = extract_plain_text(tree, main_content=True, alt_texts=False)
    title = " ".join((tree.title or "").split())
    return title or None, text


def _hostile(html: str) -> str | None:
    if len(html) > CHECKED_TAG * 10:
        for tag in LONG_TAG.finditer(html):
            if (words := len(tag[0].split(None, MOST_WORDS))) > MOST_WORDS:
                return f"a tag of {words} words"
    tags = html.count("<")
    if tags <= CHECKED_TAGS:
        return None
    depth = deepest = 0
    for slash in NESTING.findall(html):
        depth = max(depth - 1, 0) if slash else depth + 1
        deepest = max(deepest, depth)
    return f"{tags} tags up to {deepest} deep" if tags * deepest > MOST_STEPS else None
