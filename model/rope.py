"""Rotary positions: a token's place in its document, turned into angles of its queries and keys."""

from __future__ import annotations

import torch
from torch import Tensor


def angles(positions: Tensor, theta: float, dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every position at every frequency, in float32 whatever the model computes in.

        positions   (T,)                    place of each token in its own document
        dim         size of one head
        ->          (T, 1, 1, dim / 2)      each, to be broadcast over queries and keys and over heads

    They are computed for each batch and not kept, so a change of theta between phases leaves nothing stale.
    """
    frequencies = 1.0 / theta ** (torch.arange(0, dim, 2, device=positions.device).float() / dim)
    turned = (positions.float()[:, None] * frequencies)[:, None, None]
    return turned.cos(), turned.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn x (T, 2, heads, dim) by its tokens' angles; the pair of dimension i is i + dim / 2, not i + 1."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(x.dtype)
