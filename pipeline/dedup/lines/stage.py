"""Documents and the list of repeated lines -> the documents without them.

A repeated line stands in more than `max_documents` documents of its scope. It stays in the one with the smallest id and
goes from all others (C4, Raffel et al. 2020, section 2.2: "all but one"), or goes from all. Which documents those are
depends on ids and texts alone. The other lines stay as they are; where lines went, the widest of the gaps that have met
stays, so paragraphs stay apart and blank lines do not pile up.

Memory: one row group of text and 30 MB; 60 bytes a repeated line of the unit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from pipeline.dedup.lines.repeats import repeated_in
from pipeline.dedup.lines.segments import cut, slices
from pipeline.dedup.lines.table import FrequentLines
from pipeline.documents import DocumentWriter, Dropped, id_words, read_batches, text_bytes
from pipeline.filters.address import Bytes
from pipeline.filters.lines import NEWLINE
from pipeline.settings import Lines
from pipeline.tally import SAMPLE_TEXT, Tally
from pipeline.units import Unit

ONLY_REPEATED = "only_repeated_lines"


def remove_repeated(unit: Unit, out: Path, tally: Tally, *, source: str, repeated: Path, settings: Lines) -> None:
    """Write a unit's documents without repeated lines, and beside it which of those are the most frequent.

    A document that loses lines and keeps fewer than `min_words` words is dropped. Raises StageError where the list
    (the folder `repeated`) is damaged or of other documents.
    """
    listed = repeated_in(repeated, source, unit.number)
    table = FrequentLines(listed)
    with DocumentWriter(out) as writer:
        for piece in unit.pieces:
            for batch in read_batches(Path(piece.path), piece.groups):
                tally.read(batch.num_rows, text_bytes(batch))
                for documents in slices(batch):
                    kept = _clean(documents, listed, table, settings, tally)
                    tally.kept(kept.num_rows, text_bytes(kept))
                    writer.write_batch(kept)
    table.write(out.parent, unit.number)


def _clean(
    documents: pa.RecordBatch, listed: npt.NDArray[np.void], table: FrequentLines, settings: Lines, tally: Tally
) -> pa.RecordBatch:
    if not len(listed):
        return documents
    segments = cut(documents, settings.unit, settings.scope, settings.min_line_words)
    place = np.searchsorted(listed["hash"], segments.hashes)
    place[place == len(listed)] = 0
    found = listed["hash"][place] == segments.hashes
    owners = segments.documents
    ids, _ = id_words(documents.column("id"))
    gone = found & (ids[owners] != listed["first"][place]) if settings.keep == "first" else found
    table.add(documents, segments, np.flatnonzero(found), place, gone)
    if not gone.any():
        return documents
    lost = np.bincount(owners, gone, documents.num_rows).astype(np.int64)
    left = np.bincount(owners, segments.words * ~gone, documents.num_rows).astype(np.int64)
    texts, offsets = _without(segments.data, segments.offsets, segments.starts, segments.ends, segments.bounds, gone)
    sizes, before = np.diff(offsets), np.diff(segments.offsets)
    short = (lost > 0) & (left < settings.min_words)
    _drop(documents, np.flatnonzero(short), 1 - sizes / np.maximum(before, 1), left, settings.min_words, tally)
    tally.more["documents_changed"] += int(((lost > 0) & ~short).sum())
    tally.more["lines_removed"] += int(lost[~short].sum())
    tally.more["bytes_removed"] += int((before - sizes)[~short].sum())
    column = pa.LargeStringArray.from_buffers(documents.num_rows, pa.py_buffer(offsets), pa.py_buffer(texts))
    place_of_text = documents.schema.get_field_index("text")
    cleaned = documents.set_column(place_of_text, documents.schema.field("text"), column)
    return cleaned.filter(pa.array(~short))


def _drop(
    documents: pa.RecordBatch, places: npt.NDArray[np.int64], shares: npt.NDArray[np.float64],
    left: npt.NDArray[np.int64], least: int, tally: Tally,
) -> None:  # fmt: skip
    chosen = documents.take(pa.array(places))
    heads = pc.utf8_slice_codeunits(chosen.column("text"), 0, SAMPLE_TEXT)
    columns = [chosen.column("id").to_pylist(), chosen.column("origin").to_pylist(), heads.to_pylist()]
    for place, id, origin, text in zip(places, *columns, strict=True):
        value = f"{left[place]} words left, {shares[place]:.3f} of the bytes repeated"
        tally.drop(Dropped(at=origin, reason=ONLY_REPEATED, value=value, threshold=least, text=text), origin, id)


@njit(cache=True)
def _without(
    data: Bytes, offsets: npt.NDArray[np.int64], starts: Any, ends: Any, bounds: Any, gone: Any
) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """The texts without the segments that go. Of the gaps on both sides of such the one with most line breaks stays;
    of those at the beginning and the end of a text none."""
    out, out_offsets = np.empty(offsets[-1] - offsets[0], np.uint8), np.zeros(len(offsets), np.int64)
    n = 0
    for d in range(len(offsets) - 1):
        at, begin = offsets[d], n
        gap, gap_end, widest, went = at, at, -1, False
        for s in range(bounds[d], bounds[d + 1]):
            breaks = np.sum(data[at : starts[s]] == NEWLINE)
            if breaks > widest:
                gap, gap_end, widest = at, starts[s], breaks
            at = ends[s]
            if gone[s]:
                went = True
                continue
            if n > begin or not went:
                n = _copy(data, gap, gap_end, out, n)
            n = _copy(data, starts[s], ends[s], out, n)
            widest, went = -1, False
        if not went:
            n = _copy(data, at, offsets[d + 1], out, n)
        out_offsets[d + 1] = n
    return out[:n], out_offsets


@njit(cache=True, inline="always")
def _copy(data: Bytes, a: Any, z: Any, out: Bytes, n: Any) -> Any:
    out[n : n + z - a] = data[a:z]
    return n + z - a
