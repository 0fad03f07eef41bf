"""The n-grams of one document, and how many documents have each -> the evaluation texts that it holds, if any.

One n-gram is no evidence: unrelated texts share a clause (`the best thing you can do is to`). A text is held where
    - half of the n-grams within it stand in the document, or a tenth and at least `least` (3 n-grams are 15 words in a
      row), or `enough` of them (8 are 20 words);
    - n-grams that tell little (index.py: `1, 2, 3, 4, ...`) are not counted for that, but if all n-grams of a text
      stand there, telling or not, it is held: sums and lines of programs have no others;
    - n-grams that stand in more than `frequent` documents are not counted, being phrases of the language, licences and
      the like (GPT-3, Brown et al. 2020, appendix C: 10), but for half of a text of 25 words and more: test sets are
      copied to more than ten places, and boilerplate is no half of a long text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.decontaminate.ngrams import Array
from pipeline.settings import Decontaminate

WIDE = 256
"""Texts that one n-gram speaks for, the first by number: a prompt stands in all rows of a set."""


def held_texts(
    grams: Array, frequent: Array, index: Mapping[str, Any], settings: Decontaminate
) -> tuple[Array, Array, Array]:
    """What a document that has `grams` (each once) holds; `frequent` says of each n-gram of the index if it is.

    ->  texts      (held,) their numbers, ascending
        counts     (held,) n-grams of each that are in the document
        evidence   the n-grams of `grams` that are of a held text
    """
    begins = index["bounds"][grams]
    sizes = np.minimum(index["bounds"][grams + 1] - begins, WIDE)
    gram = np.repeat(np.arange(len(grams)), sizes)
    within = np.arange(len(gram)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    texts, place = np.unique(index["texts"][begins[gram] + within], return_inverse=True)
    rare, strong = ~frequent[grams[gram]], index["weak"][grams[gram]] == 0

    def count(which: Array) -> Array:
        return np.bincount(place, weights=which, minlength=len(texts))

    within_strong, inner = index["strong"][texts], index["inner"][texts]
    half = np.where(within_strong >= settings.ngram, count(strong), count(strong & rare))
    held = count(rare & strong) >= np.clip(-(-within_strong // 10), settings.least, settings.enough)
    held |= (within_strong > 0) & (2 * half >= within_strong)
    held |= (inner > 0) & (count(rare | ~strong) >= inner)
    every = np.bincount(place, minlength=len(texts))
    return texts[held], every[held], grams[np.unique(gram[held[place]])]
