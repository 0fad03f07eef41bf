"""All that was found in all documents -> which documents are contaminated, by what, and the report by evaluation set.

Decided over all sources at once when every unit stands, so it is the same for any number of files, units and workers.
Memory: 8 bytes an n-gram of the index, and the documents found of one file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.decontaminate.arrays import map_arrays
from pipeline.decontaminate.evidence import held_texts
from pipeline.decontaminate.search import INDEX, merged
from pipeline.files import durable, write_atomically
from pipeline.settings import Decontaminate

VERDICTS, ROWS, REPORT = "verdicts.parquet", "rows.parquet", "report.json"

VERDICT = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("told", pa.string(), nullable=False),
        pa.field("begins", pa.list_(pa.int64()), nullable=False),
        pa.field("ends", pa.list_(pa.int64()), nullable=False),
    ]
)
"""A contaminated document a row, those of one file together and in order; the bytes to cut, in its folded text."""

HIT = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("at", pa.string(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
    ]
)
"""An evaluation row a row that stands in some document, and in how many: what should be left out of a score."""

EXAMPLES = 5
"""Documents told for each set, the first by source and place."""


def settle(folder: Path, *, settings: Decontaminate) -> None:
    """Write the verdicts, the rows that were hit and the report beside the units' files of a `contaminated` stage."""
    index = map_arrays(folder.parent / INDEX / "00000.arrow")
    files = sorted(folder.glob("[0-9]*.parquet"))
    documents = np.zeros(len(index["keys"]), np.int64)
    for _, grams in _found(files):
        documents[grams] += 1
    report = Report(index, documents > settings.frequent)
    with durable(folder / VERDICTS) as draft, pq.ParquetWriter(draft, VERDICT, compression="zstd") as writer:
        for file in files:
            verdicts = [verdict for row, grams in _found([file]) if (verdict := report.judge(row, grams, settings))]
            if verdicts:
                writer.write_batch(pa.RecordBatch.from_pylist(verdicts, schema=VERDICT))
    with durable(folder / ROWS) as draft:
        pq.write_table(pa.Table.from_pylist(report.rows(), schema=HIT), draft, compression="zstd")
    write_atomically(folder / REPORT, orjson.dumps(report.told(), option=orjson.OPT_INDENT_2))


def _found(files: list[Path]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each document found, and its n-grams, each once."""
    for file in files:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=64):
                for row in range(batch.num_rows):
                    found = {name: batch.column(name)[row] for name in batch.schema.names}
                    yield found, np.unique(found["grams"].values.to_numpy())


class Report:
    """Judges documents, and counts what was found by evaluation set."""

    def __init__(self, index: Mapping[str, Any], frequent: Any) -> None:
        self.index, self.frequent = index, frequent
        self.sets: list[str] = index["sets"].to_pylist()
        self.row_set = index["file_set"][index["row_file"]]
        self._hit: Counter[int] = Counter()
        """Row -> documents that hold it."""
        self._documents: Counter[int] = Counter()
        """Set -> documents that hold a row of it."""
        self._examples: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)

    def judge(self, found: Mapping[str, Any], grams: Any, settings: Decontaminate) -> dict[str, Any] | None:
        """The verdict on a document, a row of `VERDICT`; None if it holds no evaluation text."""
        texts, counts, evidence = held_texts(grams, self.frequent, self.index, settings)
        if not len(texts):
            return None
        rows = np.unique(self.index["text_row"][texts])
        self._hit.update(rows.tolist())
        sets = np.unique(self.row_set[rows]).tolist()
        self._documents.update(sets)
        best = int(np.argmax(counts))
        of = int(self.index["inner"][texts[best]])
        told = f"{counts[best]} n-grams of {self.place(int(self.index['text_row'][texts[best]]))}, which has {of}"
        plain = {name: found[name].as_py() for name in ("source", "file", "row", "id", "origin", "words")}
        for number in sets:
            if len(self._examples[number]) < EXAMPLES:
                own = texts[self.row_set[self.index["text_row"][texts]] == number]
                row = self.place(int(self.index["text_row"][own[0]]))
                self._examples[number].append(
                    {"row": row, "document": plain["id"], "source": plain["source"], "origin": plain["origin"],
                     "words": plain["words"]}
                )  # fmt: skip
        chosen = np.isin(found["grams"].values.to_numpy(), evidence)
        begins, ends = merged(*(found[name].values.to_numpy()[chosen] for name in ("begins", "ends")))
        return {**{name: plain[name] for name in ("source", "file", "row", "id")},
                "told": told, "begins": begins, "ends": ends}  # fmt: skip

    def place(self, row: int) -> str:
        """Where an evaluation row stands: its file and place."""
        return f"{self.index['files'][int(self.index['row_file'][row])].as_py()}#{self.index['row_at'][row].as_py()}"

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `HIT`."""
        return [
            {
                "set": self.sets[self.row_set[row]],
                "file": self.index["files"][int(self.index["row_file"][row])].as_py(),
                "at": self.index["row_at"][row].as_py(),
                "documents": count,
            }
            for row, count in sorted(self._hit.items())
        ]

    def told(self) -> dict[str, Any]:
        """The report: a set after the other."""
        inner, text_set = self.index["inner"], self.row_set[self.index["text_row"]]
        within = np.bincount(self.index["text_row"], weights=inner, minlength=len(self.row_set))
        rows_hit = Counter(int(self.row_set[row]) for row in self._hit)
        return {
            "ngrams": len(self.index["keys"]),
            "frequent_ngrams": int(self.frequent.sum()),
            "sets": {
                name: {
                    "rows": int((self.row_set == number).sum()),
                    "rows_too_short": int(((self.row_set == number) & (within == 0)).sum()),
                    "rows_hit": rows_hit[number],
                    "documents": self._documents[number],
                    "texts": int((text_set == number).sum()),
                    "texts_too_short": int(((text_set == number) & (inner == 0)).sum()),
                    "examples": self._examples[number],
                }
                for number, name in enumerate(self.sets)
            },
        }
