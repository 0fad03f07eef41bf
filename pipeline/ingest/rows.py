"""Tables, Parquet or JSON lines -> their rows as dictionaries, one way for all kinds of source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.documents import Dropped, clean
from pipeline.ingest.lines import LONGEST, CutOffError, Line, lines
from pipeline.ingest.reading import Found, UnreadableFile
from pipeline.units import Piece

JSON = tuple(f"{name}{packed}" for name in (".jsonl", ".json") for packed in ("", ".gz", ".zst"))
PARQUET = (".parquet",)

BATCH = 256
"""Parquet rows turned into Python objects at a time; a book has a few MB."""

MARK = b"\xef\xbb\xbf"


class Row(NamedTuple):
    at: str
    """Number of the line (from 1) or of the Parquet row (from 0)."""
    fields: dict[str, Any]
    text: str
    size: int


def read_rows(piece: Piece, text: str, columns: Sequence[str]) -> Iterator[Row | Found]:
    """The rows of a table whose column `text` holds text, with those of `columns` that it has; or why a row is dropped.

    Raises UnreadableFile if it is no table or a Parquet file without the text's column.
    """
    path = Path(piece.path)
    if not path.name.endswith(PARQUET):
        yield from (_checked(row, text) for row in _json(path))
        return
    yield from (_checked(row, text) for row in _parquet(path, piece.groups, text, columns))


def _checked(row: Row | Found, column: str) -> Row | Found:
    """A row whose text is a string with something in it."""
    if isinstance(row, Found):
        return row
    text = row.fields.get(column)
    if not isinstance(text, str):
        told = f"{column} is {type(text).__name__}" if column in row.fields else f"no {column}"
        return Found(row.size, Dropped(at=row.at, reason="bad_row", value=told))
    size = row.size or utf8_bytes(text)
    if not text.strip():
        return Found(size, Dropped(at=row.at, reason="empty_text"))
    return row._replace(text=text, size=size)


def utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _json(path: Path) -> Iterator[Row | Found]:
    number = 0
    try:
        for line in lines(path):
            number = line.number
            if not line.content and line.size <= LONGEST:
                continue
            content = line.content.removeprefix(MARK) if number == 1 else line.content
            if content.strip() or line.size > LONGEST:
                yield _object(line._replace(content=content))
    except CutOffError as fault:
        yield Found(0, Dropped(at=str(number + 1), reason=fault.reason, value=str(fault)))


def _object(line: Line) -> Row | Found:
    """The JSON object on a line. What orjson refuses and Python reads (NaN, lone surrogates) is taken."""

    def dropped(reason: str, value: str | float) -> Found:
        start = line.content[:2000].decode("utf-8", "replace")
        return Found(line.size, Dropped(at=str(line.number), reason=reason, value=value, text=start))

    if line.size > LONGEST:
        return dropped("too_large", line.size)
    try:
        fields = orjson.loads(line.content)
    except orjson.JSONDecodeError:
        try:
            fields = json.loads(line.content.decode())
        except UnicodeDecodeError as fault:
            return dropped("bad_utf8", f"byte {fault.start}")
        except (ValueError, RecursionError) as fault:
            return dropped("bad_json", str(fault))
    if not isinstance(fields, dict):
        return dropped("bad_row", f"a JSON {type(fields).__name__} is no row")
    return Row(str(line.number), fields, "", line.size)


def _parquet(path: Path, groups: tuple[int, int] | None, text: str, columns: Sequence[str]) -> Iterator[Row | Found]:
    try:
        file = pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowInvalid, OSError) as fault:
        raise UnreadableFile(f"{path}: is no whole Parquet file ({fault}); fetch it anew or remove it") from None
    with file:
        names = file.schema_arrow.names
        if text not in names:
            raise UnreadableFile(f"{path}: has no column {text}; its columns are {', '.join(names)}")
        wanted = [name for name in names if name == text or name in columns]
        begin, end = groups or (0, file.num_row_groups)
        row = sum(file.metadata.row_group(group).num_rows for group in range(begin))
        for group in range(begin, end):
            rows = file.metadata.row_group(group).num_rows
            yield from _group(file, group, wanted, range(row, row + rows))
            row += rows


def _group(file: pq.ParquetFile, group: int, wanted: list[str], numbers: range) -> Iterator[Row | Found]:
    """The rows of a row group; of a damaged one, those before the damage, and each lost row as `bad_record`."""
    left = iter(numbers)
    try:
        for batch in file.iter_batches(batch_size=BATCH, row_groups=[group], columns=wanted):
            yield from _rows(batch, left)
    except (pa.ArrowException, OSError) as fault:
        for number in left:
            yield Found(0, Dropped(at=str(number), reason="bad_record", value=str(fault)[:200]))


def _rows(batch: pa.RecordBatch, numbers: Iterator[int]) -> Iterator[Row | Found]:
    try:
        for fields in batch.to_pylist():
            yield Row(str(next(numbers)), fields, "", 0)
    except UnicodeDecodeError:  # to_pylist makes all or nothing
        for at in range(batch.num_rows):
            number = str(next(numbers))
            try:
                yield Row(number, batch.slice(at, 1).to_pylist()[0], "", 0)
            except UnicodeDecodeError as fault:
                yield Found(0, Dropped(at=number, reason="bad_utf8", value=f"byte {fault.start}"))


def told(value: Any) -> str | None:
    """A value of a table as words: dates in ISO 8601, nothing for null and empty."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return clean(str(value)) if value not in (None, "", [], {}) else None


def plain_value(value: Any) -> Any:
    """A value of a table as JSON and UTF-8 can hold it: dates and larger integers than 64 bits become words."""
    if isinstance(value, dict):
        return {clean(str(name)): plain_value(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain_value(inner) for inner in value]
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63):
        return value
    return told(value)
