"""Signatures -> which documents are equal to an earlier one, by the 128-bit hash of their normalised text.

A unit takes the documents of one range of hashes, so that any number of them fits into memory: 63 bytes a document of
its range.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.dedup.candidates import Pairs, joined
from pipeline.dedup.catalogue import Catalogue, Holding
from pipeline.dedup.columns import read_all, write_columns
from pipeline.dedup.survivors import Hashes, first_copies
from pipeline.tally import Tally
from pipeline.units import Unit

PART = 1 << 27
"""Documents whose hashes or keys one unit holds: 134 million, 8 to 9 GB."""


def parts(documents: int) -> int:
    """Ranges that hashes are cut into."""
    return max(1, -(-documents // PART))


def find_copies(unit: Unit, out: Path, tally: Tally, *, catalogue: Path, holdings: Sequence[Holding]) -> None:
    """Write, sorted, each document of this unit's range of hashes with the first equal one."""
    numbered = Catalogue.open(catalogue)
    hashes, documents = [np.empty((0, 2), np.uint64)], [np.empty(0, np.uint32)]
    for numbers, table in numbered.scan(holdings, ["exact"]):
        found = _halves(table)
        mine = (numbers < numbered.alive) & in_part(found[:, 0], unit.number, parts(len(numbered)))
        hashes.append(found[mine])
        documents.append(numbers[mine])
    copies = np.sort(first_copies(np.concatenate(hashes), np.concatenate(documents), numbered.earlier))
    tally.read(len(copies), 0)
    tally.kept(len(copies), 0)
    write_columns(out, {"pair": copies})


def in_part(keys: npt.NDArray[np.uint64], part: int, of: int) -> npt.NDArray[np.bool_]:
    """Which keys are in one of `of` equal ranges."""
    found: npt.NDArray[np.bool_] = (keys >> np.uint64(32)) * np.uint64(of) >> np.uint64(32) == part
    return found


def copies_of(folder: Path, documents: int) -> Pairs:
    """What the stage found, of all units."""
    return joined(read_all(folder, parts(documents), "pair"))


def _halves(table: pa.Table) -> Hashes:
    chunks = [
        np.frombuffer(chunk.buffers()[1], np.uint64).reshape(-1, 2)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in table.column("exact").chunks
    ]
    return np.concatenate([np.empty((0, 2), np.uint64), *chunks])
