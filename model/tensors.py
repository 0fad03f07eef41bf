"""The names and shapes of a ModernBERT's tensors, and which of them an optimizer decays; without making a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from model.settings import Shape

Named = tuple[str, tuple[int, ...]]


def tensors(shape: Shape, vocab: int) -> Iterator[Named]:
    """Each parameter of `model.bert.Bert` in its order; the decoder's matrix is the embedding's, and not told again."""
    wide, between = shape.hidden, shape.intermediate
    yield "model.embeddings.tok_embeddings.weight", (vocab, wide)
    yield "model.embeddings.norm.weight", (wide,)
    for layer in range(shape.layers):
        at = f"model.layers.{layer}"
        if layer:
            yield f"{at}.attn_norm.weight", (wide,)
        yield f"{at}.attn.Wqkv.weight", (3 * wide, wide)
        yield f"{at}.attn.Wo.weight", (wide, wide)
        yield f"{at}.mlp_norm.weight", (wide,)
        yield f"{at}.mlp.Wi.weight", (2 * between, wide)
        yield f"{at}.mlp.Wo.weight", (wide, between)
    yield "model.final_norm.weight", (wide,)
    yield "head.dense.weight", (wide, wide)
    yield "head.norm.weight", (wide,)
    yield "decoder.bias", (vocab,)


def decays(shape: Sequence[int]) -> bool:
    """Matrices and the embedding shrink by the weight decay; norms and biases, of one dimension, do not."""
    return len(shape) > 1


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parameters that an optimizer treats alike."""

    name: str
    decays: bool
    tensors: int
    parameters: int


def groups(named: Iterable[Named]) -> tuple[Group, ...]:
    """How an optimizer sees these tensors: embedding, matrices, norms, biases, each that there is any of."""
    found: dict[str, list[tuple[int, ...]]] = {"embedding": [], "matrices": [], "norms": [], "biases": []}
    for name, shape in named:
        if decays(shape):
            found["embedding" if "embeddings" in name else "matrices"].append(shape)
        else:
            found["biases" if name.endswith("bias") else "norms"].append(shape)
    return tuple(
        Group(name=name, decays=decays(of[0]), tensors=len(of), parameters=sum(map(math.prod, of)))
        for name, of in found.items()
        if of
    )
