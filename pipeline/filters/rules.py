"""Rules over measured columns: what was measured is kept, so that other thresholds need no second look at the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
"""(documents,) of one measured quantity: float64, NaN where not measured, or object for words (None where not)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One threshold of a recipe and what it is asked of."""

    reason: str
    """The rule's published name: gopher_short_document, c4_lorem_ipsum, ..."""
    column: str
    """The quantity it looks at."""
    threshold: str | float | None
    fails: Callable[[Column], npt.NDArray[np.bool_]]
    """(documents,) values -> which of them fail; what was not measured never does."""


def at_least(reason: str, column: str, threshold: float) -> Rule:
    """A value below `threshold` fails."""
    return Rule(reason=reason, column=column, threshold=threshold, fails=lambda values: values < threshold)


def at_most(reason: str, column: str, threshold: float) -> Rule:
    """A value above `threshold` fails."""
    return Rule(reason=reason, column=column, threshold=threshold, fails=lambda values: values > threshold)


def first_failed(columns: Mapping[str, Column], rules: Sequence[Rule], documents: int) -> npt.NDArray[np.int64]:
    """(documents,) the number of the first rule that each document fails, -1 for none."""
    failed = np.full(documents, -1, np.int64)
    for number, rule in enumerate(rules):
        failed[rule.fails(columns[rule.column]) & (failed < 0)] = number
    return failed
