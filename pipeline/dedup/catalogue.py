"""All signatures of all sources, every document under the number that is its place in the canonical order.

The canonical order is: preferred sources first, then the others by name; within a source the smaller id first. It
does not know files or units, and neither does anything that is decided by these numbers. Memory: 36 bytes a document,
and 8 more for each column while it is in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.signatures import Scheme, SignatureFile, open_signatures
from pipeline.stage import Record, StageError

Halves = npt.NDArray[np.uint64]
"""(documents, 2): 128-bit values in two halves."""

MOST = 2**31 - 1
"""Documents that 4-byte numbers can tell apart, one value kept for "none"."""

_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Where each document stands, and its columns, by canonical number."""

    files: tuple[SignatureFile, ...]
    """Sources in canonical order, files by number."""
    bounds: npt.NDArray[np.int64]
    """(files + 1) documents before each file."""
    order: npt.NDArray[np.uint32]
    """Canonical number -> position in the files, read one after the other."""
    ids: Halves

    def __len__(self) -> int:
        return len(self.order)

    def column(self, name: str) -> npt.NDArray[np.uint64]:
        """A column of whole numbers, nulls as 0."""
        return _filled(self.files, len(self), lambda table: table.column(name).fill_null(0).to_numpy(), [name])[
            self.order
        ]

    def exact(self) -> Halves:
        """The hashes of the normalised texts; equality is all that can be asked of them."""
        return _filled(self.files, len(self), _halves, ["exact"], 2)[self.order]

    def places(self, numbers: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Documents -> (which of `files`, which row of it)."""
        positions = self.order[numbers].astype(np.int64)
        files = np.searchsorted(self.bounds, positions, side="right") - 1
        return files, positions - self.bounds[files]

    def hex_ids(self, numbers: npt.NDArray[np.integer]) -> pa.Array:
        """The ids of documents, as strings of 32 hex digits."""
        content = np.ascontiguousarray(self.ids[numbers].astype(">u8")).view(np.uint8)
        digits = np.stack([_DIGITS[content >> 4], _DIGITS[content & 15]], axis=-1)
        offsets = np.arange(0, digits.size + 1, 32, dtype=np.int64)
        return pa.LargeStringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(digits)).cast(
            pa.string()
        )


def canonical(sources: Iterable[str], prefer: Sequence[str]) -> list[str]:
    """Sources in canonical order. Raises StageError if a preferred one is not among them."""
    names = sorted(sources)
    if unknown := [name for name in prefer if name not in names]:
        raise StageError(f"dedup.prefer names {', '.join(unknown)}; the sources are {', '.join(names)}")
    return [*dict.fromkeys(prefer), *(name for name in names if name not in prefer)]


def read_catalogue(folders: Mapping[str, Path], prefer: Sequence[str], scheme: Scheme) -> Catalogue:
    """Number the documents of signed folders of signatures (source -> folder); their records say how many files.

    Raises StageError where a folder is unsigned, or a file missing, damaged or foreign.
    """
    files: list[SignatureFile] = []
    for source in canonical(folders, prefer):
        record = Record.read(folders[source])
        if record is None or not record.finished:
            raise StageError(f"{folders[source]} is not finished. Run signatures/{source} first.")
        paths = [folders[source] / f"{number:05}.parquet" for number in range(record.units)]
        files += [open_signatures(path, source, scheme) for path in paths]
    bounds = np.concatenate([[0], np.cumsum([file.rows for file in files])]).astype(np.int64)
    total = int(bounds[-1])
    if total > MOST:
        raise StageError(f"{total} documents are more than the {MOST} that can be deduplicated at once")
    ids = _filled(files, total, _parsed, ["id"], 2)
    order = np.empty(total, np.uint32)
    begin = 0
    for source in dict.fromkeys(file.source for file in files):
        end = begin + sum(file.rows for file in files if file.source == source)
        order[begin:end] = begin + np.lexsort((ids[begin:end, 1], ids[begin:end, 0]))
        begin = end
    return Catalogue(files=tuple(files), bounds=bounds, order=order, ids=ids[order])


def _filled(
    files: Sequence[SignatureFile],
    total: int,
    values: Callable[[pa.Table], npt.NDArray[np.uint64]],
    columns: list[str],
    width: int = 1,
) -> npt.NDArray[np.uint64]:
    """The values of all files one after the other."""
    out = np.empty((total, width) if width > 1 else total, np.uint64)
    at = 0
    for file in files:
        try:
            table = pq.read_table(file.path, columns=columns, page_checksum_verification=True)
            out[at : at + file.rows] = values(table)
        except (OSError, ValueError) as fault:
            told = str(fault).splitlines()[0]
            raise StageError(f"{file.path}: {told}; make it anew with --redo signatures/{file.source}") from None
        at += file.rows
    return out


def _halves(table: pa.Table) -> Halves:
    chunks = [
        np.frombuffer(chunk.buffers()[1], np.uint64).reshape(-1, 2)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in table.column(0).chunks
    ]
    return np.concatenate([np.empty((0, 2), np.uint64), *chunks])


def _parsed(table: pa.Table) -> Halves:
    """Ids as numbers that sort as the strings do. Raises ValueError if one is not 32 hex digits."""
    return np.concatenate([np.empty((0, 2), np.uint64), *(_parsed_chunk(c) for c in table.column(0).chunks if len(c))])


def _parsed_chunk(chunk: pa.Array) -> Halves:
    content = np.frombuffer(b"".join(chunk.cast(pa.binary()).to_pylist()), np.uint8)
    nibbles = np.searchsorted(_DIGITS, content).clip(max=15).astype(np.uint8)
    lengths = pa.compute.binary_length(chunk).to_numpy()
    if (lengths != 32).any() or (_DIGITS[nibbles] != content).any():
        raise ValueError("holds an id that is not 32 hex digits")
    nibbles = nibbles.reshape(-1, 16, 2)
    packed = np.ascontiguousarray(nibbles[:, :, 0] << 4 | nibbles[:, :, 1])
    return packed.view(">u8").astype(np.uint64)
