"""A JATS article's front matter -> its licence, date and names."""

from __future__ import annotations

import re
from typing import Any

from pipeline.ingest.jats.formula import name_of

METAS = ("{*}front/{*}article-meta", "{*}book-part-meta", "{*}book-meta")
DOIS = (
    "{*}article-id[@pub-id-type='doi']",
    "{*}book-part-id[@book-part-id-type='doi']",
    "{*}book-id[@book-id-type='doi']",
)
LICENSE_WORDS = 200
"""Characters kept of a licence that is told in words only."""

DEED = re.compile(r"creativecommons\.org/licenses/(by(?:-nc)?(?:-sa|-nd)?)/(\d\.\d)(/igo)?", re.IGNORECASE)
ZERO = re.compile(r"creativecommons\.org/publicdomain/zero/1\.0|\bCC0\b", re.IGNORECASE)
PLAIN_BY = re.compile(
    r"Creative Commons Attribution (?:(\d\.\d) )?(?:International )?(?:Public )?(?:License|Licence)", re.IGNORECASE
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LATER = frozenset({"collection", "pmc-release", "nihms-submitted", "corrected", "retracted", "ecorrected"})
"""Dates of a volume, of a deposit or of a correction: taken only where there is no other."""


def facts_of(article: Any) -> tuple[str | None, str | None, dict[str, str]]:
    """(licence, date, metadata): metadata has doi, journal, language and article_type, as far as they are given."""
    meta = next((meta for path in METAS if (meta := article.find(path)) is not None), None)
    language = article.get("{http://www.w3.org/XML/1998/namespace}lang")
    facts = {
        "doi": "" if meta is None else next(filter(None, (_text(meta, path) for path in DOIS)), ""),
        "journal": _text(article, "{*}front/{*}journal-meta//{*}journal-title"),
        "language": language.lower() if language else "",
        "article_type": article.get("article-type") or "",
    }
    metadata = {name: fact for name, fact in facts.items() if fact}
    if meta is None:
        return None, None, metadata
    return _license(meta), _date(meta), metadata


def _text(element: Any, path: str) -> str:
    found = element.find(path)
    return "" if found is None else " ".join("".join(found.itertext()).split())


def _license(meta: Any) -> str | None:
    """SPDX's name of a Creative Commons licence, "CC-BY" where no version is said; else its address or words."""
    for license_ in meta.iterfind("{*}permissions/{*}license"):
        words = " ".join("".join(license_.itertext()).split())
        links = [link for element in license_.iter("*") for key, link in element.items() if key.endswith("}href")]
        told = " ".join([*links, words])
        if deed := DEED.search(told):
            return f"CC-{deed[1].upper()}-{deed[2]}{'-IGO' if deed[3] else ''}"
        if ZERO.search(told):
            return "CC0-1.0"
        if plain := PLAIN_BY.search(words):
            return f"CC-BY-{plain[1]}" if plain[1] else "CC-BY"
        if links or words:
            return (links[0] if license_.items() and links else words)[:LICENSE_WORDS]
    return None


def _date(meta: Any) -> str | None:
    """The earliest of the fullest publication dates, whether in print or online."""
    kinds = ((date.get("pub-type") or date.get("date-type"), _iso(date)) for date in meta.iterfind("{*}pub-date"))
    dates = [(kind in LATER, -len(iso), iso) for kind, iso in kinds if iso]
    return min(dates)[2] if dates else None


def _iso(date: Any) -> str | None:
    parts = {name_of(part): (part.text or "").strip() for part in date}
    year, month, day = parts.get("year", ""), parts.get("month", ""), parts.get("day", "")
    if month[:3].lower() in MONTHS:
        month = str(MONTHS.index(month[:3].lower()) + 1)
    if not re.fullmatch(r"[0-9]{4}", year):
        return None
    if not re.fullmatch(r"0?[1-9]|1[0-2]", month):
        return year
    if not re.fullmatch(r"0?[1-9]|[12][0-9]|3[01]", day):
        return f"{year}-{int(month):02}"
    return f"{year}-{int(month):02}-{int(day):02}"
