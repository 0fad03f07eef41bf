"""Words are those of Python's `re`, whatever the text is written in."""

from __future__ import annotations

import gzip
import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest

from pipeline.words import ALONE, INNER, LETTER, SYMBOL, UNSPACED, WORD, Words, scan, scan_batch

MARKS = "".join(
    re.escape(chr(c)) for c in range(0x110000) if unicodedata.category(chr(c)).startswith("M") and not chr(c).isalnum()
)
WORDS = re.compile(
    rf"(?=\w)[{UNSPACED}][{MARKS}]*|[^\W{UNSPACED}][^\W{UNSPACED}{MARKS}]*(?:[{MARKS}]+[^\W{UNSPACED}]*)*"
)
"""The published definition as a pattern (a mark inside of UNSPACED is no \\w and begins no word)."""

ODD = [
    "",
    " \t\n\r\f\v\u00a0\u2028\u200b\ufeff\x00",
    "Hello, World! It's 3.14 -- a_b __ x2",
    "İstanbul DİYARBAKIR ı I i\u0307",
    "ΟΔΥΣΣΕΥΣ ΣΑΣ σς",
    "ǅ Ǆ ẞ ß ﬁ K Å Ω 𝔘𝔫𝔦 𐐀𐐨",
    "e\u0301 cafe\u0301s \u0301x n\u0303",
    "हिन्दी में लिखा हुआ और বাংলা தமிழ்",
    "我爱北京天安门，你好 abc中文def 〇々",
    "ひらがなカタカナー ﾊﾟﾋﾟ が\u3099",
    "ภาษาไทยก็ดี ລາວ ខ្មែរ မြန်မာ ๑๒๓",
    "العَرَبِيَّة می‌خواهم עִבְרִית",
    "한국어 문장 ㄱㄴ",
    "👩‍👩‍👧 ❤️❤️ 🇩🇪 😂😂😂",
    "²³½ Ⅷ ① ⓐ ٣٤ _ ‿ a‿b",
    "\ue000 \U000f0000 \U000e0100 \U0003ffff",
    "soft\u00adhyphen zero\u200dwidth word\u2060joiner",
]


def read(*texts: str) -> Words:
    return scan_batch(pa.array(texts, pa.large_string()))


def tokens(words: Words, document: int = 0, kind: int = WORD | SYMBOL) -> list[str]:
    a, b = words.bounds[document], words.bounds[document + 1]
    return [words.text(token) for token in range(a, b) if words.kinds[token] & kind]


def lower(word: str) -> str:
    return "".join(map(str.lower, word)).replace("ς", "σ")


def assert_like_re(*texts: str) -> None:
    words = read(*texts)
    hashes: dict[str, int] = {}
    for document, text in enumerate(texts):
        found = tokens(words, document, WORD)
        if not re.search(f"[{UNSPACED}{MARKS}]", lower(text)):
            assert list(map(lower, found)) == re.findall(r"\w+", lower(text))
        assert found == WORDS.findall(text)
        for word, value in zip(found, words.word_hashes(document).tolist(), strict=True):
            assert hashes.setdefault(lower(word), value) == value, word
    assert len(set(hashes.values())) == len(hashes), "two words have one hash"


def test_words_are_the_runs_that_re_finds_in_every_script() -> None:
    assert_like_re(*ODD)


def test_words_are_the_runs_that_re_finds_in_random_characters() -> None:
    dice = np.random.default_rng(0)
    pools = [
        np.r_[32:127],
        np.r_[0:0xD800],
        np.r_[0x10000:0x20000],
        np.r_[0xE00:0x1100, 0x3000:0x3100, 0x300:0x370],
    ]
    texts = ["".join(map(chr, dice.choice(pool, 400).tolist())) for pool in pools for _ in range(20)]
    mixed = ["".join(map(chr, dice.choice(np.concatenate(pools), 400).tolist())) for _ in range(20)]
    assert_like_re(*texts, *mixed)


@pytest.mark.skipif("BERTMILL_CORPUS" not in os.environ, reason="BERTMILL_CORPUS names no folder")
def test_words_are_the_runs_that_re_finds_in_a_real_corpus() -> None:
    with gzip.open(Path(os.environ["BERTMILL_CORPUS"]) / "text/langid/udhr2.jsonl.gz") as file:
        assert_like_re(*(orjson.loads(line)["text"] for line in file))


def test_every_character_is_classed_as_python_classes_it() -> None:
    every = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    words = read(*every)
    kinds = np.zeros(len(every), np.uint8)
    kinds[np.diff(words.bounds) > 0] = words.kinds
    for character, kind in zip(every, kinds.tolist(), strict=True):
        assert bool(kind & WORD) == bool(re.match(r"\w", character)), hex(ord(character))
        assert bool(kind & LETTER) == character.isalpha(), hex(ord(character))
        assert bool(kind & ALONE) == bool(re.match(rf"(?=\w)[{UNSPACED}]", character)), hex(ord(character))


def test_case_does_not_change_a_hash() -> None:
    upper, small = read("ÀÉ Straße İx ΟΔΟΣ Ǆ"), read("àé straße i\u0307x οδος ǆ")
    assert upper.hashes.tolist() == small.hashes.tolist()
    assert upper.characters.tolist() == [2, 6, 2, 4, 1]


def test_a_hash_is_that_of_the_lower_cased_characters_and_the_same_on_every_machine() -> None:
    for word in ("word", "Wörter", "İx", "我", "𐐀", "..."):
        h = 0xCBF29CE484222325
        for character in lower(word):
            h = (h ^ ord(character)) * 0x9E3779B97F4A7C15 % 2**64
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            h = (h ^ h >> 33) * factor % 2**64
        assert read(word).hashes.tolist() == [h ^ h >> 33]


def test_symbols_are_single_or_runs_of_one_and_those_inside_of_words_are_marked() -> None:
    words = read("don't a/b: 3.14 ... ====!! (x) 我,你 a--b")
    assert tokens(words, kind=SYMBOL) == ["'", "/", ":", ".", "...", "====", "!!", "(", ")", ",", "--"]
    assert tokens(words, kind=INNER) == ["'", "/", "."]


def test_spaces_controls_and_invisible_characters_give_no_token() -> None:
    words = read(ODD[1], "\u200b\u200d\u2060\u00ad\ufeff", "\u0301 \ufe0f", "")
    assert words.bounds.tolist() == [0, 0, 0, 0, 0]


def test_a_slice_of_a_column_has_the_words_of_its_rows_only() -> None:
    for kind in (pa.string(), pa.large_string()):
        column = pa.array(["first one", "ünd", None, "", "third 3"], kind)
        words = scan_batch(column.slice(1, 4))
        assert len(words) == 4
        assert [tokens(words, d) for d in range(4)] == [["ünd"], [], [], ["third", "3"]]
        assert scan_batch(column.slice(1, 0)).bounds.tolist() == [0]
    assert len(scan_batch(pa.array([], pa.large_string()))) == 0


def test_words_do_not_reach_across_documents() -> None:
    data = np.frombuffer("abcdefé".encode(), np.uint8)
    words = scan(data, np.array([1, 3, 3, 8]))
    assert [tokens(words, d) for d in range(3)] == [["bc"], [], ["defé"]]
    assert words.characters.tolist() == [2, 4]


def test_a_text_of_nothing_but_short_tokens_has_all_of_them() -> None:
    text = "a!b?" * 5000
    assert tokens(read(text)) == list(text)
