"""Finished texts -> their language and their words, which is all that is asked of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.filters import languages
from pipeline.filters.rules import Measured, Rule, at_least
from pipeline.filters.settings import TextFilters
from pipeline.filters.tokens import count_tokens
from pipeline.words import text_of


def measure(batch: pa.RecordBatch, filters: TextFilters) -> Measured:
    """The columns of `rules`; a language that the document declares is believed."""
    columns = languages.measure(batch, believe=True)
    counts = count_tokens(*text_of(batch.column("text")), np.asarray(columns["language"] == "en", np.bool_))
    return Measured(columns=columns | {"words": counts.words})


def rules(filters: TextFilters) -> list[Rule]:
    """Language, words: in this order."""
    return [*languages.rules(filters), at_least("few_words", "words", filters.min_words)]
