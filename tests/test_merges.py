"""Merges are those that `tokenizers`' trainer learns, pair by pair, ties and all."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from pipeline.merges import Cells, learn
from pipeline.pretokens import WordTable
from pipeline.tokenizer import letters

ALPHABET = sorted(letters())


def ours(texts: Sequence[str], size: int) -> tuple[list[tuple[str, str]], list[str]]:
    table = WordTable()
    raw = [text.encode() for text in texts]
    table.count(np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)]))
    data, offsets, counts, _ = table.content()
    ids = np.array([ALPHABET.index(letter) for letter in letters()], np.uint8)
    tokens = list(ALPHABET)
    merges = learn(Cells(ids[data], offsets, counts, np.ones(256, np.int32)), tokens, size)
    return [(tokens[first], tokens[second]) for first, second in merges], tokens


def theirs(texts: Iterable[str], size: int) -> tuple[list[tuple[str, str]], list[str]]:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return [tuple(pair) for pair in model["merges"]], sorted(model["vocab"], key=model["vocab"].__getitem__)


@pytest.mark.parametrize("seed", range(12))
def test_merges_and_ids_are_the_librarys_also_for_ties_and_runs(seed: int) -> None:
    dice = random.Random(seed)
    signs = ["ab- ", "aab--==\u00e9 ", "abcdefgh ", "\u6771\u4eac\u5927\u962a "][seed % 4]
    texts = ["".join(dice.choices(signs, k=dice.randrange(300))) + "-" * dice.randrange(90) for _ in range(60)]
    assert ours(texts, 900) == theirs(texts, 900)


def test_merges_of_many_words_are_the_librarys() -> None:
    dice = random.Random(3)
    roots = ["".join(dice.choices("etaoinshrdlu", k=dice.randrange(2, 9))) for _ in range(3_000)]
    texts = [" ".join(dice.choices(roots, k=400)) for _ in range(100)]
    assert ours(texts, 4_000) == theirs(texts, 4_000)


def test_merging_ends_when_every_word_is_one_token() -> None:
    merges, tokens = ours(["one two", "one two"], 5_000)
    assert tokens[256:] == [a + b for a, b in merges]
    assert {"one", "Ġtwo"} <= set(tokens)


def test_the_order_of_words_is_no_part_of_the_merges() -> None:
    dice = random.Random(5)
    texts = [" ".join("".join(dice.choices("ab-", k=dice.randrange(1, 12))) for _ in range(40)) for _ in range(50)]
    first = ours(texts, 700)
    dice.shuffle(texts)
    assert ours(texts, 700) == first


def test_one_long_word_among_others_costs_no_more_than_its_length() -> None:
    dice = random.Random(6)
    word = np.array(dice.choices(range(256), k=400_000), np.uint8)
    cells = Cells(word, np.array([0, len(word)]), np.array([1]), np.ones(256, np.int32))
    tokens = list(ALPHABET)
    merges = learn(cells, tokens, 1_200)
    assert len(merges) == 1_200 - 256
    plain = Counter(zip(word[:-1].tolist(), word[1:].tolist(), strict=True))
    assert next(iter(merges)) == min(plain, key=lambda pair: (-plain[pair], pair))


def test_counts_and_words_beyond_what_a_cell_holds_are_refused() -> None:
    one = np.zeros(1, np.uint8), np.array([0, 1])
    with pytest.raises(ValueError, match="sample less"):
        Cells(*one, np.array([1 << 32]), np.ones(256, np.int32))
    with pytest.raises(ValueError, match="sample less"):
        Cells(*one, np.array([1]), np.full(256, (1 << 31) - 2, np.int32))
