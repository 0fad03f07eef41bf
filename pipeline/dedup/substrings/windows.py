"""Passages -> their windows of n tokens, each different one once with its first place; and the first of all files.

A place is the number of a passage in its file << 32 | the byte in the passage at which the window begins, so places of
one file stand in the order of its text. The first place is that of the preferred source, then of the smallest id, then
the first in the document. Files and units are no part of that order.

Memory: 150 MB for the windows of a file and 100 bytes for each token of a longer passage; `PART_BYTES` tells that of a
range. Disk: 36 bytes a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from pipeline.dedup.columns import opened
from pipeline.dedup.substrings.ranges import Rows, in_range, joined, write_answers
from pipeline.dedup.substrings.tokens import Hashes, Places, Written, reread, run_hashes
from pipeline.tally import Tally
from pipeline.units import Unit

ROOM = 1 << 20
"""Windows that are gathered before they are sorted."""

WINDOWS = pa.schema(
    [
        pa.field("hash", pa.uint64(), nullable=False),
        pa.field("high", pa.uint64(), nullable=False),
        pa.field("low", pa.uint64(), nullable=False),
        pa.field("place", pa.uint64(), nullable=False),
        pa.field("count", pa.uint32(), nullable=False),
    ]
)
"""Batches by hash: id and place of the first window of those that the batch is of, and how many are equal to it."""

FIRSTS = pa.schema(
    [
        pa.field("hash", pa.uint64(), nullable=False),
        pa.field("file", pa.uint32(), nullable=False),
        pa.field("place", pa.uint64(), nullable=False),
        pa.field("count", pa.uint64(), nullable=False),
    ]
)
"""Of a window that is repeated in this file, or stands first in another: where it stands first, and how many do."""

Numbers = npt.NDArray[np.uint64]


def find_windows(unit: Unit, out: Path, tally: Tally, *, tokens: int) -> None:
    """Write the windows of a file of passages. Raises StageError if it cannot be read."""
    gathered: list[Rows] = []
    (piece,) = unit.pieces
    with pa.ipc.new_file(out, WINDOWS) as writer:
        for batch, before in passages_of(Path(piece.path)):
            rows = _rows(batch, before, tokens)
            tally.more["windows"] += len(rows["hash"])
            for begin in range(0, len(rows["hash"]), ROOM):
                gathered.append({name: values[begin : begin + ROOM] for name, values in rows.items()})
                if sum(len(some["hash"]) for some in gathered) >= ROOM:
                    writer.write_batch(_sorted(gathered))
                    gathered = []
        if gathered:
            writer.write_batch(_sorted(gathered))


def passages_of(path: Path) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The batches of a file of passages, and the passages before each."""
    reader, before = opened(path), 0
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        yield batch, before
        before += batch.num_rows


def text_of(batch: pa.RecordBatch) -> tuple[Written, Places]:
    """The tokens of a batch of passages, and (passages + 1) where each begins in their bytes."""
    _, places, data = batch.column("text").buffers()
    offsets = np.frombuffer(places, np.int64)[: batch.num_rows + 1]
    return reread(np.frombuffer(data, np.uint8)[: offsets[-1]], offsets), offsets


def windows_of(text: Written, offsets: Places, before: int, tokens: int) -> tuple[Places, Places, Hashes, Numbers]:
    """(windows,) the first token of each, its passage in the batch, its hash, and its place."""
    hashes = run_hashes(text, tokens)
    per_passage = np.diff(text.bounds) - tokens + 1
    passage = np.repeat(np.arange(len(per_passage)), per_passage)
    firsts = np.arange(len(passage)) + passage * (tokens - 1)
    places = (before + passage).astype(np.uint64) << np.uint64(32)
    places |= (text.starts[firsts] - offsets[passage]).astype(np.uint64)
    return firsts, passage, hashes[firsts], places


def _rows(batch: pa.RecordBatch, before: int, tokens: int) -> Rows:
    text, offsets = text_of(batch)
    _, passage, hashes, places = windows_of(text, offsets, before, tokens)
    high, low = (batch.column(name).to_numpy()[passage] for name in ("high", "low"))
    return {"hash": hashes, "high": high, "low": low, "place": places, "count": np.ones(len(hashes), np.uint32)}


def _sorted(gathered: list[Rows]) -> pa.RecordBatch:
    rows = joined(gathered, WINDOWS)
    order = np.argsort(rows["hash"])
    first, count = firsts(order, np.zeros(len(order), np.uint32), rows)
    kept = order[first[order] == order]
    rows["count"] = count.astype(np.uint32)
    return pa.record_batch([pa.array(rows[name][kept]) for name in WINDOWS.names], schema=WINDOWS)


def find_firsts(
    unit: Unit, out: Path, tally: Tally, *, files: Sequence[Path], ranks: Sequence[int], of: int
) -> None:  # fmt: skip
    """Answer the files of windows in range `unit.number` of `of`; `ranks`: the place of each file's source in the order
    of preference. Raises StageError for a file that cannot be read."""
    found = [in_range(path, unit.number, of) for path in files]
    sizes = [len(rows["hash"]) for rows in found]
    file = np.repeat(np.arange(len(files), dtype=np.uint32), sizes)
    rows = joined(found, WINDOWS)
    first, count = firsts(np.argsort(rows["hash"]), np.asarray(ranks, np.uint32)[file], rows)
    asked = (count > 1) & ((first != np.arange(len(first))) | (rows["count"] > 1))
    tally.more["different_windows"] += int((first == np.arange(len(first))).sum())
    chosen = [np.flatnonzero(asked[a:b]) + a for a, b in zip(np.cumsum([0, *sizes]), np.cumsum(sizes), strict=False)]
    told = (
        {"hash": rows["hash"][m], "file": file[first[m]], "place": rows["place"][first[m]], "count": count[m]}
        for m in chosen
    )
    write_answers(out, FIRSTS, told)


def firsts(order: Places, rank: npt.NDArray[np.uint32], rows: Rows) -> tuple[Places, Numbers]:
    """(rows,) which row stands first of those of the same hash, and how many windows they are."""
    return _firsts(order, rank, *(rows[name] for name in WINDOWS.names))


@njit(cache=True)
def _firsts(
    order: Places, rank: npt.NDArray[np.uint32], hashes: Hashes, high: Numbers, low: Numbers, place: Numbers,
    count: npt.NDArray[np.uint32],
) -> tuple[Places, Numbers]:  # fmt: skip
    first, total = np.empty(len(order), np.int64), np.empty(len(order), np.uint64)
    begin = 0
    while begin < len(order):
        least, end, windows = order[begin], begin, np.uint64(0)
        while end < len(order) and hashes[order[end]] == hashes[order[begin]]:
            i = order[end]
            mine, best = (rank[i], high[i], low[i], place[i]), (rank[least], high[least], low[least], place[least])
            if mine < best:
                least = i
            windows += np.uint64(count[i])
            end += 1
        for n in range(begin, end):
            first[order[n]], total[order[n]] = least, windows
        begin = end
    return first, total
