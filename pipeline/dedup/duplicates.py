"""Signatures of all sources -> the list of documents that go, each with the kept one that it duplicates.

Every removed document has a kept one: an equal text (`exact_duplicate`), or one whose set of shingles has an exact
Jaccard similarity of at least the threshold with its own (`near_duplicate`). The documents removed in favour of one
kept document are its cluster, so the size of a cluster is the number of rows that name it, plus one.

Memory: about 80 bytes a document, 8 a candidate pair, one row group of text. Disk: 8 bytes a shingle of the candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.candidates import Pairs, earlier, later, merge, propose
from pipeline.dedup.catalogue import Catalogue, read_catalogue
from pipeline.dedup.distinct import distinct
from pipeline.dedup.shingles import shingle_sets
from pipeline.dedup.signatures import Scheme, band
from pipeline.dedup.survivors import KEPT, Numbers, Removed, decide, first_copies, settle
from pipeline.documents import Dropped
from pipeline.settings import Dedup, Near
from pipeline.tally import SAMPLES, Tally
from pipeline.units import Unit

EXACT, NEAR = "exact_duplicate", "near_duplicate"

REMOVED = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("jaccard", pa.float64(), nullable=False),
        pa.field("kept", pa.string(), nullable=False),
        pa.field("kept_source", pa.string(), nullable=False),
        pa.field("kept_file", pa.string(), nullable=False),
        pa.field("kept_row", pa.int64(), nullable=False),
    ]
)
"""One removed document a row, by source (canonical order), file and row. `file` is the name of the documents' file."""

ROWS = 1 << 16
"""Rows in a row group: what a reader of one file's rows takes into memory more than it needs."""


def find_duplicates(
    unit: Unit,
    out: Path,
    tally: Tally,
    *,
    signatures: Mapping[str, Path],
    documents: Mapping[str, Path],
    settings: Dedup,
) -> None:
    """Decide over all sources together (source -> folder of signatures, source -> folder of the documents signed).

    Raises StageError where a folder is unsigned, or a file missing, damaged or foreign.
    """
    catalogue = read_catalogue(signatures, settings.prefer, Scheme.of(settings))
    copies = first_copies(catalogue.exact()) if settings.exact else np.full(len(catalogue), KEPT, np.int32)
    near, similarity = np.full(len(catalogue), KEPT, np.int32), np.zeros(len(catalogue))
    if settings.near:
        _find_near(catalogue, copies, documents, settings.near, out.parent, near, similarity)
    removed = settle(copies, near, similarity)
    _write(catalogue, removed, out)
    _count(catalogue, removed, settings.near, tally)


def _find_near(
    catalogue: Catalogue, copies: Numbers, documents: Mapping[str, Path], settings: Near, scratch: Path, near: Numbers,
    similarity: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    """Fill in `near` and `similarity` (by document) for those that resemble a kept one."""
    signed = np.flatnonzero((copies == KEPT) & (catalogue.column("words") >= settings.ngram)).astype(np.uint32)
    pairs: Pairs = merge([])
    for number in range(settings.bands):
        pairs = merge([pairs, propose(catalogue.column(band(number))[signed], signed)])
    candidates = distinct(np.concatenate([earlier(pairs), later(pairs)]))
    first, second = (np.searchsorted(candidates, side(pairs)).astype(np.int32) for side in (earlier, later))
    with shingle_sets(catalogue, candidates, documents, settings.ngram, scratch) as (sets, bounds):
        instead, found = decide(second, first, sets, bounds, settings.threshold)
    gone = np.flatnonzero(instead != KEPT)
    near[candidates[gone]] = candidates[instead[gone]]
    similarity[candidates[gone]] = found[gone]


def _write(catalogue: Catalogue, removed: Removed, out: Path) -> None:
    """Write the rows in the order of the files."""
    sources = pa.array([file.source for file in catalogue.files], pa.string())
    names = pa.array([file.documents for file in catalogue.files], pa.string())
    in_files = np.argsort(catalogue.order[removed.documents])
    with pq.ParquetWriter(out, REMOVED, compression="zstd") as writer:
        for begin in range(0, len(in_files), ROWS):
            part = in_files[begin : begin + ROWS]
            gone, kept = removed.documents[part], removed.kept[part]
            columns = [*_place(catalogue, gone, sources, names), catalogue.hex_ids(gone)]
            columns += [pa.array(np.where(removed.near[part], NEAR, EXACT)), pa.array(removed.jaccard[part])]
            columns += [catalogue.hex_ids(kept), *_place(catalogue, kept, sources, names)]
            writer.write_batch(pa.record_batch(columns, schema=REMOVED))


def _place(catalogue: Catalogue, numbers: Numbers, sources: pa.Array, names: pa.Array) -> list[pa.Array]:
    files, rows = catalogue.places(numbers)
    return [sources.take(pa.array(files)), names.take(pa.array(files)), pa.array(rows)]


def _count(catalogue: Catalogue, removed: Removed, near: Near | None, tally: Tally) -> None:
    """Count every document; samples tell where it stands and what it duplicates, and leave its text where it is."""
    sizes = catalogue.column("bytes")
    size, gone = int(sizes.sum()), int(sizes[removed.documents].sum())
    tally.read(len(catalogue), size)
    tally.kept(len(catalogue) - len(removed.documents), size - gone)
    for reason, chosen in ((EXACT, np.flatnonzero(~removed.near)), (NEAR, np.flatnonzero(removed.near))):
        sampled = chosen[:SAMPLES]
        documents = removed.documents[sampled]
        ids, kept = catalogue.hex_ids(documents).to_pylist(), catalogue.hex_ids(removed.kept[sampled]).to_pylist()
        threshold = near.threshold if near and reason == NEAR else 1.0
        for n, (file, row) in enumerate(zip(*catalogue.places(documents), strict=True)):
            at = f"{catalogue.files[file].source}/{catalogue.files[file].documents}#{row}"
            value = f"{removed.jaccard[sampled[n]]:.4g} of {kept[n]}"
            tally.drop(Dropped(at=at, reason=reason, value=value, threshold=threshold), at, ids[n])
        if len(chosen) > SAMPLES:
            tally.dropped[reason] += len(chosen) - SAMPLES
