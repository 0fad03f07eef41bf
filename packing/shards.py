"""A folder of shard files and its index.json: written at the end of packing, read by row number, verified."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from packing import walk
from packing.mds import MEND, Entry, Shard, ShardError, configuration, opened, write_shard
from packing.rows import Row
from pipeline.files import write_atomically

__all__ = ["Counts", "Rows", "ShardError", "Shards", "verify", "write_index", "write_shard"]


class Rows(NamedTuple):
    """Many rows end to end, copied out of their shards and aligned."""

    input_ids: npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
    """(T,)"""
    cu_seqlens: npt.NDArray[np.int32]
    """(P + 1,): bounds of all pieces in input_ids, from 0 to T."""
    doc: npt.NDArray[np.uint64]
    """(P,): the document of each piece."""
    bounds: npt.NDArray[np.int64]
    """(R + 1,): row r is input_ids[bounds[r] : bounds[r + 1]]."""


class Counts(NamedTuple):
    rows: int
    tokens: int
    """All that stands in rows, [CLS] and [SEP] too."""
    pieces: int
    fill: float
    """Tokens / (rows * context), of the longest row where no context is given."""


def write_index(folder: Path, infos: Iterable[Mapping[str, Any]]) -> None:
    """Write folder/index.json from what `write_shard` gave for each shard, in the order of the rows.

    Shards without rows are left out. Only a folder with an index is finished, so it is written last, aside
    and renamed. ShardError where two shards have one name.
    """
    shards = [dict(info) for info in infos if info["samples"]]
    names = [shard["raw_data"]["basename"] for shard in shards]
    if twice := sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []:
        raise ShardError(f"{folder}: two shards are named {twice[0]}; give each unit a file of its own")
    write_atomically(folder / "index.json", json.dumps({"shards": shards, "version": 2}, sort_keys=True).encode())


class Shards:
    """The rows of one source at one context, by number. Shards are mapped when a row of theirs is asked for.

    The sizes of all files are compared with the index here, the hash of a file when it is first opened.
    ShardError where anything is missing, damaged or of another kind.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries = _entries(folder)
        for entry in self._entries:
            entry.check_size()
        self._ends = np.cumsum([entry.rows for entry in self._entries], dtype=np.int64)
        kinds = sorted({entry.ids for entry in self._entries})
        if len(kinds) > 1:
            raise ShardError(f"{folder}: has shards with ids of {kinds}; pack this source again as a whole")
        self.ids = np.dtype(kinds[0] if kinds else np.uint16)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, i: int) -> Row:
        """Row i as read-only views of its file, which may begin at any address; copy them for torch."""
        if not 0 <= i < len(self):
            raise IndexError(f"{self.folder}: row {i} of {len(self)}")
        number = int(np.searchsorted(self._ends, i, side="right"))
        shard = self._shard(number)
        return shard.row(int(i) - int(self._ends[number]) + len(shard.offsets) - 1)

    def __iter__(self) -> Iterator[Row]:
        return (self[i] for i in range(len(self)))

    def rows(self, indices: npt.ArrayLike) -> Rows:
        """Rows in the order of `indices`, end to end; a row may be asked for twice."""
        wanted = np.asarray(indices, np.int64)
        if ((wanted < 0) | (wanted >= len(self))).any():
            raise IndexError(f"{self.folder}: rows {wanted.min()} to {wanted.max()} of {len(self)}")
        counts = np.zeros((len(wanted), 2), np.int64)
        for shard, rows, places in self._by_shard(wanted):
            walk.sizes(shard.raw, shard.offsets, self.ids.itemsize, rows, places, counts)
        token, piece = np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(counts, axis=0)]).T.copy()
        ids, doc = np.empty(token[-1], self.ids), np.empty(piece[-1], np.uint64)
        cu = np.zeros(piece[-1] + 1, np.int32)
        out = (ids.view(np.uint8), doc.view(np.uint8), cu)
        for shard, rows, places in self._by_shard(wanted):
            walk.gather(shard.raw, shard.offsets, self.ids.itemsize, rows, places, token, piece, out)
        return Rows(ids, cu, doc, token)

    @cached_property
    def tokens(self) -> int:
        """Tokens of all rows, [CLS] and [SEP] too. Opens every shard, as the index has no place for it."""
        return sum(int(self._shard(number).counts()[:, 0].sum()) for number in range(len(self._entries)))

    def _shard(self, number: int) -> Shard:
        return opened(self._entries[number])

    def _by_shard(self, wanted: npt.NDArray[np.int64]) -> Iterator[tuple[Shard, Any, Any]]:
        """Each shard that is asked for, the rows in it, and where they stand in `wanted`."""
        numbers = np.searchsorted(self._ends, wanted, side="right")
        order = np.argsort(numbers, kind="stable")
        edges = np.flatnonzero(np.diff(numbers[order])) + 1
        for places in np.split(order, edges) if len(order) else []:
            number = int(numbers[places[0]])
            shard = self._shard(number)
            yield shard, wanted[places] - int(self._ends[number]) + len(shard.offsets) - 1, places


def verify(folder: Path, context: int | None = None) -> Counts:
    """Read every byte: sizes, hashes, offsets, configuration and the pieces of every row -> what there is.

    ShardError tells the first file and offset that is wrong, also a row longer than `context`.
    """
    rows = tokens = pieces = longest = 0
    for entry in _entries(folder):
        shard = Shard(entry)
        shard.verify()
        counts = shard.counts()
        if context and (long := np.flatnonzero(counts[:, 0] > context).tolist()):
            raise ShardError(f"{shard.path}: row {long[0]} has {counts[long[0], 0]} tokens, more than {context}")
        rows += len(counts)
        tokens, pieces = (total + int(n) for total, n in zip((tokens, pieces), counts.sum(axis=0), strict=True))
        longest = max(longest, int(counts[:, 0].max()))
    return Counts(rows, tokens, pieces, tokens / (rows * (context or longest)) if rows else 0.0)


def _entries(folder: Path) -> list[Entry]:
    """The shards of an index; ShardError where it is missing, damaged or of other columns than ours."""
    path = folder / "index.json"
    try:
        entries = [_entry(folder, info) for info in json.loads(path.read_bytes())["shards"]]
    except FileNotFoundError:
        raise ShardError(f"{folder}: has no index.json; finish the packing of this source first") from None
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ShardError(f"{path}: is damaged ({fault!r}); {MEND}") from None
    if other := [entry.path.name for entry in entries if not entry.ids]:
        raise ShardError(f"{path}: {other[0]} does not hold packed rows with xxh64 hashes; pack this source again")
    return entries


def _entry(folder: Path, info: Mapping[str, Any]) -> Entry:
    """`ids` is empty where the columns or the format are not ours."""
    kind = {key: info[key] for key in configuration(np.uint16)}
    ids = next((ids for ids in ("uint16", "uint32") if kind == configuration(ids)), "")
    raw = info["raw_data"]
    return Entry(folder / raw["basename"], int(raw["bytes"]), int(info["samples"]), raw["hashes"].get("xxh64", ""), ids)
