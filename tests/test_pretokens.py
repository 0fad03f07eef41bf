"""Words are cut and counted exactly as `tokenizers` cuts them before it merges."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel

from pipeline.pretokens import LONGEST, WordTable
from pipeline.tokenizer import LITERALS, PERSONAL, letters

CUTTER = ByteLevel(add_prefix_space=False, use_regex=True)


def joined(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])


def ours(texts: Sequence[str], literals: Sequence[str] = LITERALS, *, nfc: bool = True) -> Counter[str]:
    table = WordTable(literals, nfc=nfc)
    table.count(*joined([text.encode() for text in texts]))
    data, offsets, counts, _ = table.content()
    byte = letters()
    words = ["".join(byte[b] for b in data[a:z].tolist()) for a, z in pairwise(offsets)]
    assert len(set(words)) == len(words)
    return Counter(dict(zip(words, counts.tolist(), strict=True)))


def theirs(texts: Sequence[str], literals: Sequence[str] = LITERALS) -> Counter[str]:
    expression = re.compile("|".join(map(re.escape, sorted(literals, key=len, reverse=True))))
    found: Counter[str] = Counter()
    for text in texts:
        for part in expression.split(text) if literals else [text]:
            found.update(word for word, _ in CUTTER.pre_tokenize_str(NFC().normalize_str(part)))
    return found


def test_words_are_those_of_the_library_for_any_characters_in_any_order() -> None:
    dice = random.Random(4)
    pools = [
        lambda: chr(dice.randrange(32, 127)),
        lambda: dice.choice(" \n\t\r  '\u2019s"),
        lambda: chr(dice.choice([dice.randrange(0x80, 0xD800), dice.randrange(0xE000, 0x110000)])),
        lambda: chr(dice.randrange(0x300, 0x370)),
        lambda: chr(dice.randrange(0x900, 0xE00)),
        lambda: chr(dice.randrange(0x1100, 0x1200)),
        lambda: dice.choice(["'re", "'ll", "  ", " " * 5, " " * 49, PERSONAL[0], "12", "e\u0301", "\u00a0", "\u180e"]),
    ]
    texts = ["".join(dice.choice(pools)() for _ in range(dice.randrange(60))) for _ in range(2_000)]
    assert ours(texts) == theirs(texts)
    assert ours(texts, []) == theirs(texts, [])


def test_marks_of_every_age_of_unicode_are_composed_as_the_library_composes_them() -> None:
    texts = [f"a{chr(code)}{chr(mark)}" for code in (*range(0x41, 0x5B), 0x1100, 0x915, 0x105D2, 0x16D67, 0x11384)
             for mark in (*range(0x300, 0x345), 0x1161, 0x11A8, 0x93C, 0x307, 0x16D67, 0x113C9, 0x1E4EC)]  # fmt: skip
    assert ours(texts) == theirs(texts)


def test_text_is_left_as_it_is_where_the_tokenizer_does_not_normalise() -> None:
    assert ours(["e\u0301"], nfc=False) == Counter(word for word, _ in CUTTER.pre_tokenize_str("e\u0301"))
    assert ours(["e\u0301"]) == Counter(word for word, _ in CUTTER.pre_tokenize_str("\u00e9"))


def test_of_literals_that_begin_together_the_longest_goes_out() -> None:
    assert ours(["a|||EMAIL_ADDRESS|||b" + " " * 30 + "c|||EMAIL"]) == Counter(["a", "b", "c", "|||", "EMAIL"])
    assert ours([" " * 25 + "c"]) == Counter(["Ġc"])


def test_a_word_of_a_megabyte_is_counted_in_parts() -> None:
    found = ours(["a" * 1_000_000])
    assert found == Counter({"a" * LONGEST: 1_000_000 // LONGEST, "a" * (1_000_000 % LONGEST): 1})
    part = 3 * (LONGEST // 3)
    assert {len(word) for word in ours(["東" * 1_000])} == {part, 3_000 % part}


def test_the_order_and_grouping_of_texts_is_no_part_of_the_counts() -> None:
    dice = random.Random(2)
    texts = [" ".join(f"w{dice.randrange(40_000)}" for _ in range(50)) for _ in range(3_000)]
    whole = ours(texts)
    assert len(whole) > 1 << 15  # the table has grown
    assert whole == ours(texts[::-1]) == ours(texts[:7]) + ours(texts[7:]) == theirs(texts)


def test_tables_are_added_up() -> None:
    first, both = WordTable(), WordTable()
    first.count(*joined([b"one two two"]))
    both.count(*joined([b"two three"]))
    data, offsets, counts, _ = first.content()
    both.add(data, offsets, counts)
    data, offsets, counts, _ = both.content()
    words = [data[a:z].tobytes() for a, z in pairwise(offsets)]
    assert dict(zip(words, counts.tolist(), strict=True)) == {b"two": 1, b" three": 1, b"one": 1, b" two": 2}


def test_no_text_has_no_word() -> None:
    assert ours([]) == ours(["", ""]) == Counter()
