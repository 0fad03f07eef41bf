"""Texts -> the words that a byte-level BPE sees, and how often each occurs: exact, about 50 MB/s a core.

A word is what `tokenizers` cuts before merging: added tokens that stand for text go out first (leftmost, longest),
the rest is put in NFC and cut by the expression of GPT-2,

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

Which characters are letters, digits and white space: characters.py. Memory: the distinct words of what was added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.characters import ASK, KIND, SPACE, composed, learned, marked, traits_of_all
from pipeline.words import decode

LONGEST = 1024
"""Bytes of a word at most; a longer one (a line of base64, a megabyte without a space) is counted in parts of this
size, cut between characters. A sentence in Thai or Chinese is shorter."""

_SEED, _STEP = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15)


class WordTable:
    """Distinct words with their counts; what it holds does not depend on the order in which they came."""

    def __init__(self, literals: Sequence[str] = (), *, nfc: bool = True) -> None:
        self._trie = _trie(literals)
        self._nfc = nfc
        self.clear()

    def clear(self) -> None:
        self._slots = np.full(1 << 16, -1, np.int32)
        self._hashes, self._counts = np.empty(1 << 15, np.uint64), np.empty(1 << 15, np.int64)
        self._ends, self._bytes = np.zeros((1 << 15) + 1, np.int64), np.empty(1 << 19, np.uint8)
        self._used = np.zeros(1, np.int64)

    def __len__(self) -> int:
        return int(self._used[0])

    @property
    def size(self) -> int:
        """Bytes of all distinct words together."""
        return int(self._ends[len(self)])

    def content(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any]]:
        """(bytes end to end, offsets (words + 1), counts (words,), hashes (words,)), in the order of first sight."""
        n = len(self)
        return self._bytes[: self.size], self._ends[: n + 1], self._counts[:n], self._hashes[:n]

    def count(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> None:
        """Count the words of the texts data[offsets[d] : offsets[d + 1]], each valid UTF-8."""
        traits = learned(data, offsets)
        marks = np.zeros(len(offsets) - 1, np.uint8)
        if self._nfc:
            marked(data, offsets, traits, marks)
        self._count(data, offsets, marks)
        for document in np.flatnonzero(marks):
            text = data[offsets[document] : offsets[document + 1]].tobytes().decode()
            form = np.frombuffer(composed(text, ask=bool(marks[document] & ASK)).encode(), np.uint8)
            whole = np.array([0, len(form)], np.int64)
            learned(form, whole)
            self._count(form, whole, np.zeros(1, np.uint8))

    def _count(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], skipped: npt.NDArray[np.uint8]
    ) -> None:
        at = np.array([0, offsets[0]], np.int64)
        while not _count(data, offsets, skipped, at, traits_of_all(), self._trie, *self._arrays):
            self._grow()

    def add(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
        """Add words that were counted elsewhere."""
        at = np.zeros(1, np.int64)
        while not _add(data, offsets, counts, at, *self._arrays):
            self._grow()

    @property
    def _arrays(self) -> tuple[Any, ...]:
        return self._slots, self._hashes, self._counts, self._ends, self._bytes, self._used

    def _grow(self) -> None:
        """Room for twice as many of what is full: words (the table is half empty at least) or bytes."""
        if len(self) + 1 >= len(self._hashes):
            self._hashes, self._counts = (_twice(old) for old in (self._hashes, self._counts))
            self._ends = _twice(self._ends)
            self._slots = np.full(2 * len(self._slots), -1, np.int32)
            _rehash(self._slots, self._hashes, len(self))
        else:
            self._bytes = _twice(self._bytes)


def _twice(old: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([old, np.zeros_like(old)])


def _trie(literals: Iterable[str]) -> npt.NDArray[np.int16]:
    """(nodes, 257): the node that each byte leads to, 0 for none, and last, whether a literal ends at the node."""
    nodes: list[dict[int, int]] = [{}]
    for literal in literals:
        node = 0
        for byte in literal.encode():
            if byte not in nodes[node]:
                nodes[node][byte] = len(nodes)
                nodes.append({})
            node = nodes[node][byte]
        nodes[node][256] = 1
    table = np.zeros((len(nodes), 257), np.int16)
    for number, node_ in enumerate(nodes):
        for byte, child in node_.items():
            table[number, byte] = child
    return table


@njit(cache=True)
def _count(
    data: Any, offsets: Any, skipped: Any, at: Any, traits: Any, trie: Any,
    slots: Any, hashes: Any, counts: Any, ends: Any, content: Any, used: Any,
) -> bool:  # fmt: skip
    """Count words from at = [document, byte] on; False, with `at` moved there, when there is no room for the next."""
    document, i = at[0], at[1]
    while document < len(offsets) - 1:
        end = offsets[document + 1] if not skipped[document] else i
        while i < end:
            literal, after = _literal(data, i, end, trie)
            while i < literal:
                word = _word_end(data, i, literal, traits)
                while i < word:
                    part = word
                    if word - i > LONGEST:
                        part = i + LONGEST
                        while data[part] & 0xC0 == 0x80:
                            part -= 1
                    if not _put(data, i, part, 1, slots, hashes, counts, ends, content, used):
                        at[0], at[1] = document, i
                        return False
                    i = part
            i = after
        document += 1
        i = offsets[document]
    return True


@njit(cache=True)
def _add(
    data: Any, offsets: Any, weights: Any, at: Any,
    slots: Any, hashes: Any, counts: Any, ends: Any, content: Any, used: Any,
) -> bool:  # fmt: skip
    """Add words from number at[0] on; False, with `at` moved there, when there is no room for the next."""
    for word in range(at[0], len(weights)):
        a, b = offsets[word], offsets[word + 1]
        if not _put(data, a, b, weights[word], slots, hashes, counts, ends, content, used):
            at[0] = word
            return False
    return True


@njit(cache=True)
def _put(
    data: Any, a: Any, b: Any, weight: Any,
    slots: Any, hashes: Any, counts: Any, ends: Any, content: Any, used: Any,
) -> bool:  # fmt: skip
    """Add `weight` to the count of the word data[a:b]; False if it is new and there is no room."""
    h = _SEED
    for k in range(a, b):
        h = (h ^ np.uint64(data[k])) * _STEP
        h ^= h >> np.uint64(29)
    mask = np.uint64(len(slots) - 1)
    slot = h & mask
    while slots[slot] >= 0:
        word = slots[slot]
        start = ends[word]
        if hashes[word] == h and ends[word + 1] - start == b - a:
            same = True
            for k in range(b - a):
                if content[start + k] != data[a + k]:
                    same = False
                    break
            if same:
                counts[word] += weight
                return True
        slot = (slot + np.uint64(1)) & mask
    n = used[0]
    start = ends[n]
    if n + 1 >= len(hashes) or start + (b - a) > len(content):
        return False
    content[start : start + b - a] = data[a:b]
    slots[slot], hashes[n], counts[n], ends[n + 1] = n, h, weight, start + b - a
    used[0] = n + 1
    return True


@njit(cache=True)
def _rehash(slots: Any, hashes: Any, n: int) -> None:
    mask = np.uint64(len(slots) - 1)
    for word in range(n):
        slot = hashes[word] & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = word


@njit(cache=True)
def _literal(data: Any, i: Any, end: Any, trie: Any) -> tuple[Any, Any]:
    """Where the next literal begins and ends: of those that begin first, the longest. (end, end) if there is none."""
    while i < end:
        node, k, found = trie[0, data[i]], i + 1, i
        while node:
            if trie[node, 256]:
                found = k
            if k == end:
                break
            node = trie[node, data[k]]
            k += 1
        if found > i:
            return i, found
        i += 1
    return end, end


@njit(cache=True)
def _word_end(data: Any, i: Any, end: Any, traits: Any) -> Any:
    """Where the word that begins at byte i ends."""
    if data[i] == 39 and i + 1 < end:
        c = data[i + 1]
        if c == 115 or c == 116 or c == 109 or c == 100:  # 's 't 'm 'd
            return i + 2
        if i + 2 < end:
            d = data[i + 2]
            if (d == 101 and (c == 114 or c == 118)) or (d == 108 and c == 108):  # 're 've 'll
                return i + 3
    p = i + 1 if data[i] == 32 and i + 1 < end else i
    code, size = decode(data, p)
    kind = traits[code] & KIND
    if kind == SPACE:
        p, kind = i, SPACE
    last = p
    while p < end:
        code, size = decode(data, p)
        if traits[code] & KIND != kind:
            break
        last, p = p, p + size
    return last if kind == SPACE and p < end and last > i else p
