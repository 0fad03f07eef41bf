"""The anchors of all files -> for each file, those of its anchors that stand at more than one place anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.dedup.substrings.anchors import ANCHORS
from pipeline.dedup.substrings.ranges import in_range, joined, write_answers
from pipeline.tally import Tally
from pipeline.units import Unit

RECURRING = pa.schema([pa.field("hash", pa.uint64(), nullable=False)])


def find_recurring(unit: Unit, out: Path, tally: Tally, *, files: Sequence[Path], of: int) -> None:
    """Answer the files of anchors in range `unit.number` of `of`. Raises StageError for one that cannot be read."""
    found = [in_range(path, unit.number, of) for path in files]
    ends = np.cumsum([len(rows["hash"]) for rows in found])
    rows = joined(found, ANCHORS)
    hashes, recurring = rows["hash"], rows["twice"]
    order = np.argsort(hashes)
    again = hashes[order[1:]] == hashes[order[:-1]]
    recurring[order[1:][again]] = True
    recurring[order[:-1][again]] = True
    tally.more["anchors"] += len(hashes)
    tally.more["recurring"] += int(recurring.sum())
    parts = zip(np.split(hashes, ends[:-1]), np.split(recurring, ends[:-1]), strict=True)
    write_answers(out, RECURRING, ({"hash": mine[chosen]} for mine, chosen in parts))
