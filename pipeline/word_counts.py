"""A sample of the documents -> how often each word occurs in it: a table a unit, then one of all units.

What a tokenizer is trained on. A unit's table is written in 16 parts by the words' hashes, so that the tables of any
number of units are added up a part at a time. Memory: of a unit, a batch and a table of 64 MB of distinct words; of
all, `MOST` bytes of them and a sixteenth of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.documents import id_words, read_batches, text_bytes
from pipeline.holdout import held_out
from pipeline.pretokens import WordTable
from pipeline.tally import Tally
from pipeline.units import Unit
from pipeline.words import text_of

SCHEMA = pa.schema([pa.field("word", pa.large_binary(), nullable=False), pa.field("count", pa.int64(), nullable=False)])

PARTS = 16

FULL = 64 << 20
"""Bytes of distinct words in a unit's table after which it is written, and a new one begun."""

MOST = 128 << 20
"""Bytes of distinct words, each with one more, that merges are learned from: 2.1 GB of memory. Of more words the rarest
are left out, all of one count together: numbers, hashes, typing errors. The stage's record says whether any were."""


def count_words(
    unit: Unit, out: Path, tally: Tally, *, rate: float, holdout: float, literals: Sequence[str], nfc: bool
) -> None:  # fmt: skip
    """Write the words of a share `rate` of the unit's documents, drawn by their ids; held-out ones never are."""
    table = WordTable(literals, nfc=nfc)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(str(out), SCHEMA, options=options) as writer:
        for piece in unit.pieces:
            for batch in read_batches(Path(piece.path), piece.groups, columns=["id", "text"]):
                tally.read(batch.num_rows, text_bytes(batch))
                taken = batch.filter(pa.array(drawn(batch.column("id"), rate, holdout)))
                tally.kept(taken.num_rows, text_bytes(taken))
                tally.dropped["not_sampled"] += batch.num_rows - taken.num_rows
                table.count(*text_of(taken.column("text")))
                if table.size > FULL:
                    _write(writer, table)
        _write(writer, table)


def drawn(ids: pa.Array, rate: float, holdout: float) -> npt.NDArray[np.bool_]:
    """Which documents are in the sample: bool (documents,). By their ids alone, so however the work is cut."""
    draw, keep = id_words(ids)
    sampled: npt.NDArray[np.bool_] = (draw < rate * 2.0**64) & ~held_out(keep, holdout)
    return sampled


def _write(writer: Any, table: WordTable) -> None:
    """The table's parts as record batches, and the table empty."""
    data, offsets, counts, hashes = table.content()
    words = _words(data, offsets)
    part = hashes >> np.uint64(60)
    for number in range(PARTS):
        chosen = pa.array(np.flatnonzero(part == number))
        writer.write_batch(pa.record_batch([words.take(chosen), pa.array(counts).take(chosen)], schema=SCHEMA))
    table.clear()


def _words(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> pa.Array:
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def bytes_of(words: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a large_binary column, no copy, and (words + 1) where each word begins in them."""
    if not len(words):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    _, places, data = words.buffers()
    offsets = np.frombuffer(places, np.int64)[words.offset : words.offset + len(words) + 1]
    return np.frombuffer(data, np.uint8), offsets


def gathered(files: Sequence[Path], tally: Tally, most: int = MOST) -> pa.RecordBatch:
    """The words of all units, each once with its count (`SCHEMA`): at most `most` bytes of them.

    In what order they come depends on the files; which they are, and their counts, do not.
    """
    kept: list[pa.RecordBatch] = []
    by_count = np.zeros(1 << 20, np.int64)  # bytes of the words of each count
    for part in _parts(files):
        counts = part["count"].to_numpy()
        lengths = np.diff(bytes_of(part["word"])[1]) + 1
        np.add.at(by_count, np.minimum(counts, len(by_count) - 1), lengths)
        tally.more["words"] += len(counts)
        tally.more["occurrences"] += int(counts.sum())
        kept.append(part)
        left = np.append(by_count[::-1].cumsum()[::-1], 0)  # bytes of the words of each count or a higher one
        if (least := int(np.argmax(left <= most))) > 1:
            kept = [one.filter(pa.array(one["count"].to_numpy() >= least)) for one in kept]
    words = pa.Table.from_batches(kept, SCHEMA).combine_chunks()
    batch = words.to_batches()[0] if len(words) else pa.RecordBatch.from_pylist([], SCHEMA)
    tally.more["words_left_out"] += tally.more["words"] - len(batch)
    tally.more["occurrences_left_out"] += tally.more["occurrences"] - int(batch["count"].to_numpy().sum())
    return batch


def _parts(files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    """The words of each part of the hashes, added up over the files."""
    for part in range(PARTS):
        table = WordTable()
        for file in files:
            with pa.memory_map(str(file)) as source:
                batches = pa.ipc.open_file(source)
                for number in range(part, batches.num_record_batches, PARTS):
                    batch = batches.get_batch(number)
                    table.add(*bytes_of(batch["word"]), batch["count"].to_numpy())
        data, offsets, counts, _ = table.content()
        yield pa.record_batch([_words(data, offsets), pa.array(counts)], schema=SCHEMA)
