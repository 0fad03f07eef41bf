"""What every stage up to packing reads and writes: documents as Arrow batches in Parquet files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("title", pa.string()),
        pa.field("language", pa.string()),
        pa.field("license", pa.string()),
        pa.field("date", pa.string()),
        pa.field("metadata", pa.string()),
    ]
)
"""One document a row. `id` is 32 hex digits of (source, origin); `metadata` is a JSON object."""

GROUP_BYTES = 64 << 20
"""Text in one row group at most (a longer document stands alone in its group): the memory of a reader."""

BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text as a reader of raw files finds it; the ingest stage adds id, source and kind."""

    at: str
    """Where in its file: byte offset, line, row or member name. Made into `origin` together with the file's name."""
    text: str
    url: str | None = None
    title: str | None = None
    language: str | None = None
    license: str | None = None
    date: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """One record that did not become, or did not stay, a document, and why.

    A reason that begins with `bad_` says that the input is broken; those count towards `max_bad`.
    """

    at: str
    reason: str
    value: str | float | None = None
    """What was measured."""
    threshold: str | float | None = None
    """What it was measured against."""
    text: str = ""


def identity(source: str, origin: str) -> str:
    """The id of the document that stands at `origin` of `source`: 32 hex digits, the same on every run."""
    return hashlib.blake2b(f"{source}\0{origin}".encode(), digest_size=16).hexdigest()


def record(document: Document, source: str, kind: str, file: str) -> dict[str, Any]:
    """A row of `SCHEMA`; `file` is the input file relative to its source's root.

    Lone surrogates and NULs, which neither Parquet nor a tokenizer takes, become U+FFFD.
    """
    origin = f"{file}#{document.at}"
    return {
        "id": identity(source, origin),
        "text": clean(document.text),
        "source": source,
        "kind": kind,
        "origin": origin,
        "url": document.url and clean(document.url),
        "title": document.title and clean(document.title),
        "language": document.language,
        "license": document.license,
        "date": document.date,
        "metadata": orjson.dumps(document.metadata).decode() if document.metadata else None,
    }


def clean(text: str) -> str:
    """Text that can be written as UTF-8: lone surrogates and NULs become U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "�")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class DocumentWriter:
    """Writes one Parquet file of `schema` (documents unless told), a row group at most `GROUP_BYTES` of text each."""

    def __init__(self, path: Path, schema: pa.Schema = SCHEMA) -> None:
        self.schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=3)
        self._batches: list[pa.RecordBatch] = []
        self._rows: list[dict[str, Any]] = []
        self._bytes = self._row_bytes = 0

    def write_row(self, row: Mapping[str, Any]) -> None:
        """Add one row; rows are gathered into batches."""
        size = len(row.get("text") or "")
        if self._rows and (len(self._rows) >= BATCH_ROWS or self._row_bytes + size > GROUP_BYTES // 4):
            self._gather()
        self._rows.append(dict(row))
        self._row_bytes += size

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Add a batch of `schema`, after the rows given before it."""
        self._gather()
        self._add(batch)

    def _gather(self) -> None:
        if self._rows:
            rows, self._rows, self._row_bytes = self._rows, [], 0
            self._add(pa.RecordBatch.from_pylist(rows, schema=self.schema))

    def _add(self, batch: pa.RecordBatch) -> None:
        size = batch.get_total_buffer_size()
        if self._batches and self._bytes + size > GROUP_BYTES:
            self._flush()
        if batch.num_rows:
            self._batches.append(batch)
            self._bytes += size

    def _flush(self) -> None:
        if self._batches:
            table = pa.Table.from_batches(self._batches, schema=self.schema)
            self._writer.write_table(table, row_group_size=table.num_rows)
            self._batches, self._bytes = [], 0

    def close(self) -> None:
        """Write what is left and the footer; without it the file cannot be read."""
        self._gather()
        self._flush()
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.close()


def read_batches(
    path: Path, groups: tuple[int, int] | None = None, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The batches of a Parquet file in order, at most `BATCH_ROWS` rows each; `groups` limits to row groups [a, b)."""
    with pq.ParquetFile(path, memory_map=True) as file:
        chosen = list(range(*groups)) if groups else list(range(file.num_row_groups))
        for group in chosen:
            yield from file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=columns)


def noted(metadata: pa.Array, notes: Sequence[Mapping[str, Any] | None]) -> pa.Array:
    """Metadata (documents,) of JSON with the entries of `notes` added; None and nothing add none."""
    told = [
        orjson.dumps(orjson.loads(text or b"{}") | dict(note)).decode() if note else text
        for text, note in zip(metadata.to_pylist(), notes, strict=True)
    ]
    return pa.array(told, metadata.type)


def text_bytes(batch: pa.RecordBatch) -> int:
    """UTF-8 bytes of the text of a batch, without decoding it."""
    column = batch.column("text")
    if not len(column):
        return 0
    return int(pc.sum(pc.binary_length(column)).as_py() or 0)


def id_words(ids: pa.Array) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Document ids (32 hex digits) -> their two 64-bit words, uint64 (documents,): ready-made random draws."""
    digits = np.frombuffer("".join(ids.to_pylist()).encode(), np.uint8).reshape(len(ids), 32)
    values = np.where(digits >= ord("a"), digits - (ord("a") - 10), digits - ord("0")).astype(np.uint64)
    places = np.uint64(4) * np.arange(15, -1, -1, dtype=np.uint64)
    high, low = ((values[:, part] << places).sum(axis=1, dtype=np.uint64) for part in (slice(16), slice(16, 32)))
    return high, low
