"""All signatures of all sources -> every document's number: its place in the canonical order.

The canonical order is: documents of earlier runs first, then preferred sources, then the others by name; within a
source the better quality score, then the smaller id. It does not know files or units, and neither does anything that
is decided by these numbers. Memory while it is made: 82 bytes a document; afterwards it is mapped, 24 on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.columns import read_columns, read_told, write_columns
from pipeline.dedup.ordering import Places, ordered
from pipeline.dedup.signatures import Scheme, open_signatures
from pipeline.stage import Record, StageError
from pipeline.tally import Tally
from pipeline.units import Unit
from pipeline.words import text_of

MOST = 2**31 - 1
"""Documents that 4-byte numbers can tell apart, one value kept for "none"."""

_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_NONE = np.uint8(255)
_NIBBLE = np.full(256, _NONE, np.uint8)
_NIBBLE[_DIGITS] = np.arange(16)


@dataclass(frozen=True, kw_only=True)
class Holding:
    """The signatures of one source of one run."""

    run: str
    """The folder of an earlier run as the recipe names it; '' for this one."""
    source: str
    signatures: Path
    survivors: Path | None = None
    """Of an earlier run: the folder of the documents that were left. Only these count."""

    @property
    def mend(self) -> str:
        """What to do where a file of signatures is not as it was."""
        return f"make it anew with --redo signatures/{self.source}" + (f" in {self.run}" if self.run else "")


@dataclass(frozen=True, kw_only=True)
class SignedFile:
    """One file of documents, and of signatures: a row is the same document in both."""

    run: str
    source: str
    signatures: str
    documents: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Where each document stands, by number. A document's position counts the rows of all files, one after another."""

    files: tuple[SignedFile, ...]
    starts: npt.NDArray[np.int64]
    """(files + 1) the position at which each begins."""
    earlier: int
    """Numbers below it are of earlier runs: they stay whatever happens."""
    alive: int
    """Numbers from it on are of documents that an earlier run removed: they take no part."""
    number: npt.NDArray[np.uint32]
    """Position -> number."""
    position: npt.NDArray[np.uint32]
    """Number -> position."""
    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    """Number -> the halves of the id."""

    @classmethod
    def open(cls, folder: Path) -> Catalogue:
        """The catalogue of a stage's folder, mapped. Raises StageError if it cannot be read."""
        path = folder / "00000.arrow"
        told = read_told(path)
        files = tuple(SignedFile(**file) for file in told["files"])
        starts = np.concatenate([[0], np.cumsum([file.rows for file in files])]).astype(np.int64)
        return cls(files=files, starts=starts, earlier=told["earlier"], alive=told["alive"], **read_columns(path))

    def __len__(self) -> int:
        return len(self.number)

    def numbers(self, file: int) -> npt.NDArray[np.uint32]:
        """The numbers of a file's rows."""
        return self.number[self.starts[file] : self.starts[file + 1]]

    def places(self, numbers: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Documents -> (which of `files`, which row of it)."""
        positions = self.position[numbers].astype(np.int64)
        files = np.searchsorted(self.starts, positions, side="right") - 1
        return files, positions - self.starts[files]

    def hex_ids(self, numbers: npt.NDArray[np.integer]) -> pa.Array:
        """The ids of documents, as strings of 32 hex digits."""
        halves = np.stack([self.high[numbers], self.low[numbers]], axis=1)
        content = np.ascontiguousarray(halves.astype(">u8")).view(np.uint8)
        digits = np.stack([_DIGITS[content >> 4], _DIGITS[content & 15]], axis=-1)
        offsets = np.arange(0, digits.size + 1, 32, dtype=np.int64)
        return pa.LargeStringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(digits)).cast(
            pa.string()
        )

    def scan(
        self, holdings: Sequence[Holding], columns: Sequence[str]
    ) -> Iterator[tuple[npt.NDArray[np.uint32], pa.Table]]:
        """Columns of the signatures file by file, each with the numbers of its rows. Raises StageError for damage."""
        of = {(holding.run, holding.source): holding for holding in holdings}
        for number, file in enumerate(self.files):
            yield self.numbers(number), read_signatures(of[file.run, file.source], file, columns)


def read_signatures(holding: Holding, file: SignedFile, columns: Sequence[str]) -> pa.Table:
    """Raises StageError where a page is not what was written."""
    path = holding.signatures / file.signatures
    try:
        return pq.read_table(path, columns=list(columns), page_checksum_verification=True)
    except (OSError, ValueError) as fault:
        told = str(fault).splitlines()[0]
        raise StageError(f"{path}: {told}; {holding.mend}") from None


def canonical(sources: Iterable[str], prefer: Sequence[str]) -> list[str]:
    """Sources in canonical order. Raises StageError if a preferred one is not among them."""
    names = sorted(sources)
    if unknown := [name for name in prefer if name not in names]:
        raise StageError(f"dedup.prefer names {', '.join(unknown)}; the sources are {', '.join(names)}")
    return [*dict.fromkeys(prefer), *(name for name in names if name not in prefer)]


def number_documents(
    unit: Unit, out: Path, tally: Tally, *, holdings: Sequence[Holding], prefer: Sequence[str], scheme: Scheme
) -> None:
    """Number the documents of signed folders of signatures; their records say how many files.

    Raises StageError where a folder is unsigned, or a file missing, damaged or foreign.
    """
    preferred = in_order(holdings, prefer)
    files, orders, highs, lows, dead = [], [], [], [], []
    before = 0
    for holding in preferred:
        found = _files(holding, scheme)
        files += found
        high, low, order, left = _ranked(holding, found)
        highs.append(high[order])
        lows.append(low[order])
        orders.append(before + order[:left])
        dead.append(before + order[left:])
        tally.read(len(high), 0)
        tally.kept(len(high), 0)
        before += len(high)
        if before > MOST:
            raise StageError(f"{before} documents are more than the {MOST} that can be deduplicated at once")
    earlier = sum(len(order) for holding, order in zip(preferred, orders, strict=True) if holding.run)
    alive = sum(map(len, orders))
    position = np.concatenate([np.empty(0, np.uint32), *orders, *dead])
    number = np.empty(before, np.uint32)
    number[position] = np.arange(before, dtype=np.uint32)
    high, low = (_joined(halves, orders) for halves in (highs, lows))
    told = {"files": [asdict(file) for file in files], "earlier": earlier, "alive": alive}
    write_columns(out, {"number": number, "position": position, "high": high, "low": low}, told)


def in_order(holdings: Sequence[Holding], prefer: Sequence[str]) -> list[Holding]:
    """Holdings in canonical order: earlier runs in the order given."""
    own = {holding.source: holding for holding in holdings if not holding.run}
    return [*(holding for holding in holdings if holding.run), *(own[source] for source in canonical(own, prefer))]


def _joined(halves: Sequence[npt.NDArray[np.uint64]], orders: Sequence[Places]) -> npt.NDArray[np.uint64]:
    """The halves of ids in the order of the numbers: those that take part, then the others."""
    lefts = [len(order) for order in orders]
    parts = [one[:left] for one, left in zip(halves, lefts, strict=True)]
    parts += [one[left:] for one, left in zip(halves, lefts, strict=True)]
    return np.concatenate([np.empty(0, np.uint64), *parts])


def _files(holding: Holding, scheme: Scheme) -> list[SignedFile]:
    record = Record.read(holding.signatures)
    if record is None or not record.finished:
        raise StageError(f"{holding.signatures} is not finished. Run signatures/{holding.source} first.")
    paths = [holding.signatures / f"{number:05}.parquet" for number in range(record.units)]
    opened = [open_signatures(path, holding.source, scheme, holding.mend) for path in paths]
    return [
        SignedFile(
            run=holding.run, source=holding.source, signatures=path.name, documents=file.documents, rows=file.rows
        )
        for path, file in zip(paths, opened, strict=True)
    ]


def _ranked(
    holding: Holding, files: Sequence[SignedFile]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], Places, int]:
    """(high, low) halves of the ids row by row; the rows in canonical order, and how many of these take part."""
    tables = [read_signatures(holding, file, ["id", "quality"]) for file in files]
    halves = [np.empty((0, 2), np.uint64)]
    for file, table in zip(files, tables, strict=True):
        try:
            halves.append(parsed(table.column("id")))
        except ValueError as fault:
            raise StageError(f"{holding.signatures / file.signatures}: {fault}; {holding.mend}") from None
    high, low = np.ascontiguousarray(np.concatenate(halves).T)
    order = ordered(high)
    _mend(order, high, low)
    quality = np.concatenate([np.empty(0), *(table.column("quality").to_numpy() for table in tables)])
    if not np.isnan(quality).all():
        best_first = np.where(np.isnan(quality), np.inf, -quality)
        order = order[np.argsort(best_first[order], kind="stable")]
    if holding.survivors is None:
        return high, low, order, len(order)
    stays = _survived(holding.survivors, high, low)[order]
    return high, low, np.concatenate([order[stays], order[~stays]]), int(stays.sum())


def _mend(order: Places, high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> None:
    """Order those whose first halves are equal, nearly always none, by the second."""
    found = high[order]
    for at in np.flatnonzero(found[1:] == found[:-1]).tolist():
        begin, end = np.searchsorted(found, found[at]), np.searchsorted(found, found[at], side="right")
        order[begin:end] = order[begin:end][np.argsort(low[order[begin:end]], kind="stable")]


def _survived(folder: Path, high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which ids stand in the documents of a signed folder."""
    record = Record.read(folder)
    if record is None or not record.finished:
        raise StageError(f"{folder} is not finished; an earlier run must have been run through its dedup")
    left = [np.empty((0, 2), np.uint64)]
    for number in range(record.units):
        path = folder / f"{number:05}.parquet"
        try:
            left.append(parsed(pq.read_table(path, columns=["id"]).column("id")))
        except (OSError, ValueError) as fault:
            told = str(fault).splitlines()[0]
            raise StageError(f"{path}: {told}; an earlier run must be whole up to its dedup") from None
    kept_high, kept_low = np.ascontiguousarray(np.concatenate(left).T)
    order = ordered(kept_high)
    kept_high, kept_low = kept_high[order], kept_low[order]
    at, found = np.searchsorted(kept_high, high), np.zeros(len(high), np.bool_)
    near = np.ones(len(high), np.bool_)
    while near.any():  # once, but where first halves are equal
        near = at < len(kept_high)
        near[near] = kept_high[at[near]] == high[near]
        found[near] |= kept_low[at[near]] == low[near]
        at[near] += 1
    return found


def parsed(ids: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """(ids, 2) halves that sort as the strings do. Raises ValueError if one is not 32 hex digits."""
    return np.concatenate([np.empty((0, 2), np.uint64), *(_parsed_chunk(c) for c in ids.chunks if len(c))])


def _parsed_chunk(chunk: pa.Array) -> npt.NDArray[np.uint64]:
    data, offsets = text_of(chunk)
    nibbles = _NIBBLE[data[offsets[0] : offsets[-1]]]
    if (np.diff(offsets) != 32).any() or (nibbles == _NONE).any():
        raise ValueError("holds an id that is not 32 hex digits")
    packed = nibbles[::2] << 4 | nibbles[1::2]
    return packed.view(">u8").astype(np.uint64).reshape(-1, 2)
