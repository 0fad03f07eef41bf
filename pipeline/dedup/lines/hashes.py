"""Documents -> the hashes of their lines, sorted: what repeated lines are found by, without a second look at texts.

A unit's hashes lie in runs of some 4 million lines, cut by their first bits into `PARTS` files, which the next stage
reads each by one of its units: `<part>/<unit>.<run>.arrow`, hashes ascending, each once,

    hash       uint64   of the line in its scope
    first      uint64   first 64 bits of the smallest id among the run's documents that have the line
    documents  uint32   how many they are

So a line that a hundred million documents share is one row of each run. 20 bytes a line that is distinct in its run.
The unit's own file says how many rows each part has. Memory: 430 MB, which is 100 bytes for each line of a
run; a document of more lines takes as much for each.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.dedup.columns import write_columns
from pipeline.dedup.lines.segments import cut, slices
from pipeline.documents import id_words, read_batches, text_bytes
from pipeline.files import durable
from pipeline.filters.address import Hashes
from pipeline.settings import Lines
from pipeline.tally import Tally
from pipeline.units import Unit

PARTS = 16
"""Units of the next stage; each bounds its own memory, so that this is only how many workers it can have."""

RUN = 1 << 22
"""Lines that are sorted in memory, and in one run."""

SHIFT = np.uint64(60)
"""A hash without its first bits, which number its part."""


def hash_lines(unit: Unit, out: Path, tally: Tally, *, settings: Lines) -> None:
    """Hash the lines of a unit's documents; each document counts a line once."""
    runs = _Runs(out, unit.number)
    for piece in unit.pieces:
        for batch in read_batches(Path(piece.path), piece.groups, ["id", "text", "source", "url"]):
            size = text_bytes(batch)
            tally.read(batch.num_rows, size)
            for documents in slices(batch):
                segments = cut(documents, settings.unit, settings.scope, settings.min_line_words)
                compared = np.flatnonzero(segments.hashes)
                owners = segments.documents[compared]
                firsts, _ = id_words(documents.column("id"))
                runs.add(segments.hashes[compared], firsts[owners], owners, documents.num_rows)
                tally.more["lines"] += len(segments.hashes)
            tally.kept(batch.num_rows, size)
    tally.info = runs.close()


class _Runs:
    """Gathers lines and writes them out when there are `RUN`."""

    def __init__(self, out: Path, unit: int) -> None:
        self._out, self._unit = out, unit
        self._gathered: list[tuple[Hashes, Hashes, npt.NDArray[np.int64]]] = []
        self._lines = self._documents = self._run = 0
        self._rows = np.zeros(PARTS, np.int64)
        self._sizes: dict[str, int] = {}

    def add(self, hashes: Hashes, firsts: Hashes, owners: npt.NDArray[np.int64], documents: int) -> None:
        """Add the lines of so many whole documents; `owners` numbers the document of each from 0."""
        self._gathered.append((hashes, firsts, owners + self._documents))
        self._documents += documents
        self._lines += len(hashes)
        if self._lines >= RUN:
            self._write()

    def _write(self) -> None:
        hashes, firsts, owners = (np.concatenate(columns) for columns in zip(*self._gathered, strict=True))
        self._gathered, self._lines = [], 0
        hashes, firsts, documents = summed(hashes, firsts, owners)
        cuts = np.searchsorted(hashes, np.arange(1, PARTS, dtype=np.uint64) << SHIFT)
        for part, (a, z) in enumerate(pairwise([0, *cuts.tolist(), len(hashes)])):
            name = f"{part:02}/{self._unit:05}.{self._run:04}.arrow"
            with durable(self._out.parent / name) as draft:
                write_columns(draft, {"hash": hashes[a:z], "first": firsts[a:z], "documents": documents[a:z]})
                self._sizes[name] = draft.stat().st_size
            self._rows[part] += z - a
        self._run += 1

    def close(self) -> dict[str, int]:
        """Write what is left, and the unit's own file -> bytes of each run's files."""
        if self._gathered:
            self._write()
        write_columns(self._out, {"rows": self._rows})
        return self._sizes


def summed(
    hashes: Hashes, firsts: Hashes, owners: npt.NDArray[np.int64]
) -> tuple[Hashes, Hashes, npt.NDArray[np.uint32]]:
    """Lines in the order of their documents -> (hashes ascending, each once; smallest `first`; documents) of each."""
    order = np.argsort(hashes, kind="stable")
    hashes, firsts, owners = hashes[order], firsts[order], owners[order]
    begins = np.ones(len(hashes), np.bool_)
    begins[1:] = hashes[1:] != hashes[:-1]
    counted = begins.copy()
    counted[1:] |= owners[1:] != owners[:-1]
    at = np.flatnonzero(begins)
    if not len(at):
        return hashes, firsts, np.empty(0, np.uint32)
    return hashes[at], np.minimum.reduceat(firsts, at), np.add.reduceat(counted, at, dtype=np.uint32)
