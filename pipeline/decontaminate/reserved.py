"""Stage: documents -> the shingle sets of those that are held out for evaluation, and where to look for their like.

Of two sets with a Jaccard similarity of t, the second has at least t of the first's n shingles, so one of any
n - ceil(t n) + 1 of them: no near-duplicate is missed by looking for so many alone. The rarest are taken.

    sets, set_bounds     uint64, int64   the shingle set of each held-out document, sorted, end to end
    ids                  their ids, ascending
    keys, slots, bits    as in index.py: the shingles looked for
    bounds, documents    int64, int32    the held-out documents of each of them: at most `MOST`

Memory of the index: 20 bytes a shingle of the held-out documents. At 0.2 % of 8 TB of text that are 60 GB in one place:
hold out a smaller share of such a corpus.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.decontaminate.arrays import write_arrays
from pipeline.decontaminate.index import slots_of
from pipeline.decontaminate.ngrams import Array
from pipeline.dedup.minhash import sets_of
from pipeline.documents import id_words, read_batches, text_bytes
from pipeline.files import durable
from pipeline.holdout import held_out
from pipeline.tally import Tally
from pipeline.units import Unit

RESERVED = pa.schema(
    [pa.field("id", pa.string(), nullable=False), pa.field("shingles", pa.list_(pa.uint64()), nullable=False)]
)

INDEX = "index.arrow"

MOST = 256
"""Held-out documents that are found by one shingle, the first by id. Only where more than that are so alike that even
their rarest shingles are common can a near-duplicate of one of the others be missed."""


def reserve(unit: Unit, out: Path, tally: Tally, *, holdout: float, ngram: int) -> None:
    """Write the shingle sets of the unit's held-out documents; those of fewer than `ngram` words have none."""
    with pq.ParquetWriter(out, RESERVED, compression="none", use_dictionary=False, write_page_checksum=True) as writer:
        for piece in unit.pieces:
            for batch in read_batches(Path(piece.path), piece.groups, columns=["id", "text"]):
                tally.read(batch.num_rows, text_bytes(batch))
                wanted = batch.filter(pa.array(held_out(id_words(batch.column("id"))[1], holdout)))
                tally.dropped["for_training"] += batch.num_rows - wanted.num_rows
                tally.kept(wanted.num_rows, text_bytes(wanted))
                if wanted.num_rows:
                    sets = _sets(wanted.column("text"), ngram)
                    writer.write_batch(pa.record_batch([wanted.column("id"), sets], schema=RESERVED))


def _sets(texts: pa.Array, ngram: int) -> pa.Array:
    """The set of shingles of each text, as near-duplicates have it."""
    found = [pa.ListArray.from_arrays(begins.astype(np.int32), values) for values, begins in sets_of(texts, ngram)]
    return pa.concat_arrays(found)


def index_reserved(folder: Path, *, threshold: float) -> None:
    """Write the index beside the units' files."""
    tables = [pq.read_table(path, page_checksum_verification=True) for path in sorted(folder.glob("[0-9]*.parquet"))]
    table = pa.concat_tables(tables).sort_by("id") if tables else RESERVED.empty_table()
    lists = table.column("shingles").combine_chunks()
    lists = lists.cast(pa.large_list(pa.uint64()))
    sets, bounds = lists.flatten().to_numpy(), np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy())])
    with durable(folder / INDEX) as draft:
        write_arrays(
            draft,
            {
                "ids": table.column("id").to_pylist(),
                "sets": sets,
                "set_bounds": bounds.astype(np.int64),
                **_looked_for(sets, bounds.astype(np.int64), threshold),
            },
        )


def _looked_for(sets: Array, bounds: Array, threshold: float) -> dict[str, Array]:
    """The rarest shingles of each set, as many as no near-duplicate can do without, and the sets that have them."""
    sizes = np.diff(bounds)
    owners = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    shingles, place, counts = np.unique(sets, return_inverse=True, return_counts=True)
    needed = sizes - least_shared(sizes, threshold) + 1
    order = np.lexsort((sets, counts[place], owners))
    rank = np.arange(len(sets)) - np.repeat(bounds[:-1], sizes)
    chosen = order[rank < np.repeat(needed, sizes)]
    by_key = chosen[np.lexsort((owners[chosen], place[chosen]))]
    keys, first, held = np.unique(place[by_key], return_index=True, return_counts=True)
    within = np.arange(len(by_key)) - np.repeat(first, held)
    kept = np.minimum(held, MOST)
    slots, bits = slots_of(shingles[keys], shingles[keys])
    return {
        "keys": shingles[keys], "slots": slots, "bits": bits,
        "bounds": np.concatenate([[0], np.cumsum(kept)]).astype(np.int64), "documents": owners[by_key][within < MOST],
    }  # fmt: skip


def least_shared(sizes: Any, threshold: float) -> Any:
    """How many shingles of a set of this size stand in every set that resembles it; rounding asks for none too many."""
    return np.maximum(np.ceil(sizes * threshold - 1e-6), 1).astype(np.int64)
