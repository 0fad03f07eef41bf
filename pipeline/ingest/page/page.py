"""The bytes of a page -> its title, language, date and main text, in time and memory that its author cannot blow up."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from pipeline.ingest.page import names
from pipeline.ingest.page.choose import choose
from pipeline.ingest.page.entities import references
from pipeline.ingest.page.lexer import count_tags, tokenize
from pipeline.ingest.page.render import render
from pipeline.ingest.page.tree import grow

MOST_TAGS = 1_000_000
"""Tags of a page at most: 200 MB and 3 seconds where they are nested worst. A manual of 5 MB has 130,000."""

HEAD = 1 << 18
"""Bytes from the start in which a page may tell its language and date."""

LONGEST_TITLE = 4000
"""Bytes of a title that are read; Python refuses numbers of more than 4,300 digits, which a reference may hold."""

_LANGUAGE = re.compile(rb"<html\b[^>]{0,1000}?\s(?:xml:)?lang\s*=\s*[\"']?([A-Za-z]{2,3})\b", re.IGNORECASE)
_META = re.compile(rb"<(?:meta|time)\b[^>]{1,2000}>", re.IGNORECASE)
_PUBLISHED = re.compile(
    rb"[\"'\s=](?:article:published_time|datePublished|date|pubdate|publishdate|publish-date|dc\.date(?:\.issued)?"
    rb"|dcterms\.(?:date|issued|created)|citation_(?:publication_)?date|parsely-pub-date|sailthru\.date)(?=[\"'\s>])",
    re.IGNORECASE,
)
"""What names the date of publication: Open Graph, schema.org, Dublin Core, Highwire Press and two of analytics."""
_LINKED_DATA = re.compile(rb"\"datePublished\"\s*:\s*\"([^\"]{4,40})\"")
_DAY = re.compile(rb"(?<!\d)((?:19[89]|20[0-9])\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))(?!\d)")


class HostileMarkupError(Exception):
    """A page that would take too much to read; the message says what is in it."""


class Page(NamedTuple):
    title: str | None
    language: str | None
    """What the page says it is written in, as ISO 639 code in lower case."""
    date: str | None
    """When the page says it was published, YYYY-MM-DD."""
    text: str


def read_page(data: bytes) -> Page:
    """The facts and the main text of a page, UTF-8. Raises HostileMarkupError."""
    view = np.frombuffer(data, np.uint8)
    if (tags := count_tags(view)) > MOST_TAGS:
        raise HostileMarkupError(f"{tags} tags")
    text, begin, end = _main_text(view, tags, *names.table(), names.kinds(), *references())
    language, date = facts(data)
    return Page(_title(data[begin:end]), language, date, text.tobytes().decode())


@njit(cache=True)
def _main_text(
    data: Any, tags: int, hashes: Any, values: Any, kinds: Any, entities: Any, codes: Any
) -> tuple[Any, int, int]:  # fmt: skip
    """UTF-8 bytes (size,), and where the title begins and ends; one call from Python, since a page is small."""
    tokens = tokenize(data, tags, hashes, values, kinds)
    tree = grow(data, tokens, kinds, entities, codes)
    text = render(tree, choose(tree))
    if tokens.title < 0:
        return text, 0, 0
    return text, tokens.begin[tokens.title], tokens.end[tokens.title]


def facts(data: bytes) -> tuple[str | None, str | None]:
    """(language, date of publication) that a page tells in its head."""
    body = data.find(b"<body", 0, HEAD)
    head = data[: HEAD if body < 0 else body]
    language = _LANGUAGE.search(head, 0, 4096)
    days = (_DAY.search(told) for told in _dates(data, head))
    day = next((found for found in days if found), None)
    return language[1].decode().lower() if language else None, day[1].decode() if day else None


def _dates(data: bytes, head: bytes) -> Iterator[bytes]:
    """What may be the date of publication, the clearest first."""
    for tag in _META.finditer(head):
        if _PUBLISHED.search(tag[0]):
            yield tag[0]
    if data.find(b"datePublished", 0, HEAD) < 0:
        return
    at = data.find(b'"datePublished"', 0, HEAD)
    if at >= 0 and (told := _LINKED_DATA.match(data, at)):
        yield told[1]
    at = data.find(b"datePublished", len(head), HEAD)
    if at >= 0 and (marked := _META.match(data, data.rfind(b"<", 0, at))):
        yield marked[0]


def _title(raw: bytes) -> str | None:
    head = raw[:LONGEST_TITLE].decode("utf-8", "ignore")
    return " ".join(html.unescape(head).split())[:1000] or None
