"""Parquet and Arrow files -> their rows; a damaged row group or batch costs its own rows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.documents import Dropped
from pipeline.ingest.fields import top
from pipeline.ingest.objects import Row
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile

PARQUET = (".parquet",)
ARROW = (".arrow", ".feather")

BATCH = 256
"""Rows turned into Python objects at a time; a book has a few MB."""

LOST = 100_000
"""Lost rows of a damaged row group told one by one; a damaged footer may claim any number of them."""

Check = Callable[[pa.Schema], None]
"""Raises UnreadableFile for a schema without what is needed."""


def parquet_rows(
    path: Path, groups: tuple[int, int] | None, columns: Sequence[str] | None, check: Check
) -> Iterator[Row | Found]:
    """The rows of row groups [a, b), all without `groups`, with those of `columns` (all for None) that there are.

    Raises UnreadableFile, also where `check` does.
    """
    try:
        file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
        raise UnreadableFile(f"{path}: is no whole Parquet file ({_line(fault)}); fetch it anew or remove it") from None
    with file:
        schema = _named(file.schema_arrow, path)
        check(schema)
        wanted = _wanted(schema, columns)
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
            for fields in _fields(batch):
                yield Row(str(next(left)), fields, "", 0)
    except (pa.ArrowException, OSError) as fault:
        for number in islice(left, LOST):
            yield Found(0, Dropped(at=str(number), reason="bad_record", value=_line(fault)))


def parquet_row(path: Path, number: int) -> bytes | None:
    """Row `number` of a Parquet file as JSON, all its columns."""
    with pq.ParquetFile(path, memory_map=True) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if number < rows:
                return _json(file.read_row_group(group).slice(number, 1).combine_chunks().to_batches()[0])
            number -= rows
    return None


def arrow_rows(path: Path, columns: Sequence[str] | None, check: Check) -> Iterator[Row | Found]:
    """The rows of an Arrow file or stream, Feather's second version too.

    A damaged batch of a file is one `bad_record`. Raises UnreadableFile, DamagedFile where a stream breaks off.
    """
    with _opened(path) as (schema, batches, is_file):
        check(schema)
        wanted = _wanted(schema, columns)
        for number, batch in enumerate(batches):
            if not isinstance(batch, str):
                yield from _batch(number, batch.select(wanted))
            elif is_file:
                yield Found(0, Dropped(at=f"{number}.0", reason="bad_record", value=batch))
            else:
                raise DamagedFile.told(path, f"batch {number}", batch)


def _batch(number: int, batch: pa.RecordBatch) -> Iterator[Row | Found]:
    """Nothing vouches for the places in an Arrow file, so they are checked before they are followed."""
    for start in range(0, batch.num_rows, BATCH):
        part = batch.slice(start, BATCH)
        if not _sound(part):
            for at in range(start, start + part.num_rows):
                row = batch.slice(at, 1)
                if _sound(row):
                    yield Row(f"{number}.{at}", _fields(row)[0], "", 0)
                else:
                    yield Found(0, Dropped(at=f"{number}.{at}", reason="bad_record", value="is no valid Arrow data"))
            continue
        for at, fields in enumerate(_fields(part), start):
            yield Row(f"{number}.{at}", fields, "", 0)


def _sound(batch: pa.RecordBatch) -> bool:
    try:
        batch.validate(full=True)
    except pa.ArrowException:
        return False
    return True


def arrow_row(path: Path, at: str) -> bytes | None:
    """The row at `batch.row` of an Arrow file or stream as JSON, all its columns."""
    number, row = map(int, at.split("."))
    with _opened(path) as (_, batches, _is_file):
        batch = next(islice(batches, number, None), None)
    if not isinstance(batch, pa.RecordBatch) or row >= batch.num_rows:
        return None
    return _json(batch.slice(row, 1))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch | str], bool]]:
    """The schema, and each batch or why it cannot be read, and whether the batches' places are known."""
    try:
        source = pa.memory_map(str(path))
    except (pa.ArrowException, OSError) as fault:
        raise UnreadableFile(f"{path}: is no Arrow file ({_line(fault)}); fetch it anew or remove it") from None
    with source:
        try:
            is_file = source.read(6) == b"ARROW1"
            source.seek(0)
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        except (pa.ArrowException, OSError) as fault:
            raise UnreadableFile(
                f"{path}: is no whole Arrow file ({_line(fault)}); fetch it anew or remove it"
            ) from None
        yield _named(reader.schema, path), _of_file(reader) if is_file else _of_stream(reader), is_file


def _named(schema: pa.Schema, path: Path) -> pa.Schema:
    """The schema, if the names in it are words. Raises UnreadableFile."""
    try:
        _ = schema.names
    except UnicodeDecodeError as fault:
        raise UnreadableFile(
            f"{path}: its columns' names are damaged ({_line(fault)}); fetch it anew or remove it"
        ) from None
    return schema


def _of_file(reader: Any) -> Iterator[pa.RecordBatch | str]:
    for number in range(reader.num_record_batches):
        try:
            yield reader.get_batch(number)
        except (pa.ArrowException, OSError) as fault:
            yield _line(fault)


def _of_stream(reader: Any) -> Iterator[pa.RecordBatch | str]:
    try:
        yield from reader
    except (pa.ArrowException, OSError) as fault:
        yield _line(fault)


def _line(fault: Exception) -> str:
    """What pyarrow says, which may be several lines."""
    return " ".join(str(fault).split())[:200]


def _wanted(schema: pa.Schema, columns: Sequence[str] | None) -> list[str]:
    if columns is None:
        return list(schema.names)
    tops = {top(name, schema.names) for name in columns}
    return [name for name in schema.names if name in tops]


def _fields(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    values = [_values(column) for column in batch.columns]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*values, strict=True)]


def _values(column: pa.Array) -> list[Any]:
    """The values of a column; strings that are no UTF-8 as bytes, times that Python cannot hold as words."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [_value(column, at) for at in range(len(column))]
    except (ValueError, OverflowError, pa.ArrowException):
        try:
            return list(column.cast(pa.string()).to_pylist())
        except pa.ArrowException:
            return [_value(column, at) for at in range(len(column))]


def _value(column: pa.Array, at: int) -> Any:
    try:
        return column[at].as_py()
    except UnicodeDecodeError:
        scalar = column[at]
        return scalar.as_buffer().to_pybytes() if hasattr(scalar, "as_buffer") else None
    except (ValueError, OverflowError, pa.ArrowException):
        return None


def _json(row: pa.RecordBatch) -> bytes:
    return orjson.dumps(_fields(row)[0], default=_words, option=orjson.OPT_NON_STR_KEYS)


def _words(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
