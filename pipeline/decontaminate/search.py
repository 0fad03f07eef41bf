"""Stage: documents and the index -> every place of a document where an n-gram of an evaluation text stands."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.decontaminate.arrays import map_arrays
from pipeline.decontaminate.fold import folded
from pipeline.decontaminate.matching import Matches, find_matches
from pipeline.documents import read_batches, text_bytes
from pipeline.settings import Decontaminate
from pipeline.tally import Tally
from pipeline.units import Unit
from pipeline.words import text_of

INDEX = "evaluation"
"""The stage that makes the index."""

FOUND = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("grams", pa.list_(pa.int32()), nullable=False),
        pa.field("begins", pa.list_(pa.int64()), nullable=False),
        pa.field("ends", pa.list_(pa.int64()), nullable=False),
        pa.field("words", pa.string(), nullable=False),
    ]
)
"""One document with any n-gram a row: where it stands, its n-grams with their bytes in the folded text, and the
longest run of them (of those that tell something, if any does) in its own words."""

SHOWN = 500
"""Characters kept of the longest run."""


@lru_cache(maxsize=2)
def opened(path: Path) -> dict[str, Any]:
    """The index, mapped once a process."""
    return map_arrays(path)


def search_documents(unit: Unit, out: Path, tally: Tally, *, index: Path, settings: Decontaminate) -> None:
    """Write what the documents of the unit's file share with evaluation texts. The unit holds that one file, whole."""
    (piece,) = unit.pieces
    assert piece.groups is None, "a row's number is that in its whole file"
    table = opened(index / "00000.arrow")
    wide, narrow = settings.ngram * settings.characters, settings.short * settings.characters
    before = 0
    with pq.ParquetWriter(out, FOUND, compression="zstd") as writer:
        for batch in read_batches(Path(piece.path), columns=["id", "text", "source", "origin"]):
            size = text_bytes(batch)
            tally.read(batch.num_rows, size)
            data, offsets = folded(*text_of(batch.column("text")))
            matches = find_matches(data, offsets, table, wide=wide, narrow=narrow, characters=settings.characters)
            if len(matches.documents):
                rows = _rows(batch, data, offsets, matches, table["weak"], Path(piece.path).name, before)
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=FOUND))
                tally.more["documents_found"] += len(rows)
            tally.kept(batch.num_rows, size)
            before += batch.num_rows


def _rows(
    batch: pa.RecordBatch, data: Any, offsets: Any, matches: Matches, weak: Any, file: str, before: int
) -> list[dict[str, Any]]:
    numbers, starts = np.unique(matches.documents, return_index=True)
    rows: list[dict[str, Any]] = []
    for number, a, z in zip(numbers.tolist(), starts, [*starts[1:], len(matches.documents)], strict=True):
        begins, ends = matches.begins[a:z], matches.ends[a:z]
        tells = weak[matches.grams[a:z]] == 0
        begin, end = longest_run(begins[tells], ends[tells]) if tells.any() else longest_run(begins, ends)
        text = data[offsets[number] + begin : offsets[number] + min(end, begin + 4 * SHOWN)]
        rows.append(
            {
                **{name: batch.column(name)[number].as_py() for name in ("source", "id", "origin")},
                "file": file,
                "row": before + number,
                "grams": matches.grams[a:z],
                "begins": begins,
                "ends": ends,
                "words": text.tobytes().decode(errors="ignore")[:SHOWN],
            }
        )
    return rows


def merged(begins: Any, ends: Any) -> tuple[Any, Any]:
    """Spans in order of their begins -> those that no two of touch."""
    if not len(begins):
        return begins, ends
    reach = np.maximum.accumulate(ends)
    first = np.flatnonzero(np.concatenate([[True], begins[1:] > reach[:-1]]))
    return begins[first], reach[np.append(first[1:], len(begins)) - 1]


def longest_run(begins: Any, ends: Any) -> tuple[int, int]:
    """The longest of the merged spans, the first of equal ones."""
    begins, ends = merged(begins, ends)
    at = int(np.argmax(ends - begins))
    return int(begins[at]), int(ends[at])
