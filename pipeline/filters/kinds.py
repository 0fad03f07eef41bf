"""Kind of source -> how its documents are measured, and what is asked of the measures.

What is asked of every kind but code comes first: the language. What is asked of all comes last, of the texts as the
rules of the kind leave them: a model's score, personal data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.filters import languages, pii, quality, science, text, web
from pipeline.filters.code import measure as code
from pipeline.filters.code.rules import rules as code_rules
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.redaction import Pii
from pipeline.filters.rules import Column, Measured, Rule
from pipeline.filters.settings import Filters, ScienceFilters, TextFilters, WebFilters


def _measure_papers(batch: pa.RecordBatch, english: npt.NDArray[np.bool_], filters: ScienceFilters) -> Measured:
    return Measured(columns=science.measure(batch, filters))


def _paper_rules(filters: ScienceFilters) -> list[Rule]:
    return [*languages.rules(filters), *science.rules(filters)]


_KINDS: dict[type, tuple[Callable[..., Measured], Callable[[Any], list[Rule]]]] = {
    WebFilters: (web.measure, web.rules),
    CodeFilters: (code.measure, code_rules),
    ScienceFilters: (_measure_papers, _paper_rules),
    TextFilters: (text.measure, text.rules),
}


def measure(batch: pa.RecordBatch, filters: Filters) -> Measured:
    """Every quantity that the rules of `filters` ask for, of every document of a batch; and the texts to be kept.

    Of a document in a language that is not asked for only the language is measured, and what is asked before it.
    """
    if isinstance(filters, CodeFilters):
        return _measure_last(code.measure(batch, filters), batch, filters)
    outside, believe = {}, True
    if isinstance(filters, WebFilters):
        outside, believe = web.measure_outside(batch, filters), False
    outside |= languages.measure(batch, believe, filters.languages)
    asked = languages.asked(outside["language"], filters.languages)
    some = batch if asked.all() else batch.filter(pa.array(asked))
    inner = _KINDS[type(filters)][0](some, np.asarray(outside["language"][asked] == "en", np.bool_), filters)
    measured = _measure_last(inner, some, filters)
    return replace(measured, columns=outside | measured.columns) if some is batch else _spread(measured, outside, asked)


def _measure_last(measured: Measured, batch: pa.RecordBatch, filters: Filters) -> Measured:
    """Add what is measured in the texts that are to be kept."""
    if measured.texts is not None:
        batch = batch.set_column(batch.schema.get_field_index("text"), "text", measured.texts)
    if not isinstance(filters, CodeFilters) and filters.quality:
        measured = replace(measured, columns=measured.columns | quality.measure(batch, filters.quality))
    if filters.pii is None:
        return measured
    return Measured(
        columns=measured.columns | pii.measure(batch, filters.pii),
        texts=measured.texts,
        redact=partial(_redact, measured.redact, filters.pii),
    )


def _spread(measured: Measured, outside: dict[str, Column], asked: npt.NDArray[np.bool_]) -> Measured:
    """What was measured of the documents `asked` (documents,) for all of them."""
    columns = dict(outside)
    for name, values in measured.columns.items():
        words = values.dtype == object
        columns[name] = np.full(len(asked), None if words else np.nan, object if words else np.float64)
        columns[name][asked] = values
    places = pa.array(np.cumsum(asked) - 1, mask=~asked)
    return replace(measured, columns=columns, texts=measured.texts and measured.texts.take(places))


def rules(filters: Filters) -> list[Rule]:
    """What is asked of a document's measures, in order; the first rule that fails is the reason it is dropped."""
    asked = _KINDS[type(filters)][1](filters)
    if not isinstance(filters, CodeFilters) and filters.quality:
        asked += quality.rules(filters.quality)
    return [*asked, *(pii.rules(filters.pii) if filters.pii else [])]


def _redact(first: Callable[[list[str]], list[str]] | None, settings: Pii, texts: list[str]) -> list[str]:
    return pii.redact(first(texts) if first else texts, settings)
