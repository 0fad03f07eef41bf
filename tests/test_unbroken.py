"""A word of any length has the ids that it has as a whole, although it is encoded in parts."""

from __future__ import annotations

import random
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken

import packing.encode
from packing.accelerated import Encoded
from packing.pieces import LETTERS, MARKS, pieces
from packing.unbroken import INSIDE, Vocabulary, encode_unbroken
from tests.test_encode import TEXT, encoder, plain, trained

HEADS = ("", "x", " ", "'re", "1", "\n", "é", "[MASK]")


def words() -> list[str]:
    """Long words of one class, and what may stand before and after them."""
    dice = random.Random(3)
    runs = ["a", "the", "7", "19", "-", "=-", "\n", "\t", " ", "日", "한", "é", "'-", "\n ", "   \n"]
    made = [run * (dice.randint(900, 1400) // len(run)) for run in runs]
    made += [
        "".join(dice.choices(letters, k=1200)) for letters in ("thecatsonm", "0123456789", "日本語テキスト", "-=+*")
    ]
    return [dice.choice(HEADS) + word + tail for word in made for tail in ("", "x", " x", "'s", "\n")]


@pytest.mark.parametrize("by", ["fastokens", "tokenizers"])
def test_long_words_have_the_ids_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    monkeypatch.setattr(packing.encode, "PIECE", 200)
    monkeypatch.setattr(packing.encode, "GROUP", 400)
    ours, tokenizer = encoder(tmp_path), trained()
    if by == "tokenizers":
        ours.refer("asked by the test")
    in_parts = 0
    for text in words():
        if len([*pieces(text, 200)]) == 1 and ours._within_words(text, ours._refer) is not None:
            in_parts += 1
        assert ours.encode([text])[0].tolist() == plain(tokenizer, text), repr(text[:20] + text[-9:])
    assert in_parts > 40
    assert ours.by == by


def test_a_word_is_cut_where_neighbours_do_not_merge_or_stays_whole() -> None:
    """With merges that reach from end to end there is no place to cut: nothing is better than other ids."""

    def encode(text: str) -> np.ndarray:
        return np.arange(len(text), dtype=np.uint32) % 7  # ids by place: no part agrees with another

    vocabulary = Vocabulary(np.ones(7, np.int32), np.zeros(7, np.bool_), ())
    assert encode_unbroken("a" * 995, 100, encode, str, vocabulary) is None
    assert encode_unbroken("a" * 995, 100, lambda text: encode(text) * 0, str, vocabulary) is not None


def test_a_text_that_normalisation_changes_is_not_cut_inside_a_word() -> None:
    def encode(text: str) -> np.ndarray:
        return np.frombuffer(text.encode(), np.uint8).astype(np.uint32)

    vocabulary = Vocabulary(np.ones(256, np.int32), np.zeros(256, np.bool_), ())
    assert (
        encode_unbroken("e\u0301" * 200, 100, encode, lambda text: unicodedata.normalize("NFC", text), vocabulary)
        is None
    )


def test_an_added_token_is_never_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing.encode, "PIECE", 200)
    monkeypatch.setattr(packing.encode, "GROUP", 400)
    tokenizer = trained()
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in ("aaaaaaaaaaa", "ab ba", "b-b")])
    ours = encoder(tmp_path, tokenizer)
    for text in ("a" * 1500, "ab ba" * 300, "b-b" * 500, " " * 1501 + "x", ("a" * 11 + "b") * 90):
        assert ours.encode([text])[0].tolist() == plain(tokenizer, text), text[:12]


def test_letters_and_marks_are_what_they_are_taken_for_and_join_nothing_before_them() -> None:
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    joining = {part for one in every for part in unicodedata.normalize("NFD", one)[1:]}
    letters, marks = (re.findall(f"[{ranges}]", "".join(every)) for ranges in (LETTERS, MARKS))
    assert len(letters) > 30_000
    assert len(marks) > 30
    assert {unicodedata.category(one)[0] for one in letters} == {"L"}
    assert {unicodedata.category(one)[0] for one in marks} == {"P", "S"}
    assert not joining & {*letters, *marks}
    assert INSIDE.match("'rest", 3) is None
    assert INSIDE.match("'rester", 5) is not None


def test_a_long_document_takes_memory_in_proportion_to_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured as the library is asked: nothing longer than GROUP, though the document is 40 times as long."""
    monkeypatch.setattr(packing.encode, "PIECE", 1000)
    monkeypatch.setattr(packing.encode, "GROUP", 4000)
    ours, longest = encoder(tmp_path), 0

    def watched(texts: list[str]) -> Encoded:
        nonlocal longest
        longest = max(longest, sum(map(len, texts)))
        return ours._refer(texts)

    for text in ("a" * 160_000, " " * 160_000, "한" * 160_000, "the cat " * 20_000, TEXT * 1500, "x,1" * 50_000):
        found, counts = ours._encode([text, "b"], watched)
        assert counts.sum() == len(found)
        assert longest <= 4000
