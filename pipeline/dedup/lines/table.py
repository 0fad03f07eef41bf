"""Which repeated lines are the most frequent, for a person's eyes: a table beside the documents they were taken from.

    site       host of the document that the line is shown of, without `www.`; null where it has none
    documents  that have the line, in the whole scope
    removed    times it was taken out of this source
    text       the line's first 500 characters, as they stand in the document with the smallest id
    id         of that document

Each unit writes the `SHOWN` most frequent of the lines that stand in it; a line that is among those of all units is
among them wherever it stands, so the table that is joined of them depends on the documents alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.lines.segments import Segments, hosts
from pipeline.documents import id_words
from pipeline.files import durable
from pipeline.stage import StageError
from pipeline.words import text_of

SHOWN = 1_000
"""Lines of a source that are told."""

TEXT = 500
"""Characters told of a line."""

FREQUENT = "frequent"

_SCHEMA = pa.schema(
    [
        pa.field("site", pa.string()),
        pa.field("documents", pa.int64(), nullable=False),
        pa.field("removed", pa.int64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("hash", pa.uint64(), nullable=False),
    ]
)


class FrequentLines:
    """The most frequent of a unit's repeated lines (`repeats.repeated_in`)."""

    def __init__(self, listed: npt.NDArray[np.void]) -> None:
        self._listed = listed
        self._ranked = np.lexsort((listed["hash"], -listed["documents"].astype(np.int64)))[:SHOWN]
        self._rank = np.full(len(listed), -1, np.int32)
        self._rank[self._ranked] = np.arange(len(self._ranked))
        self._removed = np.zeros(len(self._ranked), np.int64)
        self._least = np.full(len(self._ranked), np.iinfo(np.uint64).max)
        self._shown: dict[int, dict[str, Any]] = {}

    def add(
        self, documents: pa.RecordBatch, segments: Segments, found: npt.NDArray[np.int64],
        place: npt.NDArray[np.int64], gone: npt.NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Add the segments `found`, listed at `place`; those `gone` are taken out (both by segment)."""
        ranks = self._rank[place[found]]
        found, ranks = found[ranks >= 0], ranks[ranks >= 0]
        np.add.at(self._removed, ranks, gone[found])
        owners = segments.documents[found]
        ids, _ = id_words(documents.column("id"))
        order = np.lexsort((found, ids[owners], ranks))
        firsts = order[np.flatnonzero(np.append(True, np.diff(ranks[order]) > 0)[: len(order)])]
        for at in firsts[ids[owners[firsts]] < self._least[ranks[firsts]]].tolist():
            rank, document = int(ranks[at]), int(owners[at])
            self._least[rank] = ids[document]
            self._shown[rank] = _shown(documents.slice(document, 1), segments, int(found[at]))

    def write(self, folder: Path, unit: int) -> None:
        """Write the unit's table into a folder beside its file. Raises StageError if lines were not met with."""
        if len(self._shown) < len(self._ranked):
            raise StageError(
                "the list of repeated lines is of other documents; make it anew with --redo repeated_lines"
            )
        rows = [
            {
                **self._shown[rank],
                "documents": int(self._listed["documents"][place]),
                "removed": int(self._removed[rank]),
                "hash": int(self._listed["hash"][place]),
            }
            for rank, place in enumerate(self._ranked.tolist())
        ]
        _write(rows, folder / FREQUENT / f"{unit:05}.parquet")


def _shown(document: pa.RecordBatch, segments: Segments, segment: int) -> dict[str, Any]:
    data, offsets = text_of(document.column("url"))
    (a, z), *_ = hosts(data, offsets).tolist()
    line = segments.data[segments.starts[segment] : segments.ends[segment]][: 4 * TEXT]
    return {
        "id": document.column("id")[0].as_py(),
        "site": data[a:z].tobytes().decode("utf-8", "replace").lower() or None,
        "text": line.tobytes().decode(errors="ignore")[:TEXT],
    }


def _write(rows: list[dict[str, Any]], path: Path) -> None:
    with durable(path) as draft:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), draft, compression="zstd")


def join_tables(folder: Path, _: list[dict[str, Any]]) -> None:
    """Units' tables -> `frequent.parquet`, the most frequent first."""
    joined: dict[int, dict[str, Any]] = {}
    for path in sorted((folder / FREQUENT).glob("[0-9]*.parquet")):
        for row in pq.read_table(path).to_pylist():
            known = joined.setdefault(row["hash"], row)
            if known is not row:
                first = min(known, row, key=lambda one: one["id"])
                joined[row["hash"]] = {**first, "removed": known["removed"] + row["removed"]}
        most = sorted(joined.values(), key=lambda row: (-row["documents"], row["hash"]))[:SHOWN]
        joined = {row["hash"]: row for row in most}
    _write(list(joined.values()), folder / f"{FREQUENT}.parquet")
