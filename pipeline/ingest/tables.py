"""Tables that hold finished text -> documents."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.documents import Document
from pipeline.ingest.reading import Found
from pipeline.ingest.rows import read_rows, told
from pipeline.units import Piece

TAKEN = ("title", "url", "date", "language", "license")
"""Columns of a document that a table may have by the same name."""


def read_table(piece: Piece, column: str) -> Iterator[Found]:
    """Every row of a Parquet or JSON-lines file: `column` is its text, `TAKEN` and `id` go along, the rest is left.

    Raises UnreadableFile.
    """
    for row in read_rows(piece, column, (*TAKEN, "id")):
        if isinstance(row, Found):
            yield row
            continue
        taken = {name: told(row.fields.get(name)) for name in TAKEN if name != column}
        key = row.fields.get("id")
        metadata = {} if key is None or column == "id" else {"id": told(key)}
        yield Found(row.size, Document(at=row.at, text=row.text, metadata=metadata, **taken))
