"""A file of PubMed records in XML -> one document an article: its title and abstract.

A file is cut into records before any of it is parsed: memory is that of one record, and a broken one spoils no other.
An abstract in a second language is left out, as the translations of JATS articles are, unless it is the only one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from lxml import etree

from pipeline.documents import Document, Dropped
from pipeline.ingest.abstract import document, plain_title
from pipeline.ingest.jats.formula import delimited, mathml, name_of
from pipeline.ingest.lines import CutOffError, blocks
from pipeline.ingest.reading import DamagedFile, Found

ROOTS = frozenset(
    {"PubmedArticleSet", "MedlineCitationSet", "PubmedBookArticleSet", "PubmedArticle", "MedlineCitation"}
)
"""The names of the outermost elements of such files."""

LONGEST = 8 << 20
"""Bytes of a record at most; one with 3,000 authors has 2 MB."""

ARTICLES = re.compile(rb"<(?:PubmedArticle|PubmedBookArticle)(?=[\s>])")
CITATIONS = re.compile(rb"<MedlineCitation(?=[\s>])")
"""Where a record begins: the citations of a MedlineCitationSet have no articles around them."""

END = re.compile(rb"</(?:PubmedArticle|PubmedBookArticle)\s*>")
CITATION_END = re.compile(rb"</MedlineCitation\s*>")
BETWEEN = re.compile(
    rb"\s+|</?(?:PubmedArticleSet|MedlineCitationSet|PubmedBookArticleSet)\s*>"
    rb"|<Delete(?:Citation|Document)>[^!?]*</Delete(?:Citation|Document)>"
)
"""What may stand between records: the ends of a set, lists of deleted numbers."""

DECLARED = re.compile(rb"""<\?xml[^>]{0,100}encoding=["']([\w.-]{1,40})["']""")

DATES = ("Journal/JournalIssue/PubDate", "ArticleDate", "Book/PubDate", "ContributionDate")
DATE_PARTS = ("Year", "Month", "Day", "MedlineDate")
"""Where the day of publication may stand, and in what parts."""

RAISED = str.maketrans("0123456789+-−–", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻")
NUMBER = re.compile(r"[0-9+−–-]+")


class _Stray(bytes):
    """What stands between two records but should not: one that lost its beginning."""


def read_pubmed(path: Path) -> Iterator[Found]:
    """Every article of a file, plain or compressed, or why there is none.

    Raises DamagedFile where the file breaks off.
    """
    at, encoding = 0, None
    try:
        for at, record in enumerate(_records(path)):
            if at == 0:
                declared = DECLARED.match(record.lstrip())
                encoding = declared[1].decode() if declared else None
            else:
                yield Found(len(record), _document(str(at), record, encoding))
    except CutOffError as fault:
        raise DamagedFile.told(path, f"record {at + 1}", str(fault)) from None


def record_at(path: Path, at: str) -> bytes | None:
    """The record of number `at`, from 1."""
    return next(islice(_records(path), int(at), None), None)


def _records(path: Path) -> Iterator[bytes]:
    """What comes before the first record, then each record as it stands, and what is stray. Raises CutOffError."""
    for number, chunk in enumerate(_chunks(path)):
        end = _end_of(chunk).search(chunk)
        if number == 0:
            yield chunk[:1000]
            rest = chunk if end else b""
        else:
            yield chunk[: end.end()] if end else chunk
            rest = BETWEEN.sub(b"", chunk[end.end() :]) if end else b""
        if rest:
            yield _Stray(rest)


def _end_of(chunk: bytes) -> re.Pattern[bytes]:
    return CITATION_END if CITATIONS.match(chunk) else END


def _chunks(path: Path) -> Iterator[bytes]:
    """The file, cut where records begin. Raises CutOffError behind the last that is whole."""
    held, begins = b"", None
    try:
        for block in blocks(path):
            held += block
            if begins is None and (found := ARTICLES.search(held) or CITATIONS.search(held)):
                begins = found.re
                yield held[: found.start()]
                held = held[found.start() :]
            starts = [match.start() for match in begins.finditer(held)] if begins else []
            for a, b in pairwise(starts):
                yield held[a:b]
            held = held[starts[-1] if starts else 0 :]
            if len(held) > 3 * LONGEST:  # too large whatever follows; a start cut in two by the end of a block stays
                held = held[: 2 * LONGEST] + held[-64:]
    except CutOffError:
        if begins and _end_of(held).search(held):
            yield held
        raise
    yield held


def _document(at: str, record: bytes, encoding: str | None) -> Document | Dropped:
    if len(record) > LONGEST:
        return Dropped(at=at, reason="too_large", value=len(record), threshold=LONGEST)
    if isinstance(record, _Stray):
        start = record[:2000].decode("utf-8", "replace")
        return Dropped(at=at, reason="bad_xml", value="a record without a beginning", text=start)
    return _article(at, record, encoding)


def _article(at: str, xml: bytes, encoding: str | None) -> Document | Dropped:
    try:
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True,
            remove_comments=True, encoding=encoding,
        )  # fmt: skip
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, LookupError) as fault:
        start = xml[:2000].decode("utf-8", "replace")
        return Dropped(at=at, reason="bad_xml", value=str(getattr(fault, "msg", fault)), text=start)
    citation = _first(root, "MedlineCitation", "BookDocument")
    article = _first(citation, "Article")
    vernacular = plain_title(_line(article.find("VernacularTitle")))
    title = plain_title(_line(article.find("ArticleTitle"))) or vernacular
    abstract, language = _paragraphs(article.find("Abstract")), None
    if not abstract and (other := citation.find("OtherAbstract")) is not None:
        abstract, language = _paragraphs(other), other.get("Language")
        title = vernacular or title
    languages = [language] if language else [found.text or "" for found in article.iterfind("Language")]
    ids = {found.get("IdType"): (found.text or "").strip() for found in root.iterfind("./*/ArticleIdList/ArticleId")}
    doi = ids.get("doi") or _line(article.find("ELocationID[@EIdType='doi']"))
    facts = {
        "pmid": _line(citation.find("PMID")),
        "doi": doi,
        "pmc": ids.get("pmc"),
        "journal": _line(article.find("Journal/Title")),
        "copyright": _line(article.find("Abstract/CopyrightInformation")),
    }
    date = next((found for place in DATES if (found := article.find(place)) is not None), None)
    told = {name_of(part): (part.text or "") for part in date} if date is not None else {}
    return document(at, title, abstract, languages, [told.get(name, "") for name in DATE_PARTS], facts)


def _first(element: Any, *names: str) -> Any:
    """The first of the children of these names, or the element itself where there is none."""
    return next((found for name in names if (found := element.find(name)) is not None), element)


def _paragraphs(abstract: Any) -> list[str]:
    """A structured abstract has one a part, which begins with its label as in print: `METHODS: ...`."""
    found = [] if abstract is None else abstract.findall("AbstractText")
    texts = [(part.get("Label") or "", _line(part) or "") for part in found]
    unlabelled = ("", "UNLABELLED", "UNLABELED")
    return [text if label.upper() in unlabelled else f"{label}: {text}" for label, text in texts if text]


def _line(element: Any) -> str | None:
    """An element as a single line: formulas as TeX, raised numbers as Unicode's."""
    return " ".join(_inline(element).split()) or None if element is not None else None


def _inline(element: Any) -> str:
    parts = [element.text or ""]
    for child in element:
        name = name_of(child)
        if name == "math":
            parts.append(delimited(mathml(child), display=name_of(element) == "DispFormula"))
        elif name:
            inner = _inline(child)
            parts.append(inner.translate(RAISED) if name == "sup" and NUMBER.fullmatch(inner) else inner)
        parts.append(child.tail or "")
    return "".join(parts)
