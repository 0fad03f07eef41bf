"""Settings of filters that make no sense are refused."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.settings import C4, Gopher, Repetition, ScienceFilters, TextFilters, WebFilters


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (WebFilters, {"languages": ["english"]}, "'english' is no language"),
        (WebFilters, {"language_score": 65}, "language_score is a share between 0 and 1, not 65"),
        (WebFilters, {"gopher": {"min_words": 100, "max_words": 50}}, "max_words 50 is less than min_words 100"),
        (WebFilters, {"gopher": {"min_alphabetic": 80}}, "min_alphabetic is a share"),
        (WebFilters, {"gopher": {"min_stop_words": 9}}, "more than the 8 stop words"),
        (WebFilters, {"repetition": {"top_ngrams": [[0, 0.2]]}}, "an n-gram has at least 1 token, not 0"),
        (WebFilters, {"c4": {"min_sentences": -1}}, "min_sentences is a number of at least 0, not -1"),
        (WebFilters, {"fineweb": {"max_short_lines": 67}}, "max_short_lines is a share"),
        (CodeFilters, {"licenses": []}, "licenses is empty"),
        (CodeFilters, {"starcoder": {"min_alphanumeric": 25}}, "min_alphanumeric is a share"),
        (ScienceFilters, {"min_paragraphs": -1}, "min_paragraphs is a number of at least 0"),
        (TextFilters, {"languages": ["EN"]}, "'EN' is no language"),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind: type, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TypeAdapter(kind).validate_python(settings)


def test_settings_are_read_from_a_recipe_and_written_to_a_record() -> None:
    rules = TypeAdapter(WebFilters).validate_python(
        {"languages": ["de"], "gopher": {"min_words": 20}, "repetition": None, "c4": {"terminal_punctuation": True}}
    )
    assert rules == WebFilters(
        languages=("de",), gopher=Gopher(min_words=20), repetition=None, c4=C4(terminal_punctuation=True)
    )
    assert asdict(WebFilters())["repetition"]["top_ngrams"] == Repetition().top_ngrams
    assert TypeAdapter(CodeFilters).validate_python({"licenses": ["MIT"]}) == CodeFilters(licenses=("MIT",))
    assert TypeAdapter(CodeFilters).validate_python({"licenses": "any"}) == CodeFilters(licenses="any")
