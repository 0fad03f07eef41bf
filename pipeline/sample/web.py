"""Chapters -> WARC files: documentation sites as a crawler meets them, with what else stands on a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from pipeline.sample.chapters import Chapter, chapters, topics
from pipeline.sample.installed import PYTHON, drawn
from pipeline.sample.page import STYLE, Link, page
from pipeline.sample.warc import Exchange, captured, information

PROSE = range(900, 9_000)
"""Characters of prose on a page: from about 150 words on, so that rules on short pages leave most of them."""

TORCH = ("nn/", "optim/", "distributions/", "autograd/", "utils/data/", "func", "fx/", "_torch_docs", "_tensor_docs")

SITES: Mapping[str, tuple[str, ...]] = {
    PYTHON: ("",),
    "numpy": tuple(f"numpy/{name}" for name in ("lib/", "_core/", "ma/", "_typing/", "typing/", "f2py/", "matrixlib/")),
    "torch": tuple(f"torch/{name}" for name in TORCH),
    "networkx": ("",),
    "numba": ("",),
    "pandas": ("",),
    "polars": ("",),
    "pyarrow": ("",),
    "pydantic": ("pydantic/",),
    "datasets": ("",),
    "huggingface_hub": ("",),
    "nltk": ("",),
    "jinja2": ("",),
    "rich": ("",),
}
"""Packages that describe themselves in English sentences, and where; those of the science articles are not
here, since only printed pages are to say a thing twice."""

FILE_BYTES = 1 << 20
"""Of a WARC file, compressed, after which the next one begins: several, so that several workers have some."""

PRINTED_EVERY, LEGACY_EVERY, CHUNKED_EVERY, GZIPPED_EVERY = 25, 40, 7, 5
"""Of the pages in their order, so many are also captured in print, in a legacy charset, sent in chunks, compressed."""

ROBOTS = b"User-agent: *\nDisallow: /search.html\n"
MISSING = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
NEAR = 10
"""Pages before and after that the navigation of a page links to."""


def write_web(folder: Path, pages: int) -> tuple[int, int]:
    """Write `pages` pages into `folder`/*.warc.gz; gives (WARC records, bytes of HTML before compression)."""
    records = html = number = 0
    file: list[bytes] = []
    size = 0
    for exchange in _crawl(_chosen(pages)):
        if not file:
            file = [information(_name(number))]
            records += 1
        file.append(captured(exchange))
        records += 2
        html += len(exchange.body)
        size += len(file[-1])
        if size > FILE_BYTES:
            (folder / _name(number)).write_bytes(b"".join(file))
            file, size, number = [], 0, number + 1
    if file:
        (folder / _name(number)).write_bytes(b"".join(file))
    return records, html


def _name(number: int) -> str:
    return f"docs-{number:05d}.warc.gz"


def _chosen(pages: int) -> list[Chapter]:
    """Chapters, the packages taking turns, and Python's language reference with them."""
    groups = {package: chapters(package, PROSE, folders) for package, folders in SITES.items()}
    groups["reference"] = topics(PROSE)
    taken = drawn(groups, pages, lambda chapter: 1)
    return sorted(taken, key=lambda chapter: (chapter.package, chapter.name))


def address(chapter: Chapter) -> str:
    """The URL of a chapter's page, on a host name that is reserved for examples."""
    return f"http://{chapter.package.replace('_', '-')}.docs.example/{chapter.name}.html"


def _crawl(taken: list[Chapter]) -> Iterator[Exchange]:
    """Each site in turn: robots.txt, pages, style sheet, a page that is missing, the first page met again."""
    number = 0
    for _, run in groupby(taken, key=lambda chapter: chapter.package):
        site = list(run)
        root = address(site[0]).rsplit("/", 1)[0]
        yield Exchange(url=f"{root}/robots.txt", body=ROBOTS, content_type="text/plain")
        links = [Link(f"/{chapter.name}.html", chapter.title) for chapter in site]
        first = None
        for at, chapter in enumerate(site):
            exchange = _page(chapter, links[max(0, at - NEAR) : at] + links[at + 1 : at + NEAR + 1], number)
            first = first or exchange
            yield exchange
            if number % PRINTED_EVERY == 0:
                body = page(chapter, (), printed=True).encode()
                yield Exchange(url=f"{exchange.url}?print=1", body=body, content_type="text/html; charset=utf-8")
            number += 1
        yield Exchange(url=f"{root}/style.css", body=STYLE.encode(), content_type="text/css")
        yield Exchange(url=f"{root}/old.html", body=MISSING, content_type="text/html", status="404 Not Found")
        if first:
            yield replace(first, revisit=True)


def _page(chapter: Chapter, near: list[Link], number: int) -> Exchange:
    """A page, sent in one of several ways; now and then in a legacy charset that only the page itself tells."""
    if number % LEGACY_EVERY == 2:
        body = page(chapter, near, charset="windows-1252").encode("cp1252", "xmlcharrefreplace")
        return Exchange(url=address(chapter), body=body, content_type="text/html")
    return Exchange(
        url=address(chapter),
        body=page(chapter, near).encode(),
        content_type="text/html; charset=utf-8",
        gzipped=number % GZIPPED_EVERY == 1,
        chunked=number % CHUNKED_EVERY == 1,
    )
