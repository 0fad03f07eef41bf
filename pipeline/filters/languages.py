"""Documents -> the language each is in, and whether that is one the recipe asks for, surely and purely enough."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.filters.language import declared, inspect_batch
from pipeline.filters.rules import Column, Rule, at_least, one_of
from pipeline.filters.settings import ScienceFilters, TextFilters, WebFilters
from pipeline.words import text_of


def measure(batch: pa.RecordBatch, believe: bool, wanted: Collection[str] = ()) -> dict[str, Column]:
    """`language` (None for a text without a letter), `language_score`, its probability, and `language_share`.

    The share is measured in documents of the languages `wanted`, in all if there are none. A language that
    the document declares is believed if so told, with a score of 1 and a share that is not measured.
    """
    codes = np.full(batch.num_rows, None, object)
    scores, shares = np.ones(batch.num_rows), np.full(batch.num_rows, np.nan)
    if believe:
        codes[:] = [declared(language) for language in batch.column("language").to_pylist()]
    unknown = np.flatnonzero([code is None for code in codes])
    texts = batch.column("text")
    if len(unknown):
        some = texts if len(unknown) == len(texts) else texts.take(pa.array(unknown))
        codes[unknown], scores[unknown], shares[unknown] = inspect_batch(*text_of(some), wanted)
    return {"language": codes, "language_score": scores, "language_share": shares}


def asked(found: Column, languages: Collection[str]) -> npt.NDArray[np.bool_]:
    """(documents,) which languages are asked for; all of them if there are none."""
    return np.fromiter((not languages or code in languages for code in found), np.bool_, len(found))


def rules(filters: WebFilters | ScienceFilters | TextFilters) -> list[Rule]:
    """One of the languages (any if there are none), its score, and its share of the text: in this order."""
    scores = filters.language_score if isinstance(filters.language_score, dict) else {"default": filters.language_score}
    least = {code: score for code, score in scores.items() if code != "default"}
    place = "language_score"
    return [
        *([one_of("language", "language", filters.languages)] if filters.languages else []),
        *(at_least(place, place, score, among=("language", partial(_is, code))) for code, score in least.items()),
        at_least(place, place, scores.get("default", 0), among=("language", partial(_is_none_of, least))),
        at_least("language_share", "language_share", filters.language_share),
    ]


def _is(code: str, languages: Column) -> npt.NDArray[np.bool_]:
    return np.asarray(languages == code, np.bool_)


def _is_none_of(codes: Collection[str], languages: Column) -> npt.NDArray[np.bool_]:
    return np.fromiter((language not in codes for language in languages), np.bool_, len(languages))
