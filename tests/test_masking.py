"""Which tokens are hidden is a function of the seed and the row's number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from packing.encode import Encoder
from tests.toy_training import SPECIAL, tokenizer_at
from train.masking import Masked, Words, how_many, key_of, mask, philox, words_of

V, MASK, FIRST_SPECIAL = 1000, 995, 990
WORDS = Words(
    mask_id=MASK,
    maskable=np.arange(V) < FIRST_SPECIAL,
    ordinary=np.arange(10, 900),
)
KEY = key_of("mask", 17)


def rows(count: int, length: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random tokens; each row begins and ends with a special one, and has another in the middle."""
    ids = np.random.default_rng(seed).integers(0, FIRST_SPECIAL, (count, length)).astype(np.uint16)
    ids[:, [0, length // 2, -1]] = [991, 992, 991]
    return ids.reshape(-1), np.arange(count + 1) * length


def masked(ids: np.ndarray, bounds: np.ndarray, numbers: np.ndarray, rate: float = 0.3) -> Masked:
    return mask(ids, bounds, numbers, rate=rate, words=WORDS, key=KEY)


def test_philox_gives_the_published_words() -> None:
    """The known answers of Random123 for philox4x32 with 10 rounds."""
    ones = 0xFFFFFFFF
    known = {
        (0, 0, 0, 0, 0, 0): (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
        (ones,) * 6: (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0): (
            0xD16CFE09,
            0x94FDCCEB,
            0x5001E420,
            0x24126EA1,
        ),
    }
    for counter, words in known.items():
        assert tuple(int(word) for word in philox(*counter)) == words


@pytest.mark.parametrize("rate", [0.15, 0.3, 0.5])
def test_exactly_the_share_of_a_rows_maskable_tokens_is_hidden(rate: float) -> None:
    ids, bounds = rows(50)
    found = masked(ids, bounds, np.arange(50), rate)
    per_row = np.bincount(found.places // 256, minlength=50)
    assert set(per_row.tolist()) == {how_many(253, rate)}
    assert (np.diff(found.places) > 0).all()


def test_what_is_not_a_place_to_guess_stays_and_labels_are_what_stood_there() -> None:
    ids, bounds = rows(20)
    found = masked(ids, bounds, np.arange(20))
    assert np.array_equal(found.labels, ids[found.places])
    rest = np.ones(len(ids), bool)
    rest[found.places] = False
    assert np.array_equal(found.input_ids[rest], ids[rest])


def test_special_tokens_are_never_hidden_and_replacements_are_ordinary() -> None:
    ids, bounds = rows(400)
    found = masked(ids, bounds, np.arange(400), rate=0.9)
    assert (found.labels < FIRST_SPECIAL).all()
    now = found.input_ids[found.places]
    changed = now[(now != MASK) & (now != found.labels)]
    assert len(changed) > 5_000
    assert changed.min() == 10
    assert changed.max() == 899
    shares = np.bincount(changed, minlength=V)[10:900] / len(changed) * 890
    assert abs(shares - 1).max() < 1.5  # about 10 draws each: no id is left out for long


def test_eight_tenths_become_the_mask_one_tenth_another_token_one_tenth_stays() -> None:
    ids, bounds = rows(1000)
    found = masked(ids, bounds, np.arange(1000))
    now = found.input_ids[found.places]
    count = len(now)
    assert abs((now == MASK).mean() - 0.8) < 4 * (0.16 / count) ** 0.5
    stays = 0.1 + 0.1 / 890 * 890 / 990  # a random token may be the one that stood there
    assert abs((now == found.labels).mean() - stays) < 4 * (0.09 / count) ** 0.5


def test_every_place_is_equally_likely() -> None:
    ids, bounds = rows(4000, length=64)
    found = masked(ids, bounds, np.arange(4000))
    counts = np.bincount(found.places % 64, minlength=64) / 4000
    assert counts[[0, 32, 63]].tolist() == [0, 0, 0]
    usual = np.delete(counts, [0, 32, 63])
    expected = how_many(61, 0.3) / 61
    assert abs(usual - expected).max() < 5 * (0.21 / 4000) ** 0.5


def test_a_rows_masks_depend_on_its_number_alone() -> None:
    """Not on the rows beside it, nor on where it stands among them."""
    ids, bounds = rows(12)
    numbers = np.arange(100, 112)
    together = masked(ids, bounds, numbers)
    for order in (np.arange(12)[::-1], np.array([3]), np.array([7, 0, 11])):
        picked = np.concatenate([ids[bounds[n] : bounds[n + 1]] for n in order])
        alone = masked(picked, np.arange(len(order) + 1) * 256, numbers[order])
        expected = np.concatenate([together.input_ids[bounds[n] : bounds[n + 1]] for n in order])
        assert np.array_equal(alone.input_ids, expected)


def test_other_numbers_and_other_seeds_give_other_masks() -> None:
    ids, bounds = rows(1)
    found = {
        (number, seed): tuple(
            mask(ids, bounds, np.array([number]), rate=0.3, words=WORDS, key=key_of("mask", seed)).places.tolist()
        )
        for number in (0, 1, 2**32, 2**40)
        for seed in (1, 2)
    }
    assert len(set(found.values())) == 8


def test_rows_of_any_length_and_of_special_tokens_only() -> None:
    ids = np.array([991, 5, 991, 991, 991, 991, 6, 7, 8, 991], np.uint16)
    found = masked(ids, np.array([0, 3, 5, 10]), np.array([4, 5, 6]), rate=0.5)
    assert how_many(1, 0.5) == 1
    assert (found.places == 1).sum() == 1
    assert len(found.places) == 1 + 0 + 2
    nothing = masked(ids[:3], np.array([0, 3]), np.array([4]), rate=0.3)
    assert len(nothing.places) == 0
    assert np.array_equal(nothing.input_ids, ids[:3])


def test_words_of_a_tokenizer_leave_out_special_and_unused_ids(tmp_path: Path) -> None:
    path = tokenizer_at(tmp_path / "tokenizer.json")
    encoder, found = Encoder(path), words_of(path)
    assert found.mask_id == encoder.mask == 256 + SPECIAL.index("[MASK]")
    assert np.flatnonzero(~found.maskable).tolist() == list(range(256, 261))
    assert found.ordinary.tolist() == list(range(256))
