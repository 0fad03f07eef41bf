"""Weights -> whole rows of each source that add up."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def quotas(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Rows of each source that sum to `total`: largest remainder, exact; the first of equals gets the row."""
    a_share = Fraction(total) / sum(weights)
    exact = [weight * a_share for weight in weights]
    rows = [int(share) for share in exact]
    for i in sorted(range(len(rows)), key=lambda i: (rows[i] - exact[i], i))[: total - sum(rows)]:
        rows[i] += 1
    return rows
