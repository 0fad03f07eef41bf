"""Documents that stand in a pair -> their sets of shingles, on disk: the texts are read once, and by many processes.

First a mark for each such document by position, so that a unit finds its own without reading all pairs; then, file by
file of documents, the sets. Memory: a byte a document for the marks; for the sets one row group of text and `TOGETHER`.
Disk: 8 bytes a shingle of the marked documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.candidates import Pairs, earlier, later
from pipeline.dedup.catalogue import Catalogue
from pipeline.dedup.columns import read_all, read_batches, read_columns, write_columns
from pipeline.dedup.minhash import Hashes, sets_of
from pipeline.dedup.pairs import shares
from pipeline.documents import read_batches as read_documents
from pipeline.settings import Near
from pipeline.stage import StageError
from pipeline.tally import Tally
from pipeline.units import Unit

SETS = pa.schema([pa.field("row", pa.int64()), pa.field("shingles", pa.large_list(pa.uint64()))])

Sets = tuple[Hashes, npt.NDArray[np.int64]]
"""End to end, and where each begins (documents + 1)."""

TOGETHER = 8 << 20
"""Shingles in one batch: 64 MB."""

STEP = 1 << 24
"""Pairs looked at together."""


def mark_candidates(unit: Unit, out: Path, tally: Tally, *, catalogue: Path, pairs: Path, settings: Near) -> None:
    """Write 1 for each document, by position, that stands in a pair."""
    numbered = Catalogue.open(catalogue)
    marks = np.zeros(len(numbered), np.uint8)
    for found in proposed(pairs, len(numbered), settings):
        for begin in range(0, len(found), STEP):
            part = found[begin : begin + STEP]
            for numbers in (earlier(part), later(part)):
                marks[numbered.position[numbers]] = 1
    tally.read(len(marks), 0)
    tally.kept(len(marks), 0)
    tally.more["candidates"] = int(np.count_nonzero(marks))
    write_columns(out, {"candidate": marks})


def proposed(folder: Path, documents: int, settings: Near) -> list[Pairs]:
    """The pairs of each unit of the stage that proposes them, mapped."""
    return read_all(folder, len(shares(documents, settings.bands)), "pair")


def write_shingles(unit: Unit, out: Path, tally: Tally, *, catalogue: Path, candidates: Path, ngram: int) -> None:
    """Write the sets of the marked documents of one file: sorted hashes, each once, under the document's row.

    Raises StageError where the file is not the one that was signed.
    """
    (piece,) = unit.pieces
    numbered = Catalogue.open(catalogue)
    file, begin, end = numbered.files[unit.number], *numbered.starts[unit.number : unit.number + 2]
    marks = read_columns(candidates / "00000.arrow")["candidate"][begin:end]
    rows = np.flatnonzero(marks)
    tally.read(len(rows), 0)
    tally.kept(len(rows), 0)
    with pa.ipc.new_file(out, SETS) as writer:
        waiting = [(np.empty(0, np.uint64), np.zeros(1, np.int64))]
        first = held = 0
        for texts in _texts(Path(piece.path), rows, file.rows):
            for one in sets_of(texts, ngram):
                waiting.append(one)
                held += len(one[0])
                if held >= TOGETHER:
                    first += _write(writer, rows[first:], waiting)
                    waiting, held = waiting[:1], 0
        _write(writer, rows[first:], waiting)


def _write(writer: pa.ipc.RecordBatchFileWriter, rows: npt.NDArray[np.int64], sets: Sequence[Sets]) -> int:
    """Write sets, which are those of the first of `rows`; how many they are."""
    values = np.concatenate([values for values, _ in sets])
    sizes = np.concatenate([np.diff(begins) for _, begins in sets])
    lists = pa.LargeListArray.from_arrays(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), values)
    writer.write_batch(pa.record_batch([pa.array(rows[: len(sizes)]), lists], schema=SETS))
    return len(sizes)


def _texts(path: Path, rows: npt.NDArray[np.int64], expected: int) -> Iterator[pa.Array]:
    """The texts of ascending rows of a file of documents; row groups without any of them are not read."""
    footer = pq.read_metadata(path)
    if footer.num_rows != expected:
        raise StageError(
            f"{path} holds {footer.num_rows} documents and its signatures {expected}; --redo the signatures"
        )
    before = 0
    for group in range(footer.num_row_groups):
        after = before + footer.row_group(group).num_rows
        if np.searchsorted(rows, before) < np.searchsorted(rows, after):
            for batch in read_documents(path, (group, group + 1), ["text"]):
                a, b = np.searchsorted(rows, [before, before + batch.num_rows])
                yield batch.column("text").take(pa.array(rows[a:b] - before))
                before += batch.num_rows
        before = after


def read_sets(path: Path) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Hashes]]:
    """(rows ascending, (rows + 1) where each set begins, the sets end to end), batch by batch, mapped."""
    for batch in read_batches(path):
        column = batch.column("shingles")
        yield batch.column("row").to_numpy(), column.offsets.to_numpy(), column.values.to_numpy()
