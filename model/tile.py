"""A smaller ModernBERT's weights -> a larger one's: each tensor from its middle, and around again where it ends.

Along an axis that grows from n to N, `new[i] = old[(i - offset) mod n]` with offset (N - n) // 2: the old lies in the
middle. Nothing is rescaled (ModernBERT, arXiv 2412.13663, appendix A.3; edge tiling and random edges were worse).
Queries, keys and values, and the two halves of the gated MLP, are tiled each by itself. Heads stay whole: their axis is
tiled by heads, which is the same where an even number of them is added, as from base to large (12 to 16).

The final norm is tiled like every other tensor, where ModernBERT's code left it at ones: no difference was measured
(docs/start.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from model.settings import Shape
from model.tensors import tensors

Layers = Literal["by-kind", "by-depth"]

SAME = ("global_every", "window", "norm_eps")
"""What a larger model must share with the smaller one, beside the width of its heads."""


def tile(weights: Mapping[str, Tensor], small: Shape, large: Shape, layers: Layers = "by-kind") -> dict[str, Tensor]:
    """The tensors of `large`, by the names of its parameters, from those of `small`, of the same type.

    A norm that its source lacks (layer 0 has none before its attention) starts at ones. Raises ValueError, naming the
    setting, for shapes that do not go together (see `check`).
    """
    check(small, large)
    vocab = len(weights["decoder.bias"])
    sources = layer_map(small, large, layers)
    return {name: _tiled(_source(name, sources), weights, small, large) for name, _ in tensors(large, vocab)}


def check(small: Shape, large: Shape) -> None:
    """Raise ValueError, naming the setting, unless `large` can be tiled from `small`."""
    for name in ("layers", "hidden", "heads", "intermediate"):
        if (theirs := getattr(small, name)) > (ours := getattr(large, name)):
            raise ValueError(f"{name} cannot shrink from {theirs} to {ours}; a model is only made larger")
    if (theirs := small.hidden // small.heads) != (ours := large.hidden // large.heads):
        raise ValueError(f"heads are {theirs} wide there and {ours} here; make hidden {theirs} times heads")
    for name in SAME:
        if (was := getattr(small, name)) != (now := getattr(large, name)):
            raise ValueError(f"{name} is {was:g} there and {now:g} here; make them equal")


def layer_map(small: Shape, large: Shape, layers: Layers) -> list[int]:
    """For each layer of the larger model, the layer of the smaller one that it begins as.

    by-kind     global layers as global ones and local ones as local ones, each kind spread over its own depth
    by-depth    round(i * n / N), halves to the even one: ModernBERT's, where 12 of large's 28 layers begin as a layer
                of the other kind
    """
    every = list(range(small.layers))
    if layers == "by-depth":
        return _spread(every, large.layers)
    kinds = {whole: [n for n in every if small.is_global(n) is whole] or every for whole in (True, False)}
    count = sum(large.is_global(n) for n in range(large.layers))
    spread = {True: iter(_spread(kinds[True], count)), False: iter(_spread(kinds[False], large.layers - count))}
    return [next(spread[large.is_global(n)]) for n in range(large.layers)]


def _spread(sources: list[int], count: int) -> list[int]:
    """`count` of these in their order, as evenly as can be."""
    return [sources[min(round(i * len(sources) / count), len(sources) - 1)] for i in range(count)]


def _source(name: str, sources: list[int]) -> str:
    """The smaller model's name of what this tensor of the larger one begins as."""
    head, _, rest = name.partition("model.layers.")
    if head or not rest:
        return name
    number, _, part = rest.partition(".")
    return f"model.layers.{sources[int(number)]}.{part}"


def _tiled(source: str, weights: Mapping[str, Tensor], small: Shape, large: Shape) -> Tensor:
    width = _indices(small.hidden, large.hidden)
    inner = _indices(small.intermediate, large.intermediate)
    by_heads = _by_heads(small, large)
    if source not in weights and source.endswith("attn_norm.weight"):
        return torch.ones(large.hidden, dtype=weights["decoder.bias"].dtype)
    tensor = weights[source]
    if source == "decoder.bias":  # one number a word
        return tensor.clone()
    if source.endswith("tok_embeddings.weight"):
        return tensor[:, width]
    if tensor.dim() == 1:
        return tensor[width]
    if source.endswith("attn.Wqkv.weight"):
        return _parts(tensor, 3, by_heads)[:, width]
    if source.endswith("attn.Wo.weight"):
        return tensor[width][:, by_heads]
    if source.endswith("mlp.Wi.weight"):
        return _parts(tensor, 2, inner)[:, width]
    if source.endswith("mlp.Wo.weight"):
        return tensor[width][:, inner]
    assert source == "head.dense.weight", source
    return tensor[width][:, width]


def _parts(tensor: Tensor, count: int, rows: Tensor) -> Tensor:
    """Matrices that lie above each other, each with these rows."""
    return torch.cat([part[rows] for part in tensor.chunk(count)])


def _by_heads(small: Shape, large: Shape) -> Tensor:
    """(large.hidden,): the old place of each place along the heads' axis."""
    wide = small.hidden // small.heads
    heads = _indices(small.heads, large.heads)
    return (heads[:, None] * wide + torch.arange(wide)).flatten()


def _indices(old: int, new: int) -> Tensor:
    """(new,): the old place of each new one."""
    return (torch.arange(new) - (new - old) // 2) % old
