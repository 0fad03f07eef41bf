"""Signatures -> the pairs of documents that share a band, some bands or a range of one band's keys a unit.

Memory: 44 bytes a document of the range, 16 a pair, 8 a document, and 128 MB; a band of more than `PART` documents is
cut into ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.dedup.candidates import Pairs, later, pairs_from, propose, sort
from pipeline.dedup.catalogue import Catalogue, Holding
from pipeline.dedup.columns import write_columns
from pipeline.dedup.copies import copies_of, in_part, parts
from pipeline.dedup.signatures import band
from pipeline.settings import Near
from pipeline.tally import Tally
from pipeline.units import Unit

KEYS = 1 << 26
"""Keys that a unit sees when bands are small: it takes several of them then."""


HELD = 1 << 25
"""Pairs that wait until they are merged."""


def shares(documents: int, bands: int) -> list[tuple[int, range]]:
    """What each unit does: (range of the keys, bands)."""
    together = max(1, min(bands, KEYS // max(1, documents)))
    return [
        (part, range(first, min(first + together, bands)))
        for part in range(parts(documents))
        for first in range(0, bands, together)
    ]


def find_pairs(
    unit: Unit, out: Path, tally: Tally, *, catalogue: Path, copies: Path | None, holdings: Sequence[Holding],
    settings: Near,
) -> None:  # fmt: skip
    """Write the pairs that this unit's keys propose, sorted, each once. Copies of other documents are in none."""
    numbered = Catalogue.open(catalogue)
    part, bands = shares(len(numbered), settings.bands)[unit.number]
    looked_at = np.zeros(len(numbered), np.bool_)
    looked_at[: numbered.alive] = True
    if copies:
        looked_at[later(copies_of(copies, len(numbered)))] = False
    waiting: list[Pairs] = []
    seen = np.zeros(1 << min(24, max(10, (4 * len(numbered)).bit_length())), np.uint64)
    for one in bands:
        keys, documents = _keys(numbered, holdings, one, part, looked_at)
        found = propose(keys, documents, seen)
        waiting.append(found[found >= pairs_from(numbered.earlier)] if numbered.earlier else found)
        if sum(map(len, waiting)) > HELD:
            waiting = [sort(waiting, len(numbered))]
    pairs = sort(waiting, len(numbered))
    tally.read(len(pairs), 0)
    tally.kept(len(pairs), 0)
    write_columns(out, {"pair": pairs})


def _keys(
    numbered: Catalogue, holdings: Sequence[Holding], number: int, part: int, looked_at: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
    """A band's keys in a range, and the numbers of their documents; one without a shingle has none."""
    keys, documents = [np.empty(0, np.uint64)], [np.empty(0, np.uint32)]
    of = parts(len(numbered))
    for numbers, table in numbered.scan(holdings, [band(number)]):
        column = table.column(0)
        mine = looked_at[numbers]
        if column.null_count:
            mine &= column.is_valid().to_numpy()
            column = column.fill_null(0)
        found = column.to_numpy()
        if of > 1:
            mine &= in_part(found, part, of)
        keys.append(found[mine])
        documents.append(numbers[mine])
    return np.concatenate(keys), np.concatenate(documents)
