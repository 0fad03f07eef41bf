"""Tables that hold finished text -> documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.documents import Document
from pipeline.ingest.fields import plain_value, told, value_of
from pipeline.ingest.reading import Found
from pipeline.ingest.rows import read_rows
from pipeline.settings import Columns
from pipeline.units import Piece

TAKEN = ("title", "url", "date", "language", "license")
"""Columns of a document that a table may have by the same name."""


def read_table(piece: Piece, columns: Columns, keep: Sequence[str] = ()) -> Iterator[Found]:
    """Every row of a table: its text, `TAKEN` and `id` from the columns that hold them, `keep` as metadata.

    Raises UnreadableFile, also where a column that was named is not there.
    """
    named = {name: getattr(columns, name) for name in (*TAKEN, "id")}
    where = {name: column or name for name, column in named.items() if column or name not in columns.texts}
    needed = [*(column for column in named.values() if column), *keep]
    for row in read_rows(piece, columns.texts, (*where.values(), *keep), needed):
        if isinstance(row, Found):
            yield row
            continue
        values = {name: told(value_of(row.fields, column)) for name, column in where.items()}
        kept = {name: plain_value(value) for name in keep if (value := value_of(row.fields, name)) is not None}
        key = values.pop("id", None)
        metadata = {**({} if key is None else {"id": key}), **kept}
        yield Found(row.size, Document(at=row.at, text=row.text, metadata=metadata, **values))
