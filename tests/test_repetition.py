"""Gopher's repetition rules measure what the slow, plain form of the published rules measures."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa

from pipeline.filters import repetition
from pipeline.filters.measures import stored
from pipeline.filters.repetition import measure_ngrams
from pipeline.filters.rules import Column, first_failed
from pipeline.filters.settings import Repetition
from pipeline.words import SYMBOL, WORD, Words, scan_batch, text_of

NO_NGRAMS = Repetition(top_ngrams=(), duplicate_ngrams=())
PARTS = ("duplicate_paragraphs", "duplicate_paragraph_characters", "duplicate_lines", "duplicate_line_characters")


def measure(texts: list[str], settings: Repetition) -> dict[str, Column]:
    column = pa.array(texts, pa.large_string())
    return repetition.measure(*text_of(column)) | repetition.measure_words(scan_batch(column), settings)


def failed(text: str, settings: Repetition | None = None) -> tuple[str, float, object] | None:
    settings = settings or Repetition()
    rules, columns = repetition.rules(settings), stored(measure([text], settings))
    number = first_failed(columns, rules, 1)[0]
    rule = rules[number]
    return None if number < 0 else (rule.reason, float(columns[rule.column][0]), rule.threshold)


def single(value: float) -> float:
    return float(np.float32(value))


def test_prose_and_text_of_nothing_repeat_nothing() -> None:
    for text in (
        "",
        " ",
        "\n\n\n",
        "word",
        "Every spring it rises over its banks. Nobody moves away, and nobody would.",
    ):
        assert all(values[0] == 0 for name, values in measure([text], NO_NGRAMS).items()), text
        assert failed(text, Repetition(top_ngrams=())) is None


def test_lines_and_paragraphs_that_come_again_are_measured() -> None:
    lines = [f"{chr(97 + n)} line number {n} of the text" for n in range(10)]
    assert failed("\n".join(lines), NO_NGRAMS) is None
    again = "\n".join([*lines, "short", "short", "short", "short", "short", "short"])
    assert failed(again, NO_NGRAMS) == ("gopher_duplicate_lines", single(5 / 16), 0.3)
    long = "\n".join([*lines, lines[0] * 5, lines[0] * 5])
    assert failed(long, NO_NGRAMS) == (
        "gopher_duplicate_line_characters", single(len(lines[0]) * 5 / len(long)), 0.2,
    )  # fmt: skip
    paragraphs = "\n\n".join([*lines, "short", "short", "short", "short", "short", "short"])
    assert failed(paragraphs, NO_NGRAMS) == ("gopher_duplicate_paragraphs", single(5 / 16), 0.3)
    long = "\n\n\n".join([*lines, lines[0] * 5, lines[0] * 5])
    assert failed(long, NO_NGRAMS) == (
        "gopher_duplicate_paragraph_characters", single(len(lines[0]) * 5 / len(long)), 0.2,
    )  # fmt: skip


def plain_parts(text: str) -> list[float]:
    """Shares of paragraphs, their characters, lines, their characters that came before; empty lines are none."""
    measured = []
    for parts in (re.split(r"\n{2,}", text.strip()), text.split("\n")):
        before: set[str] = set()
        again = [part for part in parts if part and (part in before or before.add(part))]  # type: ignore[func-returns-value]
        measured += [len(again) / max(1, sum(map(bool, parts))), sum(map(len, again)) / max(1, len(text))]
    return measured


def test_parts_are_measured_as_the_plain_form_measures_them() -> None:
    dice = np.random.default_rng(0)
    pieces = ["a", "ä b", "\n", "\n", "\n\n", " ", "a line of some length, 17", "\u2028", "\r\n", "我"]
    texts = ["".join(pieces[i] for i in dice.integers(0, len(pieces), dice.integers(0, 30))) for _ in range(500)]
    columns = measure(texts, NO_NGRAMS)
    for d, text in enumerate(texts):
        assert [columns[f"repetition.{name}"][d] for name in PARTS] == plain_parts(text), repr(text)


def words_of(tokens: list[list[str]]) -> Words:
    """Documents of words without inner symbols, one space between two."""
    return scan_batch(pa.array([" ".join(document) for document in tokens], pa.large_string()))


def test_ngrams_are_measured_as_the_published_rules_measure_them() -> None:
    dice = np.random.default_rng(0)
    documents = [
        ["x" * dice.integers(1, 9) + str(n) for n in dice.integers(0, vocabulary, length)]
        for vocabulary, length in ((2, 40), (3, 200), (10, 300), (50, 2000), (1000, 500), (5, 9), (5, 3), (1, 0))
        for _ in range(10)
    ]
    top, duplicate, characters = measure_ngrams(words_of(documents), 2, 10)
    for d, tokens in enumerate(documents):
        assert characters[d] == max(1, len(" ".join(tokens)))
        for n in range(2, 11):
            assert top[n, d] == plain_top(tokens, n)
            assert duplicate[n, d] == plain_duplicate(tokens, n)


def plain_top(tokens: list[str], n: int) -> int:
    grams = [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return next((len(gram) * times for gram, times in Counter(grams).most_common(1)), 0)


def plain_duplicate(tokens: list[str], n: int) -> int:
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
    assert failed(filler) is None
    told = failed(filler + " good night," * 15)
    assert told is not None
    assert told[0] == "gopher_top_2_gram"
    only = Repetition(top_ngrams=(), duplicate_ngrams=((5, 0.15),))
    text = filler + " One, two three four! " * 6
    repeated = plain_duplicate(re.findall(r"\w+|[^\w\s]", text.lower()), 5)
    assert failed(text, only) == ("gopher_duplicate_5_grams", single(repeated / len(text)), 0.15)


def test_case_does_not_hide_repetition_and_joined_words_are_one_token() -> None:
    lower = replace(Repetition(), top_ngrams=((1, 0.3),), duplicate_ngrams=())
    assert failed("Again AGAIN again other", lower) == ("gopher_top_1_gram", single(15 / 23), 0.3)
    assert failed("os.path os.path os.path other", lower) == ("gopher_top_1_gram", single(21 / 29), 0.3)


def test_of_an_endless_document_the_beginning_is_measured() -> None:
    half = repetition.BEGINNING // 2
    tokens = ["again"] * half + [str(n) for n in range(half)]
    words = words_of([tokens, [*tokens, *["other words"] * 1000]])
    assert np.count_nonzero(words.kinds & (WORD | SYMBOL)) > 2 * repetition.BEGINNING
    top, duplicate, characters = measure_ngrams(words, 2, 3)
    assert top[:, 0].tolist() == top[:, 1].tolist()
    assert duplicate[:, 0].tolist() == duplicate[:, 1].tolist()
    assert characters[1] == characters[0] + 1  # and the space before the first token that is not looked at
