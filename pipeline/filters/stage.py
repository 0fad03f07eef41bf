"""Documents -> the documents that pass the rules of their kind, each of the others counted under its reason.

Quantities are measured whatever rule a document fails first, and kept beside the stage's files; but for documents in
languages that are not asked for, which end there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.documents import SCHEMA, DocumentWriter, Dropped, noted, read_batches, text_bytes
from pipeline.filters import kinds, measures
from pipeline.filters.measures import MeasureWriter
from pipeline.filters.quality import notes
from pipeline.filters.rules import Column, Measured, Rule, first_failed
from pipeline.filters.settings import Filters
from pipeline.tally import SAMPLE_TEXT, Tally
from pipeline.units import Unit

SLICE_BYTES = 4 << 20
"""Text measured together, a longer document alone: tables that stay near the processor, and bounded memory."""


def filter_documents(unit: Unit, out: Path, tally: Tally, *, filters: Filters) -> None:
    """Write the unit's documents that pass, and what was measured; the files are there even if none does."""
    asked = kinds.rules(filters)
    with DocumentWriter(out) as writer, measures.writing(out.parent, unit.number) as measured:
        for batch in _slices(unit):
            tally.read(batch.num_rows, text_bytes(batch))
            kept = _judge(batch, filters, asked, measured, tally)
            tally.kept(kept.num_rows, text_bytes(kept))
            writer.write_batch(kept)


def _slices(unit: Unit) -> Iterator[pa.RecordBatch]:
    """The unit's documents in order, an empty batch first: it tells the writers their columns."""
    yield pa.RecordBatch.from_pylist([], schema=SCHEMA)
    for piece in unit.pieces:
        for batch in read_batches(Path(piece.path), piece.groups):
            ends = np.cumsum(pc.binary_length(batch.column("text")).to_numpy(zero_copy_only=False))
            start = 0
            while start < batch.num_rows:
                before = ends[start - 1] if start else 0
                stop = max(start + 1, int(np.searchsorted(ends, before + SLICE_BYTES, "right")))
                yield batch.slice(start, stop - start)
                start = stop


def _judge(
    batch: pa.RecordBatch, filters: Filters, asked: Sequence[Rule], writer: MeasureWriter, tally: Tally
) -> pa.RecordBatch:
    """Measure a batch, write the measures, count what fails; the documents that pass."""
    measured = kinds.measure(batch, filters)
    columns = measures.stored(measured.columns)
    failed = first_failed(columns, asked, batch.num_rows)
    reasons = [asked[number].reason if number >= 0 else None for number in failed]
    writer.write(batch.column("id"), pc.binary_length(batch.column("text")), reasons, columns)
    _count_dropped(batch, columns, asked, failed, tally)
    return _survivors(batch, measured, np.flatnonzero(failed < 0))


def _count_dropped(
    batch: pa.RecordBatch,
    columns: dict[str, Column],
    asked: Sequence[Rule],
    failed: npt.NDArray[np.int64],
    tally: Tally,
) -> None:
    places = np.flatnonzero(failed >= 0)
    heads = pc.utf8_slice_codeunits(batch.column("text"), 0, SAMPLE_TEXT)
    ids, origins, texts = (
        column.take(pa.array(places)).to_pylist() for column in (batch.column("id"), batch.column("origin"), heads)
    )
    for place, id, origin, text in zip(places, ids, origins, texts, strict=True):
        rule = asked[failed[place]]
        value = columns[rule.column][place]
        told = value if isinstance(value, str) else "none" if value is None else float(value)
        tally.drop(Dropped(at=origin, reason=rule.reason, value=told, threshold=rule.threshold, text=text), origin, id)


def _survivors(batch: pa.RecordBatch, measured: Measured, places: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """The documents that pass, with their new texts and the languages found."""
    chosen = pa.array(places)
    kept = dict(zip(batch.schema.names, batch.take(chosen).columns, strict=True))
    if measured.texts is not None:
        kept["text"] = measured.texts.take(chosen)
    if measured.redact is not None:
        kept["text"] = pa.array(measured.redact(kept["text"].to_pylist()), pa.large_string())
    if "language" in measured.columns:
        kept["language"] = pa.array(measured.columns["language"][places], pa.string())
    if "quality" in measured.columns:
        kept["metadata"] = noted(kept["metadata"], notes(measured.columns["quality"][places]))
    return pa.RecordBatch.from_arrays(list(kept.values()), schema=batch.schema)
