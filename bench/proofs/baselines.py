"""What can be guessed without having learned: hidden tokens by how often they occur, and by the token to their left.

Both know what a model could learn of the masks' rule at once: a place that shows something else than [MASK] shows the
hidden token itself in one case of two (10 % stay, 10 % become any other), so that half of what is guessed is on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from packing.flat import Rows
from packing.shards import Shards
from train.batches import Microbatch
from train.masking import Words

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STAYS = 0.5
"""Of the hidden places that do not show [MASK], those that show their own token (train.masking: 10 % and 10 %)."""
ROWS = 1024
"""Counted at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """The hidden places of some rows.

    shown   (K,): what stands there
    left    (K,): what stands to the left of it, hidden or not
    labels  (K,): what stood there
    """

    shown: Ints
    left: Ints
    labels: Ints

    @classmethod
    def of(cls, parts: Sequence[Microbatch]) -> Asked:
        """Every document begins with [CLS], which is never hidden: each place has a left one."""
        ids = [(part.input_ids.numpy(), part.masked.numpy(), part.labels.numpy()) for part in parts]
        return cls(
            shown=np.concatenate([shown[at] for shown, at, _ in ids]),
            left=np.concatenate([shown[at - 1] for shown, at, _ in ids]),
            labels=np.concatenate([labels for _, _, labels in ids]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """How often tokens occur, and pairs of neighbours, in rows of training.

    tokens  (V,): of each id; 0 of the special ones, which are never hidden
    pairs   (P,): left * V + right, ascending, each once; right is never special
    often   (P,): of each pair
    """

    tokens: Ints
    pairs: Ints
    often: Ints

    @classmethod
    def of(cls, sources: Sequence[Shards], words: Words) -> Counts:
        vocab = len(words.maskable)
        tokens = np.zeros(vocab, np.int64)
        found: list[tuple[Ints, Ints]] = []
        for rows in sources:
            for first in range(0, len(rows), ROWS):
                ids = _ids(rows.rows(np.arange(first, min(first + ROWS, len(rows)))))
                tokens += np.bincount(ids, minlength=vocab)
                right = words.maskable[ids[1:]]
                found.append(_unique((ids[:-1] * vocab + ids[1:])[right]))
        tokens[~words.maskable] = 0
        pairs, often = (np.concatenate([part[which] for part in found]) for which in (0, 1))
        unique, place = np.unique(pairs, return_inverse=True)
        return cls(tokens=tokens, pairs=unique, often=np.bincount(place, often, len(unique)).astype(np.int64))


def _ids(rows: Rows) -> Ints:
    return rows.input_ids.astype(np.int64)


def _unique(pairs: Ints) -> tuple[Ints, Ints]:
    unique, often = np.unique(pairs, return_counts=True)
    return unique, often.astype(np.int64)


def unigram(counts: Counts, words: Words) -> Floats:
    """(V,): the probability of each token by its frequency, one added to each; 0 of special ones."""
    smoothed = np.where(words.maskable, counts.tokens + 1.0, 0.0)
    return np.asarray(smoothed / smoothed.sum())


def by_frequency(asked: Asked, counts: Counts, words: Words) -> Floats:
    """(K,): bits that each hidden token takes by its frequency."""
    return _bits(asked, unigram(counts, words)[asked.labels], words)


def by_left(asked: Asked, counts: Counts, words: Words) -> Floats:
    """(K,): bits by the token to the left as it is shown, falling back to frequencies (Witten and Bell 1991).

    P(t | l) = (count(l t) + kinds(l) P(t)) / (count(l) + kinds(l)), kinds(l) being the different tokens seen after l.
    Where the left one is hidden it is [MASK], after which nothing was seen: P(t).
    """
    vocab = len(words.maskable)
    fallback = unigram(counts, words)[asked.labels]
    left_of = counts.pairs // vocab
    after = np.bincount(left_of, counts.often, vocab)[asked.left]
    kinds = np.bincount(left_of, minlength=vocab)[asked.left].astype(np.float64)
    wanted = asked.left * vocab + asked.labels
    at = np.minimum(np.searchsorted(counts.pairs, wanted), max(len(counts.pairs) - 1, 0))
    together = np.where(counts.pairs[at] == wanted, counts.often[at], 0) if len(counts.pairs) else np.zeros(len(wanted))
    seen = kinds > 0
    mixed = (together + kinds * fallback) / np.where(seen, after + kinds, 1.0)
    return _bits(asked, np.where(seen, mixed, fallback), words)


def _bits(asked: Asked, chance: Floats, words: Words) -> Floats:
    """Of each label, whose chance by the text around it is given, when what is shown in its place is considered too."""
    itself = asked.shown == asked.labels
    told = asked.shown != words.mask_id
    return np.asarray(-np.log2(np.where(told, STAYS * itself + (1 - STAYS) * chance, chance)))
