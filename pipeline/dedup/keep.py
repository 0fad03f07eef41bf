"""Documents and the list of duplicates -> the documents that stay; one that stands for others says for how many.

`copies` in its metadata is the size of its cluster: itself and all that were removed in its favour, of any source.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.duplicates import NEAR
from pipeline.documents import DocumentWriter, Dropped, noted, read_batches, text_bytes
from pipeline.stage import StageError
from pipeline.tally import Tally
from pipeline.units import Piece, Unit


def keep_survivors(unit: Unit, out: Path, tally: Tally, *, source: str, duplicates: Path, threshold: float) -> None:
    """Write the documents of a unit's files that are not in the list `duplicates` (a folder of one file).

    `threshold` is the similarity that was asked for, told with each near-duplicate. Raises StageError where the list
    is of other documents.
    """
    with DocumentWriter(out) as writer:
        for piece in unit.pieces:
            name = Path(piece.path).name
            removed = _listed(duplicates / "00000.parquet", [("source", "=", source), ("file", "=", name)])
            kept = _listed(duplicates / "00000.parquet", [("kept_source", "=", source), ("kept_file", "=", name)])
            copies = Counter(kept.column("kept_row").to_pylist())
            _keep(piece, removed, copies, threshold, writer, tally)


def _listed(path: Path, filters: list[tuple[str, str, str]]) -> pa.Table:
    """The rows of the list that are of one file; by `source` and `file` they ascend."""
    try:
        return pq.read_table(path, filters=filters)
    except (pa.ArrowInvalid, OSError) as fault:
        told = str(fault).splitlines()[0]
        raise StageError(f"{path}: {told}; make it anew with --redo duplicates") from None


def _keep(
    piece: Piece, removed: pa.Table, copies: Counter[int], threshold: float, writer: DocumentWriter, tally: Tally
) -> None:
    rows = removed.column("row").to_numpy()
    before = _rows_before(piece)
    last = int(np.searchsorted(rows, before))
    for batch in read_batches(Path(piece.path), piece.groups):
        tally.read(batch.num_rows, text_bytes(batch))
        first, last = last, int(np.searchsorted(rows, before + batch.num_rows))
        stays = np.ones(batch.num_rows, np.bool_)
        gone = rows[first:last] - before
        stays[gone] = False
        for place, verdict in zip(gone.tolist(), removed.slice(first, last - first).to_pylist(), strict=True):
            _drop(batch, place, verdict, threshold, piece, tally)
        survivors = batch.filter(pa.array(stays))
        sizes = [copies[row] + 1 for row in (before + np.flatnonzero(stays)).tolist()]
        writer.write_batch(_with_sizes(survivors, sizes))
        tally.kept(survivors.num_rows, text_bytes(survivors))
        before += batch.num_rows


def _with_sizes(documents: pa.RecordBatch, sizes: list[int]) -> pa.RecordBatch:
    """Tell the size of each cluster of more than one."""
    if max(sizes, default=1) == 1:
        return documents
    place = documents.schema.get_field_index("metadata")
    told = noted(documents.column(place), [{"copies": size} if size > 1 else None for size in sizes])
    return documents.set_column(place, documents.schema.field(place), told)


def _rows_before(piece: Piece) -> int:
    """Rows of the file before the piece."""
    if piece.groups is None:
        return 0
    footer = pq.read_metadata(piece.path)
    return sum(footer.row_group(group).num_rows for group in range(piece.groups[0]))


def _drop(
    batch: pa.RecordBatch, place: int, verdict: dict[str, Any], threshold: float, piece: Piece, tally: Tally
) -> None:
    id, origin = (batch.column(name)[place].as_py() for name in ("id", "origin"))
    if id != verdict["id"]:
        raise StageError(
            f"{piece.path}: row {verdict['row']} is {id}, but {verdict['id']} when duplicates were looked for; "
            "make the list anew with --redo duplicates"
        )
    reason = verdict["reason"]
    value = f"{verdict['jaccard']:.4g} of {verdict['kept']}"
    text = batch.column("text")[place].as_py()
    least = threshold if reason == NEAR else 1.0
    tally.drop(Dropped(at=origin, reason=reason, value=value, threshold=least, text=text), origin, id)
