"""Equal and similar pairs -> what stands for each document, decided over all sources together.

Every removed document has a kept one: an equal text (`exact_duplicate`), or one whose set of shingles has an exact
Jaccard similarity of at least the threshold with its own (`near_duplicate`). The documents removed in favour of one
kept document are its cluster. By number of the document:

    instead    int32    the kept document, or -1 where it is kept itself
    near       uint8    1 where the reason is `near_duplicate`
    jaccard    float64  J with the kept one; 1 of equal texts, 0 of kept documents
    size       uint32   documents in its cluster, of a kept one

Memory: 33 bytes a document, 8 a copy; the pairs are mapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.dedup.catalogue import Catalogue, Holding
from pipeline.dedup.columns import Columns, read_columns, write_columns
from pipeline.dedup.copies import copies_of
from pipeline.dedup.similar import ranges
from pipeline.dedup.survivors import KEPT, decide, settle
from pipeline.documents import Dropped
from pipeline.settings import Dedup
from pipeline.tally import SAMPLES, Tally
from pipeline.units import Unit

EXACT, NEAR = "exact_duplicate", "near_duplicate"


def find_duplicates(
    unit: Unit, out: Path, tally: Tally, *, catalogue: Path, copies: Path | None, similar: Path | None,
    holdings: Sequence[Holding], settings: Dedup,
) -> None:  # fmt: skip
    """Decide, and write the columns above. `copies` and `similar` are folders of the stages before, if they ran."""
    numbered = Catalogue.open(catalogue)
    instead, jaccard = np.full(len(numbered), KEPT, np.int32), np.zeros(len(numbered))
    for number in range(ranges(len(numbered)) if similar else 0):
        found = read_columns(Path(str(similar)) / f"{number:05}.arrow")
        decide(found["pair"], found["jaccard"], instead, jaccard)
    equal = copies_of(copies, len(numbered)) if copies else np.empty(0, np.uint64)
    near = settle(instead, jaccard, equal)
    size = np.bincount(instead[instead != KEPT], minlength=len(numbered)).astype(np.uint32) + np.uint32(1)
    write_columns(out, {"instead": instead, "near": near, "jaccard": jaccard, "size": size})
    _count(numbered, holdings, instead, tally)
    _drop(numbered, instead, near, jaccard, settings.near.threshold if settings.near else 1.0, tally)


def verdicts(folder: Path) -> Columns:
    """What the stage decided, mapped."""
    return read_columns(folder / "00000.arrow")


def _count(
    numbered: Catalogue, holdings: Sequence[Holding], instead: npt.NDArray[np.int32], tally: Tally
) -> None:  # fmt: skip
    """Count every document of this run."""
    for (numbers, table), file in zip(numbered.scan(holdings, ["bytes"]), numbered.files, strict=True):
        if file.run:
            continue
        sizes, gone = table.column("bytes").to_numpy(), instead[numbers] != KEPT
        tally.read(len(sizes), int(sizes.sum()))
        tally.kept(int((~gone).sum()), int(sizes[~gone].sum()))


def _drop(
    numbered: Catalogue, instead: npt.NDArray[np.int32], near: npt.NDArray[np.uint8],
    jaccard: npt.NDArray[np.float64], threshold: float, tally: Tally,
) -> None:  # fmt: skip
    """Count the removed; of the first ones tell where they stand and what they duplicate, not their text."""
    for reason, flag, least in ((EXACT, 0, 1.0), (NEAR, 1, threshold)):
        chosen = np.flatnonzero((instead != KEPT) & (near == flag))
        documents = chosen[:SAMPLES]
        ids, kept = numbered.hex_ids(documents).to_pylist(), numbered.hex_ids(instead[documents]).to_pylist()
        for n, (file, row) in enumerate(zip(*numbered.places(documents), strict=True)):
            at = f"{numbered.files[file].source}/{numbered.files[file].documents}#{row}"
            value = f"{jaccard[documents[n]]:.4g} of {kept[n]}"
            tally.drop(Dropped(at=at, reason=reason, value=value, threshold=least), at, ids[n])
        if len(chosen) > SAMPLES:
            tally.dropped[reason] += len(chosen) - SAMPLES
