"""The normalised text equals Python's own words for it, whatever way it is found."""

from __future__ import annotations

import random
import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dedup.normal import PIECE_BYTES, normalised, pieces


def expected(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def ours(texts: list[str]) -> list[str]:
    out = []
    for data, offsets in pieces(pa.array(texts, pa.large_string())):
        out += [data[a:b].tobytes().decode() for a, b in pairwise(offsets)]
    return out


ODD = [
    "",
    " \t\r\n\v\f",
    "a",
    "  two   words ",
    "\x1ca\x1d\x1e\x1fb",
    "a\x85b\xa0c\u1680d\u2028e\u2029f\u202fg\u205fh\u3000i",
    "\u2000\u2001a\u200a\u200b b",
    "e\u0301te\u0301 \u212b \u2126",
    "é à",
    "한국\u1112\u1161\u11ab",
    "日本語　テキスト\nか\u3099",
    "a\0b",
    "\u0958 \ufb1d",
    "\U0001f469\u200d\U0001f52c  ok",
]


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_are_normalised_as_python_does(text: str) -> None:
    assert ours([text]) == [expected(text)]


def test_every_character_between_two_letters_is_normalised_as_python_does() -> None:
    texts = [f"a{chr(code)} b" for code in (*range(0xD800), *range(0xE000, 0x11000))]
    assert ours(texts) == [expected(text) for text in texts]


def test_random_mixtures_in_slices_of_a_column_are_normalised_as_python_does() -> None:
    dice = random.Random(1)
    alphabet = "ab \n\t\xa0é\u0301\u2003\u3000日ｱ\u0327"
    texts = ["".join(dice.choices(alphabet, k=dice.randrange(40))) for _ in range(2_000)]
    column = pa.array(texts, pa.large_string()).slice(137, 1_500)
    found = [data[a:b].tobytes().decode() for data, offsets in pieces(column) for a, b in pairwise(offsets)]
    assert found == [expected(text) for text in texts[137:1637]]


def test_a_long_document_stands_alone_and_short_ones_come_together() -> None:
    long = "x" * (PIECE_BYTES + 1)
    sizes = [len(offsets) - 1 for _, offsets in pieces(pa.array(["a", "b", long, "c", "d"], pa.large_string()))]
    assert sizes == [2, 1, 2]
    assert list(pieces(pa.array([], pa.large_string()))) == []


def test_a_batch_that_needs_nothing_keeps_its_bytes() -> None:
    data, offsets = np.frombuffer(b"one twothree", np.uint8), np.array([0, 7, 12])
    same, bounds = normalised(data, offsets)
    assert same.tobytes() == data.tobytes()
    assert bounds.tolist() == offsets.tolist()
