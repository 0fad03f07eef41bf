"""Pairs -> those of which the sets of shingles really are similar, by their exact Jaccard similarity.

A unit takes the pairs whose later document is in one range of numbers. Memory: `CHUNK` pairs (24 bytes each) and
`SHINGLES` of their sets at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.dedup.candidates import Pairs, earlier, later, merge, pairs_from
from pipeline.dedup.catalogue import Catalogue
from pipeline.dedup.columns import write_columns
from pipeline.dedup.members import Members
from pipeline.dedup.minhash import Hashes
from pipeline.dedup.shingles import proposed, read_sets
from pipeline.dedup.survivors import jaccard
from pipeline.settings import Near
from pipeline.tally import Tally
from pipeline.units import Unit

RANGE = 1 << 22
"""Numbers of later documents in a unit."""

CHUNK = 1 << 25
"""Pairs merged at a time, unless a single document has more."""

SHINGLES = 1 << 27
"""Shingles held at a time: 1 GB."""


def ranges(documents: int) -> int:
    """Units."""
    return max(1, -(-documents // RANGE))


def measure_pairs(
    unit: Unit, out: Path, tally: Tally, *, catalogue: Path, pairs: Path, shingles: Path, settings: Near
) -> None:
    """Write the pairs of this unit's range with J >= threshold, sorted, and J of each."""
    numbered = Catalogue.open(catalogue)
    found = proposed(pairs, len(numbered), settings)
    begin = unit.number * RANGE
    similar, similarity = [np.empty(0, np.uint64)], [np.empty(0)]
    for merged in _merged(found, begin, min(begin + RANGE, len(numbered))):
        tally.read(len(merged), 0)
        tally.kept(len(merged), 0)
        for part, sets in _with_sets(merged, numbered, shingles):
            measured = np.empty(len(part))
            _measure(*sets, settings.threshold, measured)
            enough = measured >= settings.threshold
            similar.append(part[enough])
            similarity.append(measured[enough])
    write_columns(out, {"pair": np.concatenate(similar), "jaccard": np.concatenate(similarity)})


def _merged(found: list[Pairs], begin: int, end: int) -> Iterator[Pairs]:
    """The pairs with later documents from begin to end, of all bands, each once, some at a time."""
    if begin >= end:
        return
    cuts = [np.searchsorted(one, [pairs_from(begin), pairs_from(end)]) for one in found]
    if sum(b - a for a, b in cuts) > CHUNK and end - begin > 1:
        middle = (begin + end) // 2
        yield from _merged(found, begin, middle)
        yield from _merged(found, middle, end)
    else:
        yield merge([one[a:b] for one, (a, b) in zip(found, cuts, strict=True)])


def _with_sets(
    pairs: Pairs, numbered: Catalogue, folder: Path
) -> Iterator[tuple[Pairs, tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], Hashes, npt.NDArray[np.int64]]]]:
    """Pairs in their order, some at a time, with (which two sets of each, the sets end to end, where each begins)."""
    members = Members.of(len(numbered), earlier(pairs), later(pairs))
    documents = members.numbers()
    sizes = np.zeros(len(documents), np.int64)
    for at, rows, (known, offsets, _) in _of_files(documents, numbered, folder):
        places = np.searchsorted(known, rows)
        sizes[at] = offsets[places + 1] - offsets[places]
    if not sizes.all():
        missing = numbered.hex_ids(documents[sizes == 0][:1])[0]
        raise AssertionError(f"there are no shingles of {missing}")
    sides = members.places(earlier(pairs)), members.places(later(pairs))
    costs = np.cumsum(sum(sizes[side] for side in sides))
    first = 0
    while first < len(pairs):
        spent = costs[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(costs, spent + SHINGLES, side="right")))
        some = [side[first:last] for side in sides]
        needed = Members.of(len(documents), *some)
        a, b = map(needed.places, some)
        yield pairs[first:last], (a, b, *_gathered(documents[needed.numbers()], numbered, folder))
        first = last


def _gathered(
    documents: npt.NDArray[np.uint32], numbered: Catalogue, folder: Path
) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The sets of some documents, brought together: end to end, and where each begins."""
    found = [
        (at, *_taken(np.searchsorted(known, rows), offsets, values))
        for at, rows, (known, offsets, values) in _of_files(documents, numbered, folder)
    ]
    sizes = np.zeros(len(documents), np.int64)
    for at, lengths, _ in found:
        sizes[at] = lengths
    begins = np.concatenate([[0], np.cumsum(sizes)])
    sets = np.empty(begins[-1], np.uint64)
    for at, lengths, values in found:
        _put(values, lengths, begins[at], sets)
    return sets, begins


def _of_files(documents: npt.NDArray[np.uint32], numbered: Catalogue, folder: Path) -> Iterator[tuple[Any, Any, Any]]:
    """(which of `documents`, their rows, a batch of sets that holds these) for all documents."""
    order = np.argsort(numbered.position[documents])
    files, rows = numbered.places(documents)
    cuts = np.flatnonzero(np.diff(files[order])) + 1
    for chosen in np.split(order, cuts):
        if not len(chosen):
            continue
        for batch in read_sets(folder / f"{files[chosen[0]]:05}.arrow"):
            known = batch[0]
            if len(known):
                a, b = np.searchsorted(rows[chosen], [known[0], known[-1] + 1])
                if a < b:
                    yield chosen[a:b], rows[chosen[a:b]], batch


@njit(cache=True)
def _taken(
    places: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], values: Hashes
) -> tuple[npt.NDArray[np.int64], Hashes]:
    """Some of the sets of a batch, end to end, and their lengths."""
    lengths = offsets[places + 1] - offsets[places]
    out, n = np.empty(lengths.sum(), np.uint64), 0
    for k in range(len(places)):
        out[n : n + lengths[k]] = values[offsets[places[k]] : offsets[places[k] + 1]]
        n += lengths[k]
    return lengths, out


@njit(cache=True)
def _put(values: Hashes, lengths: npt.NDArray[np.int64], begins: npt.NDArray[np.int64], out: Hashes) -> None:
    n = 0
    for k in range(len(lengths)):
        out[begins[k] : begins[k] + lengths[k]] = values[n : n + lengths[k]]
        n += lengths[k]


@njit(cache=True)
def _measure(
    one: npt.NDArray[np.uint32],
    other: npt.NDArray[np.uint32],
    sets: Hashes,
    begins: npt.NDArray[np.int64],
    threshold: float,
    out: npt.NDArray[np.float64],
) -> None:
    for n in range(len(one)):
        a, b = one[n], other[n]
        out[n] = jaccard(sets[begins[a] : begins[a + 1]], sets[begins[b] : begins[b + 1]], threshold)
