"""A paper of S2ORC, the text of a PDF as GROBID cut it -> title, abstract and sections, in either of its layouts.

The releases up to 2020, and CORD-19, hold lists of paragraphs; those of Semantic Scholar's API hold one text and the
places of its parts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from pipeline.documents import Document, Dropped
from pipeline.ingest.blocks import Blocks
from pipeline.ingest.fields import plain_value, told, value_of

LISTS = ("body_text", "pdf_parse", "grobid_parse", "latex_parse")
PLACES = ("content", "body")
COLUMNS = (*LISTS, *PLACES)
"""A row with one of these is a paper of S2ORC."""

READ = (
    *COLUMNS, "abstract", "bib_entries", "bibliography", "back_matter", "title", "metadata", "paper_id", "corpusid",
    "corpus_id", "year", "publicationdate", "externalids", "openaccessinfo", "doi", "arxiv_id", "pmid", "license",
)  # fmt: skip

FACTS = {
    "corpusid": ("corpusid", "corpus_id", "paper_id"),
    "doi": ("doi", "externalids.doi", "externalids.DOI", "openaccessinfo.externalids.DOI", "metadata.doi"),
    "arxiv": ("arxiv_id", "externalids.arxiv", "externalids.ArXiv", "openaccessinfo.externalids.ArXiv"),
    "pmid": ("pmid", "externalids.pubmed", "externalids.PubMed", "metadata.pubmed_id"),
}
LICENSE = ("license", "openaccessinfo.license", "content.source.oainfo.license")
DATE = ("publicationdate", "year", "metadata.year", "metadata.publish_time")


def is_s2orc(fields: Mapping[str, Any]) -> bool:
    """Whether a row is a paper of S2ORC rather than finished text."""
    return any(isinstance(fields.get(name), list if name == "body_text" else dict) for name in COLUMNS)


def read_paper(at: str, fields: Mapping[str, Any], *, references: bool) -> Document | Dropped:
    """The paper of a row; `references` keeps its list of references.

    Dropped for bad_row if its parts are not of the layout's kinds, empty_text if nothing but a title is left.
    """
    title = told(_first(fields, ("title", "metadata.title")))
    out = Blocks()
    try:
        if any(isinstance(fields.get(name), dict) for name in PLACES):
            title, abstract = _by_places(fields, title, references, out)
        else:
            abstract = _by_lists(fields, references, out)
    except (TypeError, ValueError, AttributeError, KeyError) as fault:
        return Dropped(at=at, reason="bad_row", value=f"S2ORC: {type(fault).__name__}: {fault}")
    text = out.text()
    if not text:
        return Dropped(at=at, reason="empty_text", text=title or "")
    facts = {name: found for name, places in FACTS.items() if (found := told(_first(fields, places)))}
    doi = facts.get("doi")
    return Document(
        at=at,
        text=f"{title}\n\n{text}" if title else text,
        url=f"https://doi.org/{doi}" if doi else None,
        title=title,
        license=told(_first(fields, LICENSE)),
        date=told(_first(fields, DATE)),
        metadata={**{name: plain_value(value) for name, value in facts.items()}, "abstract": abstract},
    )


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := value_of(fields, name)) not in (None, "", [])), None)


def _by_lists(fields: Mapping[str, Any], references: bool, out: Blocks) -> bool:
    """Write the older layout; says whether it has an abstract."""
    parse = next((found for name in LISTS[1:] if isinstance(found := fields.get(name), dict)), fields)
    abstract = parse.get("abstract") or fields.get("abstract") or []
    before = out.paragraphs
    for paragraph in [{"text": abstract}] if isinstance(abstract, str) else abstract:
        out.put(_line(paragraph["text"]))
    found = out.paragraphs > before
    section = None
    for paragraph in [*(parse.get("body_text") or []), *(parse.get("back_matter") or [])]:
        if (heading := paragraph.get("section") or "") != section:
            section = heading
            out.put(_line(heading), heading=True)
        out.put(_line(paragraph["text"]))
    if references and (entries := parse.get("bib_entries")):
        out.put("References", heading=True)
        for entry in entries.values() if isinstance(entries, dict) else entries:
            out.put(_line(_reference(entry)))
    return found


def _reference(entry: Mapping[str, Any]) -> str:
    if entry.get("raw_text"):
        return str(entry["raw_text"])
    people = (
        " ".join(str(person.get(part) or "") for part in ("first", "last")) for person in entry.get("authors") or []
    )
    parts = (
        ", ".join(" ".join(person.split()) for person in people),
        *(entry.get(name) for name in ("title", "venue", "year")),
    )
    return ". ".join(str(part) for part in parts if part)


def _by_places(fields: Mapping[str, Any], title: str | None, references: bool, out: Blocks) -> tuple[str | None, bool]:
    """Write the newer layout; gives its title and whether it has an abstract."""
    body = fields["content"] if isinstance(fields.get("content"), dict) else fields["body"]
    text, places = body["text"] or "", body.get("annotations") or {}
    title = title or next((_line(part) for _, part in _spans(text, places, "title")), None)
    abstracts = list(_spans(text, places, "abstract"))
    if not abstracts and isinstance(fields.get("abstract"), str):
        out.put(_line(fields["abstract"]))
    for _, part in abstracts:
        out.put(_line(part))
    found = out.paragraphs > 0
    entries = list(_spans(text, places, "bibentry"))
    apart = sorted((start, start + len(part)) for start, part in (*abstracts, *entries))
    parts = [(start, 1, part) for start, part in _spans(text, places, "paragraph")]
    parts += [(start, 0, part) for start, part in _spans(text, places, "sectionheader")]
    for start, kind, part in sorted(parts) or _unmarked(text, apart):
        last = bisect_right(apart, (start, len(text))) - 1
        if last < 0 or start >= apart[last][1]:
            out.put(_line(part), heading=not kind)
    if references:
        listed = fields["bibliography"] if isinstance(fields.get("bibliography"), dict) else None
        if listed:
            entries = list(_spans(listed["text"] or "", listed.get("annotations") or {}, "bibentry"))
        out.put("References", heading=True)
        for _, part in entries:
            out.put(_line(part))
    return title, found


def _unmarked(text: str, apart: list[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
    """Where no paragraphs are told: what lies between two empty lines, before the references."""
    end = min((start for start, _ in apart if start > len(text) // 2), default=len(text))
    at = 0
    for part in text[:end].split("\n\n"):
        yield at, 1, part
        at += len(part) + 2


def _spans(text: str, places: Mapping[str, Any], kind: str) -> Iterator[tuple[int, str]]:
    """The parts of a kind with where they begin, in order. The places are JSON in a string, or a list."""
    held = places.get(kind) or []
    spans = orjson.loads(held) if isinstance(held, str) else held
    before = 0
    for start, end in sorted((int(span["start"]), int(span["end"])) for span in spans):
        if not 0 <= start <= end <= len(text):
            raise ValueError(f"a {kind} from {start} to {end} in a text of {len(text)} characters")
        if start >= before:  # parts of a kind do not overlap
            yield start, text[start:end]
            before = end


def _line(text: str) -> str:
    return " ".join(text.split())
