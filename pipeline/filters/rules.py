"""Rules over measured columns: what was measured is kept, so that other thresholds need no second look at the text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Column = npt.NDArray[Any]
"""(documents,) of one measured quantity: numbers, NaN where not measured, or object for words (None where not)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a kind's measures found in a batch of documents."""

    columns: dict[str, Column]
    texts: pa.Array | None = None
    """The texts of all documents as the rules rewrite them; None where they leave them alone."""
    redact: Callable[[list[str]], list[str]] | None = None
    """What is done to the texts of those that are kept, at the end."""


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
    among: tuple[str, Callable[[Column], npt.NDArray[np.bool_]]] | None = None
    """Another column, and which of its values the rule is asked of; None asks all documents."""


def at_least(
    reason: str,
    column: str,
    threshold: float,
    among: tuple[str, Callable[[Column], npt.NDArray[np.bool_]]] | None = None,
) -> Rule:
    """A value below `threshold` fails."""
    return Rule(reason=reason, column=column, threshold=threshold, fails=lambda values: values < threshold, among=among)


def at_most(reason: str, column: str, threshold: float) -> Rule:
    """A value above `threshold` fails."""
    return Rule(reason=reason, column=column, threshold=threshold, fails=lambda values: values > threshold)


def one_of(reason: str, column: str, words: Collection[str]) -> Rule:
    """Anything but these words fails, no word at all too."""

    def others(values: Column) -> npt.NDArray[np.bool_]:
        return np.fromiter((value not in words for value in values), np.bool_, len(values))

    return Rule(reason=reason, column=column, threshold=", ".join(words), fails=others)


def first_failed(columns: Mapping[str, Column], rules: Sequence[Rule], documents: int) -> npt.NDArray[np.int64]:
    """(documents,) the number of the first rule that each document fails, -1 for none.

    A threshold is compared in the precision of its column: a share of 3 in 10, stored in single precision, is no more
    than 0.3.
    """
    failed = np.full(documents, -1, np.int64)
    for number, rule in enumerate(rules):
        fails = rule.fails(columns[rule.column]) & (failed < 0)
        if rule.among:
            name, asked = rule.among
            fails &= asked(columns[name])
        failed[fails] = number
    return failed
