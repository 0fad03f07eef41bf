"""Fresh weights as ModernBERT starts from them: Megatron's rule, truncated at two standard deviations."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from model.bert import Bert

CUTOFF = 2.0
"""Draws lie within this many standard deviations (the same), which leaves 0.88 of it."""


@torch.no_grad()
def initialise(model: Bert, seed: int) -> None:
    """Fill every tensor of the model in place.

    Each tensor is drawn on the CPU from a generator of its own, keyed by the seed and its name: the result is
    the same on every device, and neither the order of modules nor a layer more changes the others' numbers.

        attn.Wo, mlp.Wo             std / sqrt(2 * layers): each layer adds these two to the residual stream
        other matrices, embedding   std, the shape's `init_std`
        norms                       1
        decoder bias                0: no word is likelier than another before training. (The original
                                    passes its tied decoder over: noise of up to 1 / sqrt(hidden).)
    """
    for name, tensor in model.named_parameters():
        if tensor.ndim == 1:
            tensor.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            writes = name.endswith("Wo.weight")
            std = model.shape.init_std / (math.sqrt(2 * model.shape.layers) if writes else 1.0)
            tensor.copy_(_draw(tensor, std, f"{seed} {name}"))


def _draw(like: Tensor, std: float, key: str) -> Tensor:
    """By the inverse of the distribution: one pass, where `nn.init.trunc_normal_` draws all anew until all fit."""
    words = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    generator = torch.Generator().manual_seed(words >> 1)  # it takes 63 bits
    inside = math.erf(CUTOFF / math.sqrt(2))  # the share of a normal distribution within the cut
    drawn = torch.empty(like.shape, dtype=torch.float32).uniform_(-inside, inside, generator=generator)
    return drawn.erfinv_().mul_(math.sqrt(2) * std).clamp_(-CUTOFF * std, CUTOFF * std)
