"""Gopher's rules decide as the slow, plain form of the published rules does."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.filters.gopher import low_quality
from pipeline.filters.repetition import duplicates, measure_ngrams, repetitive
from pipeline.filters.settings import Gopher, Repetition
from pipeline.filters.verdict import Failed
from pipeline.words import Words, scan_batch

PROSE = (
    "The people of the valley have always said that the river would be the end of them, and with good reason. "
    "Every spring it rises over its banks, takes a field or two, and leaves behind a layer of mud. "
    "Nobody moves away. They mend the fences, count the sheep and wait for summer to come again. "
)
"""59 words in 3 sentences."""


def read(text: str) -> Words:
    return scan_batch(pa.array([text], pa.large_string()))


def quality(text: str, english: bool = True, rules: Gopher | None = None) -> Failed | None:
    return low_quality(text, read(text), 0, rules or Gopher(), english)


def repeats(text: str, rules: Repetition | None = None) -> Failed | None:
    return repetitive(text, read(text), 0, rules or Repetition())


def test_prose_passes() -> None:
    assert quality(PROSE) is None
    assert repeats(PROSE) is None


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
        (PROSE + " word..." * 12, "gopher_ellipses"),
        (PROSE + " word…" * 12, "gopher_ellipses"),
        ("\n".join("- " + line for line in PROSE.split(" ")), "gopher_bullet_lines"),
        ("\u2028".join("  • " + line for line in PROSE.split(" ")), "gopher_bullet_lines"),
        ((PROSE.replace(". ", "...\n") + "\n") * 1, "gopher_ellipsis_lines"),
        (PROSE + " 1234" * 30, "gopher_few_alphabetic_words"),
        (PROSE + " | word" * 40, "gopher_few_alphabetic_words"),
        ("Lovely green mountains surround every quiet village. " * 10, "gopher_few_stop_words"),
    ],
)
def test_each_quality_rule_has_its_reason(text: str, reason: str) -> None:
    failed = quality(text)
    assert failed is not None
    assert failed.reason == reason
    assert failed.value is not None


def test_a_rule_says_what_it_measured_and_against_what() -> None:
    assert quality("one two three") == ("gopher_short_document", 3, 50)
    failed = quality(PROSE + " 1234" * 30)
    tokens = re.findall(r"\w+|[^\w\s]", PROSE + " 1234" * 30)
    assert failed == ("gopher_few_alphabetic_words", sum(t.isalpha() for t in tokens) / len(tokens), 0.8)


def test_the_thresholds_themselves_pass() -> None:
    words = len(re.findall(r"\w+", PROSE))
    assert quality(PROSE, rules=Gopher(min_words=words, max_words=words)) is None
    assert quality(PROSE, rules=Gopher(min_words=words + 1)) is not None


def test_symbols_inside_of_words_are_no_tokens_of_their_own() -> None:
    text = re.sub(r"(?<=\w) (?=\w)", "-", PROSE)
    assert quality(text) is None
    assert quality(text.replace("-", " - ")) is not None


def test_stop_words_are_asked_of_english_and_word_length_not_of_scripts_without_spaces() -> None:
    german = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. " * 6
    assert quality(german, english=False) is None
    assert quality(german) == ("gopher_few_stop_words", 0, 2)
    assert quality("人人生而自由在尊严和权利上一律平等。" * 5, english=False) is None


def test_lines_and_paragraphs_that_come_again_are_measured() -> None:
    lines = [f"{chr(97 + n)} line number {n} of the text" for n in range(10)]
    no_ngrams = Repetition(top_ngrams=(), duplicate_ngrams=())
    assert repeats("\n".join(lines), no_ngrams) is None
    again = "\n".join([*lines, "short", "short", "short", "short", "short", "short"])
    assert repeats(again, no_ngrams) == ("gopher_duplicate_lines", 5 / 16, 0.3)
    long = "\n".join([*lines, lines[0] * 5, lines[0] * 5])
    assert repeats(long, no_ngrams) == ("gopher_duplicate_line_characters", len(lines[0]) * 5 / len(long), 0.2)
    paragraphs = "\n\n".join([*lines, "short", "short", "short", "short", "short", "short"])
    assert repeats(paragraphs, no_ngrams) == ("gopher_duplicate_paragraphs", 5 / 16, 0.3)
    long = "\n\n\n".join([*lines, lines[0] * 5, lines[0] * 5])
    assert repeats(long, no_ngrams) == ("gopher_duplicate_paragraph_characters", len(lines[0]) * 5 / len(long), 0.2)


def test_duplicates_counts_what_came_before() -> None:
    assert duplicates(["a", "b", "a", "a", "cc", "cc"]) == (3, 4)
    assert duplicates([]) == (0, 0)


def test_ngrams_are_measured_as_the_published_rules_measure_them() -> None:
    dice = np.random.default_rng(0)
    for vocabulary, length in ((2, 40), (3, 200), (10, 300), (50, 2000), (1000, 500), (5, 9), (5, 3)):
        for _ in range(10):
            tokens = ["x" * dice.integers(1, 9) + str(n) for n in dice.integers(0, vocabulary, length)]
            numbers = {token: n for n, token in enumerate(dict.fromkeys(tokens))}
            hashes = np.array([numbers[t] * 0x9E3779B97F4A7C15 % 2**64 for t in tokens], np.uint64)
            characters = np.array(list(map(len, tokens)), np.int32)
            top, duplicate = measure_ngrams(hashes, characters, 2, 10)
            for n in range(2, 11):
                assert top[n] == slow_top(tokens, n)
                assert duplicate[n] == slow_duplicate(tokens, n)


def slow_top(tokens: list[str], n: int) -> int:
    grams = [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return next((len(gram) * times for gram, times in Counter(grams).most_common(1)), 0)


def slow_duplicate(tokens: list[str], n: int) -> int:
    seen, count, i = set(), 0, 0
    while i <= len(tokens) - n:
        gram = tuple(tokens[i : i + n])
        if gram in seen:
            count += sum(map(len, gram))
        i += n if gram in seen else 1
        seen.add(gram)
    return count


def test_each_ngram_rule_has_its_reason() -> None:
    filler = " ".join(f"word{n}" for n in range(40))
    assert repeats(filler) is None
    failed = repeats(filler + " good night," * 15)
    assert failed is not None
    assert failed.reason == "gopher_top_2_gram"
    only = Repetition(top_ngrams=(), duplicate_ngrams=((5, 0.15),))
    text = filler + " One, two three four! " * 6
    repeated = slow_duplicate(re.findall(r"\w+|[^\w\s]", text.lower()), 5)
    assert repeats(text, only) == ("gopher_duplicate_5_grams", repeated / len(text), 0.15)


def test_case_does_not_hide_repetition_and_joined_words_are_one_token() -> None:
    lower = replace(Repetition(), top_ngrams=((1, 0.3),), duplicate_ngrams=())
    assert repeats("Again AGAIN again other", lower) == ("gopher_top_1_gram", 15 / 23, 0.3)
    assert repeats("os.path os.path os.path other", lower) == ("gopher_top_1_gram", 21 / 29, 0.3)


def test_empty_text_repeats_nothing() -> None:
    for text in ("", " ", "\n\n\n", "word"):
        assert repeats(text, Repetition(top_ngrams=())) is None
