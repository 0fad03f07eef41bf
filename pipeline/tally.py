"""What went in, what came out, and what was dropped and why: the counts of one unit, and their sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.documents import Dropped, clean
from pipeline.files import durable

SAMPLES = 200
"""Dropped documents kept a reason a unit."""

SAMPLE_TEXT = 2_000
"""Characters kept of a dropped document."""

NOTES = 20
"""Different notes of a stage that are kept."""

DROPPED = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("threshold", pa.string()),
        pa.field("text", pa.string(), nullable=False),
    ]
)


class Tally:
    """The counts of one unit. Documents in = documents out + dropped, or `check` raises."""

    def __init__(self) -> None:
        self.documents_in = self.documents_out = self.bytes_in = self.bytes_out = 0
        self.dropped: Counter[str] = Counter()
        self.more: Counter[str] = Counter()
        """Other sums the stage wants in its record: tokens, rows, pieces."""
        self.notes: Counter[str] = Counter()
        """What the user must be told when the stage ends, a line each, and in how many units."""
        self.info: dict[str, Any] = {}
        """What `Stage.finish` needs of this unit, as plain JSON values."""
        self._samples: list[dict[str, Any]] = []

    def clear(self) -> None:
        """Forget everything: the unit is done once more from its beginning."""
        self.__dict__.update(vars(Tally()))

    def read(self, documents: int, size: int) -> None:
        """`documents` records with `size` bytes of text (raw bytes where it is not text yet) were read."""
        self.documents_in += documents
        self.bytes_in += size

    def kept(self, documents: int, size: int) -> None:
        """`documents` documents with `size` UTF-8 bytes of text were written."""
        self.documents_out += documents
        self.bytes_out += size

    def drop(self, dropped: Dropped, origin: str, id: str | None = None) -> None:
        """Count one dropped record, and keep it as a sample while its reason has fewer than `SAMPLES`."""
        self.dropped[dropped.reason] += 1
        if self.dropped[dropped.reason] <= SAMPLES:
            value, threshold = (None if x is None else clean(_told(x)) for x in (dropped.value, dropped.threshold))
            text = clean(dropped.text[:SAMPLE_TEXT])
            row = {"id": id, "origin": origin, "reason": dropped.reason}
            self._samples.append({**row, "value": value, "threshold": threshold, "text": text})

    def check(self, where: str) -> None:
        """Raise AssertionError unless every document that came in went out or was dropped for a reason."""
        lost = self.documents_in - self.documents_out - self.dropped.total()
        assert not lost, f"{where}: {lost} of {self.documents_in} documents are unaccounted for"

    def counts(self) -> dict[str, Any]:
        """The unit's sums, as they stand in its record and, added up, in `stage.json`."""
        return {
            "documents_in": self.documents_in,
            "documents_out": self.documents_out,
            "dropped": dict(sorted(self.dropped.items())),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            **dict(sorted(self.more.items())),
            **({"notes": dict(sorted(self.notes.items()))} if self.notes else {}),
        }

    def write_samples(self, path: Path) -> None:
        """Write the samples as Parquet, the samples of one reason together; nothing if nothing was dropped."""
        rows = sorted(self._samples, key=lambda row: row["reason"])
        if not rows:
            path.unlink(missing_ok=True)
            return
        with durable(path) as draft:
            pq.write_table(pa.Table.from_pylist(rows, schema=DROPPED), draft, compression="zstd")

    @staticmethod
    def total(units: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """The sum of the counts of many units."""
        empty = Tally().counts()
        dropped: Counter[str] = Counter()
        notes: Counter[str] = Counter()
        sums: Counter[str] = Counter({name: 0 for name in empty if name != "dropped"})
        for unit in units:
            dropped.update(unit["dropped"])
            notes.update(unit.get("notes", {}))
            sums.update({k: v for k, v in unit.items() if isinstance(v, int) and k != "bytes_written"})
        told = {"notes": dict(sorted(notes.items())[:NOTES])} if notes else {}
        return {**sums, "dropped": dict(sorted(dropped.items())), **told}


def _told(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
