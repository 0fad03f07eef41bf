"""The parts of the encoder, named so that their tensors carry Hugging Face's names."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.attention import Segments, attend
from model.dropout import dropout
from model.rope import rotate
from model.settings import Shape

Angles = tuple[Tensor, Tensor]
"""Cosines and sines of the batch's positions, as `model.rope.angles` gives them."""


def norm(shape: Shape) -> nn.LayerNorm:
    """Every norm of the model: a weight and no bias."""
    return nn.LayerNorm(shape.hidden, eps=shape.norm_eps, bias=False)


class Embeddings(nn.Module):
    """Token ids -> normed vectors. Positions come in with the attention, and there are no token types."""

    def __init__(self, shape: Shape, vocab: int) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocab, shape.hidden)
        self.norm = norm(shape)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.norm(self.tok_embeddings(input_ids))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Tokens of one document exchange what they know: all of them, or those within the window.

    x       (T, D)      normed tokens of all documents
    kept    (K,)        the tokens whose result is wanted; None wants all
    seeds   (T,) int32  of what is dropped out; None drops nothing
    ->      (T, D)      or (K, D)
    """

    def __init__(self, shape: Shape, number: int) -> None:
        super().__init__()
        self.number = number
        self.heads = shape.heads
        self.reach = None if shape.is_global(number) else shape.reach
        self.dropout = shape.dropout
        self.Wqkv = nn.Linear(shape.hidden, 3 * shape.hidden, bias=False)
        self.Wo = nn.Linear(shape.hidden, shape.hidden, bias=False)

    def forward(
        self, x: Tensor, segments: Segments, angles: Angles, kept: Tensor | None, seeds: Tensor | None
    ) -> Tensor:
        qkv = self.Wqkv(x).view(len(x), 3, self.heads, -1)
        qk, v = qkv.split((2, 1), dim=1)
        q, k = rotate(qk, *angles).unbind(1)  # each (T, heads, D / heads)
        mixed = attend(q, k, v.squeeze(1), segments, self.reach).flatten(1)
        if kept is not None:
            mixed = mixed.index_select(0, kept)
            seeds = None if seeds is None else seeds.index_select(0, kept)
        mixed = self.Wo(mixed)
        if seeds is None or not self.dropout:
            return mixed  # type: ignore[no-any-return]
        return dropout(mixed, self.dropout, seeds, self.number)


class Mlp(nn.Module):
    """Gated: the exact (erf) GELU of the first half of `Wi` opens the second."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.Wi = nn.Linear(shape.hidden, 2 * shape.intermediate, bias=False)
        self.Wo = nn.Linear(shape.intermediate, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.Wi(x).chunk(2, -1)
        return self.Wo(F.gelu(value) * gate)  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention, then MLP, each on the normed stream.

    The first layer has no norm before its attention: it reads what the embeddings' norm has just made.
    With `kept` (K,) only those tokens go on after the attention.
    """

    def __init__(self, shape: Shape, number: int) -> None:
        super().__init__()
        self.attn_norm = nn.Identity() if number == 0 else norm(shape)
        self.attn = Attention(shape, number)
        self.mlp_norm = norm(shape)
        self.mlp = Mlp(shape)

    def forward(
        self,
        x: Tensor,
        segments: Segments,
        angles: Angles,
        kept: Tensor | None = None,
        seeds: Tensor | None = None,
    ) -> Tensor:
        mixed = self.attn(self.attn_norm(x), segments, angles, kept, seeds)
        x = mixed + (x if kept is None else x.index_select(0, kept))
        return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]


class Head(nn.Module):
    """The last turn before the decoder's words."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.norm = norm(shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.gelu(self.dense(x)))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Vectors -> logits of words, by the embedding's own matrix and a bias (the only bias of the model)."""

    def __init__(self, words: nn.Embedding) -> None:
        super().__init__()
        self.weight = words.weight
        self.bias = nn.Parameter(torch.zeros(words.num_embeddings))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)
