"""The weights of several models of one shape -> their mean, which is often better than each (a model soup)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def mean(tensors: Sequence[Tensor]) -> Tensor:
    """The mean of tensors of one shape, of the type of the first: the same whatever their order.

    Values are added from the smallest to the largest, in float64, and rounded once.
    """
    ordered = torch.stack([tensor.double() for tensor in tensors]).sort(dim=0).values
    total = torch.zeros_like(ordered[0])
    for values in ordered:  # not sum(), which may add in another order on another machine
        total += values
    return (total / len(tensors)).to(tensors[0].dtype)
