"""Tables, Parquet, Arrow or JSON -> their rows as dictionaries, one way for all kinds of source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa

from pipeline.documents import Dropped
from pipeline.ingest.columnar import ARROW, PARQUET, arrow_rows, parquet_rows
from pipeline.ingest.fields import NotTextError, holds_text, missing, plain_value, text_of, told, top, type_of
from pipeline.ingest.objects import JSON, Row, objects
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile
from pipeline.units import Piece

__all__ = ["JSON", "PARQUET", "TABLES", "Row", "plain_value", "read_rows", "rows_of", "told", "utf8_bytes"]

TABLES = (*PARQUET, *ARROW, *JSON)

PEEK, PEEKED = 100, 8 << 20
"""Rows of JSON, and bytes of them, among which every column that is asked for has to be found."""


def read_rows(
    piece: Piece, text: str | Sequence[str], columns: Sequence[str], needed: Sequence[str] = ()
) -> Iterator[Row | Found]:
    """The rows of a table with their text, from one column or several, and those of `columns` that it has.

    A row without text is dropped. Raises UnreadableFile if the file is no table, or has no column `text` or one of
    `needed`.
    """
    texts = (text,) if isinstance(text, str) else tuple(text)
    for row in rows_of(piece, (*texts, *columns), needed=(*texts, *needed), texts=texts):
        yield row if isinstance(row, Found) else with_text(row, texts)


def rows_of(
    piece: Piece,
    columns: Sequence[str] | None,
    *,
    needed: Sequence[str] = (),
    texts: Sequence[str] = (),
    one_of: Sequence[str] = (),
) -> Iterator[Row | Found]:
    """The rows of a table as they are, their `text` left empty.

    Raises UnreadableFile if it is no table, has not all columns `needed` or none of `one_of`, or no words in `texts`.
    """
    path, name = Path(piece.path), piece.path.lower()

    def check(schema: pa.Schema) -> None:
        if one_of and not set(one_of) & set(schema.names):
            raise UnreadableFile(f"{path}: {missing(one_of[0], schema.names)}")
        for column in needed:
            held = type_of(schema, column)
            if held is None:
                raise UnreadableFile(f"{path}: {missing(column, _names(schema, column))}")
            if column in texts and not holds_text(held):
                told_types = ", ".join(f"{field.name} ({field.type})" for field in schema)[:1000]
                raise UnreadableFile(f"{path}: column {column} holds {held}, not text; its columns are {told_types}")

    if name.endswith(PARQUET):
        yield from parquet_rows(path, piece.groups, columns, check)
    elif name.endswith(ARROW):
        yield from arrow_rows(path, columns, check)
    else:
        yield from _having(objects(path), needed, one_of, path)


def _names(schema: pa.Schema, column: str) -> list[str]:
    """The names to choose from: of the object that a nested name leads into, or of the table."""
    first = top(column, schema.names)
    if first == column or first not in schema.names:
        return list(schema.names)
    inner = schema.field(first).type
    inner = inner.value_type if pa.types.is_list(inner) or pa.types.is_large_list(inner) else inner
    return [f"{first}.{field.name}" for field in inner] if pa.types.is_struct(inner) else list(schema.names)


def _having(
    rows: Iterator[Row | Found], needed: Sequence[str], one_of: Sequence[str], path: Path
) -> Iterator[Row | Found]:
    """The rows, if each of `needed` stands in one of the first; JSON has no list of its columns."""
    first: list[Row | Found] = []
    size, damage = 0, None
    try:
        for row in rows:
            first.append(row)
            size += row.size
            if len(first) == PEEK or size > PEEKED:
                break
    except DamagedFile as fault:
        damage = fault
    names = list(dict.fromkeys(name for row in first if isinstance(row, Row) for name in row.fields))
    for choice in (*((column,) for column in needed), one_of) if names else ():
        if choice and not any(top(column, names) in names for column in choice):
            column = choice[0]
            raise damage or UnreadableFile(f"{path}: {missing(column, names)} (in its first {len(first)} rows)")
    yield from chain(first, rows)
    if damage:
        raise damage


def with_text(row: Row, texts: Sequence[str]) -> Row | Found:
    """A row with its text, or why it has none."""
    try:
        text = text_of(row.fields, texts)
    except NotTextError as fault:
        return Found(row.size, Dropped(at=row.at, reason="bad_row", value=str(fault)))
    except UnicodeDecodeError as fault:
        return Found(row.size, Dropped(at=row.at, reason="bad_utf8", value=f"byte {fault.start}"))
    size = row.size or utf8_bytes(text)
    if not text.strip():
        return Found(size, Dropped(at=row.at, reason="empty_text"))
    return row._replace(text=text, size=size)


def utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
