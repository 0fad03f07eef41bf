"""Folding: what the fast look at bytes passes over is what folding would not change."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pipeline.decontaminate.fold import fold, folded, unfolded
from pipeline.words import text_of

EVERY = [chr(code) for code in (*range(0x20, 0xD800), *range(0xE000, 0x20000))]


def batch(texts: list[str]) -> list[str]:
    data, offsets = folded(*text_of(pa.array(texts, pa.large_string())))
    return [data[a:b].tobytes().decode() for a, b in pairwise(offsets.tolist())]


@pytest.mark.parametrize("before", ["", "e", "か", "ᄀ"])
def test_a_batch_is_folded_as_each_text_is_for_every_character(before: str) -> None:
    texts = [f"{before}{character}x" for character in EVERY]
    spaces = str.maketrans("\u2000\u2001", "\u2002\u2003")  # NFC takes one space for another; words have none
    assert [text.translate(spaces) for text in batch(texts)] == [fold(text) for text in texts]


def test_different_ways_of_writing_the_same_fold_to_the_same() -> None:
    assert fold("Stra\u00dfe".upper()).lower() == fold("Stra\u00dfe").lower()
    assert fold("e\u0301\u00adcole \ufb01n") == "\u00e9cole fin"


@pytest.mark.parametrize(
    "text", ["plain", "e\u0301te\u0301 \u00adnai\u0308ve Stra\u00dfe", "\u1112\u1161\u11ab \u304b\u3099", ""]
)
def test_places_in_the_folded_text_lead_back_to_the_same_characters(text: str) -> None:
    small = fold(text)
    starts = np.cumsum([0, *(len(character.encode()) for character in small)])
    found = unfolded(text, starts)
    assert found is not None
    content = text.encode()
    for n, character in enumerate(small):
        part = content[found[n] : found[n + 1]].decode()
        assert fold(part) == character or fold(part) == "" or character in fold(content[found[n] :].decode())
    assert found[-1] == len(content)
    assert (np.diff(found) >= 0).all()
