"""Dropout as a function of the token and not of the batch: the same values are dropped wherever a row is computed.

A generator's next numbers depend on all that was drawn before, so another number of processes, or another size of
microbatch, would drop other values and train another model. Here each value's fate is a hash of (the token's seed, the
layer, the column), in 32-bit integers that every device computes alike, and that a compiler can fuse with what follows.
"""

from __future__ import annotations

import torch
from torch import Tensor

_STEP, _FIRST, _SECOND = (n - (1 << 32) for n in (0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35))
"""2**32 divided by the golden ratio, and the multipliers of MurmurHash3's finalizer, as signed integers."""


def dropout(x: Tensor, rate: float, seeds: Tensor, layer: int) -> Tensor:
    """x with a share `rate` of its values set to 0 and the others divided by 1 - rate.

    x       (T, D)          float
    seeds   (T,) int32      one a token, as if drawn at random
    """
    columns = torch.arange(x.shape[1], device=x.device, dtype=torch.int32) * _STEP
    drawn = _mixed(_mixed(seeds + layer)[:, None] ^ columns)
    kept = drawn >= round(rate * 2**32) - 2**31
    return torch.where(kept, x / (1.0 - rate), 0.0)


def _mixed(h: Tensor) -> Tensor:
    """MurmurHash3's finalizer: every bit of an int32 changes half the bits of the result. Products wrap around."""
    h = (h ^ (h >> 16).bitwise_and_(0xFFFF)).mul_(_FIRST)
    h.bitwise_xor_((h >> 13).bitwise_and_(0x7FFFF)).mul_(_SECOND)
    return h.bitwise_xor_((h >> 16).bitwise_and_(0xFFFF))
