"""A step that leapt -> the rows of it that stand out, each with its loss and what it says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median

import torch

from packing.mixture import Order
from packing.shards import Shards
from train.batches import IGNORED, Reader
from train.learn import losses
from train.ranks import Spread
from train.schedule import Step
from train.skipped import Row

CUT = 3.5
"""Modified z-score, 0.6745 (x - median) / MAD, above which a value is an outlier (Iglewicz and Hoaglin, How to Detect
and Handle Outliers, 1993)."""
FAR = 10.0
"""The same for a row of a step that is only suspicious: three times as far as makes an outlier."""
NORMAL = 0.6745
"""Median absolute deviation of a normal distribution whose standard deviation is 1."""

SHOWN = 24
"""Tokens of a row that are shown."""


@torch.no_grad()
def row_losses(spread: Spread, reader: Reader, step: Step) -> dict[int, float]:
    """Number of each row of this rank -> its mean loss at the masked tokens, in nats, by the weights as they stand.

    The places that are masked are those of the step; nothing is dropped out. Rows without one have no loss. All ranks
    call this together: as many microbatches go through the model of each.
    """
    batch = replace(reader, dropped=None).read(step, size=1)
    found: dict[int, float] = {}
    for at, part in enumerate(batch.microbatches):
        surprise = losses(spread, part)
        guessed = int((part.labels != IGNORED).sum())
        if at < len(batch.numbers) and guessed:
            found[int(batch.numbers[at])] = float(surprise.double().sum()) / guessed
    return found


def offenders(losses: Mapping[int, float], *, sure: bool = True) -> list[int]:
    """The rows whose loss stands out above the others': no number, or a modified z-score above 3.5. All if none does.

    sure  or else only those that stand out by far, above 10, which may be none

    Where more than half of the rows are equal, MAD is 0 and any that lies above them stands out.
    """
    if not losses:
        return []
    if bad := sorted(row for row, loss in losses.items() if not math.isfinite(loss)):
        return bad
    middle = median(losses.values())
    mad = median(abs(loss - middle) for loss in losses.values())
    out = sorted(row for row, loss in losses.items() if NORMAL * (loss - middle) > (CUT if sure else FAR) * mad)
    return out or (sorted(losses) if sure else [])


def named(
    order: Order,
    shards: Mapping[tuple[str, int], Shards],
    numbers: Sequence[int],
    losses: Mapping[int, float],
    decode: Callable[[list[int]], str],
) -> tuple[Row, ...]:
    """Rows of one phase by their numbers in the run -> what they are, how they begin, and their losses if known."""
    rows = []
    first = min(numbers, default=0)
    places = order.rows(first, max(numbers, default=0) + 1)
    for number in numbers:
        place = places[number - first]
        source, index = order.names[place["source"]], int(place["index"])
        ids = shards[source, order.phases[place["phase"]].context][index].input_ids[:SHOWN]
        rows.append(
            Row(row=number, source=source, index=index, loss=losses.get(number, math.nan), text=decode(ids.tolist()))
        )
    return tuple(rows)
