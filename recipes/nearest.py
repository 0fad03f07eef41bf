"""A mixture that its sources cannot give -> the nearest one that they can.

Nearest is by relative entropy: of all mixtures within the limits the one with the least sum of t * x * log(x / a) over
the phases and sources, t being a phase's length, x a source's share in it and a the share asked for (the I-projection
of Csiszár 1975, Annals of Probability 3). It has a plain form, x = a * f * l: each source that is scarce has one
factor f below 1 in all its phases, such that it is read just as often as it may be, and l makes the shares of a phase
sum to 1. So what a scarce source leaves goes to the phase's other sources in proportion to the shares asked for, none
is put in that was not asked for, and a mixture within the limits is its own nearest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Mix = Mapping[str, float]

SWEEPS = 500
"""Rounds over the limits after which what is not met is given up. Ten are enough as a rule, hundreds where the sources
have less than a thousandth to spare."""

TOLERANCE = 1e-9
"""Share of its limit by which a source may be over; the rounding of shares is coarser."""

SUPPORTS = 12
"""Sets of sources that `lacking` puts together in every way, 4,095 of them; of more, each alone and all together."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How often one source may be read over the run."""

    source: str
    passes: Mapping[int, float]
    """Number of a phase -> times it would read the source if it read nothing else."""
    most: float
    """What the sum of passes * share over the phases may be."""


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Phases that ask for more than all their sources together may be read."""

    phases: tuple[int, ...]
    asked: float
    given: float


def nearest(asked: Sequence[Mix], lengths: Sequence[float], limits: Sequence[Limit]) -> list[dict[str, float]] | None:
    """The mixes of all phases within the limits that are nearest to those asked for; None if there are none.

    lengths  of the phases, in any unit. Shares are exact to about TOLERANCE. None, too, where SWEEPS rounds do not
    find what has next to nothing to spare.
    """
    parts = [dict(mix) for mix in asked]  # in ratio, not yet divided by their sums
    if all(_read(limit, parts) <= limit.most * (1 + TOLERANCE) for limit in limits):
        return parts
    if lacking(asked, lengths, limits):
        return None
    for _ in range(SWEEPS):
        for limit in limits:  # each factor in turn as it has to be while the others stay
            _rescale(limit, asked, lengths, parts)
        if all(_read(limit, parts) <= limit.most * (1 + TOLERANCE) for limit in limits):
            return [{name: part / math.fsum(mix.values()) for name, part in mix.items()} for mix in parts]
    return None


def lacking(asked: Sequence[Mix], lengths: Sequence[float], limits: Sequence[Limit]) -> Lack | None:
    """The phases that lack most, if some ask for more than their sources together may be read (Hall's condition).

    Where it is None there is a mixture within the limits (if a source has one size in all phases: else as a rule).
    """
    supports = [frozenset(name for name, share in mix.items() if share > 0) for mix in asked]
    distinct = sorted(set(supports), key=sorted)
    sizes = range(1, len(distinct) + 1) if len(distinct) <= SUPPORTS else (1, len(distinct))
    worst: Lack | None = None
    for chosen in (frozenset().union(*some) for size in sizes for some in combinations(distinct, size)):
        phases = tuple(number for number, support in enumerate(supports) if support <= chosen)
        bound = [limit for limit in limits if limit.source in chosen]
        each = [[limit.most * lengths[n] / limit.passes[n] for n in phases if limit.passes.get(n)] for limit in bound]
        given = math.inf if chosen - {limit.source for limit in bound} else math.fsum(max(one) for one in each if one)
        lack = Lack(phases=phases, asked=math.fsum(lengths[number] for number in phases), given=given)
        if lack.asked > given and (worst is None or lack.asked - given > worst.asked - worst.given):
            worst = lack
    return worst


def _read(limit: Limit, parts: Sequence[Mix]) -> float:
    """How often the source is read."""
    named = [(passes, parts[number]) for number, passes in limit.passes.items() if parts[number].get(limit.source)]
    return math.fsum(passes * mix[limit.source] / math.fsum(mix.values()) for passes, mix in named)


def _rescale(limit: Limit, asked: Sequence[Mix], lengths: Sequence[float], parts: Sequence[dict[str, float]]) -> None:
    """Set the source's parts to those asked for, times the factor up to 1 with which it is read as often as it may."""
    name = limit.source
    each = {n: passes / lengths[n] for n, passes in limit.passes.items() if asked[n].get(name)}
    if not each:
        return
    # exponents: 1, or near it where a source has not the same length at two contexts
    phases = [
        (n, limit.passes[n], one / max(each.values()), asked[n][name], math.fsum(parts[n].values()) - parts[n][name])
        for n, one in each.items()
    ]

    def read(log: float) -> float:
        owns = [(passes, asks * math.exp(power * log), rest) for _, passes, power, asks, rest in phases]
        return math.fsum(passes * own / (own + max(rest, 0.0)) for passes, own, rest in owns)

    log = _root(read, limit.most)
    for n, _, power, asks, _ in phases:
        parts[n][name] = asks * math.exp(power * log)


def _root(rising: Callable[[float], float], most: float) -> float:
    """The largest logarithm up to 0 at which the function is `most` or less; -500 if it is more at all of them."""
    if rising(0.0) <= most:
        return 0.0
    low, high = -1.0, 0.0
    while rising(low) > most:
        if low < -500:
            return -500.0
        low, high = 2 * low, low
    while high - low > 1e-14 * -low:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if rising(middle) > most else (middle, high)
    return low
