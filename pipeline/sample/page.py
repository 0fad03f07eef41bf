"""Chapter -> HTML page as documentation sites serve it: the text, and around it what is not the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from pipeline.sample.blocks import Block
from pipeline.sample.chapters import Chapter, Entry
from pipeline.sample.inline import Mark, spans

TAGS: dict[Mark, str] = {"code": "code", "emphasis": "em", "strong": "strong"}

STYLE = "body{margin:0;font:16px/1.5 sans-serif}.side{float:left;width:16em}.main{margin-left:18em}"
SCRIPT = "window.theme=localStorage.getItem('theme')||'light';document.documentElement.dataset.theme=window.theme;"


@dataclass(frozen=True, slots=True)
class Link:
    """Where navigation leads."""

    href: str
    words: str


def page(chapter: Chapter, siblings: Sequence[Link], charset: str = "utf-8", printed: bool = False) -> str:
    """The page of a chapter.

    `siblings` fill the navigation. `printed`: the same text without navigation, as a site's printer-friendly
    view has it. Half of the sites mark their main content with HTML 5 elements, half with classes only.
    """
    body = "".join(_entry(entry, len(chapter.entries) > 1) for entry in chapter.entries)
    text = f"<h1>{escape(chapter.title)}</h1>\n{body}"
    site = escape(chapter.package)
    inner = f'<div class="print">{text}</div>' if printed else _framed(text, site, siblings)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="{charset}">\n'
        f"<title>{escape(chapter.title)} \N{EM DASH} {site} documentation</title>\n"
        f'<link rel="stylesheet" href="/style.css">\n<style>{STYLE}</style>\n<script>{SCRIPT}</script>\n'
        f"</head>\n<body>\n{inner}\n</body>\n</html>\n"
    )


def _framed(text: str, site: str, siblings: Sequence[Link]) -> str:
    links = "\n".join(f'<li><a href="{escape(link.href)}">{escape(link.words)}</a></li>' for link in siblings)
    near = "".join(f'<a href="{escape(link.href)}">{escape(link.words)}</a> ' for link in siblings[:2])
    top = (
        f'<a href="/">{site}</a> <a href="/genindex.html">Index</a> <a href="/search.html">Search</a> '
        f'<a href="/install.html">Installation</a> <a href="/changes.html">Release notes</a>'
    )
    foot = f"\N{COPYRIGHT SIGN} The {site} developers. Rendered from sources. Was this page helpful? Yes No"
    if len(site) % 2:
        return (
            f'<a href="#content">Skip to main content</a>\n<header><nav>{top}</nav></header>\n'
            f'<aside class="side"><nav><p>Table of contents</p><ul>\n{links}\n</ul></nav></aside>\n'
            f'<main id="content" class="main"><article>\n{text}</article></main>\n'
            f"<footer><p>{near}</p><p>{foot}</p></footer>"
        )
    return (
        f'<div class="topbar">{top}</div>\n<div class="wrapper"><div class="side sidebar"><h3>Navigation</h3>'
        f'<ul>\n{links}\n</ul><h3>Quick search</h3><form action="/search.html"><input name="q"></form></div>\n'
        f'<div class="main document"><div class="body" role="main">\n{text}</div></div></div>\n'
        f'<div class="related">{near}</div><div class="footer">{foot}</div>'
        '<div class="cookie-banner">This site uses cookies to remember your theme. '
        '<a href="/privacy.html">More</a></div>'
    )


def _entry(entry: Entry, titled: bool) -> str:
    head = f'<h2 id="{escape(entry.name)}">{escape(entry.name)}</h2>\n' if titled and entry.name else ""
    if entry.signature:
        head = f'<h2 class="signature" id="{escape(entry.name)}"><code>{escape(entry.signature)}</code></h2>\n'
    return f"<section>\n{head}{''.join(blocks_html(entry.blocks))}</section>\n"


def blocks_html(blocks: Iterable[Block]) -> Iterator[str]:
    """HTML of blocks; neighbours of one kind share a list."""
    for kind, run in groupby(blocks, key=lambda block: block.kind):
        same = list(run)
        match kind:
            case "item":
                yield "<ul>\n" + "".join(f"<li>{inline(block.text)}</li>\n" for block in same) + "</ul>\n"
            case "field":
                yield "<dl>\n" + "".join(_field(block) for block in same) + "</dl>\n"
            case "reference":
                yield (
                    '<ol class="references">\n'
                    + "".join(f"<li>{inline(block.text)}</li>\n" for block in same)
                    + "</ol>\n"
                )
            case "heading":
                yield from (f"<h3>{inline(block.text)}</h3>\n" for block in same)
            case "code":
                yield from (f"<pre><code>{escape(block.text)}</code></pre>\n" for block in same)
            case "formula":
                yield from (f'<div class="math">\\[{escape(block.text)}\\]</div>\n' for block in same)
            case "paragraph":
                yield from (f"<p>{inline(block.text)}</p>\n" for block in same)


def _field(block: Block) -> str:
    return f"<dt><code>{escape(block.label)}</code></dt><dd><p>{inline(block.text)}</p></dd>\n"


def inline(text: str) -> str:
    """HTML of prose with its inline markup."""
    return "".join(_span(*span) for span in spans(text))


def _span(mark: Mark, words: str, address: str) -> str:
    shown = escape(words)
    match mark:
        case "text":
            return shown
        case "math":
            return f'<span class="math">\\({shown}\\)</span>'
        case "cite":
            return f"<sup>[{shown}]</sup>"
        case "link":
            return f'<a href="{escape(address)}">{shown}</a>'
    return f"<{TAGS[mark]}>{shown}</{TAGS[mark]}>"
