"""Weights -> whole rows of each source that add up, over a phase and at any moment in it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def quotas(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Rows of each source that sum to `total`: largest remainder, exact; the first of equals gets the row."""
    exact = [weight * total / sum(weights) for weight in weights]
    rows = [int(share) for share in exact]
    for i in sorted(range(len(rows)), key=lambda i: (rows[i] - exact[i], i))[: total - sum(rows)]:
        rows[i] += 1
    return rows


def webster(n: int, quota: Sequence[int]) -> list[int]:
    """Rows of each source among the first n of a phase: n seats by Webster's (Sainte-Laguë's) rule.

    floor(q * n / total + 1/2) and then at most half as many corrections as sources, in exact integers. A
    count never decreases as n grows, stays within about 1 of its share, and is the quota at n = total.
    """
    total = sum(quota)
    counts = [(2 * q * n + total) // (2 * total) for q in quota]
    excess = sum(counts) - n
    for _ in range(excess):  # give back the latest seat
        i = max(
            (i for i, c in enumerate(counts) if c),
            key=lambda i: (Fraction(2 * counts[i] - 1, 2 * quota[i]), i),
        )
        counts[i] -= 1
    for _ in range(-excess):
        i = min(
            (i for i, q in enumerate(quota) if q),
            key=lambda i: (Fraction(2 * counts[i] + 1, 2 * quota[i]), i),
        )
        counts[i] += 1
    return counts
