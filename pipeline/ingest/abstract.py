"""An article of PubMed, in whatever form it was read -> a document of its title and abstract."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pipeline.documents import Document, Dropped

PUBMED = "https://pubmed.ncbi.nlm.nih.gov/"
MONTHS = {name: f"{n:02}" for n, name in enumerate(re.findall("...", "janfebmaraprmayjunjulaugsepoctnovdec"), 1)}
CUT = re.compile(r" ?\(ABSTRACT TRUNCATED(?: AT \d{1,4} WORDS)?\)$")
BRACKETED = re.compile(r"\[(.*)\](\.?)(?: ?\(.{0,40}\)\.?)?", re.S)
NO_TITLE = frozenset({"not available", "no title available", "in process citation"})

CODES = {
    "ara": "ar", "chi": "zh", "cze": "cs", "dan": "da", "dut": "nl", "eng": "en", "fin": "fi", "fre": "fr", "ger": "de",
    "gre": "el", "heb": "he", "hun": "hu", "ita": "it", "jpn": "ja", "kor": "ko", "nor": "no", "per": "fa", "pol": "pl",
    "por": "pt", "rus": "ru", "spa": "es", "swe": "sv", "tur": "tr", "ukr": "uk",
}  # fmt: skip
"""NLM's codes of languages (ISO 639-2, bibliographic) as ISO 639-1; of others the language is found in the text."""


def plain_title(title: str | None) -> str | None:
    """A title without the brackets that tell a translation; None for a note that there is none."""
    if title and (found := BRACKETED.fullmatch(title)):
        title = found[1] + found[2]
    return None if not title or title.strip(" .").lower() in NO_TITLE else title


def document(
    at: str,
    title: str | None,
    abstract: Sequence[str],
    languages: Sequence[str],
    date: Sequence[str],
    facts: Mapping[str, str | None],
) -> Document | Dropped:
    """One article of PubMed, from whatever form it was read; an article without an abstract is none."""
    paragraphs = [text for part in abstract if (text := CUT.sub("", part).strip())]
    if not paragraphs:
        return Dropped(at=at, reason="no_abstract", text=title or "")
    codes = {CODES.get(language) for language in languages}
    return Document(
        at=at,
        text="\n\n".join([title, *paragraphs] if title else paragraphs),
        url=f"{PUBMED}{facts['pmid']}/" if facts["pmid"] else None,
        title=title,
        language=codes.pop() if len(codes) == 1 else None,
        date=_date(date),
        metadata={**{name: value for name, value in facts.items() if value}, "part": "abstract"},
    )


def _date(parts: Sequence[str]) -> str | None:
    """["1998", "Sep", "28"] or words with a year in them -> ISO 8601 as far as it is told."""
    year = re.search(r"\b(1[5-9]\d\d|20\d\d)\b", " ".join(parts))
    if not year:
        return None
    if parts[0] != year[1] or len(parts) < 2:
        return year[1]
    month = MONTHS.get(parts[1][:3].lower()) or (
        f"{int(parts[1]):02}" if re.fullmatch(r"0?[1-9]|1[0-2]", parts[1]) else ""
    )
    day = f"-{int(parts[2]):02}" if len(parts) > 2 and re.fullmatch(r"0?[1-9]|[12]\d|3[01]", parts[2]) else ""
    return f"{year[1]}-{month}{day}" if month else year[1]
