"""A running mean of the weights: how good a training is that wanders at a constant rate, seen before the rate falls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from train.sharded import fill, piece

SHARE = "share"
"""The name in the state that no parameter has."""


class Averaged:
    """The mean of a model's weights over its steps, where those `half_life` tokens ago count half.

    Free of bias from the first step on: the weights that steps have in the mean sum to 1, with nothing left for the
    zeros that it began with. In float32; at a constant rate a step may count as little as 1e-5 before rounding shows.
    Parameters in pieces (FSDP2) are averaged piece by piece.
    """

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], half_life: int) -> None:
        self._parameters = dict(named)
        self._half_life = half_life
        self._means = {name: torch.zeros_like(p, dtype=torch.float32) for name, p in self._parameters.items()}
        self._share = 0.0
        """Of an endless past, what the steps so far would count for."""
        self._swapped = False

    @torch.no_grad()
    def update(self, tokens: int) -> None:
        """Count the weights as they stand after a step of so many tokens."""
        assert not self._swapped, "the model holds the mean now"
        counts = -math.expm1(-math.log(2) * tokens / self._half_life)
        self._share += (1 - self._share) * counts
        if self._share:
            torch._foreach_lerp_(self._pieces(self._means), self._pieces(self._parameters), counts / self._share)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The model has the mean for weights while this lasts, and its own after it, bit for bit."""
        assert self._share, "no step was counted yet"
        self._swap()
        self._swapped = True
        try:
            yield
        finally:
            self._swap()
            self._swapped = False

    @torch.no_grad()
    def _swap(self) -> None:
        """One tensor after another, in place: no second copy of the model, and whoever holds a parameter sees it."""
        for mean, own in zip(self._pieces(self._means), self._pieces(self._parameters), strict=True):
            aside = own.clone()
            own.copy_(mean)
            mean.copy_(aside)

    @staticmethod
    def _pieces(of: Mapping[str, Tensor]) -> list[Tensor]:
        return [piece(tensor) for tensor in of.values()]

    def state(self) -> dict[str, Tensor]:
        """The mean by the names of the parameters, as which it lies, and `share`: all that is needed to go on."""
        assert not self._swapped, "the model holds the mean now"
        return {**self._means, SHARE: torch.tensor(self._share, dtype=torch.float64)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from whole tensors by the names that `state` gives.

        Raises ValueError naming what is missing, foreign or of another shape.
        """
        own = {*self._means, SHARE}
        if strangers := sorted(own ^ state.keys()):
            raise ValueError(f"{len(strangers)} tensors of the mean do not match, first {strangers[0]}")
        for name, mean in self._means.items():
            try:
                fill(mean, state[name])
            except ValueError as fault:
                raise ValueError(f"{name} has {fault}") from None
        self._share = float(state[SHARE])
