"""A folder of shard files and its index.json: written at the end of packing, read by row number, verified."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from packing import walk
from packing.arrival import AGAIN, located, unpack
from packing.flat import Row, Rows
from packing.index import Entry, check_index, read_index, write_index
from packing.mds import ShardError, write_shard
from packing.shard import Shard, opened
from pipeline.files import hash_of

__all__ = ["Counts", "Rows", "ShardError", "Shards", "gather", "verify", "write_index", "write_shard"]

Ints = npt.NDArray[np.int64]


class Counts(NamedTuple):
    rows: int
    tokens: int
    """All that stands in rows, [CLS] and [SEP] too."""
    pieces: int
    fill: float
    """Tokens / (rows * context), of the longest row where no context is given."""


class Shards:
    """The rows of one source at one context, by number. Shards are mapped when a row of theirs is asked for.

    The sizes of all files are compared with the index here, each file as a whole when it is first opened.
    Shards in a store, and those that are packed, are brought into a mirror when they are first used.
    ShardError where anything is missing, damaged or of another kind.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries, self._mirror = located(folder)
        for entry in () if self._mirror else self._entries:
            entry.check_size()
        self.ends = np.cumsum([entry.rows for entry in self._entries], dtype=np.int64)
        """Rows up to and with each shard."""
        self.begins = self.ends - [entry.rows for entry in self._entries]
        kinds = sorted({entry.ids for entry in self._entries})
        if len(kinds) > 1:
            raise ShardError(f"{folder}: has shards with ids of {kinds}; pack this source again as a whole")
        self.ids = np.dtype(kinds[0] if kinds else np.uint16)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, i: int) -> Row:
        """Row i as read-only views of its file, which may begin at any address; copy them for torch."""
        if not 0 <= i < len(self):
            raise IndexError(f"{self.folder}: row {i} of {len(self)}")
        number = int(np.searchsorted(self.ends, i, side="right"))
        return self.shard(number).row(int(i) - int(self.begins[number]))

    def __iter__(self) -> Iterator[Row]:
        return (self[i] for i in range(len(self)))

    def rows(self, indices: npt.ArrayLike) -> Rows:
        """Rows in the order of `indices`, end to end; a row may be asked for twice."""
        wanted = np.asarray(indices, np.int64)
        return gather([self], np.zeros(len(wanted), np.int64), wanted)

    @cached_property
    def tokens(self) -> int:
        """Tokens of all rows, [CLS] and [SEP] too. Opens every shard, as the index has no place for it."""
        return sum(int(self.shard(number).check()[:, 0].sum()) for number in range(len(self._entries)))

    def shard(self, number: int) -> Shard:
        return opened(self._entries[number], self._mirror)


def gather(sources: Sequence[Shards], source: npt.ArrayLike, index: npt.ArrayLike) -> Rows:
    """Rows of several sources end to end, copied out of their shards and aligned: one batch.

    Row n of the batch is sources[source[n]][index[n]]. ShardError where a shard is damaged, or where the sources
    hold ids of two widths; IndexError for a row that is not there.
    """
    of, wanted = np.asarray(source, np.int64), np.asarray(index, np.int64)
    ids = sources[int(of[0])].ids if len(of) else np.dtype(np.uint16)
    shards, shard, rows = _found(sources, of, wanted)
    if other := [one.path for one in shards if one.ids != ids]:
        raise ShardError(f"{other[0]}: has ids of another width than {ids.name}; pack all sources with one tokenizer")
    files = np.array([one.address for one in shards], np.int64)[shard]
    file_sizes = np.array([one.entry.size for one in shards], np.int64)[shard]
    counts = np.zeros((len(wanted), 2), np.int64)
    walk.sizes(files, file_sizes, rows, ids.itemsize, counts)
    token, piece = np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(counts, axis=0)]).T.copy()
    flat, doc = np.empty(token[-1], ids), np.empty(piece[-1], np.uint64)
    cu = np.zeros(piece[-1] + 1, np.int32)
    walk.gather(files, file_sizes, rows, ids.itemsize, token, piece, (flat.view(np.uint8), doc.view(np.uint8), cu))
    return Rows(flat, cu, doc, token)


def _found(sources: Sequence[Shards], of: Ints, wanted: Ints) -> tuple[list[Shard], Ints, Ints]:
    """The shards that are asked for, which of them each row is in, and where in it."""
    shard, rows = np.empty(len(of), np.int64), np.empty(len(of), np.int64)
    found: list[Shard] = []
    for number in np.unique(of).tolist():
        shards, places = sources[number], np.flatnonzero(of == number)
        asked = wanted[places]
        if asked.min() < 0 or asked.max() >= len(shards):
            raise IndexError(f"{shards.folder}: rows {asked.min()} to {asked.max()} of {len(shards)}")
        at = np.searchsorted(shards.ends, asked, side="right")
        numbers, which = np.unique(at, return_inverse=True)
        rows[places] = asked - shards.begins[at]
        shard[places] = which + len(found)
        found += [shards.shard(one) for one in numbers.tolist()]
    return found, shard, rows


def verify(folder: Path, context: int | None = None) -> Counts:
    """Read every byte: sizes, hashes, offsets, configuration and the pieces of every row -> what there is.

    ShardError tells the first file and offset that is wrong, also a row longer than `context`.
    """
    rows = tokens = pieces = longest = 0
    check_index(folder)
    for entry in read_index(folder):
        counts = _checked(entry)
        if context and (long := np.flatnonzero(counts[:, 0] > context).tolist()):
            raise ShardError(f"{entry.path}: row {long[0]} has {counts[long[0], 0]} tokens, more than {context}")
        rows += len(counts)
        tokens, pieces = (total + int(n) for total, n in zip((tokens, pieces), counts.sum(axis=0), strict=True))
        longest = max(longest, int(counts[:, 0].max(initial=0)))
    capacity = rows * (context or longest)
    return Counts(rows, tokens, pieces, tokens / capacity if capacity else 0.0)


def _checked(entry: Entry) -> Ints:
    """Tokens and pieces of each row of a shard whose every byte is as written, packed or not."""
    if entry.packed is None:
        return Shard(entry).check()
    packed = entry.path.with_name(entry.packed.name)
    entry._replace(path=packed, size=entry.packed.size).check_size()
    if (found := hash_of(packed)) != entry.packed.xxh64:
        told = f"bytes 0 to {entry.packed.size} have the xxh64 {found}, its index says {entry.packed.xxh64}"
        raise ShardError(f"{packed}: {told}; {AGAIN}")
    with tempfile.TemporaryDirectory(prefix="bertmill-") as aside:
        shard = Path(aside) / entry.path.name
        unpack(entry, packed, shard)
        return Shard(entry._replace(path=shard)).check()
