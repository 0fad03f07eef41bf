"""The repetition rules of Gopher (Rae et al. 2021, table A1): does the text say the same over and over?

N-grams are of lower-cased words and symbols; what a single symbol joins is one token (os.path, don't, 3.14).
The characters of a most frequent n-gram count its spaces, those of duplicate n-grams do not (as the rules are
commonly run); both are shares of all characters of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.settings import Repetition
from pipeline.filters.verdict import Failed
from pipeline.words import INNER, Words

_STEP, _FOLD, _TAKEN = np.uint64(0xFF51AFD7ED558CCD), np.uint64(33), np.uint64(1)
_INNER = np.uint8(INNER)


def repetitive(text: str, words: Words, document: int, rules: Repetition) -> Failed | None:
    """The first rule that the document fails: paragraphs, lines, most frequent n-grams, duplicate n-grams."""
    return _parts(text, rules) or _ngrams(len(text), words, document, rules)


def _parts(text: str, rules: Repetition) -> Failed | None:
    """Paragraphs lie between empty lines; empty lines are no lines."""
    size = max(1, len(text))
    paragraphs = [part.strip("\n") for part in text.strip().split("\n\n")] if "\n\n" in text else []
    lines = text.split("\n")
    for name, parts, most, most_characters in (
        ("paragraph", paragraphs, rules.duplicate_paragraphs, rules.duplicate_paragraph_characters),
        ("line", lines, rules.duplicate_lines, rules.duplicate_line_characters),
    ):
        parts = [part for part in parts if part]
        again, characters = duplicates(parts)
        if again and (share := again / len(parts)) > most:
            return Failed(f"gopher_duplicate_{name}s", share, most)
        if again and (share := characters / size) > most_characters:
            return Failed(f"gopher_duplicate_{name}_characters", share, most_characters)
    return None


def duplicates(parts: Sequence[str]) -> tuple[int, int]:
    """How many parts came before, and their characters."""
    unique = set(parts)
    if len(unique) == len(parts):
        return 0, 0
    return len(parts) - len(unique), sum(map(len, parts)) - sum(map(len, unique))


def _ngrams(size: int, words: Words, document: int, rules: Repetition) -> Failed | None:
    lengths = [n for n, _ in (*rules.top_ngrams, *rules.duplicate_ngrams)]
    if not lengths:
        return None
    a, b = words.bounds[document], words.bounds[document + 1]
    hashes, characters = _join(words.hashes[a:b], words.characters[a:b], words.kinds[a:b])
    top, duplicate = measure_ngrams(hashes, characters, min(lengths), max(lengths))
    for n, most in rules.top_ngrams:
        if (share := top[n] / max(1, size)) > most:
            return Failed(f"gopher_top_{n}_gram", share, most)
    for n, most in rules.duplicate_ngrams:
        if (share := duplicate[n] / max(1, size)) > most:
            return Failed(f"gopher_duplicate_{n}_grams", share, most)
    return None


def measure_ngrams(
    hashes: npt.NDArray[np.uint64], characters: npt.NDArray[np.int32], shortest: int, longest: int
) -> tuple[list[int], list[int]]:
    """Two lists by the length n of n-grams, of characters in

    top        all occurrences of the most frequent n-gram (of several the first), spaces between its tokens too
    duplicate  n-grams that came before; one that did is stepped over whole
    """
    top, duplicate = np.zeros(longest + 1, np.int64), np.zeros(longest + 1, np.int64)
    if len(hashes) >= shortest:
        _measure_ngrams(hashes, characters, shortest, longest, top, duplicate)
    return top.tolist(), duplicate.tolist()


@njit(cache=True, inline="always")
def _append(gram: Any, token: Any) -> Any:
    gram = (gram ^ token) * _STEP
    return gram ^ (gram >> _FOLD)


@njit(cache=True)
def _join(hashes: Any, characters: Any, kinds: Any) -> tuple[Any, Any]:
    """The tokens with each inner symbol and its two neighbours made into one."""
    joined, lengths = np.empty_like(hashes), np.empty_like(characters)
    n = 0
    for i in range(len(hashes)):
        if i and (kinds[i] | kinds[i - 1]) & _INNER:
            joined[n - 1] = _append(joined[n - 1], hashes[i])
            lengths[n - 1] += characters[i]
        else:
            joined[n], lengths[n] = hashes[i], characters[i]
            n += 1
    return joined[:n], lengths[:n]


@njit(cache=True)
def _measure_ngrams(hashes: Any, characters: Any, shortest: int, longest: int, top: Any, duplicate: Any) -> None:
    """An n-gram comes twice only where its first n - 1 tokens do, so each length looks at what the one before left."""
    grams = np.zeros(len(hashes), np.uint64)
    places = np.arange(len(hashes) - shortest + 1)
    for n in range(1, shortest):
        for i in places:
            grams[i] = _append(grams[i], hashes[i + n - 1])
    keys = np.empty(_slots(len(places)), np.uint64)
    times, first = np.empty(len(keys), np.int32), np.empty(len(keys), np.int32)
    slots = np.empty(len(places), np.int64)
    for n in range(shortest, min(longest, len(hashes)) + 1):
        for i in places:
            grams[i] = _append(grams[i], hashes[i + n - 1])
        _count_grams(grams, places, _slots(len(places)), keys, times, first, slots)
        at, most = _most_frequent(places, times, first, slots)
        top[n] = (characters[at : at + n].sum() + n - 1) * most
        duplicate[n] = _step_over(places, times, first, slots, characters, n)
        left = 0
        for k in range(len(places)):
            if times[slots[k]] > 1 and places[k] + n < len(hashes):
                places[left] = places[k]
                left += 1
        places = places[:left]


@njit(cache=True)
def _slots(items: int) -> int:
    """Slots of a hash table, a power of two, that leave half of it free."""
    slots = 16
    while slots < 2 * items:
        slots *= 2
    return slots


@njit(cache=True)
def _count_grams(grams: Any, places: Any, size: int, keys: Any, times: Any, first: Any, slots: Any) -> None:
    """Give each place the slot of its n-gram in a hash table, and each slot its occurrences and first place."""
    keys[:size] = 0
    mask = size - 1
    for k, i in enumerate(places):
        gram = grams[i] | _TAKEN
        slot = np.int64((gram >> np.uint64(20)) & np.uint64(mask))
        while keys[slot] != 0 and keys[slot] != gram:
            slot = (slot + 1) & mask
        if keys[slot] == 0:
            keys[slot], times[slot], first[slot] = gram, 0, i
        times[slot] += 1
        slots[k] = slot


@njit(cache=True)
def _most_frequent(places: Any, times: Any, first: Any, slots: Any) -> tuple[int, int]:
    """Where the most frequent n-gram begins and how often it comes; if none comes twice, the first of all."""
    at, most = 0, 1
    for k in range(len(places)):
        if times[slots[k]] > most:
            at, most = first[slots[k]], times[slots[k]]
    return at, most


@njit(cache=True)
def _step_over(places: Any, times: Any, first: Any, slots: Any, characters: Any, n: int) -> int:
    """Characters of the n-grams that came before; those inside of one that did are not looked at."""
    free = repeated = 0
    for k, i in enumerate(places):
        if i < free or times[slots[k]] < 2:
            continue
        if first[slots[k]] < 0:
            repeated += characters[i : i + n].sum()
            free = i + n
        else:
            first[slots[k]] = -1  # met
    return repeated
