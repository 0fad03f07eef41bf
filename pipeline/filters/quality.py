"""Documents -> a score by a model of the user's own: any supervised fastText file, or any function of texts.

fastText sees the whole text in one line, its line breaks as spaces, as DCLM's classifier was used (Li et al. 2024);
datatrove's FastTextClassifierFilter takes line breaks out, so that the words on both sides grow together.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.filters.classifier import Classifier
from pipeline.filters.fasttext_file import read_model
from pipeline.filters.rules import Column, Rule, at_least
from pipeline.filters.settings import Quality
from pipeline.words import text_of

GROUP = "bertmill.quality"
"""The group of entry points under which installed packages name their scorers."""

Scorer = Callable[[list[str]], Sequence[float]]
"""Texts -> a number each, in their order; the same text always gets the same number, whatever stands beside it. NaN
says that a text was not scored: it is kept."""


class QualityError(Exception):
    """The scorer or the label is not there, or what the scorer returned are no scores; the message says which."""


def measure(batch: pa.RecordBatch, settings: Quality) -> dict[str, Column]:
    """`quality` of each document of a batch."""
    if settings.model is not None:
        return {"quality": _by_model(batch.column("text"), settings.model, settings.label or "")}
    assert settings.scorer is not None  # the settings have one of both
    return {"quality": _by_scorer(batch.column("text").to_pylist(), settings.scorer)}


def ready(settings: Quality) -> None:
    """Raise ModelFileError or QualityError unless the model and its label, or the scorer, are there."""
    if settings.model is not None:
        _number(read_model(Path(settings.model)).labels, settings.model, settings.label or "")
    else:
        _scorer(settings.scorer or "")


def rules(settings: Quality) -> list[Rule]:
    """The least score, if one is asked for."""
    return [] if settings.min is None else [at_least("quality", "quality", settings.min)]


def notes(scores: Column) -> list[dict[str, float] | None]:
    """What a document's metadata say of its score; nothing of one that has none."""
    return [None if np.isnan(score) else {"quality": round(score, 6)} for score in scores.tolist()]


def _by_model(texts: pa.Array, path: str, label: str) -> npt.NDArray[np.float64]:
    model = _classifier(path)
    number = _number(model.labels, path, label)
    return model.probabilities(*text_of(texts))[:, number].astype(np.float64)


def _number(labels: Sequence[str], path: str, label: str) -> int:
    if label not in labels:
        raise QualityError(f"{path} has no label {label}; it has {', '.join(labels[:10])}")
    return labels.index(label)


def _by_scorer(texts: list[str], name: str) -> npt.NDArray[np.float64]:
    score = _scorer(name)
    try:
        scores = score(texts) if texts else []
    except (Exception, SystemExit) as fault:
        raise QualityError(f"the scorer {name} failed: {_in_a_line(fault)}") from fault
    try:
        values = np.asarray(scores, np.float64)
    except (TypeError, ValueError):
        raise QualityError(f"the scorer {name} returned {scores!r:.80}, not numbers") from None
    if values.shape != (len(texts),):
        raise QualityError(f"the scorer {name} returned scores of shape {values.shape} for {len(texts)} texts")
    return values


def _in_a_line(fault: BaseException) -> str:
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:300]


@cache
def _classifier(path: str) -> Classifier:
    return Classifier(Path(path))


@cache
def _scorer(name: str) -> Scorer:
    """The function behind a scorer's name. The current folder is looked in last, so that it hides nothing."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    try:
        found = _imported(name) if ":" in name else _entry(name)
    except QualityError:
        raise
    except (Exception, SystemExit) as fault:
        raise QualityError(f"the scorer {name} cannot be imported from {here} or what is installed: "
                           f"{_in_a_line(fault)}") from None  # fmt: skip
    if not callable(found):
        raise QualityError(f"the scorer {name} is no function of texts")
    return found  # type: ignore[no-any-return]


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def _entry(name: str) -> Any:
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in known:
        there = ", ".join(sorted(known)) or "none"
        raise QualityError(
            f"no installed package names a scorer {name} ({GROUP}: {there}); or write package.module:function"
        )
    return known[name].load()
