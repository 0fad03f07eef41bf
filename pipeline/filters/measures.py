"""What was measured of every document of a unit, kept or dropped, in a file: other thresholds need no second look.

`<stage>/measures/00000.parquet` has a row for each document the unit read, in order:

    id          of the document
    bytes       UTF-8 bytes of its text as it was read
    reason      why it was dropped, null if it was kept
    ...         the columns that `kinds.measure` gives, null where not measured

Numbers have single precision, and the stage decides on just these: `first_failed` over the stored columns with the
stage's own settings gives the stage's own counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files import durable
from pipeline.filters.rules import Column

FOLDER = "measures"
GROUP_ROWS = 1 << 16
_WORD = pa.dictionary(pa.int32(), pa.string())
_OWN = (("id", pa.string()), ("bytes", pa.int64()), ("reason", _WORD))


def stored(columns: Mapping[str, Column]) -> dict[str, Column]:
    """The columns as they are stored and decided on: float32, or objects (words, None) as they are."""
    return {name: values if values.dtype == object else values.astype(np.float32) for name, values in columns.items()}


class MeasureWriter:
    """Writes the measures of a unit's batches; the columns are those of the first batch, which may be empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._tables: list[pa.Table] = []

    def write(self, ids: pa.Array, sizes: pa.Array, reasons: list[str | None], columns: Mapping[str, Column]) -> None:
        """Add the documents of a batch: what `stored` gave of them."""
        own = [ids, sizes, pa.array(reasons, pa.string())]
        measured = [
            pa.array(values, pa.string())
            if values.dtype == object
            else pa.array(values, pa.float32(), from_pandas=True)
            for values in columns.values()
        ]
        self._tables.append(pa.table([*own, *measured], names=[*(name for name, _ in _OWN), *columns]))
        if sum(table.num_rows for table in self._tables) >= GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait as one row group."""
        table = pa.concat_tables(self._tables).combine_chunks()
        self._tables = []
        for number, field in enumerate(table.schema):
            if number and field.type == pa.string():
                table = table.set_column(number, field.name, table.column(number).dictionary_encode())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> None:
        """Write what is left and the footer."""
        if self._tables:
            self.flush()
        if self._writer is not None:
            self._writer.close()


@contextmanager
def writing(folder: Path, unit: int) -> Iterator[MeasureWriter]:
    """A writer of one unit's measures in a stage's folder: the file is whole or not there."""
    with durable(folder / FOLDER / f"{unit:05}.parquet") as draft:
        writer = MeasureWriter(draft)
        try:
            yield writer
        finally:
            writer.close()


class Measures(NamedTuple):
    """Of the documents of a unit, in order."""

    reasons: list[str | None]
    sizes: Column
    """(documents,) bytes of the texts as they were read."""
    columns: dict[str, Column]
    """As `stored` made them."""


def read(folder: Path, unit: int) -> Measures:
    """What the stage in `folder` measured of a unit's documents.

    Raises FileNotFoundError where the unit left no measures.
    """
    table = pq.read_table(folder / FOLDER / f"{unit:05}.parquet", memory_map=True)
    columns = {}
    for name in table.column_names[len(_OWN) :]:
        values = table.column(name).combine_chunks()
        if pa.types.is_dictionary(values.type):
            columns[name] = np.array(values.to_pylist(), object)
        else:
            columns[name] = values.to_numpy(zero_copy_only=False)
    return Measures(table.column("reason").to_pylist(), table.column("bytes").to_numpy(), columns)
