"""The ways a phase may say its mixture -> shares of its tokens, by source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from packing.shares import quotas

FINEST = 10**9
"""Shares by temperature are whole billionths: the last digit of a power may differ between machines, these do not."""


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """Languages (or other sources) by a power of their sizes: small ones are read more than their size gives them."""

    tau: float
    """A source's share is proportional to its size to this power: 1 by size, 0 all alike. mmBERT goes from 0.7 over
    0.5 to 0.3 in its three phases (Marone et al. 2025, arXiv 2509.06888, section 2)."""
    over: tuple[str, ...]
    """The sources that are shared out: one for each language."""
    beside: Mapping[str, float] = field(default_factory=dict)
    """Source -> share of the phase for what has a fixed one, such as code; `over` shares what is left."""

    def __post_init__(self) -> None:
        if not 0 <= self.tau <= 1:
            raise ValueError(
                f"tau is from 0 (all alike) to 1 (by size), not {self.tau:g}; a temperature T that divides is tau 1/T"
            )
        if not self.over:
            raise ValueError("over names no source; list those that are shared out, one for each language")
        named = [*self.over, *self.beside]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"'{twice[0]}' stands twice in over and beside; name each source once")
        if below := sorted(name for name, share in self.beside.items() if not share >= 0):
            raise ValueError(f"the share of '{below[0]}' is {self.beside[below[0]]:g}; shares are 0 or more")
        if not (total := math.fsum(self.beside.values())) < 1:
            raise ValueError(f"the shares of beside sum to {total:g}; over needs some of the phase: keep them below 1")

    @property
    def sources(self) -> list[str]:
        """The sources that are drawn from, by name."""
        return sorted([*self.over, *(name for name, share in self.beside.items() if share > 0)])

    def shares(self, sizes: Mapping[str, int]) -> dict[str, float]:
        """Source -> share, from the size of each source of `over`, in any unit. Raises ValueError for a size of 0.

        The same sizes give the same shares on every machine; each is within a billionth of its power law.
        """
        if empty := sorted(name for name in self.over if sizes[name] < 1):
            raise ValueError(f"nothing is left of '{empty[0]}'; take it out of the temperature's sources")
        largest = max(sizes[name] for name in self.over)
        powers = [Fraction((sizes[name] / largest) ** self.tau) for name in sorted(self.over)]
        beside = {name: round(share * FINEST) for name, share in self.beside.items() if share > 0}
        parts = dict(zip(sorted(self.over), quotas(FINEST - sum(beside.values()), powers), strict=True)) | beside
        return {name: parts[name] / FINEST for name in sorted(parts)}


def by_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Positive numbers -> shares that sum to 1. Raises ValueError for a number that is no weight."""
    if not weights:
        raise ValueError("weights names no source; write such as weights: {web: 7, code: 2}")
    if wrong := sorted(name for name, weight in weights.items() if not 0 < weight < math.inf):
        raise ValueError(f"the weight of '{wrong[0]}' is {weights[wrong[0]]:g}; weights are above 0")
    exact = {name: Fraction(str(weight)) for name, weight in weights.items()}  # the decimal number that was written
    return {name: float(weight / sum(exact.values())) for name, weight in exact.items()}


def by_tokens(tokens: Mapping[str, int], asked: int) -> tuple[dict[str, float], int]:
    """Tokens of each source -> (shares, their sum). `asked`: the phase's tokens, 0 if it does not say.

    Raises ValueError where the two contradict each other.
    """
    if not tokens:
        raise ValueError("mix_tokens names no source; write such as mix_tokens: {web: 1.2T, code: 340B}")
    if wrong := sorted(name for name, count in tokens.items() if count < 1):
        raise ValueError(f"mix_tokens gives '{wrong[0]}' {tokens[wrong[0]]} tokens; give at least 1 or leave it out")
    total = sum(tokens.values())
    if asked not in (0, total):
        raise ValueError(f"mix_tokens sums to {total} and tokens is {asked}; mend one of them, or leave tokens out")
    return {name: count / total for name, count in tokens.items()}, total
