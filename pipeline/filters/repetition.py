"""The repetition rules of Gopher (Rae et al. 2021, table A1): does the text say the same over and over?

N-grams are of lower-cased words and symbols; what a single symbol joins is one token (os.path, don't, 3.14).
The characters of a most frequent n-gram count its spaces, those of duplicate n-grams do not (as the rules are
commonly run); both are shares of all characters of the text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.lines import characters as count
from pipeline.filters.lines import count_characters, duplicates, left_end, right_end, slots, split_newlines
from pipeline.filters.rules import Column, Rule, at_most
from pipeline.filters.settings import Repetition
from pipeline.words import INNER, Words

BEGINNING = 1 << 20
"""Tokens of a document that are looked at: tables of n-grams stay below 60 MB, and a second of work. Gopher's longest
document has 100,000 words."""

_STEP, _FOLD, _TAKEN = np.uint64(0xFF51AFD7ED558CCD), np.uint64(33), np.uint64(1)
_INNER = np.uint8(INNER)


def measure(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> dict[str, Column]:
    """The columns of lines and paragraphs that came before: shares of them all, and of the characters.

    Lines end at newlines; empty ones are no lines, and lie between paragraphs.
    """
    lines = split_newlines(data, offsets)
    size = np.maximum(1, count_characters(data, offsets))
    columns: dict[str, Column] = {}
    for name, (starts, ends, bounds) in (
        ("paragraph", _paragraphs(data, offsets, lines.starts, lines.ends, lines.bounds)),
        ("line", (lines.starts, lines.ends, lines.bounds)),
    ):
        parts, again, characters = duplicates(data, starts, ends, bounds)
        columns[f"repetition.duplicate_{name}s"] = again / np.maximum(1, parts)
        columns[f"repetition.duplicate_{name}_characters"] = characters / size
    return columns


def rules(settings: Repetition) -> list[Rule]:
    """Paragraphs, lines, most frequent n-grams, duplicate n-grams: in this order."""
    place = "repetition."
    return [
        *(
            at_most(f"gopher_{name}", place + name, most)
            for name, most in (
                ("duplicate_paragraphs", settings.duplicate_paragraphs),
                ("duplicate_paragraph_characters", settings.duplicate_paragraph_characters),
                ("duplicate_lines", settings.duplicate_lines),
                ("duplicate_line_characters", settings.duplicate_line_characters),
            )
        ),
        *(at_most(f"gopher_top_{n}_gram", f"{place}top_{n}_gram", most) for n, most in settings.top_ngrams),
        *(
            at_most(f"gopher_duplicate_{n}_grams", f"{place}duplicate_{n}_grams", most)
            for n, most in settings.duplicate_ngrams
        ),
    ]


def measure_words(words: Words, settings: Repetition) -> dict[str, Column]:
    """The columns of n-grams, as shares of the characters."""
    lengths = [n for n, _ in (*settings.top_ngrams, *settings.duplicate_ngrams)]
    if not lengths:
        return {}
    top, duplicate, size = measure_ngrams(words, min(lengths), max(lengths))
    columns = {f"repetition.top_{n}_gram": top[n] / size for n, _ in settings.top_ngrams}
    return columns | {f"repetition.duplicate_{n}_grams": duplicate[n] / size for n, _ in settings.duplicate_ngrams}


def measure_ngrams(words: Words, shortest: int, longest: int) -> Any:
    """Characters in n-grams, by length n and document, and (documents,) the characters of the text they lie in.

    top        of all occurrences of the most frequent n-gram (of several the first), spaces between its tokens too
    duplicate  of n-grams that came before; one that did is stepped over whole

    Of a document of more than `BEGINNING` tokens its beginning is measured, and the characters are those up to there.
    """
    return _measure_all(
        words.data, words.offsets, words.starts, words.hashes, words.characters, words.kinds, words.bounds,
        shortest, longest, BEGINNING,
    )  # fmt: skip


@njit(cache=True)
def _paragraphs(data: Any, offsets: Any, starts: Any, ends: Any, bounds: Any) -> Any:
    """Starts, ends and bounds of the runs of lines that are not empty, without the spaces around the document."""
    first, last, found = np.empty_like(starts), np.empty_like(starts), np.zeros_like(bounds)
    n = 0
    for document in range(len(bounds) - 1):
        begin = left_end(data, offsets[document], offsets[document + 1])
        stop = right_end(data, begin, offsets[document + 1])
        before = begin - 2
        for line in range(bounds[document], bounds[document + 1]):
            start, end = max(starts[line], begin), min(ends[line], stop)
            if start >= end:
                continue
            if start > before + 1:
                first[n] = start
                n += 1
            last[n - 1] = before = end
        found[document + 1] = n
    return first[:n], last[:n], found


@njit(cache=True, inline="always")
def _append(gram: Any, token: Any) -> Any:
    gram = (gram ^ token) * _STEP
    return gram ^ (gram >> _FOLD)


@njit(cache=True)
def _measure_all(
    data: Any, offsets: Any, starts: Any, hashes: Any, characters: Any, kinds: Any, bounds: Any,
    shortest: int, longest: int, most: int,
) -> Any:  # fmt: skip
    documents = len(bounds) - 1
    top, duplicate = np.zeros((longest + 1, documents), np.int64), np.zeros((longest + 1, documents), np.int64)
    size = np.ones(documents, np.int64)
    room = min(most, np.diff(bounds).max()) if documents else 0
    tokens, lengths, grams = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.uint64)
    places, slot = np.empty(room, np.int32), np.empty(room, np.int32)
    keys = np.empty(slots(room), np.uint64)
    times = np.empty(len(keys), np.int32)
    for d in range(documents):
        a, b = bounds[d], bounds[d + 1]
        n, read = _join(hashes[a:b], characters[a:b], kinds[a:b], tokens, lengths)
        end = starts[a + read] if read < b - a else offsets[d + 1]
        size[d] = max(1, count(data, offsets[d], end))
        if n >= shortest:
            _measure_ngrams(
                tokens[:n], lengths[:n], grams, places, slot, keys, times, shortest, longest, top[:, d], duplicate[:, d]
            )
    return top, duplicate, size


@njit(cache=True)
def _join(hashes: Any, characters: Any, kinds: Any, joined: Any, lengths: Any) -> tuple[int, int]:
    """The tokens with each inner symbol and its two neighbours made into one: how many, and of how many, fit."""
    n = 0
    for i in range(len(hashes)):
        if i and (kinds[i] | kinds[i - 1]) & _INNER:
            joined[n - 1] = _append(joined[n - 1], hashes[i])
            lengths[n - 1] += characters[i]
        elif n == len(joined):
            return n, i
        else:
            joined[n], lengths[n] = hashes[i], characters[i]
            n += 1
    return n, len(hashes)


@njit(cache=True)
def _measure_ngrams(
    tokens: Any, lengths: Any, grams: Any, places: Any, slot: Any, keys: Any, times: Any,
    shortest: int, longest: int, top: Any, duplicate: Any,
) -> None:  # fmt: skip
    """An n-gram comes twice only where its first n - 1 tokens do, so each length looks at what the one before left."""
    left = len(tokens) - shortest + 1
    for i in range(left):
        gram = np.uint64(0)
        for k in range(shortest - 1):
            gram = _append(gram, tokens[i + k])
        grams[i], places[i] = gram, i
    for n in range(shortest, min(longest, len(tokens)) + 1):
        for k in range(left):
            i = places[k]
            grams[i] = _append(grams[i], tokens[i + n - 1])
        _count_grams(grams, places[:left], slots(left), keys, times, slot)
        left, top[n], duplicate[n] = _sum_up(places, left, times, slot, lengths, n)


@njit(cache=True)
def _count_grams(grams: Any, places: Any, size: int, keys: Any, times: Any, slot: Any) -> None:
    """Give each place the slot of its n-gram in a hash table, and each slot its occurrences."""
    keys[:size] = 0
    mask = size - 1
    for k in range(len(places)):
        gram = grams[places[k]] | _TAKEN
        at = np.int64(gram >> np.uint64(20)) & mask
        while keys[at] != 0 and keys[at] != gram:
            at = (at + 1) & mask
        if keys[at] == 0:
            keys[at], times[at] = gram, 0
        times[at] += 1
        slot[k] = at


@njit(cache=True)
def _sum_up(places: Any, left: int, times: Any, slot: Any, lengths: Any, n: int) -> tuple[int, int, int]:
    """How many of the first `left` places are left for the next length, and the characters of

    top        all occurrences of the most frequent n-gram; if none comes twice, of the first of all
    duplicate  the n-grams that came before; those inside of one that did are not looked at
    """
    top, most, free, duplicate, again = 0, 1, 0, 0, 0
    for k in range(left):
        count = abs(times[slot[k]])
        if count < 2:
            continue
        i = places[k]
        if count > most:
            top, most = i, count
        if i >= free:
            if times[slot[k]] < 0:
                duplicate += lengths[i : i + n].sum()
                free = i + n
            else:
                times[slot[k]] = -count  # met
        if i + n < len(lengths):
            places[again] = i
            again += 1
    return again, (lengths[top : top + n].sum() + n - 1) * most, duplicate
