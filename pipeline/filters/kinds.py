"""Kind of source -> how its documents are measured, and what is asked of the measures.

What is asked of every kind comes last, of the texts as the rules of the kind leave them: a model's score,
personal data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from pipeline.filters import languages, pii, quality, science, text, web
from pipeline.filters.code import measure as code
from pipeline.filters.code.rules import rules as code_rules
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.redaction import Pii
from pipeline.filters.rules import Measured, Rule
from pipeline.filters.settings import Filters, ScienceFilters, TextFilters, WebFilters


def _measure_papers(batch: pa.RecordBatch, filters: ScienceFilters) -> Measured:
    return Measured(columns=languages.measure(batch, believe=True) | science.measure(batch, filters))


def _paper_rules(filters: ScienceFilters) -> list[Rule]:
    return [*languages.rules(filters), *science.rules(filters)]


_KINDS: dict[type, tuple[Callable[[pa.RecordBatch, Any], Measured], Callable[[Any], list[Rule]]]] = {
    WebFilters: (web.measure, web.rules),
    CodeFilters: (code.measure, code_rules),
    ScienceFilters: (_measure_papers, _paper_rules),
    TextFilters: (text.measure, text.rules),
}


def measure(batch: pa.RecordBatch, filters: Filters) -> Measured:
    """Every quantity that the rules of `filters` ask for, of every document of a batch; and the texts to be kept."""
    measured = _KINDS[type(filters)][0](batch, filters)
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


def rules(filters: Filters) -> list[Rule]:
    """What is asked of a document's measures, in order; the first rule that fails is the reason it is dropped."""
    asked = _KINDS[type(filters)][1](filters)
    if not isinstance(filters, CodeFilters) and filters.quality:
        asked += quality.rules(filters.quality)
    return [*asked, *(pii.rules(filters.pii) if filters.pii else [])]


def _redact(first: Callable[[list[str]], list[str]] | None, settings: Pii, texts: list[str]) -> list[str]:
    return pii.redact(first(texts) if first else texts, settings)
