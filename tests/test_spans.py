"""The same words are hidden whatever the tokenizer, and what they cost is the sum over their tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from packing.encode import Encoder
from packing.shards import Shards
from tests.toy_training import document, shards_at, tokenizer_at
from train.guessers import plain
from train.spans import LONGEST, Guesser, Window, bytes_of, hidden, score, texts_of, words_in

TEXT = "The miller's wheel — 42 turns, isn't it? def f(x_1):\n    return [x_1]  # ünïcödé 漢字 🙂🙂"


def shown(text: str, spans: np.ndarray) -> list[str]:
    return [text[a:z] for a, z in spans.tolist()]


def test_words_are_runs_of_letters_and_runs_of_signs_and_never_spaces() -> None:
    found = shown(TEXT, words_in(TEXT))
    assert found[:10] == ["The", "miller's", "wheel", "—", "42", "turns", ",", "isn't", "it", "?"]
    assert found[10:16] == ["def", "f", "(", "x", "_", "1"]
    assert found[-3:] == ["ünïcödé", "漢字", "🙂🙂"]
    assert "".join(found) == "".join(TEXT.split())
    assert shown("a" * 40, words_in("a" * 40)) == ["a" * LONGEST, "a" * LONGEST, "a" * 8]
    assert words_in(" \n ").shape == (0, 2)


def test_hidden_words_depend_on_the_text_alone_and_are_among_those_of_a_higher_rate() -> None:
    text = " ".join(f"word{n}" for n in range(200))
    few, many = hidden(text, 0.15), hidden(text, 0.3)
    assert (len(few), len(many)) == (30, 60)
    assert set(shown(text, few)) < set(shown(text, many))
    assert few.tolist() == sorted(few.tolist()) == hidden(text, 0.15).tolist()
    assert shown(text, few) != shown(text, hidden(text + " more", 0.15)[:30])


class Flat:
    """Finds every token as likely as the first of its vocabulary is by `lean`, and notes what it was asked."""

    def __init__(self, tokenizer: Tokenizer, unknown: str | None, context: int = 64, favourite: int = 0) -> None:
        self.size = max(tokenizer.get_vocab().values()) + 1
        self.asked: list[Window] = []
        self.favourite = favourite
        self.guesser = Guesser(
            tokenizer=plain(tokenizer),
            before=[self.size],
            after=[self.size + 1],
            mask=self.size + 2,
            unknown=None if unknown is None else tokenizer.token_to_id(unknown),
            context=context,
            guess=self.guess,
        )

    def guess(self, windows: Sequence[Window]) -> Iterator[torch.Tensor]:
        self.asked += windows
        for window in windows:
            logits = torch.zeros(len(window.places), self.size)
            logits[:, self.favourite] = 1e-6
            yield logits


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tokenizer_at(tmp_path_factory.mktemp("spans") / "tokenizer.json", merges=80)


TEXTS = [document("web", 5) + " " + TEXT, TEXT, "one", " "]


def test_every_token_that_touches_a_hidden_word_is_masked_once_and_no_other(byte_level: Path) -> None:
    flat = Flat(Tokenizer.from_file(str(byte_level)), "[UNK]", context=20)
    found = score(flat.guesser, TEXTS, 0.3)
    assert found
    tokenizer, sizes = Tokenizer.from_file(str(byte_level)), []
    expected: list[int] = []
    for text in TEXTS:
        spans = hidden(text, 0.3).tolist()
        sizes += [len(text[a:z].encode()) for a, z in spans]
        encoding = tokenizer.encode(text)
        for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            if any(start < z and end > a for a, z in spans):
                expected.append(token)
    assert sorted(label for window in flat.asked for label in window.labels.tolist()) == sorted(expected)
    for window in flat.asked:
        assert len(window.ids) <= 20
        assert window.ids[0] == flat.size
        assert window.ids[-1] == flat.size + 1
        assert (window.ids[window.places] == flat.size + 2).all()
        assert np.count_nonzero(window.ids == flat.size + 2) == len(window.places)
    assert (found.words, found.bytes, found.tokens) == (len(sizes), sum(sizes), len(expected))
    assert found.unknown == 0
    assert found.bits_per_byte == pytest.approx(len(expected) * math.log2(flat.size) / sum(sizes), rel=1e-5)


def test_tokenizers_are_asked_for_the_same_bytes_and_rates_for_others(byte_level: Path) -> None:
    letters = Flat(Tokenizer.from_file(str(byte_level)), "[UNK]")
    words = Tokenizer(WordLevel({"[UNK]": 0, "the": 1, "cat": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    coarse = Flat(words, "[UNK]", context=16)
    one, other = score(letters.guesser, TEXTS, 0.3), score(coarse.guesser, TEXTS, 0.3)
    assert one
    assert other
    assert (one.asked, one.words, one.bytes) == (other.asked, other.words, other.bytes)
    assert one.tokens != other.tokens
    less = score(letters.guesser, TEXTS, 0.15)
    assert less
    assert less.asked != one.asked
    assert score(letters.guesser, [" ", ""], 0.15) is None


def test_unknown_words_cost_their_bytes_beside_the_surprise_of_the_unknown_token() -> None:
    words = Tokenizer(WordLevel({"[UNK]": 0, "cat": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    flat = Flat(words, "[UNK]")
    found = score(flat.guesser, ["cat dögs cat"], 0.99)
    assert found
    assert (found.words, found.bytes, found.tokens, found.unknown) == (3, 3 + 5 + 3, 3, 1)
    assert found.bits_per_byte == pytest.approx((3 * math.log2(2) + 8 * 5) / 11, rel=1e-5)


def test_a_word_counts_as_guessed_when_all_its_tokens_are() -> None:
    words = Tokenizer(WordLevel({"cat": 0, "dog": 1, "[UNK]": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    found = score(Flat(words, "[UNK]").guesser, ["cat dog cat dog"], 0.99)
    assert found
    assert found.accuracy == 0.5
    joined = Tokenizer(WordLevel({"x": 0, "'": 1, "[UNK]": 2}, unk_token="[UNK]"))
    joined.pre_tokenizer = Whitespace()
    parts = score(Flat(joined, "[UNK]").guesser, ["x'x x x"], 0.99)  # x'x is one word of three tokens
    assert parts
    assert (parts.words, parts.tokens) == (3, 5)
    assert parts.accuracy == pytest.approx(2 / 3)


def test_rows_give_back_the_text_they_were_packed_from(byte_level: Path, tmp_path: Path) -> None:
    shards = Shards(shards_at(tmp_path / "rows", byte_level, "web", 512, range(40)))
    pieces = texts_of(shards.rows(np.arange(len(shards))), bytes_of(Tokenizer.from_file(str(byte_level))))
    assert sorted(pieces) == sorted(document("web", number) for number in range(40))


def test_a_character_that_a_row_cuts_through_is_left_out(byte_level: Path) -> None:
    from packing.flat import Rows

    encoder = Encoder(byte_level)
    ids = encoder.encode(["ab漢"])[0]
    assert len(ids) == 5
    cut = np.array([encoder.cls, *ids[:4], encoder.sep, encoder.cls, *ids[4:], encoder.sep], np.uint16)
    rows = Rows(cut, np.array([0, 6, 9], np.int32), np.zeros(2, np.uint64), np.array([0, 9]))
    assert texts_of(rows, bytes_of(Tokenizer.from_file(str(byte_level)))) == ["ab", ""]
