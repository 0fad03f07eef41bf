"""Shards of ids that somebody else wrote -> our shards of rows: what pack_documents is for text.

A unit takes together shards, or parts of large ones, of `packing.unit` bytes. In memory: its ids twice, as those of
rows, and those of its largest chunk; a shard of any size is mapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from packing.chunks import CLS, DOCUMENTS, HAS, SEP, SPECIAL, TOKENS, copy, count, kinds
from packing.encode import id_dtype
from packing.foreign import ForeignShard, Ints, Samples, opened
from packing.mds import ShardError
from packing.partition import WHOLE, Part
from packing.stage import choose, write_rows
from pipeline.documents import Dropped, id_words, identity
from pipeline.shard_files import ShardFile, parts_of
from pipeline.tally import Tally
from pipeline.units import Piece, Unit
from pipeline.vocabulary import vocabulary

NAMED = 1 << 16
"""Chunks whose ids, by which some are held out, are made at a time."""


def pack_chunks(
    unit: Unit, out: Path, tally: Tally, *, files: Mapping[str, tuple[int, ShardFile]], column: str, tokenizer: Path,
    context: int, shortest: int, seed: int, source: str, holdout: float, training: bool, part_bytes: int,
    part: Part = WHOLE,
) -> None:  # fmt: skip
    """Write the unit's chunks as rows of at most `context` tokens.

    files: number among the source's shards, and what its index says, of each file by its name
    training: the chunks that are not held out, of them those of `part`; else the held-out ones alone
    part_bytes: bytes of a shard that a part of it has, about

    A row's `doc` is (number of the shard << 32) + the chunk's number in it. The tally counts chunks as documents.
    """
    known = vocabulary(tokenizer)
    table, dtype = kinds(known), id_dtype(max(known.values()) + 1)
    found: list[tuple[npt.NDArray[Any], Ints, npt.NDArray[np.uint64]]] = []
    for piece in unit.pieces:
        number, file = files[piece.name]
        shard = opened(file)
        first, last = _range(shard, piece, parts_of(file, part_bytes))
        words = _words(source, piece.name, first, last)
        wanted = choose(words, tally, holdout=holdout, training=training, part=part)
        size = np.diff(shard.offsets[first : last + 1])
        tally.read(last - first, int(size.sum()))
        chosen = first + np.flatnonzero(wanted)
        places = Samples(*(values[wanted] for values in shard.samples(column, first, last)))
        counts = _counted_chunks(shard, places, chosen, table)
        _account(counts, tally)
        for empty in chosen[counts[:, DOCUMENTS] == 0].tolist():
            origin = f"{piece.name}#{empty}"
            tally.drop(Dropped(at=str(empty), reason="no_tokens"), origin, identity(source, origin))
        there = counts[:, DOCUMENTS] > 0
        tally.kept(int(there.sum()), int(size[wanted][there].sum()))
        ids, lengths, chunk = _documents(shard, places, counts, table, dtype)
        found.append((ids, lengths, (np.uint64(number) << np.uint64(32)) + chosen[chunk].astype(np.uint64)))
    ids, lengths, doc = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    found.clear()
    if not len(ids):
        return
    write_rows(
        out, tally, ids, lengths, doc, cls=known["[CLS]"], sep=known["[SEP]"], context=context, shortest=shortest,
        seed=seed, source=source, unit=unit.number,
    )  # fmt: skip


def _range(shard: ForeignShard, piece: Piece, parts: int) -> tuple[int, int]:
    """The samples [first, last) of a piece: those that begin in its share of the bytes."""
    if piece.groups is None:
        return 0, len(shard.offsets) - 1
    begin, end = int(shard.offsets[0]), int(shard.offsets[-1])
    first, last = np.searchsorted(shard.offsets[:-1], [begin + (end - begin) * part // parts for part in piece.groups])
    return int(first), int(last)


def _words(source: str, name: str, first: int, last: int) -> npt.NDArray[np.uint64]:
    """What decides which chunks are held out: of the id that source, shard and number make, the second word."""
    parts = [np.zeros(0, np.uint64)]
    for begin in range(first, last, NAMED):
        names = [identity(source, f"{name}#{n}") for n in range(begin, min(begin + NAMED, last))]
        parts.append(id_words(pa.array(names))[1])
    return np.concatenate(parts)


def _counted_chunks(shard: ForeignShard, places: Samples, chosen: Ints, table: npt.NDArray[np.uint8]) -> Ints:
    """What `count` tells of the chosen chunks (N, 4). ShardError names an id that is none of the vocabulary's."""
    counts = np.zeros((len(chosen), 4), np.int64)
    bad, place, id_ = count(shard.raw, *places, table, counts)
    if bad >= 0:
        at = shard.offsets[chosen[bad]]
        raise ShardError(
            f"{shard.path}: sample {chosen[bad]} at offset {at}: id {id_} at place {place} is none of the tokenizer's, "
            f"which has {len(table)}; name the tokenizer that the ids were made with"
        )
    return counts


def _account(counts: Ints, tally: Tally) -> None:
    tally.more["chunks"] += len(counts)
    tally.more["chunks_without_cls"] += int((counts[:, HAS] & CLS == 0).sum())
    tally.more["chunks_without_sep"] += int((counts[:, HAS] & SEP == 0).sum())
    tally.more["special_tokens"] += int(counts[:, SPECIAL].sum())


def _documents(
    shard: ForeignShard, places: Samples, counts: Ints, table: npt.NDArray[np.uint8], dtype: np.dtype[Any]
) -> tuple[npt.NDArray[Any], Ints, Ints]:
    """Ids of all documents end to end (T,), how many each has and which of the chunks it is from, both (D,)."""
    ids = np.empty(int(counts[:, TOKENS].sum()), dtype)
    lengths, chunk = np.empty((2, int(counts[:, DOCUMENTS].sum())), np.int64)
    copy(shard.raw, *places, table, ids, lengths, chunk)
    return ids, lengths, chunk


def read_chunk(file: ShardFile, number: int, column: str) -> npt.NDArray[np.int64]:
    """The ids of one chunk as they stand, special ones too. ShardError where there is no such chunk."""
    shard = opened(file)
    if not 0 <= number < len(shard.offsets) - 1:
        raise ShardError(f"{shard.path}: has no sample {number}; it is no longer the file that was read")
    ((begin, length, width),) = zip(*shard.samples(column, number, number + 1), strict=True)
    return np.ndarray((int(length),), f"<u{int(width)}", shard.raw, int(begin)).astype(np.int64)
