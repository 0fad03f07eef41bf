"""Clean documents -> shards of rows: one MDS shard a unit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from packing.encode import Encoder
from packing.rows import rows_of_unit
from packing.shards import write_index, write_shard
from pipeline.documents import Dropped, id_words, read_batches, text_bytes
from pipeline.tally import Tally
from pipeline.tokenizer import held_out
from pipeline.units import Piece, Unit


def pack_documents(
    unit: Unit, out: Path, tally: Tally, *, tokenizer: Path, context: int, shortest: int, seed: int, source: str,
    holdout: float, training: bool,
) -> None:  # fmt: skip
    """Encode the unit's documents and write them as rows of at most `context` tokens.

    training: the documents that are not held out; else the held-out ones alone.
    A row's `doc` is (number of the document's file << 32) + its row in that file.
    """
    encoder = Encoder(tokenizer)
    ids: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    doc: list[np.ndarray] = []
    for piece in unit.pieces:
        for first, batch in _numbered(piece):
            tally.read(batch.num_rows, text_bytes(batch))
            wanted = held_out(id_words(batch.column("id"))[1], holdout) ^ training
            tally.dropped["held_out" if training else "for_training"] += int((~wanted).sum())
            at = np.flatnonzero(wanted)
            found, lengths = encoder.encode(batch.column("text").take(pa.array(at)).to_pylist())
            for empty in at[lengths == 0]:
                row = batch.slice(int(empty), 1).to_pylist()[0]
                dropped = Dropped(at="", reason="no_tokens", text=row["text"])
                tally.drop(dropped, row["origin"], row["id"])
            at, size = at[lengths > 0], lengths[lengths > 0]
            tally.kept(len(at), text_bytes(batch.take(pa.array(at))))
            ids.append(found.astype(encoder.dtype))
            counts.append(size)
            doc.append((np.uint64(int(piece.name[:5])) << np.uint64(32)) + (first + at).astype(np.uint64))
    if sum(map(len, counts)) == 0:
        return
    lengths = np.concatenate(counts)
    rows = rows_of_unit(
        np.concatenate(ids), lengths, np.concatenate(doc), cls=encoder.cls, sep=encoder.sep, context=context,
        shortest=shortest, seed=seed, unit=(source, unit.number),
    )  # fmt: skip
    tally.info = write_shard(out, _counted(rows, tally))
    tally.info["raw_data"]["basename"] = f"{unit.number:05}.mds"  # `out` is a draft
    tally.more["text_tokens"] = int(lengths.sum())
    tally.more["documents_cut"] = int((lengths > context - 2).sum())


def _numbered(piece: Piece) -> Any:
    """(row number in the file of the batch's first document, batch) for a run of row groups."""
    path = Path(piece.path)
    first = 0
    if piece.groups:
        with pq.ParquetFile(path) as file:
            first = sum(file.metadata.row_group(group).num_rows for group in range(piece.groups[0]))
    for batch in read_batches(path, piece.groups, columns=["id", "text", "origin"]):
        yield first, batch
        first += batch.num_rows


def _counted(rows: Any, tally: Tally) -> Any:
    for row in rows:
        tally.more["rows"] += 1
        tally.more["tokens"] += len(row.input_ids)
        tally.more["pieces"] += len(row.doc)
        yield row


def index(folder: Path, infos: Sequence[dict[str, Any]]) -> None:
    """Write the `index.json` of all units' shards; a unit without rows has none."""
    write_index(folder, [info for info in infos if info])


def row_groups(paths: Sequence[Path]) -> list[Piece]:
    """The row groups of document files as pieces whose size is that of the uncompressed text."""
    pieces: list[Piece] = []
    for path in paths:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).total_byte_size
                pieces.append(Piece(path=str(path), name=path.name, size=size, groups=(group, group + 1)))
    return pieces
