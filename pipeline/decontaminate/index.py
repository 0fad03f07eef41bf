"""The texts of all evaluation files -> a table of their n-grams, to be mapped by all who look documents up in it.

    words        uint64   all words of all texts, end to end
    keys         uint64   the hash of each n-gram, ascending, each once
    at, size     int64, uint8   where its words stand in `words`, and how many they are
    bounds       int64    (n-grams + 1,) where its texts stand in `texts`
    texts        int32    the texts that hold it, each once
    slots        int32    open addressing by hash: n-gram + 1, 0 for none; at least twice as many as n-grams
    bits         uint64   a bit for each n-gram by the hash of its first `short` words, 8 to 16 times as many as
                          n-grams: where it is not set for a run of words, nothing else is asked
    weak         uint8    whether less than half of an n-gram are different words that tell something: numbers, names
                          of one letter and repeated words are found by accident
    strong       int32    (texts,) the n-grams within each text that are not weak
    inner        int32    (texts,) all n-grams within it; 0 where they are weak and hold fewer than 2 telling words
    text_row     int32    (texts,) its row

Memory of the build: some 100 bytes a word of the evaluation files; the file takes some 50.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit

from pipeline.decontaminate.evaluation import Texts
from pipeline.decontaminate.fold import fold
from pipeline.decontaminate.ngrams import Array, Hashes, ngram_at, telling, words_of
from pipeline.words import scan

CHUNK = 1 << 20
"""Bytes of text taken at a time."""


@dataclass(kw_only=True)
class Gatherer:
    """Takes evaluation texts, and makes the table of them."""

    ngram: int
    short: int
    characters: int
    _pending: list[tuple[bytes, int, int]] = field(default_factory=list)
    """(part, its row, its place)."""
    _size: int = 0
    _places: int = 0
    _found: list[tuple[Array, ...]] = field(default_factory=list)
    """A tuple of columns for each chunk."""
    _words: int = 0
    _texts: int = 0

    def add(self, texts: Texts, rows: list[int]) -> None:
        """Take the texts of one place; `rows` are the numbers of their rows."""
        for part, row in zip(texts.parts, rows, strict=True):
            content = fold(part).encode()
            self._pending.append((content, row, self._places))
            self._size += len(content)
        self._places += 1
        if self._size > CHUNK:
            self._gather()

    def _gather(self) -> None:
        """The n-grams of the pending texts."""
        sizes = [len(content) for content, _, _ in self._pending]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        scanned = scan(np.frombuffer(b"".join(content for content, _, _ in self._pending), np.uint8), offsets)
        words, weights, tokens, bounds = words_of(scanned, self.characters)
        rows = np.array([row for _, row, _ in self._pending], np.int32)
        places = np.array([place for _, _, place in self._pending], np.int64)
        wide, narrow = self.ngram * self.characters, self.short * self.characters
        (hashes, firsts, begins, ends, weak, within, owners), (text_row, tells) = _ngrams_of_places(
            words, weights, telling(scanned, tokens), bounds, rows, places, wide, narrow
        )
        sizes8 = (ends - begins).astype(np.uint8)
        ngrams = (hashes, firsts, begins + self._words, sizes8, weak, within, owners + self._texts)
        self._found.append((words, *ngrams, text_row, tells))
        self._words += len(words)
        self._texts += len(text_row)
        self._pending, self._size = [], 0

    def table(self) -> dict[str, Array]:
        """The arrays of the index."""
        self._gather()
        words, hashes, firsts, begins, sizes, weak, within, owners, text_row, tells = map(
            np.concatenate, zip(*self._found, strict=True)
        )
        self._found = []
        order = np.lexsort((~within, owners, hashes))
        hashes, owners, within, weak = hashes[order], owners[order], within[order], weak[order]
        other = np.concatenate([np.ones(min(1, len(hashes)), np.bool_), hashes[1:] != hashes[:-1]])
        first, kept = np.flatnonzero(other), other.copy()
        kept[1:] |= owners[1:] != owners[:-1]
        before = np.concatenate([[0], np.cumsum(kept)])
        slots, bits = slots_of(hashes[first], firsts[order[first]])
        texts = owners[kept]
        strong = np.bincount(texts, weights=(within & ~weak)[kept], minlength=len(text_row)).astype(np.int32)
        inner = np.bincount(texts, weights=within[kept], minlength=len(text_row)).astype(np.int32)
        inner[(strong == 0) & ~tells] = 0
        return {
            "words": words, "keys": hashes[first], "at": begins[order[first]], "size": sizes[order[first]],
            "bounds": before[np.append(first, len(hashes))].astype(np.int64), "texts": texts, "slots": slots,
            "bits": bits, "weak": weak[first].astype(np.uint8), "strong": strong, "inner": inner, "text_row": text_row,
        }  # fmt: skip


@njit(cache=True)
def _ngrams_of_places(
    words: Hashes, weights: Any, says: Any, bounds: Any, rows: Any, places: Any, wide: int, narrow: int
) -> Any:
    """The n-grams of all places: (hash, hash of its narrow beginning, begin, end, weak, whether within its text, text).

    A part that is heavy enough for a narrow n-gram is a text; lighter ones that follow each other are one together. A
    text has the wide n-grams that begin in it, and go on into what follows in its place; one too light for a wide one
    within itself has narrow ones as well.
    ->  the columns of the n-grams, and of the texts: row, whether two different words of it tell something
    """
    most = 2 * len(words)
    hashes, firsts = np.empty(most, np.uint64), np.empty(most, np.uint64)
    begins, ends, owners = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int32)
    weak, within = np.empty(most, np.bool_), np.empty(most, np.bool_)
    text_row, tells = np.empty(len(rows), np.int32), np.empty(len(rows), np.bool_)
    n, text, part, after = 0, 0, 0, 0
    while part < len(rows):
        if part >= after:
            after = part + 1
            while after < len(rows) and places[after] == places[part]:
                after += 1
        more = part + 1
        if weights[bounds[part] : bounds[more]].sum() < narrow:
            while more < after and weights[bounds[more] : bounds[more + 1]].sum() < narrow:
                more += 1
        begin, stop, end = bounds[part], bounds[more], bounds[after]
        light = weights[begin:stop].sum() < wide
        text_row[text], tells[text] = rows[part], _tells(words, says, begin, stop)
        for i in range(begin, stop):
            first, narrow_end = ngram_at(words, weights, i, end, narrow)
            if narrow_end < 0:
                break
            hash_, wide_end = ngram_at(words, weights, i, end, wide)
            for key, last, width in ((first, narrow_end, narrow), (hash_, wide_end, wide)):
                if (light and last <= stop) if width == narrow else last >= 0:
                    hashes[n], firsts[n], begins[n], ends[n], owners[n] = key, first, i, last, text
                    weak[n] = 2 * _telling(words, weights, says, i, last) < width
                    within[n] = last <= stop
                    n += 1
        text += 1
        part = more
    ngrams = hashes[:n], firsts[:n], begins[:n], ends[:n], weak[:n], within[:n], owners[:n]
    return ngrams, (text_row[:text], tells[:text])


@njit(cache=True)
def _telling(words: Hashes, weights: Any, says: Any, begin: int, end: int) -> int:
    """What the different telling words of an n-gram weigh."""
    weight = 0
    for i in range(begin, end):
        if says[i]:
            new = True
            for k in range(begin, i):
                new = new and words[k] != words[i]
            weight += weights[i] if new else 0
    return weight


@njit(cache=True)
def _tells(words: Hashes, says: Any, begin: int, end: int) -> bool:
    """Whether there are two different telling words."""
    first = -1
    for i in range(begin, end):
        if says[i]:
            if first >= 0 and words[i] != words[first]:
                return True
            first = i
    return False


def slots_of(keys: Hashes, firsts: Hashes) -> tuple[Array, Array]:
    """The table of open addresses, and the bits that answer before it is asked."""
    room = 1 << max(6, (2 * len(keys)).bit_length())
    slots, bits = np.zeros(room, np.int32), np.zeros(room * 4 // 64, np.uint64)
    _fill(keys, firsts, slots, bits)
    return slots, bits


@njit(cache=True)
def _fill(keys: Hashes, firsts: Hashes, slots: Any, bits: Any) -> None:
    mask, wide = np.uint64(len(slots) - 1), np.uint64(len(bits) * 64 - 1)
    for number in range(len(keys)):
        place = keys[number] & mask
        while slots[place]:
            place = (place + np.uint64(1)) & mask
        slots[place] = number + 1
        bit = firsts[number] & wide
        bits[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
