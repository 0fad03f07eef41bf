"""Rules for papers: those of peS2o v2 (Soldaini and Lo 2023). Words are what stands between spaces.

Not among them: peS2o drops sections whose words are rare in a list of word frequencies that cannot be shipped.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from pipeline.filters.rules import Column, Rule, at_least, at_most
from pipeline.filters.settings import ScienceFilters
from pipeline.words import text_of

SHORT = 500
"""A paper of fewer words (peS2o has none) is asked for words broken by text recognition, as abstracts are, but not
how often its most frequent word comes."""

_ABSTRACT = r'"part": ?"abstract"|"source": ?"(pes2o/)?s2ag"'
"""In the metadata of what its source calls an abstract."""
_TOLD = r'"part": ?"abstract"|"abstract": ?(true|false)'
"""In the metadata of what is known to have an abstract, or none."""
_NONE = r'"abstract": ?false'

_SPACED = re.compile(r"\b[A-Za-z]\s(?:[a-z]\s)*[A-Za-z]\b")
_YEAR = r"\b(?P<year>1[5-9]\d\d|20\d\d)(?:(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01]))?\b"


def measure(batch: pa.RecordBatch, settings: ScienceFilters) -> dict[str, Column]:
    """The columns of `rules` for a batch of documents; what is not asked of a document is not measured in it."""
    text = batch.column("text")
    data, offsets = text_of(text)
    words, paragraphs, times, first, second, broken = _count(data, offsets)
    told, abstract, without = (_matches(batch, pattern) for pattern in (_TOLD, _ABSTRACT, _NONE))
    short = abstract | (words < SHORT)
    titled = np.asarray(pc.fill_null(pc.not_equal(batch.column("title"), ""), False))
    return {
        "pes2o.year": _years(batch.column("date")),
        "pes2o.title_and_abstract": np.where(told, titled & ~without, np.nan),
        "pes2o.words": np.where(abstract, np.nan, words),
        "pes2o.abstract_words": np.where(abstract, words, np.nan),
        "pes2o.paragraphs": np.where(abstract, np.nan, paragraphs),
        "pes2o.frequent_word": _words(data, first, ~abstract),
        "pes2o.abstract_word": _words(data, np.where(_is_a(data, first)[:, None], second, first), abstract),
        "pes2o.frequent_word_share": np.where(short, np.nan, times / np.maximum(1, words)),
        "pes2o.spaced_words": _spaced(text, short, broken),
    }


def rules(settings: ScienceFilters) -> list[Rule]:
    """Year, title and abstract, words, paragraphs, most frequent word, broken words: in this order."""
    share = settings.max_frequent_word
    whole = [at_least("pes2o_no_abstract", "pes2o.title_and_abstract", 1)] if settings.title_and_abstract else []
    return [
        at_least("pes2o_year", "pes2o.year", settings.min_year),
        *whole,
        at_least("pes2o_few_words", "pes2o.words", settings.min_words),
        at_least("pes2o_few_words", "pes2o.abstract_words", settings.min_abstract_words),
        at_most("pes2o_many_words", "pes2o.abstract_words", settings.max_abstract_words),
        at_least("pes2o_few_paragraphs", "pes2o.paragraphs", settings.min_paragraphs),
        Rule(reason="pes2o_frequent_word", column="pes2o.frequent_word", threshold="letters only", fails=_no_letters),
        Rule(
            reason="pes2o_frequent_word", column="pes2o.abstract_word", threshold="two letters or more, after an a too",
            fails=lambda words: _no_letters(words) | _single(words),
        ),
        Rule(
            reason="pes2o_frequent_word", column="pes2o.frequent_word_share", threshold=share,
            fails=lambda values: values >= share,
        ),
        at_most("pes2o_spaced_words", "pes2o.spaced_words", settings.max_spaced_words),
    ]  # fmt: skip


def _no_letters(words: Column) -> npt.NDArray[np.bool_]:
    return np.array([word is not None and not word.isalpha() for word in words], np.bool_)


def _single(words: Column) -> npt.NDArray[np.bool_]:
    return np.array([word is not None and len(word) < 2 for word in words], np.bool_)


def _matches(batch: pa.RecordBatch, pattern: str) -> npt.NDArray[np.bool_]:
    found = pc.match_substring_regex(batch.column("metadata"), pattern)
    return np.asarray(pc.fill_null(found, False))


def _years(dates: pa.Array) -> Column:
    """The year in each date of whatever form."""
    found = pc.extract_regex(dates, _YEAR)
    return np.asarray(pc.cast(pc.struct_field(found, "year"), pa.float64()))


def _words(data: npt.NDArray[np.uint8], places: npt.NDArray[np.int64], asked: npt.NDArray[np.bool_]) -> Column:
    words = np.full(len(asked), None, object)
    for i in np.flatnonzero(asked & (places[:, 1] > 0)):
        start, size = places[i]
        words[i] = data[start : start + size].tobytes().decode()
    return words


def _is_a(data: npt.NDArray[np.uint8], places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = places[:, 1] == 1
    found[found] = data[places[found, 0]] == ord("a")
    return found


def _spaced(text: pa.Array, asked: npt.NDArray[np.bool_], broken: npt.NDArray[np.int64]) -> Column:
    """How often the pattern of broken words comes, looked for only where two single letters stand side by side."""
    found = np.where(asked, 0.0, np.nan)
    for i in np.flatnonzero(asked & (broken > 0)):
        found[i] = sum(1 for _ in _SPACED.finditer(text[int(i)].as_py()))
    return found


@njit(cache=True)
def _space(data: Any, i: int, end: int) -> int:
    """Bytes of the white space (Python's str.isspace) at byte i, 0 for anything else."""
    b = data[i]
    if b <= 0x20:
        return 1 if b == 0x20 or 9 <= b <= 13 or 0x1C <= b <= 0x1F else 0
    if b == 0xC2 and i + 1 < end:
        return 2 if data[i + 1] == 0x85 or data[i + 1] == 0xA0 else 0
    if 0xE1 <= b <= 0xE3 and i + 2 < end:
        c, d = data[i + 1], data[i + 2]
        if b == 0xE1:
            return 3 if c == 0x9A and d == 0x80 else 0
        if b == 0xE3:
            return 3 if c == 0x80 and d == 0x80 else 0
        if c == 0x80:
            return 3 if d <= 0x8A or d == 0xA8 or d == 0xA9 or d == 0xAF else 0
        return 3 if c == 0x81 and d == 0x9F else 0
    return 0


@njit(cache=True, inline="always")
def _letter(b: Any) -> Any:
    return 0x41 <= b <= 0x5A or 0x61 <= b <= 0x7A


@njit(cache=True, inline="always")
def _joins(b: Any) -> Any:
    return _letter(b) or 0x30 <= b <= 0x39 or b == 0x5F


@njit(cache=True)
def _count(data: Any, offsets: Any) -> Any:
    """By document: words, paragraphs, how often the most frequent word comes, (start, bytes) of it and of the second,
    places where two single letters may stand side by side. Of words as frequent the earlier one counts."""
    n = len(offsets) - 1
    words, paragraphs, times, broken = (
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
    )
    first, second = np.zeros((n, 2), np.int64), np.zeros((n, 2), np.int64)
    for document in range(n):
        i, end = offsets[document], offsets[document + 1]
        room = 256
        while room < end - i and room < 1 << 14:
            room *= 2
        hashes, table = np.zeros(room, np.uint64), np.zeros((room, 3), np.int64)
        distinct, gap, feeds, last = 0, 2, 0, i
        while i < end:
            size = _space(data, i, end) if data[i] <= 0x20 or data[i] >= 0xC2 else 0
            if size:
                feeds += data[i] == 0x0A
                gap += 1
                i += size
                continue
            start, h = i, np.uint64(0xCBF29CE484222325)
            while i < end:
                if (data[i] <= 0x20 or 0xC2 <= data[i] <= 0xE3) and _space(data, i, end):  # others begin no white space
                    break
                h = (h ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
                i += 1
            h ^= h >> np.uint64(29)
            h |= np.uint64(1)
            paragraphs[document] += feeds >= 2 or words[document] == 0
            if gap == 1 and _letter(data[start]) and (start + 1 == end or not _joins(data[start + 1])):
                broken[document] += _letter(data[last]) and (last == offsets[document] or not _joins(data[last - 1]))
            words[document] += 1
            gap, feeds, last = 0, 0, i - 1
            slot = np.int64((h >> np.uint64(20)) & np.uint64(room - 1))
            while hashes[slot] and hashes[slot] != h:
                slot = (slot + 1) & (room - 1)
            if not hashes[slot]:
                hashes[slot], table[slot, 1], table[slot, 2] = h, start, i - start
                distinct += 1
            table[slot, 0] += 1
            if 2 * distinct > room:
                hashes, table = _widened(hashes, table)
                room *= 2
        most: Any = -1
        then: Any = -1
        for place in range(room):
            if not hashes[place]:
                continue
            if most < 0 or _before(table, place, most):
                most, then = place, most
            elif then < 0 or _before(table, place, then):
                then = place
        if most >= 0:
            times[document], first[document] = table[most, 0], table[most, 1:]
        if then >= 0:
            second[document] = table[then, 1:]
    return words, paragraphs, times, first, second, broken


@njit(cache=True, inline="always")
def _before(table: Any, a: Any, b: Any) -> Any:
    return table[a, 0] > table[b, 0] or (table[a, 0] == table[b, 0] and table[a, 1] < table[b, 1])


@njit(cache=True)
def _widened(hashes: Any, table: Any) -> Any:
    room = 2 * len(hashes)
    wider, rows = np.zeros(room, np.uint64), np.zeros((room, 3), np.int64)
    for old in range(len(hashes)):
        if hashes[old]:
            slot = np.int64((hashes[old] >> np.uint64(20)) & np.uint64(room - 1))
            while wider[slot]:
                slot = (slot + 1) & (room - 1)
            wider[slot], rows[slot] = hashes[old], table[old]
    return wider, rows
