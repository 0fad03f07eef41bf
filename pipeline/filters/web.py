"""Web pages -> what the rules ask of them, family by family, and their texts as C4's rules leave them.

A family that the recipe switches off is not measured and has no rule.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.filters import c4, fineweb, gopher, languages, repetition, urls
from pipeline.filters.lines import Lines, count_characters, count_visible, split_lines
from pipeline.filters.rules import Column, Measured, Rule, at_least
from pipeline.filters.settings import WebFilters
from pipeline.filters.tokens import Tokens, count_line_tokens, count_tokens
from pipeline.words import scan, text_of


def measure_outside(batch: pa.RecordBatch, filters: WebFilters) -> dict[str, Column]:
    """What is asked before the language: is there any text, and where does it come from?"""
    columns: dict[str, Column] = {"characters": count_visible(*text_of(batch.column("text")))}
    return columns | urls.measure(batch, filters.urls) if filters.urls else columns


def measure(batch: pa.RecordBatch, english: npt.NDArray[np.bool_], filters: WebFilters) -> Measured:
    """The columns that are asked after the language, and the texts as they are to be kept.

    Gopher's are of the texts as they are, FineWeb's of what C4's rules leave. `english` says by document whether it is
    in English: only then are stop words asked for.
    """
    data, offsets = text_of(batch.column("text"))
    columns: dict[str, Column] = {}
    lines = split_lines(data, offsets)
    tokens, each = count_line_tokens(lines, english)
    left = tokens.tokens
    if filters.gopher or filters.repetition:
        columns |= _measure_words(data, offsets, lines, tokens, english, filters)
    if filters.repetition:
        columns |= repetition.measure(data, offsets)
    rewritten = None
    if filters.c4:
        cleaned = c4.clean(lines, each, filters.c4)
        data, offsets = cleaned.data, cleaned.offsets
        columns |= cleaned.columns | {"c4.characters": count_characters(data, offsets)}
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        rewritten = pa.Array.from_buffers(pa.large_string(), batch.num_rows, buffers)
        left = _tokens_left(cleaned, english)
    if filters.fineweb:
        columns |= fineweb.measure(data, offsets, left, filters.fineweb)
    return Measured(columns=columns, texts=rewritten)


def _measure_words(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    lines: Lines,
    tokens: Tokens,
    english: npt.NDArray[np.bool_],
    filters: WebFilters,
) -> dict[str, Column]:
    """What needs the words, which take twelve times the text's memory at worst and are gone when it is measured."""
    words, columns = scan(data, offsets), {}
    if filters.gopher:
        columns = gopher.measure(words, lines, tokens, english)
    if filters.repetition:
        columns |= repetition.measure_words(words, filters.repetition)
    return columns


def _tokens_left(cleaned: c4.Cleaned, english: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(documents,) tokens of what C4's rules leave, counted anew where a mark was cut out."""
    tokens = cleaned.tokens.copy()
    for document in np.flatnonzero(tokens < 0):
        place = slice(document, document + 2)
        tokens[document] = count_tokens(cleaned.data, cleaned.offsets[place], english[place][:1]).tokens[0]
    return tokens


def rules(filters: WebFilters) -> list[Rule]:
    """The order in which reasons are given: empty, URL, language, Gopher, repetition, C4, FineWeb."""
    asked = [at_least("empty", "characters", 1)]
    asked += urls.rules(filters.urls) if filters.urls else []
    asked += languages.rules(filters)
    if filters.gopher:
        asked += gopher.rules(filters.gopher)
    if filters.repetition:
        asked += repetition.rules(filters.repetition)
    if filters.c4:
        asked += [*c4.rules(filters.c4), at_least("empty", "c4.characters", 1)]
    if filters.fineweb:
        asked += fineweb.rules(filters.fineweb)
    return asked
