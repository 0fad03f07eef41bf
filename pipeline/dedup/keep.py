"""Documents and what was decided of them -> the documents that stay, and a list of those that go.

A document that stands for others says for how many: `copies` in its metadata is the size of its cluster, itself and
all that were removed in its favour, of any source. The list has one removed document a row, in the order of the file:
`removed/<number>.parquet` beside the documents. Memory: one row group of text.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.catalogue import Catalogue
from pipeline.dedup.columns import Columns
from pipeline.dedup.duplicates import EXACT, NEAR, verdicts
from pipeline.dedup.survivors import KEPT
from pipeline.documents import DocumentWriter, Dropped, noted, read_batches, text_bytes
from pipeline.files import durable
from pipeline.stage import StageError
from pipeline.tally import SAMPLES, Tally
from pipeline.units import Unit

REMOVED = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("jaccard", pa.float64(), nullable=False),
        pa.field("kept", pa.string(), nullable=False),
        pa.field("kept_run", pa.string(), nullable=False),
        pa.field("kept_source", pa.string(), nullable=False),
        pa.field("kept_file", pa.string(), nullable=False),
        pa.field("kept_row", pa.int64(), nullable=False),
    ]
)
"""`file` is the name of the documents' file before dedup; `kept_run` the folder of an earlier run, '' for this one."""


def keep_survivors(
    unit: Unit, out: Path, tally: Tally, *, source: str, catalogue: Path, duplicates: Path, threshold: float
) -> None:  # fmt: skip
    """Write the documents of a file that stay, and beside them the list of the others.

    `threshold` is the similarity that was asked for, told with each near-duplicate. Raises StageError where the
    decisions are of other documents.
    """
    (piece,) = unit.pieces
    numbered, decided = Catalogue.open(catalogue), verdicts(duplicates)
    path = Path(piece.path)
    numbers = _numbers(numbered, source, path)
    gone = [np.empty(0, np.int64)]
    with DocumentWriter(out) as writer:
        before = 0
        for batch in read_batches(path):
            tally.read(batch.num_rows, text_bytes(batch))
            documents = numbers[before : before + batch.num_rows]
            _same(batch, numbered, documents, path, before)
            stays = decided["instead"][documents] == KEPT
            gone.append(before + np.flatnonzero(~stays))
            for reason, flag, least in ((EXACT, 0, 1.0), (NEAR, 1, threshold)):
                going = np.flatnonzero(~stays & (decided["near"][documents] == flag))
                told = max(0, SAMPLES - tally.dropped[reason])  # the others are only counted
                for row in going[:told].tolist():
                    _drop(batch, row, documents[row], numbered, decided, reason, least, tally)
                if len(going) > told:
                    tally.dropped[reason] += len(going) - told
            survivors = batch.filter(pa.array(stays))
            writer.write_batch(_with_sizes(survivors, decided["size"][documents[stays]].tolist()))
            tally.kept(survivors.num_rows, text_bytes(survivors))
            before += batch.num_rows
    beside = out.parent / "removed" / f"{unit.number:05}.parquet"
    with durable(beside) as draft:
        rows = np.concatenate(gone)
        pq.write_table(_listed(source, path.name, rows, numbers[rows], numbered, decided), draft, compression="zstd")


def _numbers(numbered: Catalogue, source: str, path: Path) -> npt.NDArray[np.uint32]:
    """The numbers of a file's documents. Raises StageError if it was not there when documents were numbered."""
    for at, file in enumerate(numbered.files):
        if (file.run, file.source, file.documents) == ("", source, path.name):
            return numbered.numbers(at)
    raise StageError(f"{path}: was not there when documents were numbered; make that anew with --redo catalogue")


def _same(
    batch: pa.RecordBatch, numbered: Catalogue, documents: npt.NDArray[np.uint32], path: Path, before: int
) -> None:
    """Raise StageError unless these are the documents that were numbered."""
    ids = batch.column("id")
    known = numbered.hex_ids(documents)
    if len(known) == len(ids) and known.equals(ids):
        return
    row = next(
        (n for n, (a, b) in enumerate(zip(ids.to_pylist(), known.to_pylist(), strict=False)) if a != b), len(known)
    )
    raise StageError(
        f"{path}: row {before + row} is {ids[row].as_py()}, another document than when duplicates were looked for; "
        "make that anew with --redo signatures"
    )


def _with_sizes(documents: pa.RecordBatch, sizes: list[int]) -> pa.RecordBatch:
    """Tell the size of each cluster of more than one."""
    if max(sizes, default=1) == 1:
        return documents
    place = documents.schema.get_field_index("metadata")
    told = noted(documents.column(place), [{"copies": size} if size > 1 else None for size in sizes])
    return documents.set_column(place, documents.schema.field(place), told)


def _drop(
    batch: pa.RecordBatch, row: int, document: int, numbered: Catalogue, decided: Columns, reason: str, least: float,
    tally: Tally,
) -> None:  # fmt: skip
    id, origin, text = (batch.column(name)[row].as_py() for name in ("id", "origin", "text"))
    (kept,) = numbered.hex_ids(decided["instead"][[document]]).to_pylist()
    value = f"{decided['jaccard'][document]:.4g} of {kept}"
    tally.drop(Dropped(at=origin, reason=reason, value=value, threshold=least, text=text), origin, id)


def _listed(
    source: str, name: str, rows: npt.NDArray[np.int64], documents: npt.NDArray[np.uint32], numbered: Catalogue,
    decided: Columns,
) -> pa.Table:  # fmt: skip
    kept = decided["instead"][documents]
    files, kept_rows = numbered.places(kept)
    of = [numbered.files[file] for file in files]
    columns = [[source] * len(rows), [name] * len(rows), rows, numbered.hex_ids(documents)]
    columns += [np.where(decided["near"][documents], NEAR, EXACT).tolist(), decided["jaccard"][documents]]
    columns += [numbered.hex_ids(kept), *([getattr(f, part) for f in of] for part in ("run", "source", "documents"))]
    columns.append(kept_rows)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, REMOVED.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=REMOVED)
