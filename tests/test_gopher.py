"""Gopher's quality rules decide as the slow, plain form of the published rules does."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from pipeline.filters import gopher
from pipeline.filters.lines import split_lines
from pipeline.filters.measures import stored
from pipeline.filters.rules import Column, first_failed
from pipeline.filters.settings import Gopher
from pipeline.filters.tokens import count_tokens
from pipeline.words import scan_batch, text_of

PROSE = (
    "The people of the valley have always said that the river would be the end of them, and with good reason. "
    "Every spring it rises over its banks, takes a field or two, and leaves behind a layer of mud. "
    "Nobody moves away. They mend the fences, count the sheep and wait for summer to come again. "
)
"""59 words in 3 sentences."""


class Verdict(NamedTuple):
    reason: str
    value: float
    threshold: object


def measure(text: str, english: bool = True) -> dict[str, Column]:
    column = pa.array([text], pa.large_string())
    data, offsets = text_of(column)
    told = np.array([english])
    return gopher.measure(scan_batch(column), split_lines(data, offsets), count_tokens(data, offsets, told), told)


def quality(text: str, english: bool = True, settings: Gopher | None = None) -> Verdict | None:
    rules, columns = gopher.rules(settings or Gopher()), stored(measure(text, english))
    number = first_failed(columns, rules, 1)[0]
    if number < 0:
        return None
    rule = rules[number]
    return Verdict(rule.reason, float(columns[rule.column][0]), rule.threshold)


def test_prose_passes() -> None:
    assert quality(PROSE) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "gopher_short_document"),
        (" \n\t\u200b", "gopher_short_document"),
        ("The people of the valley have always said that", "gopher_short_document"),
        ("the of and " * 33_334, "gopher_long_document"),
        ("a of b to c be d " * 20, "gopher_short_words"),
        ("the of " + "incomprehensibilities " * 60, "gopher_long_words"),
        (PROSE + " #" + " # a" * 12, "gopher_hashes"),
        (PROSE + " word..." * 18, "gopher_ellipses"),
        (PROSE + " word…" * 18, "gopher_ellipses"),
        ("\n".join("- " + line for line in PROSE.split(" ")), "gopher_bullet_lines"),
        ("\u2028".join("  • " + line for line in PROSE.split(" ")), "gopher_bullet_lines"),
        (PROSE.replace(". ", "...\n") + "\n", "gopher_ellipsis_lines"),
        (PROSE + " 1234" * 30, "gopher_few_alphabetic_words"),
        (PROSE + " | word" * 40, "gopher_few_alphabetic_words"),
        ("Lovely green mountains surround every quiet village. " * 10, "gopher_few_stop_words"),
    ],
)
def test_each_rule_has_its_reason(text: str, reason: str) -> None:
    failed = quality(text)
    assert failed is not None
    assert failed.reason == reason


def test_a_rule_says_what_it_measured_and_against_what() -> None:
    assert quality("one two three") == ("gopher_short_document", 3, 50)
    failed = quality(PROSE + " 1234" * 30)
    tokens = re.findall(r"\w+|[^\w\s]", PROSE + " 1234" * 30)
    share = float(np.float32(sum(t.isalpha() for t in tokens) / len(tokens)))
    assert failed == ("gopher_few_alphabetic_words", share, 0.8)


def test_every_quantity_is_measured_whatever_fails_first() -> None:
    columns = measure("- one #\n- two...\n\nthe end…")
    told = {name.removeprefix("gopher."): round(float(values[0]), 3) for name, values in columns.items()}
    assert told == {
        "words": 4,  # one two the end
        "word_length": 3.0,
        "hashes": round(1 / 9, 3),  # - one # - two ... the end …
        "ellipses": round(2 / 9, 3),
        "bullet_lines": 0.5,
        "ellipsis_lines": 0.5,
        "alphabetic": round(4 / 9, 3),
        "stop_words": 1,
    }


def test_the_thresholds_themselves_pass() -> None:
    words = len(re.findall(r"\w+", PROSE))
    assert quality(PROSE, settings=Gopher(min_words=words, max_words=words)) is None
    assert quality(PROSE, settings=Gopher(min_words=words + 1)) is not None
    text = PROSE + "7 " * 16
    share = words / len(re.findall(r"\w+|[^\w\s]", text))
    assert float(measure(text)["gopher.alphabetic"][0]) == share
    assert quality(text, settings=Gopher(min_alphabetic=share)) is None
    assert quality(text, settings=Gopher(min_alphabetic=share + 0.001)) is not None


def test_stop_words_are_asked_of_english_and_word_length_not_of_scripts_without_spaces() -> None:
    german = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. " * 6
    assert quality(german, english=False) is None
    assert quality(german) == ("gopher_few_stop_words", 0, 2)
    assert quality("人人生而自由在尊严和权利上一律平等。" * 5, english=False) is None


def test_documents_of_a_batch_are_measured_apart() -> None:
    texts = [PROSE, "", "人人生而自由", "- a...", PROSE * 2, "don't stop"]
    column = pa.array(["before", *texts], pa.large_string()).slice(1)
    data, offsets = text_of(column)
    told = np.ones(len(texts), np.bool_)
    together = gopher.measure(scan_batch(column), split_lines(data, offsets), count_tokens(data, offsets, told), told)
    for d, text in enumerate(texts):
        alone = measure(text)
        for name, values in together.items():
            assert np.array_equal(values[d : d + 1], alone[name], equal_nan=True), (text, name)
