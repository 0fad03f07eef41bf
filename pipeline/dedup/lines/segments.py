"""Documents -> their lines or paragraphs, each with a 64-bit hash that equal ones of one site share.

Two lines are equal if they have the same words in the same order, as near-duplicates are compared: NFC, lower case,
without punctuation and space, so that `Home > News` and `HOME | News` are one line. Digits count: in a sentence that a
thousand pages share but for its numbers, the numbers are what it says. (CCNet, Wenzek et al. 2020, folds
them, and accents too.) Lines end at "\\n" alone; a paragraph is a run of lines without a blank one between.

What is compared stands in a scope, whose key begins the hash: a site is the host of a document's URL in lower case,
without `www.`. Hosts are not joined to registered domains: that takes a list that changes, and hosts of one domain have
menus and footers of their own. A document without a host belongs to its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from numba import njit

from pipeline.dedup.normal import normalised
from pipeline.filters.address import Bytes, Hashes, host_of, key, lower, step
from pipeline.filters.lines import split_newlines
from pipeline.words import WORD, scan, text_of

SLICE_BYTES = 1 << 20
"""Text cut up at a time, a longer document alone: bounds what words take to some 30 MB, or 30 times such a document."""

Cut = Literal["line", "paragraph"]
Scope = Literal["site", "source", "all"]

_W, _DOT = ord("w"), ord(".")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """The lines or paragraphs of a batch of documents in order; document d has bounds[d] : bounds[d + 1]."""

    data: Bytes
    offsets: npt.NDArray[np.int64]
    """(documents + 1) where each text begins in `data`."""
    starts: npt.NDArray[np.signedinteger[Any]]
    ends: npt.NDArray[np.signedinteger[Any]]
    """Of each in `data`, without the line break behind it."""
    bounds: npt.NDArray[np.int64]
    hashes: Hashes
    """0 for one that is not compared: it has too few words."""
    words: npt.NDArray[np.int32]

    @property
    def documents(self) -> npt.NDArray[np.int64]:
        """Which document each one is of."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch of documents in parts of about `SLICE_BYTES` of text."""
    _, offsets = text_of(batch.column("text"))
    begin = 0
    while begin < batch.num_rows:
        end = int(np.searchsorted(offsets, offsets[begin] + SLICE_BYTES, side="right")) - 1
        end = max(end, begin + 1)
        yield batch.slice(begin, end - begin)
        begin = end


def cut(documents: pa.RecordBatch, unit: Cut, scope: Scope, least: int) -> Segments:
    """Cut up documents; one of fewer than `least` words is not compared. Blank lines are part of none."""
    data, offsets = text_of(documents.column("text"))
    lines = split_newlines(data, offsets)
    if not len(lines.starts):
        none = np.empty(0, np.int64)
        return Segments(data=data, offsets=offsets, starts=none, ends=none, bounds=np.zeros(len(offsets), np.int64),
                        hashes=none.astype(np.uint64), words=none.astype(np.int32))  # fmt: skip
    # each line with what ends it is a text of its own: so it is made NFC, and its words are counted apart
    first, last = int(lines.starts[0]), int(lines.ends[-1])
    words = scan(*normalised(data[first:last], np.append(lines.starts - first, last - first).astype(np.int64)))
    seen = np.flatnonzero(np.diff(words.bounds))  # no token: blank
    document = np.repeat(np.arange(len(offsets) - 1), lines.counts)[seen]
    begins = np.ones(len(seen), np.bool_)
    if unit == "paragraph":
        begins[1:] = (np.diff(document) > 0) | (lines.starts[seen[1:]] != lines.ends[seen[:-1]] + 1)
    opens = np.flatnonzero(begins)
    closes = np.append(opens, len(seen))[1:] - 1
    keys = scope_keys(documents, scope)[document[opens]]
    hashes, counts = _hash(
        words.hashes, words.kinds, words.bounds[seen[opens]], words.bounds[seen[closes] + 1], keys, least
    )
    return Segments(
        data=data, offsets=offsets, starts=lines.starts[seen[opens]], ends=lines.ends[seen[closes]],
        bounds=np.searchsorted(document[opens], np.arange(len(offsets))), hashes=hashes, words=counts,
    )  # fmt: skip


def scope_keys(documents: pa.RecordBatch, scope: Scope) -> Hashes:
    """(documents,) the hash of the scope that each stands in."""
    if scope == "all" or not documents.num_rows:
        return np.zeros(documents.num_rows, np.uint64)
    source = documents.column("source")[0].as_py()
    of_source = np.full(documents.num_rows, xxhash.xxh64_intdigest(f"source {source}"), np.uint64)
    if scope == "source":
        return of_source
    data, offsets = text_of(documents.column("url"))
    return _host_keys(data, hosts(data, offsets), of_source)


@njit(cache=True)
def hosts(data: Bytes, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(URLs, 2) where the host of each begins and ends, without `www.`; empty where there is none."""
    spans = np.zeros((len(offsets) - 1, 2), np.int64)
    for d in range(len(spans)):
        if offsets[d] < offsets[d + 1]:
            a, z, _, _ = host_of(data, offsets[d], offsets[d + 1])
            if z - a > 4 and data[a + 3] == _DOT and lower(data[a]) == lower(data[a + 1]) == lower(data[a + 2]) == _W:
                a += 4
            spans[d, 0], spans[d, 1] = a, max(a, z)
    return spans


@njit(cache=True)
def _host_keys(data: Bytes, spans: npt.NDArray[np.int64], otherwise: Hashes) -> Hashes:
    keys = otherwise.copy()
    for d in range(len(spans)):
        if spans[d, 0] < spans[d, 1]:
            state = np.uint64(0)
            for i in range(spans[d, 0], spans[d, 1]):
                state = step(state, lower(data[i]))
            keys[d] = key(state)
    return keys


@njit(cache=True)
def _hash(
    words: Hashes, kinds: Any, begins: Any, ends: Any, scopes: Hashes, least: int
) -> tuple[Hashes, npt.NDArray[np.int32]]:
    hashes, counts = np.zeros(len(begins), np.uint64), np.zeros(len(begins), np.int32)
    for n in range(len(begins)):
        state, count = scopes[n], 0
        for token in range(begins[n], ends[n]):
            if kinds[token] & WORD:
                state = step(state, words[token])
                count += 1
        counts[n] = count
        if count >= max(least, 1):
            hashes[n] = max(key(state), np.uint64(1))
    return hashes, counts
