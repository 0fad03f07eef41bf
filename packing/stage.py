"""Clean documents -> shards of rows: one MDS shard a unit.

In memory: the ids of a unit twice (2 bytes each, 4 with more than 65,535 of them), and the text of a batch of at most
1,024 documents. A document of any length costs what its ids take: one of 100 MB about 100 MB, in a unit of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from packing import report
from packing.encode import Encoder
from packing.greedy import Ints
from packing.partition import WHOLE, Part
from packing.rows import laid_out, lay_out
from packing.shards import write_index, write_shard
from pipeline.documents import Dropped, id_words, read_batches, text_bytes
from pipeline.holdout import held_out, trained_on
from pipeline.tally import Tally
from pipeline.units import Piece, Unit


def pack_documents(
    unit: Unit, out: Path, tally: Tally, *, tokenizer: Path, context: int, shortest: int, seed: int, source: str,
    holdout: float, training: bool, part: Part = WHOLE,
) -> None:  # fmt: skip
    """Encode the unit's documents and write them as rows of at most `context` tokens.

    training: the documents that are not held out, of them those of `part`; else the held-out ones alone.
    A row's `doc` is (number of the document's file << 32) + its row in that file.
    """
    encoder = Encoder(tokenizer)
    ids, counts, doc = _encoded(unit, tally, encoder, holdout=holdout, training=training, part=part)
    if encoder.mixed:
        tally.clear()
        ids, counts, doc = _encoded(unit, tally, encoder, holdout=holdout, training=training, part=part)
    if encoder.why_slow:
        tally.notes[f"encoded by tokenizers, some 20 times as slowly as by fastokens: {encoder.why_slow}"] += 1
    if sum(map(len, counts)) == 0:
        return
    write_rows(
        out, tally, np.concatenate(ids), np.concatenate(counts), np.concatenate(doc), cls=encoder.cls,
        sep=encoder.sep, context=context, shortest=shortest, seed=seed, source=source, unit=unit.number,
    )  # fmt: skip


def _encoded(
    unit: Unit, tally: Tally, encoder: Encoder, *, holdout: float, training: bool, part: Part
) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[np.int64]], list[npt.NDArray[np.uint64]]]:
    """By batches: the ids of the documents that are packed, how many each has, and the documents' numbers."""
    ids: list[npt.NDArray[Any]] = []
    counts: list[npt.NDArray[np.int64]] = []
    doc: list[npt.NDArray[np.uint64]] = []
    for piece in unit.pieces:
        for first, batch in _numbered(piece):
            tally.read(batch.num_rows, text_bytes(batch))
            wanted = choose(id_words(batch.column("id"))[1], tally, holdout=holdout, training=training, part=part)
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
    return ids, counts, doc


def choose(
    words: npt.NDArray[np.uint64], tally: Tally, *, holdout: float, training: bool, part: Part
) -> npt.NDArray[np.bool_]:
    """Which documents a stage packs, by the second word of their ids; the tally tells why it leaves the others."""
    held = held_out(words, holdout)
    wanted = trained_on(words, holdout, part) if training else held
    tally.dropped["held_out" if training else "for_training"] += int((held if training else ~held).sum())
    if training and part != WHOLE:
        tally.dropped["for_other_contexts"] += int((~held & ~wanted).sum())
    return wanted


def write_rows(
    out: Path, tally: Tally, tokens: npt.NDArray[Any], lengths: Ints, doc: npt.NDArray[np.uint64], *, cls: int,
    sep: int, context: int, shortest: int, seed: int, source: str, unit: int,
) -> None:  # fmt: skip
    """Pack the documents of a unit (arrays as for `rows_of_unit`), write their shard, and count what was packed."""
    key = (source, unit)
    layout = lay_out(lengths, context=context, shortest=shortest, seed=seed, unit=key)
    tally.info = write_shard(out, laid_out(tokens, lengths, doc, layout, cls=cls, sep=sep))
    tally.info["raw_data"]["basename"] = f"{unit:05}.mds"  # `out` is a draft
    tally.more.update(report.counts(layout, lengths, context))


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


def full_units(pieces: Sequence[Piece], size: int) -> list[Unit]:
    """Pieces in order -> units of at least `size` bytes and less than a piece more; a rest under half of it joins the
    last one.

    So no unit is small, whose few rows would be part empty, and files are no bounds: a thousand small ones are one.
    """
    found: list[list[Piece]] = [[]]
    room = size
    for piece in pieces:
        if room <= 0:
            found.append([])
            room = size
        found[-1].append(piece)
        room -= piece.size
    if len(found) > 1 and 2 * (size - room) < size:
        rest = found.pop()
        found[-1] += rest
    return [Unit(number, tuple(some)) for number, some in enumerate(found) if some]
