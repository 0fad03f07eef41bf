"""What a model has to beat must be as strong as it says: against the same rules in plain Python, token by token."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.proofs.baselines import Asked, Counts, by_frequency, by_left, unigram
from packing.shards import Shards
from tests.toy_training import packed
from train.batches import Microbatch, lay
from train.masking import Words, words_of


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("rows")
    packed(base, documents=60)
    return base


@pytest.fixture(scope="module")
def words(data: Path) -> Words:
    return words_of(data / "tokenizer.json")


def rows_of(data: Path, source: str) -> Shards:
    return Shards(data / "pack" / source / "64")


def asked(data: Path, words: Words) -> tuple[Microbatch, Asked]:
    held = Shards(data / "heldout" / "web")
    numbers = np.arange(len(held))
    part = lay(held.rows(numbers), numbers, rate=0.3, words=words, key=(1, 2))
    return part, Asked.of([part])


def counted(sources: list[Shards], words: Words) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    tokens: Counter[int] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    for rows in sources:
        for row in rows:
            ids = row.input_ids.tolist()
            tokens.update(token for token in ids if words.maskable[token])
            pairs.update((a, b) for a, b in pairwise(ids) if words.maskable[b])
    return tokens, pairs


def test_tokens_and_pairs_are_counted_as_in_plain_python(data: Path, words: Words) -> None:
    sources = [rows_of(data, "web"), rows_of(data, "code")]
    found = Counts.of(sources, words)
    tokens, pairs = counted(sources, words)
    assert {token: count for token, count in enumerate(found.tokens.tolist()) if count} == dict(tokens)
    vocab = len(words.maskable)
    together = zip(found.pairs.tolist(), found.often.tolist(), strict=True)
    assert {divmod(pair, vocab): count for pair, count in together} == dict(pairs)


def test_frequencies_sum_to_one_over_what_can_be_hidden(data: Path, words: Words) -> None:
    chances = unigram(Counts.of([rows_of(data, "web")], words), words)
    assert chances.sum() == pytest.approx(1)
    assert (chances[words.maskable] > 0).all()
    assert (chances[~words.maskable] == 0).all()


def test_what_follows_a_token_sums_to_one(data: Path, words: Words) -> None:
    counts = Counts.of([rows_of(data, "web")], words)
    maskable = np.flatnonzero(words.maskable)
    for left in (int(maskable[5]), int(counts.pairs[0] // len(words.maskable)), words.mask_id):
        everywhere = Asked(
            shown=np.full(len(maskable), words.mask_id), left=np.full(len(maskable), left), labels=maskable
        )
        assert np.exp2(-by_left(everywhere, counts, words)).sum() == pytest.approx(1)


def test_bits_are_those_of_the_rules_in_plain_python(data: Path, words: Words) -> None:
    sources = [rows_of(data, "web")]
    counts = Counts.of(sources, words)
    tokens, pairs = counted(sources, words)
    total, kinds = sum(tokens.values()) + int(words.maskable.sum()), Counter(left for left, _ in pairs)
    after: Counter[int] = Counter()
    for (left, _), count in pairs.items():
        after[left] += count
    part, places = asked(data, words)
    ids = part.input_ids.tolist()
    frequency, neighbour = by_frequency(places, counts, words), by_left(places, counts, words)
    met = set()
    for number, (at, label) in enumerate(zip(part.masked.tolist(), part.labels.tolist(), strict=True)):
        left, single = ids[at - 1], (tokens[label] + 1) / total
        double = (pairs[left, label] + kinds[left] * single) / (after[left] + kinds[left]) if kinds[left] else single
        for bits, chance in ((frequency, single), (neighbour, double)):
            if ids[at] != words.mask_id:
                chance = 0.5 * (ids[at] == label) + 0.5 * chance
            assert bits[number] == pytest.approx(-math.log2(chance))
        met.add(("hidden" if ids[at] == words.mask_id else "told", bool(kinds[left])))
    assert met == {(shown, known) for shown in ("hidden", "told") for known in (True, False)}


def test_the_place_before_is_the_one_in_the_row_also_where_rows_lie_in_several_parts(data: Path, words: Words) -> None:
    whole, places = asked(data, words)
    held, numbers = Shards(data / "heldout" / "web"), np.arange(len(Shards(data / "heldout" / "web")))
    parts = [
        lay(held.rows(some), some, rate=0.3, words=words, key=(1, 2))
        for some in np.array_split(numbers, 3)
        if len(some)
    ]
    again = Asked.of(parts)
    for kind in ("shown", "left", "labels"):
        assert (getattr(again, kind) == getattr(places, kind)).all()
    assert len(places.labels) == len(whole.masked)
