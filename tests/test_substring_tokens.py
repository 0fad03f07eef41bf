"""The written form of texts, the hashes of runs of tokens, and the texts that are left of a cut."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dedup.substrings.anchors import anchors
from pipeline.dedup.substrings.cut import Spans, marked, united, without
from pipeline.dedup.substrings.ranges import Known
from pipeline.dedup.substrings.tokens import Written, pieces, reread, run_hashes, token_ends, written
from pipeline.words import Words
from tests.toy_substrings import TOKEN

TEXTS = [
    "Größe, größe!  don't",
    "",
    "日本語 and ไทย\u0301 x",
    "....  == \u200b\n\t",
    "a" * 70 + " 3.14",
    "e\u0301e\u0301 e\u0301",
]


def scanned(texts: list[str]) -> Words:
    ((_, words),) = pieces(pa.array(texts, pa.large_string()))
    return words


def tokens_of(text: Written) -> list[bytes]:
    return [text.data[a:b].tobytes() for a, b in zip(text.starts[:-1].tolist(), text.starts[1:].tolist(), strict=True)]


def test_the_written_form_is_the_tokens_with_a_space_after_each() -> None:
    words = scanned(TEXTS)
    text = written(words)
    assert tokens_of(text) == [f"{words.text(n)} ".encode() for n in range(len(words.starts))]
    assert text.bounds.tolist() == words.bounds.tolist()
    ends = token_ends(words.data, words.starts, words.characters)
    assert [words.data[a:b].tobytes().decode() for a, b in zip(words.starts, ends, strict=True)] == [
        words.text(n) for n in range(len(ends))
    ]


def test_the_written_form_is_read_again_as_it_was_written() -> None:
    text = written(scanned(TEXTS))
    again = reread(text.data, text.starts[text.bounds])
    assert again.starts.tolist() == text.starts.tolist()
    assert again.bounds.tolist() == text.bounds.tolist()


@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 7, 8, 25, 50])
def test_runs_have_equal_hashes_if_and_only_if_their_tokens_are_equal(tokens: int) -> None:
    dice = random.Random(tokens)
    text = written(scanned([" ".join(dice.choices(["x", "X", "yy"], k=400)) + " x" * 200 + " x yy" * 100]))
    found, each = run_hashes(text, tokens), tokens_of(text)
    assert len(found) == len(each) - tokens + 1
    by_hash = defaultdict(set)
    for at, value in enumerate(found.tolist()):
        by_hash[value].add(tuple(each[at : at + tokens]))
    assert all(len(runs) == 1 for runs in by_hash.values())
    assert len(by_hash) == len({tuple(each[at : at + tokens]) for at in range(len(found))})
    assert len(by_hash) > 1


def test_equal_windows_have_equal_anchors_and_every_window_has_one() -> None:
    dice = random.Random(3)
    texts = [" ".join(f"w{dice.randrange(4)}" for _ in range(size)) for size in (300, 5, 12, 0, 11, 500)]
    text = written(scanned(texts))
    each = tokens_of(text)
    anchor_of: dict[int, int] = {}
    hashes, windows = anchors(text, 12)
    seen = defaultdict(set)
    for value, (begin, end) in zip(hashes.tolist(), windows.tolist(), strict=True):
        for window in range(begin, end):
            assert anchor_of.setdefault(window, value) == value
            seen[tuple(each[window : window + 12])].add(value)
    bounds = text.bounds.tolist()
    assert sorted(anchor_of) == [w for a, b in pairwise(bounds) for w in range(a, b - 11)]
    assert all(len(values) == 1 for values in seen.values())


def test_a_set_of_hashes_knows_its_own_and_no_others() -> None:
    dice = np.random.default_rng(1)
    for size in (0, 1, 2, 1_000):
        hashes = np.unique(dice.integers(0, 1 << 64, size, np.uint64))
        asked = np.concatenate([hashes[::2], hashes + np.uint64(1), np.array([0, (1 << 64) - 1], np.uint64)])
        place = {value: n for n, value in enumerate(hashes.tolist())}
        assert Known(hashes).find(asked).tolist() == [place.get(value, -1) for value in asked.tolist()]


def parts(text: str) -> tuple[bytes, np.ndarray, np.ndarray]:
    found = [match.span() for match in TOKEN.finditer(text)]
    return text.encode(), np.array([a for a, _ in found], np.int64), np.array([b for _, b in found], np.int64)


@pytest.mark.parametrize(
    ("text", "spans", "wanted"),
    [
        ("a b c d", [(1, 3)], "a d"),
        ("a.b.c", [(1, 4)], "a c"),
        ("a\nb c\n\n  d", [(1, 3)], "a\n\n  d"),
        ("a\n\nb c d", [(1, 3)], "a\n\nd"),
        ("  a b c\n", [(0, 2)], "c\n"),
        ("# a b\n    c d", [(0, 3)], "    c d"),
        ("a b c\n", [(1, 3)], "a\n"),
        ("a b c", [(1, 3)], "a"),
        ("a b c d e f", [(0, 1), (2, 3), (5, 6)], "b d e"),
        (" a b\n", [(0, 2)], ""),
        ("a b", [], "a b"),
    ],
)
def test_what_is_left_of_a_text_keeps_its_gaps(text: str, spans: Spans, wanted: str) -> None:
    assert without(*parts(text), spans).text == wanted


def test_what_is_left_of_a_text_has_the_tokens_that_stay() -> None:
    dice = random.Random(4)
    for _ in range(300):
        text = "".join(
            dice.choice(["a", "bc", ".", "=", " ", "\n", "\n\n", "  "]) for _ in range(dice.randrange(1, 30))
        )
        data, begins, ends = parts(text)
        spans = united((a, a + dice.randrange(1, 6)) for a in range(len(begins) - 5) if dice.random() < 0.2)
        stay = [
            text[a:b]
            for n, (a, b) in enumerate(zip(begins, ends, strict=True))
            if all(not s <= n < e for s, e in spans)
        ]
        cut = without(data, begins, ends, spans).text
        assert "".join(cut.split()) == "".join(stay)
        put = marked(data, begins, ends, spans, "@").text
        assert put.count("@") == len(spans)
        assert "".join(put.replace("@", "").split()) == "".join(stay)


def test_spans_that_touch_are_one() -> None:
    assert united([(5, 7), (1, 3), (3, 4), (6, 6), (9, 12), (10, 11)]) == [(1, 4), (5, 7), (9, 12)]
