"""The arithmetic of signatures is pinned, equals plain Python, and finds what it should by probability."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pipeline.dedup.minhash import SMALL, band_keys, permutations, shingle, shingle_sets, splitmix, word_hashes
from pipeline.words import scan

Hashes = npt.NDArray[np.uint64]


def words(*texts: str) -> tuple[Hashes, npt.NDArray[np.int64]]:
    whole = [text.encode() for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in whole])]).astype(np.int64)
    return word_hashes(scan(np.frombuffer(b"".join(whole), np.uint8), offsets))


def in_plain_python(hashes: list[int], ngram: int, bands: int, rows: int) -> list[int]:
    multiply, add = (side.tolist() for side in permutations(bands * rows))
    minima = [2**32 - 1] * (bands * rows)
    for i in range(len(hashes) - ngram + 1):
        value = 0
        for word in hashes[i : i + ngram]:
            value = (value ^ word) * 0xFF51AFD7ED558CCD % 2**64
            value ^= value >> 33
        minima = [min(low, ((value >> 32) * a + b) % 2**32) for low, a, b in zip(minima, multiply, add, strict=True)]
    keys = []
    for band in range(bands):
        key = 0
        for low in minima[band * rows : band * rows + rows]:
            key = (key ^ low) * 0x9E3779B97F4A7C15 % 2**64
            key ^= key >> 32
        keys.append(key)
    return keys


def test_the_first_numbers_drawn_are_those_published_for_splitmix64() -> None:
    # the published stream of seed 0: its k-th state is k times the golden step
    assert [splitmix(k) for k in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_the_permutations_and_a_signature_are_what_they_have_always_been() -> None:
    multiply, add = permutations(112)
    assert (multiply % 2 == 1).all()
    assert [multiply[0], multiply[111], add[0], add[111]] == [1175010553, 243719285, 3964187225, 1502009212]
    hashes = np.arange(1, 9, dtype=np.uint64) * np.uint64(0x0123456789ABCDEF)
    keys = band_keys(hashes, np.array([0, 8]), 5, 14, 8)
    assert [int(keys[0, 0]), int(keys[0, 13])] == [0x268AEBDEE89133FC, 0x3ED17A4D8DEC90D9]


def test_band_keys_equal_plain_python_for_every_shape() -> None:
    drawn = np.array([splitmix(k) for k in range(300)], np.uint64)
    bounds = np.array([0, 3, 3, 8, 300])
    for ngram, bands, rows in ((5, 14, 8), (1, 3, 1), (3, 2, 5)):
        keys = band_keys(drawn, bounds, ngram, bands, rows)
        for d, (a, b) in enumerate(pairwise(bounds)):
            short = b - a < ngram
            assert keys[d].tolist() == (
                [0] * bands if short else in_plain_python(drawn[a:b].tolist(), ngram, bands, rows)
            )


def test_shingles_see_words_and_neither_case_nor_symbols() -> None:
    hashes, bounds = words("The cat, the CAT: sat (down).", "the cat the cat sat down", "the cat")
    found, begins = shingle_sets(hashes, bounds, 5)
    first, second, short = (found[a:b] for a, b in pairwise(begins))
    assert first.tolist() == second.tolist()
    assert (len(first), len(short)) == (2, 0)


def test_a_set_is_sorted_holds_each_shingle_once_and_knows_nothing_of_its_neighbours() -> None:
    texts = [
        "a b c " * 50,
        "",
        "a b",
        "a b c",
        *(" ".join(f"w{n % m}" for n in range(m + 60)) for m in range(1, 90, 11)),
    ]
    hashes, bounds = words(*texts)
    found, begins = shingle_sets(hashes, bounds, 3)
    for d, (a, b) in enumerate(pairwise(bounds.tolist())):
        own = found[begins[d] : begins[d + 1]]
        assert own.tolist() == sorted({int(shingle(hashes, at, 3)) for at in range(a, b - 2)})
    assert (np.diff(begins)[:4].tolist(), begins[-1]) == ([3, 0, 0, 1], len(found))
    assert np.diff(begins).max() > SMALL > np.diff(begins)[4:].min()


def test_pairs_of_similarity_four_fifths_share_a_band_as_often_as_the_formula_says() -> None:
    # shingles of one word: each side has 99 words, 88 of them in both, so J = 88 / 110
    drawn = np.array([splitmix(1_000 + k) for k in range(400 * 110)], np.uint64).reshape(400, 110)
    sides = np.concatenate([np.stack([one[:99], np.r_[one[:88], one[99:]]]).ravel() for one in drawn])
    keys = band_keys(sides, np.arange(801) * 99, 1, 14, 8)
    found = (keys[0::2] == keys[1::2]).any(1).mean()
    assert abs(found - (1 - (1 - 0.8**8) ** 14)) < 0.04
