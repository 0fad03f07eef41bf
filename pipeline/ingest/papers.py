"""Tables of papers -> documents: peS2o's and Dolma's columns, S2ORC's, or titles with abstracts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from pipeline.documents import Document, Dropped
from pipeline.ingest import s2orc
from pipeline.ingest.fields import plain_value, told, value_of
from pipeline.ingest.objects import is_shallow
from pipeline.ingest.reading import Found
from pipeline.ingest.rows import Row, rows_of, with_text
from pipeline.units import Piece

FACTS = ("id", "source", "added", "version")
"""What peS2o (v1 to v3) and Dolma tell of a document besides its text."""

TAKEN = {"title": ("title",), "url": ("url", "oa_url"), "language": ("language",), "license": ("license", "oa_license")}
"""What is taken from a column or, in peS2o v3 and Dolma, from the metadata of that name."""

DATES = (
    "created", "publication_date", "publicationDate", "publicationdate", "published", "pub_date", "pubdate",
    "publish_time", "versions.created", "date", "publication_year", "pub_year", "year", "update_date",
)  # fmt: skip
"""Where tables tell when a paper came out; the first that is filled counts, in a column or in the metadata: peS2o and
Dolma, OpenAlex, Semantic Scholar, arXiv's interface, tables made of PubMed, CORD-19, arXiv's metadata (its first
version rather than its last change)."""

COPIES = frozenset({"abstract", "paragraphs", "top_frequencies"})
"""Metadata of peS2o v3 that say the text once more."""

APART = COPIES | {name for names in TAKEN.values() for name in names}

COLUMNS = (*FACTS, *DATES, "text", "abstract", "metadata", "license", "title", "url", "language", *s2orc.READ)


def read_papers(piece: Piece, references: bool) -> Iterator[Found]:
    """Every row of a table of papers; what else it tells stands in the metadata. Raises UnreadableFile."""
    for row in rows_of(piece, COLUMNS, one_of=("text", "abstract", *s2orc.COLUMNS)):
        if isinstance(row, Found):
            yield row
        elif "text" not in row.fields and s2orc.is_s2orc(row.fields):
            paper = s2orc.read_paper(row.at, row.fields, references=references)
            yield Found(row.size or (len(paper.text.encode("utf-8", "surrogatepass"))), paper)
        else:
            is_abstract = "text" not in row.fields and "abstract" in row.fields
            found = with_text(row, ("title", "abstract") if is_abstract else ("text",))
            yield found if isinstance(found, Found) else Found(found.size, _told_document(found, is_abstract))


def _told_document(row: Row, is_abstract: bool) -> Document | Dropped:
    fields = row.fields
    if is_abstract and not told(fields.get("abstract")):
        return Dropped(at=row.at, reason="no_abstract", text=row.text)
    about = _about(fields.get("metadata"))
    taken = {
        name: next((found for key in keys if (found := told(fields.get(key)) or told(about.get(key)))), None)
        for name, keys in TAKEN.items()
    }
    facts = {name: told(fields[name]) for name in FACTS if fields.get(name) is not None}
    left = plain_value({name: value for name, value in about.items() if name not in APART})
    part = {"part": "abstract"} if is_abstract else {}
    metadata = {**left, **facts, **part}
    return Document(at=row.at, text=row.text, date=_date(fields) or _date(about), metadata=metadata, **taken)


def _date(fields: dict[str, Any]) -> str | None:
    """The date or year that is told; one that has become 2015.0, as beside empty cells, is 2015."""
    for name in DATES:
        value = value_of(fields, name)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, float):
            value = int(value) if value.is_integer() else None
        if found := told(value):
            return found
    return None


def _about(metadata: Any) -> dict[str, Any]:
    """The metadata column: an object, its JSON, or a text of whatever kind, which is kept as it is."""
    if isinstance(metadata, str) and metadata:
        try:
            read = orjson.loads(metadata)
        except orjson.JSONDecodeError:
            return {"metadata": metadata}
        metadata = read if is_shallow(read) else metadata
    if isinstance(metadata, dict):
        return metadata
    return {"metadata": metadata} if metadata else {}
