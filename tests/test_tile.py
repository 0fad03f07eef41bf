"""Tiling, against the index rule written out as loops over Python lists."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from model.bert import Bert
from model.initialise import initialise
from model.settings import BASE, LARGE, Shape
from model.tile import Layers, layer_map, tile

VOCAB = 24
SMALL = Shape(layers=4, hidden=12, heads=3, intermediate=10, window=8)
LARGER = Shape(layers=7, hidden=20, heads=5, intermediate=15, window=8)


def weights_of(shape: Shape) -> dict[str, torch.Tensor]:
    model = Bert(shape, VOCAB)
    initialise(model, 3)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:  # else all norms are alike
                p.add_(torch.arange(len(p)) / 7 + len(name))
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def old(new: int, small: int, large: int) -> int:
    return (new - (large - small) // 2) % small


def by_head(new: int, small: Shape, large: Shape) -> int:
    wide = small.hidden // small.heads
    return old(new // wide, small.heads, large.heads) * wide + new % wide


def expected(name: str, source: Any, small: Shape, large: Shape) -> Any:
    """One tensor, element by element."""

    def width(i: int) -> int:
        return old(i, small.hidden, large.hidden)

    def inner(i: int) -> int:
        return old(i, small.intermediate, large.intermediate)

    def heads(i: int) -> int:
        return by_head(i, small, large)

    def matrix(rows: list[int], columns: Callable[[int], int], count: int) -> Any:
        return [[source[row][columns(c)] for c in range(count)] for row in rows]

    wide, between = large.hidden, large.intermediate
    if name == "decoder.bias":
        return list(source)
    if "norm" in name:
        return [source[width(i)] for i in range(wide)]
    if "tok_embeddings" in name:
        return matrix(list(range(VOCAB)), width, wide)
    if "Wqkv" in name:
        rows = [part * small.hidden + heads(i) for part in range(3) for i in range(wide)]
        return matrix(rows, width, wide)
    if "Wi" in name:
        rows = [half * small.intermediate + inner(i) for half in range(2) for i in range(between)]
        return matrix(rows, width, wide)
    if "attn.Wo" in name:
        return matrix([width(i) for i in range(wide)], heads, wide)
    if "mlp.Wo" in name:
        return matrix([width(i) for i in range(wide)], inner, between)
    assert name == "head.dense.weight"
    return matrix([width(i) for i in range(wide)], width, wide)


@pytest.mark.parametrize("layers", ["by-kind", "by-depth"])
@pytest.mark.parametrize(
    "large",
    [
        LARGER,  # two heads more, an odd number of inner units
        replace(LARGER, hidden=16, heads=4),  # one head more: half a head would be the middle
        replace(LARGER, hidden=28, heads=7, intermediate=40),  # more than twice around
        replace(SMALL, layers=10),
        replace(SMALL, hidden=24, heads=6, intermediate=20),
        SMALL,
    ],
)
def test_every_element_is_where_the_rule_puts_it(large: Shape, layers: Layers) -> None:
    small = weights_of(SMALL)
    tiled = tile(small, SMALL, large, layers)
    sources = layer_map(SMALL, large, layers)
    shapes = {name: p.shape for name, p in Bert(large, VOCAB).named_parameters()}
    assert {name: tensor.shape for name, tensor in tiled.items()} == shapes
    for name, tensor in tiled.items():
        source = name
        if name.startswith("model.layers."):
            number, _, part = name.removeprefix("model.layers.").partition(".")
            source = f"model.layers.{sources[int(number)]}.{part}"
        if source not in small:
            assert source == "model.layers.0.attn_norm.weight"
            assert tensor.tolist() == [1.0] * large.hidden
            continue
        assert tensor.tolist() == expected(name, small[source].tolist(), SMALL, large), name


def test_a_model_of_the_same_shape_is_the_same_to_the_bit() -> None:
    small = weights_of(SMALL)
    layers: Layers
    for layers in ("by-kind", "by-depth"):
        tiled = tile(small, SMALL, SMALL, layers)
        assert list(tiled) == list(small)
        assert all(torch.equal(tiled[name], small[name]) for name in small)


def test_from_base_to_large_the_layers_by_depth_are_those_of_modernbert() -> None:
    paper = [0, 1, 2, 2, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12, 13, 13, 14, 15, 16, 16, 17, 18, 19, 20, 20, 21]
    found = layer_map(BASE, LARGE, "by-depth")
    assert found == paper
    assert sum(BASE.is_global(source) is not LARGE.is_global(n) for n, source in enumerate(found)) == 12


@pytest.mark.parametrize("large", [LARGE, replace(BASE, layers=25), replace(BASE, layers=70), BASE])
def test_by_kind_global_layers_come_from_global_ones_in_order_and_none_is_left_out(large: Shape) -> None:
    found = layer_map(BASE, large, "by-kind")
    assert all(BASE.is_global(source) is large.is_global(n) for n, source in enumerate(found))
    for whole in (True, False):
        sources = [source for source in found if BASE.is_global(source) is whole]
        assert sources == sorted(sources)
        assert set(sources) == {n for n in range(BASE.layers) if BASE.is_global(n) is whole}


def test_a_model_without_local_layers_gives_them_too() -> None:
    assert layer_map(replace(SMALL, layers=1), SMALL, "by-kind") == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"layers": 1}, "layers cannot shrink from 4 to 1"),
        ({"hidden": 8, "heads": 2}, "hidden cannot shrink from 12 to 8"),
        ({"intermediate": 9}, "intermediate cannot shrink from 10 to 9"),
        ({"hidden": 24, "heads": 4}, "heads are 4 wide there and 6 here; make hidden 4 times heads"),
        ({"window": 10}, "window is 8 there and 10 here"),
        ({"norm_eps": 1e-6}, "norm_eps is 1e-05 there and 1e-06 here"),
        ({"global_every": 1}, "global_every is 3 there and 1 here"),
    ],
)
def test_what_cannot_be_made_from_the_smaller_model_is_refused_by_name(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        tile(weights_of(SMALL), SMALL, replace(SMALL, **change), "by-kind")


def test_from_base_to_large_heads_lie_where_modernberts_offset_puts_them() -> None:
    """Two heads of 64 to each side are its offset of (1024 - 768) // 2 = 128."""
    wide = LARGE.hidden // LARGE.heads
    assert [by_head(n, BASE, LARGE) for n in range(LARGE.hidden)] == [
        old(n, BASE.hidden, LARGE.hidden) for n in range(LARGE.hidden)
    ]
    assert (LARGE.heads - BASE.heads) // 2 * wide == 128
