"""The shingle sets of the documents that are candidates, on disk: what verification compares.

At 8 bytes a shingle they take little more than the candidates' texts do. They go to a file without a name, mapped into
memory: the system keeps of it what memory there is, and it is gone with the process, however that ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.catalogue import Catalogue
from pipeline.dedup.minhash import Hashes, shingle_set, word_hashes
from pipeline.dedup.normal import pieces
from pipeline.documents import read_batches
from pipeline.stage import StageError
from pipeline.words import scan

Bounds = npt.NDArray[np.int64]


@contextmanager
def shingle_sets(
    catalogue: Catalogue,
    candidates: npt.NDArray[np.integer],
    documents: Mapping[str, Path],
    ngram: int,
    scratch: Path,
) -> Iterator[tuple[Hashes, Bounds]]:
    """Yield all sets end to end, and the bounds of each candidate's: (candidates, 2), in the order given.

    `documents`: source -> folder of its texts. Raises StageError where a file is not the one that was signed.
    """
    files, rows = catalogue.places(candidates)
    by_place = np.lexsort((rows, files))
    lengths = np.zeros(len(candidates) + 1, np.int64)
    with tempfile.TemporaryFile(dir=scratch) as file:
        done = 0
        for number, chosen in _by_file(files[by_place], rows[by_place]):
            signed = catalogue.files[number]
            texts = _texts(documents[signed.source] / signed.documents, chosen, signed.rows)
            for one in _sets(texts, ngram):
                file.write(one.data)
                done += 1
                lengths[done] = len(one)
        assert done == len(candidates), f"{done} texts were found for {len(candidates)} candidates"
        file.flush()
        ends = np.cumsum(lengths)
        bounds = np.empty((len(candidates), 2), np.int64)
        bounds[by_place, 0], bounds[by_place, 1] = ends[:-1], ends[1:]
        # an empty file cannot be mapped
        sets = np.asarray(np.memmap(file, np.uint64, "r")) if ends[-1] else np.empty(0, np.uint64)
        yield sets, bounds


def _by_file(files: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Sorted places -> (file, its rows)."""
    cuts = np.flatnonzero(np.diff(files)) + 1
    for part in np.split(np.arange(len(files)), cuts):
        if len(part):
            yield int(files[part[0]]), rows[part]


def _texts(path: Path, rows: npt.NDArray[np.int64], expected: int) -> Iterator[pa.Array]:
    """The texts of ascending rows of a file of documents; row groups without any of them are not read."""
    if not path.exists():
        raise StageError(f"{path} is missing, but its signatures are there; make both anew with --redo")
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        raise StageError(f"{path} is no whole file of documents; make it anew with --redo") from None
    if footer.num_rows != expected:
        raise StageError(
            f"{path} holds {footer.num_rows} documents and its signatures {expected}; --redo the signatures"
        )
    before = 0
    for group in range(footer.num_row_groups):
        after = before + footer.row_group(group).num_rows
        if np.searchsorted(rows, before) < np.searchsorted(rows, after):
            for batch in read_batches(path, (group, group + 1), ["text"]):
                a, b = np.searchsorted(rows, [before, before + batch.num_rows])
                yield batch.column("text").take(pa.array(rows[a:b] - before))
                before += batch.num_rows
        before = after


def _sets(texts: Iterable[pa.Array], ngram: int) -> Iterator[Hashes]:
    for column in texts:
        for data, offsets in pieces(column):
            words, bounds = word_hashes(scan(data, offsets))
            for a, b in pairwise(bounds.tolist()):
                yield shingle_set(words[a:b], ngram)
