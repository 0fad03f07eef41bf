"""The quality rules of Gopher (Rae et al. 2021, appendix A.1.1): is this a text of words and sentences?"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.lines import Lines, last_character, left_end, right_end
from pipeline.filters.rules import Column, Rule, at_least, at_most
from pipeline.filters.settings import Gopher
from pipeline.filters.tokens import Tokens
from pipeline.words import WORD, Words, decode, scan

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_LONGEST_STOP_WORD = max(map(len, STOP_WORDS))

_BULLET, _HYPHEN, _ELLIPSIS, _DOT, _HASH = (ord(mark) for mark in "•-….#")

_WORD = np.uint8(WORD)


def measure(words: Words, lines: Lines, tokens: Tokens, english: npt.NDArray[np.bool_]) -> dict[str, Column]:
    """The columns of `rules`. `lines` are those of `str.splitlines`, empty ones too; `english` is by document.

    Word length is not measured where half of the words are characters of a script written without spaces, stop words
    not where the text is not English.
    """
    hashes, ellipses, stop_words = _count(
        words.data, words.starts, words.characters, words.hashes, words.kinds, words.bounds, _stop_words()
    )
    bullets, trailing = _mark_lines(lines.data, lines.starts, lines.ends, lines.bounds)
    of_tokens, of_words, of_lines = (np.maximum(1, n) for n in (tokens.tokens, tokens.words, lines.counts))
    return {
        "gopher.words": tokens.words,
        "gopher.word_length": np.where(2 * tokens.alone < of_words, tokens.characters / of_words, np.nan),
        "gopher.hashes": hashes / of_tokens,
        "gopher.ellipses": ellipses / of_tokens,
        "gopher.bullet_lines": bullets / of_lines,
        "gopher.ellipsis_lines": trailing / of_lines,
        "gopher.alphabetic": tokens.lettered / of_tokens,
        "gopher.stop_words": np.where(english, stop_words, np.nan),
    }


def rules(settings: Gopher) -> list[Rule]:
    """Length, word length, symbols, lines, letters, stop words: in this order."""
    return [
        at_least("gopher_short_document", "gopher.words", settings.min_words),
        at_most("gopher_long_document", "gopher.words", settings.max_words),
        at_least("gopher_short_words", "gopher.word_length", settings.min_word_length),
        at_most("gopher_long_words", "gopher.word_length", settings.max_word_length),
        at_most("gopher_hashes", "gopher.hashes", settings.max_symbols),
        at_most("gopher_ellipses", "gopher.ellipses", settings.max_symbols),
        at_most("gopher_bullet_lines", "gopher.bullet_lines", settings.max_bullet_lines),
        at_most("gopher_ellipsis_lines", "gopher.ellipsis_lines", settings.max_ellipsis_lines),
        at_least("gopher_few_alphabetic_words", "gopher.alphabetic", settings.min_alphabetic),
        at_least("gopher_few_stop_words", "gopher.stop_words", settings.min_stop_words),
    ]


@cache
def _stop_words() -> npt.NDArray[np.uint64]:
    text = " ".join(STOP_WORDS).encode()
    return scan(np.frombuffer(text, np.uint8), np.array([0, len(text)])).hashes


@njit(cache=True)
def _count(data: Any, starts: Any, characters: Any, hashes: Any, kinds: Any, bounds: Any, stop_words: Any) -> Any:
    """(3, documents): number signs, ellipses, different stop words."""
    counts = np.zeros((3, len(bounds) - 1), np.int64)
    for document in range(len(bounds) - 1):
        numbers = ellipses = 0
        met = np.zeros(len(stop_words), np.bool_)
        for i in range(bounds[document], bounds[document + 1]):
            if kinds[i] & _WORD:
                if characters[i] <= _LONGEST_STOP_WORD:
                    for k in range(len(stop_words)):
                        met[k] |= hashes[i] == stop_words[k]
                continue
            code = decode(data, starts[i])[0]
            if code == _HASH:
                numbers += characters[i]
            elif code == _DOT:
                ellipses += characters[i] // 3
            elif code == _ELLIPSIS:
                ellipses += characters[i]
        counts[:, document] = numbers, ellipses, met.sum()
    return counts


@njit(cache=True)
def _mark_lines(data: Any, starts: Any, ends: Any, bounds: Any) -> Any:
    """(2, documents): lines that begin with a bullet, and lines that end with an ellipsis."""
    counts = np.zeros((2, len(bounds) - 1), np.int64)
    for document in range(len(bounds) - 1):
        for line in range(bounds[document], bounds[document + 1]):
            start = left_end(data, starts[line], ends[line])
            end = right_end(data, start, ends[line])
            if start == end:
                continue
            first = decode(data, start)[0]
            counts[0, document] += first in (_BULLET, _HYPHEN)
            dots = end - start >= 3 and data[end - 1] == _DOT and data[end - 2] == _DOT and data[end - 3] == _DOT
            counts[1, document] += dots or decode(data, last_character(data, end))[0] == _ELLIPSIS
    return counts
