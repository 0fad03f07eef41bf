"""Documents -> their signatures: one row a document, all that deduplication needs to propose duplicates.

    id       string                  as in the document's row
    bytes    int64                   of its text
    quality  float64                 the score that the filters noted; null where there is none
    exact    fixed_size_binary(16)   where exact was asked for: xxh3_128 of the normalised text
    words    int32                   where near was asked for: words of the normalised text
    band_00  uint64                  one key a band; null where there are fewer than `ngram` words and so no shingle

A band is a column, so that the next stage holds one band of all documents in memory and not all of them. 14 bands
are 112 bytes a document. Memory: one row group of text and some 30 MB, or 10 times the bytes of a longer document.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline.dedup.minhash import band_keys, word_hashes
from pipeline.dedup.normal import Bytes, Offsets, pieces
from pipeline.documents import read_batches, text_bytes
from pipeline.settings import Dedup
from pipeline.stage import StageError
from pipeline.tally import Tally
from pipeline.units import Unit
from pipeline.words import scan

_MARK = b"signatures"
"""Key of the schema's metadata under which a file says what it holds."""

TOGETHER = 64
"""Batches in a row group: 65,536 documents, 16 MB."""

_PLAIN = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
"""Hashes do not compress. A wrong bit would make another decision without a word, so pages are summed."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """What shapes a signature. The threshold does not: another one asks for no new signatures."""

    exact: bool
    ngram: int
    bands: int
    """0 where near-duplicates are not looked for."""
    rows: int

    @classmethod
    def of(cls, settings: Dedup) -> Scheme:
        if settings.near is None:
            return cls(exact=settings.exact, ngram=0, bands=0, rows=0)
        near = settings.near
        return cls(exact=settings.exact, ngram=near.ngram, bands=near.bands, rows=near.rows)

    @property
    def schema(self) -> pa.Schema:
        fields = [pa.field("id", pa.string(), nullable=False), pa.field("bytes", pa.int64(), nullable=False)]
        fields.append(pa.field("quality", pa.float64()))
        if self.exact:
            fields.append(pa.field("exact", pa.binary(16), nullable=False))
        if self.bands:
            fields.append(pa.field("words", pa.int32(), nullable=False))
        return pa.schema([*fields, *(pa.field(band(b), pa.uint64()) for b in range(self.bands))])


def band(number: int) -> str:
    """The name of a band's column."""
    return f"band_{number:02}"


def sign_documents(unit: Unit, out: Path, tally: Tally, *, source: str, scheme: Scheme) -> None:
    """Sign one file of documents: a row for each, in their order. The unit holds that one file, whole."""
    (piece,) = unit.pieces
    assert piece.groups is None, "signatures are of whole files"
    told = {"source": source, "documents": Path(piece.path).name, **asdict(scheme)}
    schema = scheme.schema.with_metadata({_MARK: orjson.dumps(told)})
    with pq.ParquetWriter(out, schema, **_PLAIN) as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in read_batches(Path(piece.path), columns=["id", "text", "metadata"]):
            size = text_bytes(batch)
            tally.read(batch.num_rows, size)
            waiting.append(pa.record_batch(_columns(batch, scheme), schema=schema))
            tally.kept(batch.num_rows, size)
            if len(waiting) == TOGETHER:
                writer.write_table(pa.Table.from_batches(waiting, schema))
                waiting = []
        writer.write_table(pa.Table.from_batches(waiting, schema))


def _columns(batch: pa.RecordBatch, scheme: Scheme) -> list[pa.Array]:
    digests: list[bytes] = []
    counts, keys = [np.empty(0, np.int64)], [np.empty((0, scheme.bands), np.uint64)]
    for data, offsets in pieces(batch.column("text")):
        if scheme.exact:
            digests += exact_hashes(data, offsets)
        if scheme.bands:
            words, bounds = word_hashes(scan(data, offsets))
            counts.append(np.diff(bounds))
            keys.append(band_keys(words, bounds, scheme.ngram, scheme.bands, scheme.rows))
    columns = [batch.column("id"), pa.compute.binary_length(batch.column("text")).cast(pa.int64())]
    columns.append(_quality(batch.column("metadata")))
    if scheme.exact:
        columns.append(pa.array(digests, pa.binary(16)))
    if scheme.bands:
        words_of_each, key = np.concatenate(counts), np.concatenate(keys)
        columns.append(pa.array(words_of_each, pa.int32()))
        columns += [pa.array(key[:, b], mask=words_of_each < scheme.ngram) for b in range(scheme.bands)]
    return columns


def _quality(metadata: pa.Array) -> pa.Array:
    """The `quality` in each document's metadata; most have none and are not parsed."""
    if not pa.compute.any(pa.compute.match_substring(metadata, '"quality"')).as_py():
        return pa.nulls(len(metadata), pa.float64())
    scores = [orjson.loads(text).get("quality") if text else None for text in metadata.to_pylist()]
    return pa.array(scores, pa.float64())


def exact_hashes(data: Bytes, offsets: Offsets) -> list[bytes]:
    """xxh3_128 of each document of normalised text: equal texts have equal ones on every machine."""
    whole = np.ascontiguousarray(data).data
    return [xxhash.xxh3_128_digest(whole[a:b]) for a, b in pairwise(offsets.tolist())]


@dataclass(frozen=True, kw_only=True)
class SignatureFile:
    """One file of signatures, its footer read."""

    path: Path
    source: str
    documents: str
    """The name of the file it was made of, in that source's folder of documents."""
    rows: int


def open_signatures(path: Path, source: str, scheme: Scheme, mend: str) -> SignatureFile:
    """Read the footer. Raises StageError where the file is missing, damaged, or made otherwise than is asked."""
    if not path.exists():
        raise StageError(f"{path} is missing; {mend}")
    try:
        footer = pq.read_metadata(path)
        told: dict[str, Any] = orjson.loads(footer.metadata[_MARK])
    except (pa.ArrowInvalid, OSError, KeyError, TypeError):
        raise StageError(f"{path} is no whole file of signatures; {mend}") from None
    asked = {"source": source, **asdict(scheme)}
    if others := [f"{name}: {told.get(name)}, not {asked[name]}" for name in asked if told.get(name) != asked[name]]:
        raise StageError(f"{path} holds other signatures ({'; '.join(others)}); {mend}")
    return SignatureFile(path=path, source=source, documents=told["documents"], rows=footer.num_rows)
