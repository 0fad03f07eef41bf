"""Finished texts -> their language and their words, which is all that is asked of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.filters import languages
from pipeline.filters.rules import Measured, Rule, at_least
from pipeline.filters.settings import TextFilters
from pipeline.filters.tokens import count_tokens
from pipeline.words import text_of


def measure(batch: pa.RecordBatch, english: npt.NDArray[np.bool_], filters: TextFilters) -> Measured:
    """The words of documents of which `english` says whether they are in English."""
    return Measured(columns={"words": count_tokens(*text_of(batch.column("text")), english).words})


def rules(filters: TextFilters) -> list[Rule]:
    """Language, words: in this order."""
    return [*languages.rules(filters), at_least("few_words", "words", filters.min_words)]
