"""Article -> JATS XML, the form in which journals deposit papers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

from pipeline.sample.blocks import Block
from pipeline.sample.inline import spans
from pipeline.sample.science import Article, Section

TABLE_ROWS = 4
"""The first section with so many fields shows them as a table; the others are lists of definitions."""

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold."""


def jats(article: Article, licenses: Sequence[str]) -> str:
    """The article as an XML document, JATS journal publishing 1.2."""
    abstract = "".join(_blocks(article.abstract, {}, False))
    references = "".join(
        f'<ref id="r{number}"><label>{number}</label><mixed-citation>{_text(text, {})}</mixed-citation></ref>\n'
        for number, text in enumerate(article.references, 1)
    )
    back = f"<back><ref-list><title>References</title>\n{references}</ref-list></back>\n" if references else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) Journal Publishing DTD v1.2 20190208//EN" '
        '"JATS-journalpublishing1.dtd">\n'
        '<article xmlns:mml="http://www.w3.org/1998/Math/MathML" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'article-type="research-article" dtd-version="1.2" xml:lang="en">\n'
        f"{_front(article, abstract, licenses)}"
        f"<body>\n{''.join(_body(article.sections))}</body>\n{back}</article>\n"
    )


def _front(article: Article, abstract: str, licenses: Sequence[str]) -> str:
    who = _plain(article.package)
    return (
        f'<front><journal-meta><journal-id journal-id-type="publisher-id">{who}</journal-id>'
        f"<journal-title-group><journal-title>Documentation of {who}</journal-title></journal-title-group>"
        f"</journal-meta>\n<article-meta>"
        f'<article-id pub-id-type="publisher-id">{_plain(article.name)}</article-id>\n'
        f"<title-group><article-title>{_text(article.title, {})}</article-title></title-group>\n"
        f'<contrib-group><contrib contrib-type="author"><collab>The {who} developers</collab></contrib>'
        f'</contrib-group>\n<pub-date pub-type="epub"><day>1</day><month>1</month><year>2025</year></pub-date>\n'
        f"<permissions><license><license-p>{_plain(', '.join(licenses))}</license-p></license></permissions>\n"
        f"{f'<abstract>{abstract}</abstract>' if abstract else ''}\n"
        f'<kwd-group kwd-group-type="author"><kwd>{_plain(article.package)}</kwd></kwd-group>\n'
        f"</article-meta></front>\n"
    )


def _body(sections: Sequence[Section]) -> Iterator[str]:
    """Sections of level 2 inside the one of level 1 before them; the first long list of fields is a table."""
    tabled = next((section for section in sections if _fields(section) >= TABLE_ROWS), None)
    opened: list[int] = []
    for number, section in enumerate(sections, 1):
        while opened and opened[-1] >= section.level:
            yield "</sec>\n"
            opened.pop()
        yield f'<sec id="s{number}"><title>{_text(section.title, {})}</title>\n'
        yield from _blocks(section.blocks, section.cites, section is tabled)
        opened.append(section.level)
    yield "</sec>\n" * len(opened)


def _fields(section: Section) -> int:
    return sum(block.kind == "field" for block in section.blocks)


def _blocks(blocks: Iterable[Block], cites: Mapping[str, int], tabled: bool) -> Iterator[str]:
    for kind, run in groupby(blocks, key=lambda block: block.kind):
        same = list(run)
        match kind:
            case "paragraph":
                yield from (f"<p>{_text(block.text, cites)}</p>\n" for block in same)
            case "formula":
                yield from (f"<disp-formula>{_tex(block.text)}</disp-formula>\n" for block in same)
            case "item":
                items = "".join(f"<list-item><p>{_text(block.text, cites)}</p></list-item>\n" for block in same)
                yield f'<list list-type="bullet">\n{items}</list>\n'
            case "field":
                yield _table(same, cites) if tabled else _definitions(same, cites)


def _table(fields: Sequence[Block], cites: Mapping[str, int]) -> str:
    rows = "".join(f"<tr><td>{_plain(block.label)}</td><td>{_text(block.text, cites)}</td></tr>\n" for block in fields)
    return (
        '<table-wrap id="t1"><label>Table 1</label><caption><p>Names and their meaning.</p></caption>'
        f"<table><thead><tr><th>Name</th><th>Meaning</th></tr></thead>\n<tbody>{rows}</tbody></table></table-wrap>\n"
    )


def _definitions(fields: Sequence[Block], cites: Mapping[str, int]) -> str:
    items = "".join(
        f"<def-item><term>{_plain(block.label)}</term><def><p>{_text(block.text, cites)}</p></def></def-item>\n"
        for block in fields
    )
    return f"<def-list>\n{items}</def-list>\n"


def _text(text: str, cites: Mapping[str, int]) -> str:
    """Prose with its inline markup; a citation of what the list has not stays in brackets."""
    found = []
    for mark, words, address in spans(text):
        shown = _plain(words)
        match mark:
            case "code":
                shown = f"<monospace>{shown}</monospace>"
            case "math":
                shown = f"<inline-formula>{_tex(words)}</inline-formula>"
            case "emphasis":
                shown = f"<italic>{shown}</italic>"
            case "strong":
                shown = f"<bold>{shown}</bold>"
            case "link":
                shown = f'<ext-link ext-link-type="uri" xlink:href="{_plain(address)}">{shown}</ext-link>'
            case "cite":
                at = cites.get(words)
                shown = f'<xref ref-type="bibr" rid="r{at}">[{at}]</xref>' if at else f"[{shown}]"
        found.append(shown)
    return "".join(found)


def _tex(tex: str) -> str:
    return f"<tex-math>{_plain(tex)}</tex-math>"


def _plain(text: str) -> str:
    return escape(CONTROL.sub("", text))
