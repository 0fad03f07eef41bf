"""(seed, row number) -> which tokens of the row are hidden, and behind what: the same on any machine and in any batch.

ModernBERT's rule (30 % of the tokens: 80 % of them become [MASK], 10 % a random token, 10 % stay), with three changes:
exactly the asked number of a row's tokens, never a special one ([CLS] and [SEP] teach nothing), and random ids of real
tokens only. One thread masks 100 M tokens a second (rows of 1,024, one core of a busy machine).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from packing.encode import Encoder

Ints = npt.NDArray[np.int64]

TO_MASK, TO_RANDOM = round(0.8 * 2**32), round(0.9 * 2**32)
"""Of 2**32: below the first a hidden token becomes [MASK], below the second a random one, else it stays (BERT)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Words:
    """What masking knows of a tokenizer."""

    mask_id: int
    maskable: npt.NDArray[np.bool_]
    """(V,): false for [CLS], [SEP], [PAD] and the other special ids."""
    ordinary: Ints
    """(N,): the ids that may replace a token: neither special nor [unused]."""


class Masked(NamedTuple):
    """Some rows, end to end, with tokens hidden."""

    input_ids: Ints
    """(T,)"""
    places: Ints
    """(K,): where a token is to be guessed, ascending."""
    labels: Ints
    """(K,): the tokens that stood there."""


def how_many(maskable: int, rate: float) -> int:
    """Tokens to guess among so many; a half is rounded up."""
    return int(maskable * rate + 0.5)


def mask(
    ids: npt.NDArray[Any], bounds: Ints, numbers: Ints, *, rate: float, words: Words, key: tuple[int, int]
) -> Masked:
    """Hide tokens of rows that lie end to end; each row's choice depends on (key, its number) alone.

    ids      (T,)     token ids, all rows
    bounds   (R + 1,) row r is ids[bounds[r] : bounds[r + 1]]
    numbers  (R,)     number of each row in the order of rows
    """
    hidden = ids.astype(np.int64)
    places = np.empty(how_many(len(ids), rate) + len(numbers), np.int64)
    found = _mask_rows(
        hidden, bounds, numbers, rate, words.maskable, words.ordinary, words.mask_id, key[0], key[1], places
    )
    places = places[:found]
    return Masked(hidden, places, ids[places].astype(np.int64))


def words_of(tokenizer_json: Path) -> Words:
    """What masking needs of a tokenizer. Raises EncodeError for one that cannot be used."""
    encoder = Encoder(tokenizer_json)
    maskable = np.ones(encoder.vocab_size, np.bool_)
    maskable[list(encoder.special_ids)] = False
    real = encoder.token_bytes() > 0
    for token in json.loads(tokenizer_json.read_bytes()).get("added_tokens", []):
        if re.fullmatch(r"\[unused\d+\]", token["content"]):
            real[token["id"]] = False
    return Words(mask_id=encoder.mask, maskable=maskable, ordinary=np.flatnonzero(real))


def key_of(*parts: int | str) -> tuple[int, int]:
    """Two words of 32 bits that depend on `parts` alone: what the masks of a run are drawn with."""
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


@njit(cache=True, nogil=True)
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Four random words of 32 bits for a counter of four and a key of two (Philox4x32-10, Salmon et al. 2011)."""
    low = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    k0, k1 = np.uint64(k0), np.uint64(k1)
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c2 = (second >> np.uint64(32)) ^ c1 ^ k0, (first >> np.uint64(32)) ^ c3 ^ k1
        c1, c3 = second & low, first & low
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return c0, c1, c2, c3


@njit(cache=True, nogil=True)
def _mask_rows(
    ids: Any,
    bounds: Any,
    numbers: Any,
    rate: Any,
    maskable: Any,
    ordinary: Any,
    mask_id: Any,
    k0: Any,
    k1: Any,
    places: Any,
) -> Any:
    """Hide in place, note the places; returns how many.

    The j-th draw of row g is philox(j, g, 0): its first word chooses the place, the second the fate, the third the
    replacement. w * n >> 32 is a number below n (bias n / 2**32).
    """
    found, half = 0, np.uint64(32)
    open_places = np.empty(len(ids), np.int64)
    chosen = np.zeros(len(ids), np.bool_)
    for row in range(len(numbers)):
        free = 0
        for at in range(bounds[row], bounds[row + 1]):
            if maskable[ids[at]]:
                open_places[free] = at
                free += 1
        wanted = int(free * rate + 0.5)
        g = np.uint64(numbers[row])
        for j in range(wanted):  # the first places of a Fisher-Yates shuffle
            place, fate, other_id, _ = philox(j, g & np.uint64(0xFFFFFFFF), g >> half, 0, k0, k1)
            drawn = j + np.int64(place * np.uint64(free - j) >> half)
            at = open_places[drawn]
            open_places[drawn] = open_places[j]
            chosen[at] = True
            if fate < TO_MASK:
                ids[at] = mask_id
            elif fate < TO_RANDOM:
                ids[at] = ordinary[np.int64(other_id * np.uint64(len(ordinary)) >> half)]
        for at in range(bounds[row], bounds[row + 1]):
            if chosen[at]:
                places[found] = at
                found += 1
    return found
