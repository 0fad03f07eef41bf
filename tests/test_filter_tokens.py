"""Tokens are cut at their punctuation as spaCy's English rules cut them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from pipeline.filters import web
from pipeline.filters.lines import split_lines
from pipeline.filters.settings import WebFilters
from pipeline.filters.tokens import count_line_tokens, count_tokens


class Count(NamedTuple):
    tokens: int
    lettered: int
    words: int
    characters: int
    alone: int


def count(text: str, english: bool = True) -> Count:
    data = np.frombuffer(text.encode(), np.uint8)
    return Count(*(int(n[0]) for n in count_tokens(data, np.array([0, len(data)]), np.array([english]))))


@pytest.mark.parametrize(
    "tokens",
    [
        "Hello ,", "world !", "( seen ) .", "“ Hi , ”", "' quoted '", "` code `", "< stdin >", "[ 1 ]",
        "foo_bar ( )", "_ _ init _ _", "* * *", "! ! !", "$ 5.00", "100 %", "# define", "& amp ;", "% s", "数 。",
        "--option", "-x", "---", "os.path", "v1.2", "3.14", "1,000", "10:30", "+1", "i+1", "x[0 ]", "@param",
        "C++", "~/.bashrc", "user@host.com", "http://foo.org/bar-baz?x=1", "( www.example.org/a:b/c-d )",
        "foo.org:8080/a/b", "/usr / bin / env", "key = value", "a - b", "x — y", "foo : bar", "5 - 10", "2 * 3",
        "end . Start", "yes , no", "wait ... what", "so ...", "... so", "e.g.", "U.S.", "A.", "end .", "1 .",
        "it 's", "it ’s", "do n't", "ca n’t", "we 'll", "they 've", "I 'm", "'' twice ''", "a→b", "25 °", "|",
        "•item", "été .", "x" * 300,
    ],
)  # fmt: skip
def test_a_chunk_is_cut_where_the_spaces_stand_here(tokens: str) -> None:
    found = count(tokens.replace(" ", ""))
    assert found.tokens == len(tokens.split())
    assert found.lettered == sum(any(map(str.isalpha, token)) for token in tokens.split())
    words = [token for token in tokens.split() if any(map(str.isalnum, token))]
    assert (found.words, found.characters) == (len(words), sum(map(len, words)))


def test_chunks_stand_between_the_spaces_of_python() -> None:
    assert count("one\u00a0two\u2028three\x0b\x1cfour\u3000five") == (5, 5, 5, 19, 0)
    assert count("") == count(" \n\t") == (0, 0, 0, 0, 0)


def test_characters_of_scripts_without_spaces_are_words_unless_the_text_is_english() -> None:
    assert count("我爱北京天安门。", english=False) == (8, 7, 7, 7, 7)
    assert count("我爱北京天安门。") == (2, 1, 1, 7, 0)
    assert count("Python编程", english=False) == (3, 3, 3, 8, 2)


def test_documents_of_a_batch_are_counted_apart() -> None:
    texts = ["(a", "b)", "", "don't", "é.", "..", "我"] * 3
    data = np.frombuffer("".join(texts).encode(), np.uint8)
    offsets = np.cumsum([0, *(len(text.encode()) for text in texts)])
    together = count_tokens(data, offsets, np.zeros(len(texts), np.bool_))
    assert [tuple(n[d] for n in together) for d in range(len(texts))] == [count(text, english=False) for text in texts]


@pytest.mark.parametrize(
    "text", ["a" * 10**6, "." * 10**6, "a/" * 10**6, "@" * 10**6, "a." * 10**6, "n't" * 10**6, "(" * 10**6]
)
def test_a_chunk_without_end_is_counted_in_a_time_that_grows_with_its_length(text: str) -> None:
    assert count(text).tokens >= 1


def test_no_token_goes_over_the_end_of_a_line() -> None:
    texts = ["one, two,\nthree\r\n(four)\u2028don't\x1cstop", "", "\n\n", "我爱\u0085北京", "a,\n", "x\x0b, y"] * 2
    data = np.frombuffer("".join(texts).encode(), np.uint8)
    offsets = np.cumsum([0, *(len(text.encode()) for text in texts)])
    english = np.arange(len(texts)) % 2 == 0
    lines = split_lines(data, offsets)
    counts, each = count_line_tokens(lines, english)
    np.testing.assert_array_equal(counts, count_tokens(data, offsets, english))
    parts = [
        [count(line, bool(e)).tokens for line in text.splitlines()] for text, e in zip(texts, english, strict=True)
    ]
    assert each.tolist() == [n for part in parts for n in part]


def test_the_tokens_that_c4_leaves_are_those_of_the_text_it_leaves() -> None:
    lines = [
        "We use cookies here.",
        "A note[12] of [edit] two marks.",
        "It is so, is it not?",
        "no",
        "Well (it is) [3]",
    ]
    dice = np.random.default_rng(0)
    texts = ["\n".join(dice.choice(lines, 6)) for _ in range(40)]
    batch = pa.record_batch([pa.array(texts, pa.large_string())], names=["text"])
    every = np.ones(len(texts), np.bool_)
    before = web.measure(batch, every, WebFilters())
    after = web.measure(pa.record_batch([before.texts], names=["text"]), every, WebFilters(c4=None))
    for name in ("fineweb.newlines", "fineweb.lines"):
        np.testing.assert_array_equal(before.columns[name], after.columns[name])
