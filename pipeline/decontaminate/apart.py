"""Stage: documents and the held-out ones -> the documents, without those that resemble a held-out one too much to learn
from them: the model would be evaluated on what it has read.

A document goes whose set of shingles has an exact Jaccard similarity of at least the threshold with that of a held-out
document of any source, whether near-duplicates are looked for elsewhere or not. The held-out documents stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from pipeline.decontaminate.arrays import map_arrays
from pipeline.decontaminate.ngrams import Array
from pipeline.decontaminate.reserved import INDEX
from pipeline.dedup.minhash import shingle, shingle_sets, word_hashes
from pipeline.dedup.normal import pieces
from pipeline.dedup.survivors import jaccard
from pipeline.documents import DocumentWriter, Dropped, id_words, read_batches, text_bytes
from pipeline.holdout import held_out
from pipeline.tally import Tally
from pipeline.units import Unit
from pipeline.words import scan

REASON = "near_heldout"

COMPARED = 64
"""Held-out documents that one document is compared with, those first that share most of what was looked for: a page
that is made to resemble all of them costs no more."""


@lru_cache(maxsize=2)
def _opened(path: Path) -> dict[str, Any]:
    return map_arrays(path)


def keep_apart(
    unit: Unit, out: Path, tally: Tally, *, reserved: Path, holdout: float, ngram: int, threshold: float
) -> None:
    """Write the unit's documents but for those that resemble one of the index in the folder `reserved`."""
    index = _opened(reserved / INDEX)
    with DocumentWriter(out) as writer:
        for piece in unit.pieces:
            for batch in read_batches(Path(piece.path), piece.groups):
                tally.read(batch.num_rows, text_bytes(batch))
                stays = held_out(id_words(batch.column("id"))[1], holdout)
                training = np.flatnonzero(~stays)
                stays[:] = True
                found = find_near(batch.column("text").take(pa.array(training)), index, ngram, threshold)
                for at, (like, similarity) in found.items():
                    number = int(training[at])
                    stays[number] = False
                    id, origin, text = (batch.column(name)[number].as_py() for name in ("id", "origin", "text"))
                    value = f"{similarity:.4g} of {index['ids'][like].as_py()}"
                    tally.drop(
                        Dropped(at=origin, reason=REASON, value=value, threshold=threshold, text=text), origin, id
                    )
                left = batch.filter(pa.array(stays)) if found else batch
                writer.write_batch(left)
                tally.kept(left.num_rows, text_bytes(left))


def find_near(texts: pa.Array, index: Mapping[str, Any], ngram: int, threshold: float) -> dict[int, tuple[int, float]]:
    """Number of a text -> (number of a held-out document, Jaccard similarity of at least the threshold)."""
    found: dict[int, tuple[int, float]] = {}
    if not len(index["keys"]):
        return found
    before = 0
    for data, offsets in pieces(texts):
        words, bounds = word_hashes(scan(data, offsets))
        maybe = _maybe(words, bounds, ngram, index["bits"], index["keys"], index["slots"])
        for number in np.flatnonzero(maybe).tolist():
            own, _ = shingle_sets(words, bounds[number : number + 2], ngram)
            like, similarity = _nearest(
                own, threshold, COMPARED,
                *(index[name] for name in ("keys", "slots", "bounds", "documents", "sets", "set_bounds")),
            )  # fmt: skip
            if like >= 0:
                found[before + number] = (like, similarity)
        before += len(offsets) - 1
    return found


@njit(cache=True)
def _place(key: Any, keys: Any, slots: Any) -> Any:
    """The number of a key, or -1."""
    mask = np.uint64(len(slots) - 1)
    place = key & mask
    while slots[place]:
        if keys[slots[place] - 1] == key:
            return slots[place] - 1
        place = (place + np.uint64(1)) & mask
    return -1


@njit(cache=True)
def _maybe(words: Any, bounds: Any, ngram: int, bits: Any, keys: Any, slots: Any) -> Any:
    """Which documents have a shingle that is looked for."""
    out = np.zeros(len(bounds) - 1, np.bool_)
    wide, word, low = np.uint64(len(bits) * 64 - 1), np.uint64(6), np.uint64(63)
    for d in range(len(out)):
        for i in range(bounds[d], bounds[d + 1] - ngram + 1):
            key = shingle(words, i, ngram)
            bit = key & wide
            if (bits[bit >> word] >> (bit & low)) & np.uint64(1) and _place(key, keys, slots) >= 0:
                out[d] = True
                break
    return out


@njit(cache=True)
def _nearest(
    own: Array, threshold: float, most: int,
    keys: Any, slots: Any, bounds: Any, documents: Any, sets: Any, set_bounds: Any,
) -> Any:  # fmt: skip
    """(the first held-out document that is near enough, its similarity), or (-1, 0)."""
    room = 0
    numbers = np.empty(len(own), np.int64)
    for k in range(len(own)):
        numbers[k] = _place(own[k], keys, slots)
        room += bounds[numbers[k] + 1] - bounds[numbers[k]] if numbers[k] >= 0 else 0
    shared, n = np.empty(room, np.int64), 0
    for number in numbers:
        if number >= 0:
            for k in range(bounds[number], bounds[number + 1]):
                size = set_bounds[documents[k] + 1] - set_bounds[documents[k]]
                if min(size, len(own)) >= threshold * max(size, len(own)) - 1e-6:
                    shared[n] = documents[k]
                    n += 1
    shared = np.sort(shared[:n])
    first = np.flatnonzero(np.append(np.ones(min(n, 1), np.bool_), shared[1:] != shared[:-1]))
    counts = np.diff(np.append(first, n))
    for k in np.argsort(-counts, kind="mergesort")[:most]:
        like = shared[first[k]]
        found = jaccard(own, sets[set_bounds[like] : set_bounds[like + 1]], threshold)
        if found >= threshold:
            return like, found
    return -1, 0.0
