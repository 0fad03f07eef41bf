"""The repeats that occur most often, for people to look at: every reader of Parquet shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.substrings.repeats import Passages, Runs
from pipeline.files import durable

EXAMPLES = 200
"""Kept a unit, of different passages in which they stand first."""

TEXT = 2_000
"""Bytes kept of a text."""

REPEATS = pa.schema(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("occurrences", pa.uint64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("first", pa.string(), nullable=False),
    ]
)
"""A span that was cut, as it stood; how often its most frequent window occurs in all documents; its tokens; the
document it was cut from; the id of the one where that window stands first."""


class Examples:
    """Gathers the spans of a unit and keeps the `EXAMPLES` most frequent texts."""

    def __init__(self, passages: Passages) -> None:
        self._passages = passages
        self._rows: dict[tuple[int, int, int], dict[str, Any]] = {}

    def add(self, text: bytes, tokens: int, runs: Runs, id: str, origin: str) -> None:
        """A span of `tokens` tokens, and the runs that it is made of. Of the like of it the first is kept."""
        run = runs[int(np.argmax(runs["count"]))]
        like = int(run["count"]), int(run["file"]), int(run["place"]) >> 32
        if like in self._rows:
            return
        self._rows[like] = {
            "text": text[:TEXT].decode(errors="ignore"),
            "occurrences": like[0],
            "tokens": tokens,
            "id": id,
            "origin": origin,
            "first": run,
        }
        if len(self._rows) >= 8 * EXAMPLES:
            self._prune()

    def _prune(self) -> None:
        best = sorted(self._rows.items(), key=lambda item: (-item[1]["occurrences"], -item[1]["tokens"], item[1]["id"]))
        self._rows = dict(best[:EXAMPLES])

    def write(self, path: Path) -> None:
        """Write them, the most frequent first; nothing if there is none."""
        self._prune()
        rows = [row | {"first": self._passages.identity(row["first"])} for row in self._rows.values()]
        if not rows:
            path.unlink(missing_ok=True)
            return
        with durable(path) as draft:
            pq.write_table(pa.Table.from_pylist(rows, schema=REPEATS), draft, compression="zstd")
