"""The fresh weights: Megatron's standard deviations, the cut, and numbers that hang on seed and name alone."""

from __future__ import annotations

import math

import pytest
import torch

from model.bert import Bert
from model.initialise import initialise
from model.settings import Shape

torch.set_num_threads(1)  # work this small is slower on two busy cores than on one

SHAPE = Shape(layers=4, hidden=128, heads=4, intermediate=192)
CUT = 0.8796
"""Standard deviation of a normal distribution that is cut off at two of its own."""


def fresh(seed: int, shape: Shape = SHAPE) -> Bert:
    model = Bert(shape, 1000)
    initialise(model, seed)
    return model


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("model.embeddings.tok_embeddings.weight", 0.02),
        ("model.layers.1.attn.Wqkv.weight", 0.02),
        ("model.layers.2.mlp.Wi.weight", 0.02),
        ("head.dense.weight", 0.02),
        ("model.layers.0.attn.Wo.weight", 0.02 / math.sqrt(8)),
        ("model.layers.3.mlp.Wo.weight", 0.02 / math.sqrt(8)),
    ],
)
def test_matrices_are_drawn_with_megatrons_spread_and_cut_at_twice_of_it(name: str, std: float) -> None:
    drawn = fresh(seed=17).state_dict()[name]
    assert drawn.std().item() == pytest.approx(std * CUT, rel=0.03)
    assert abs(drawn.mean().item()) < 0.03 * std
    assert 1.9 * std < drawn.abs().max().item() <= 2 * std


def test_norms_are_one_and_the_decoders_bias_is_zero_whatever_stood_there() -> None:
    model = Bert(SHAPE, 1000)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.fill_(7.0)
    initialise(model, seed=17)
    vectors = {name: t for name, t in model.state_dict().items() if t.ndim == 1}
    assert set(vectors["decoder.bias"].tolist()) == {0.0}
    assert all(set(t.tolist()) == {1.0} for name, t in vectors.items() if name.endswith("norm.weight"))
    assert len(vectors) == 1 + 10  # two a layer less one, and three outside the layers


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_own_generator_alone() -> None:
    torch.manual_seed(1)
    one = fresh(seed=17).state_dict()
    before = torch.get_rng_state()
    model = Bert(SHAPE, 1000)
    torch.set_rng_state(before)
    initialise(model, seed=17)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(t, one[name]) for name, t in model.state_dict().items())
    assert not torch.equal(fresh(seed=18).state_dict()["head.dense.weight"], one["head.dense.weight"])


def test_more_layers_do_not_change_the_tensors_that_were_there() -> None:
    few = fresh(seed=17).state_dict()
    many = fresh(seed=17, shape=Shape(layers=7, hidden=128, heads=4, intermediate=192)).state_dict()
    for name, tensor in few.items():
        scale = math.sqrt(4 / 7) if name.endswith("Wo.weight") else 1.0
        torch.testing.assert_close(many[name], tensor * scale, rtol=1e-5, atol=0)


def test_no_two_matrices_begin_with_the_same_numbers() -> None:
    starts = [tuple(t.flatten()[:8].tolist()) for t in fresh(seed=17).parameters() if t.ndim == 2]
    assert len(set(starts)) == len(starts)
