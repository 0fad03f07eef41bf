"""The quality rules of Gopher (Rae et al. 2021, appendix A.1.1): is this a text of words and sentences?

Words are words; tokens are words and symbols, but for a single symbol inside of a word (don't, 3.14), which
belongs to it. A run of one symbol is one token.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.settings import Gopher
from pipeline.filters.verdict import Failed
from pipeline.words import ALONE, INNER, LETTER, WORD, Words, scan

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")

BULLETS = ("•", "-")
ELLIPSES = ("...", "…")

_WORD, _LETTER, _ALONE, _INNER = (np.uint8(flag) for flag in (WORD, LETTER, ALONE, INNER))


class Counts(NamedTuple):
    words: int
    characters: int
    """Of the words."""
    alone: int
    """Words that are one character of a script written without spaces."""
    tokens: int
    lettered: int
    """Tokens that hold a letter."""
    stop_words: int
    """Different ones."""


def low_quality(text: str, words: Words, document: int, rules: Gopher, english: bool) -> Failed | None:
    """The first rule that the document fails: length, word length, symbols, lines, letters, stop words."""
    n = count(words, document)
    if n.words < rules.min_words:
        return Failed("gopher_short_document", n.words, rules.min_words)
    if n.words > rules.max_words:
        return Failed("gopher_long_document", n.words, rules.max_words)
    mean = n.characters / max(1, n.words)
    if mean < rules.min_word_length and 2 * n.alone < n.words:
        return Failed("gopher_short_words", mean, rules.min_word_length)
    if mean > rules.max_word_length:
        return Failed("gopher_long_words", mean, rules.max_word_length)
    if failed := _symbols(text, n.tokens, rules) or _lines(text, rules):
        return failed
    if (share := n.lettered / max(1, n.tokens)) < rules.min_alphabetic:
        return Failed("gopher_few_alphabetic_words", share, rules.min_alphabetic)
    if english and n.stop_words < rules.min_stop_words:
        return Failed("gopher_few_stop_words", n.stop_words, rules.min_stop_words)
    return None


def _symbols(text: str, tokens: int, rules: Gopher) -> Failed | None:
    if (share := text.count("#") / max(1, tokens)) > rules.max_symbols:
        return Failed("gopher_hashes", share, rules.max_symbols)
    if (share := sum(map(text.count, ELLIPSES)) / max(1, tokens)) > rules.max_symbols:
        return Failed("gopher_ellipses", share, rules.max_symbols)
    return None


def _lines(text: str, rules: Gopher) -> Failed | None:
    """Lines end where `str.splitlines` ends them; empty ones count. Texts without a bullet or ellipsis are not cut."""
    bullets, ellipses = (any(mark in text for mark in marks) for marks in (BULLETS, ELLIPSES))
    lines = text.splitlines() if bullets or ellipses else []
    if bullets and (share := sum(x.lstrip().startswith(BULLETS) for x in lines) / len(lines)) > rules.max_bullet_lines:
        return Failed("gopher_bullet_lines", share, rules.max_bullet_lines)
    if (
        ellipses
        and (share := sum(x.rstrip().endswith(ELLIPSES) for x in lines) / len(lines)) > rules.max_ellipsis_lines
    ):
        return Failed("gopher_ellipsis_lines", share, rules.max_ellipsis_lines)
    return None


def count(words: Words, document: int) -> Counts:
    """What the rules ask of a document's tokens."""
    a, b = words.bounds[document], words.bounds[document + 1]
    return Counts(*_count(words.kinds[a:b], words.characters[a:b], words.hashes[a:b], _stop_words()))


@cache
def _stop_words() -> npt.NDArray[np.uint64]:
    text = " ".join(STOP_WORDS).encode()
    return scan(np.frombuffer(text, np.uint8), np.array([0, len(text)])).hashes


@njit(cache=True)
def _count(kinds: Any, characters: Any, hashes: Any, stop_words: Any) -> tuple[int, int, int, int, int, int]:
    words = length = alone = tokens = lettered = 0
    met = np.zeros(len(stop_words), np.bool_)
    for i in range(len(kinds)):
        kind = kinds[i]
        if kind & _WORD:
            words += 1
            length += characters[i]
            alone += kind & _ALONE != 0
            if characters[i] < 5:
                for k in range(len(stop_words)):
                    met[k] |= hashes[i] == stop_words[k]
        tokens += kind & _INNER == 0
        lettered += kind & _LETTER != 0
    return words, length, alone, tokens, lettered, met.sum()
