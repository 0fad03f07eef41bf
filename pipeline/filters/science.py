"""Rules for papers: those of peS2o v2 (Soldaini and Lo 2023). Words are what stands between spaces."""

from __future__ import annotations

import re
from collections import Counter

from pipeline.filters.settings import ScienceFilters
from pipeline.filters.verdict import Failed

ABSTRACT = 500
"""A text of fewer words is an abstract: asked for words broken by text recognition, but not how often its most
frequent word comes (peS2o v2)."""

_SPACED = re.compile(r"\b[A-Za-z]\s(?:[a-z]\s)*[A-Za-z]\b")
_PARAGRAPHS = re.compile(r"\n\s*\n")
_YEAR = re.compile(r"\b(1[5-9]\d\d|20\d\d)\b")


def unfit_paper(text: str, date: str | None, rules: ScienceFilters) -> Failed | None:
    """The first rule that a paper fails: year, words, paragraphs, most frequent word, broken words."""
    if (year := published(date)) is not None and year < rules.min_year:
        return Failed("pes2o_year", year, rules.min_year)
    words = text.split()
    if len(words) < rules.min_words:
        return Failed("pes2o_few_words", len(words), rules.min_words)
    paragraphs = sum(map(bool, map(str.strip, _PARAGRAPHS.split(text))))
    if paragraphs < rules.min_paragraphs:
        return Failed("pes2o_few_paragraphs", paragraphs, rules.min_paragraphs)
    if words:
        word, times = Counter(words).most_common(1)[0]
        if not word.isalpha():
            return Failed("pes2o_frequent_word", word, "letters only")
        if len(words) >= ABSTRACT and (share := times / len(words)) >= rules.max_frequent_word:
            return Failed("pes2o_frequent_word", share, rules.max_frequent_word)
    if len(words) < ABSTRACT and (broken := len(_SPACED.findall(text))) > rules.max_spaced_words:
        return Failed("pes2o_spaced_words", broken, rules.max_spaced_words)
    return None


def published(date: str | None) -> int | None:
    """The year in a date of any form, or None if it tells none."""
    match = _YEAR.search(date or "")
    return int(match[1]) if match else None
