"""StableAdamW follows its formula, tensor by tensor."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from train.optimizer import StableAdamW, debiased

SHAPES = {"embedding": (50, 8), "matrix": (8, 16), "norm": (8,), "bias": (50,), "one": (1, 1)}
BETAS, EPS = (0.9, 0.98), 1e-6


def parameters(seed: int = 0) -> dict[str, nn.Parameter]:
    drawn = torch.Generator().manual_seed(seed)
    return {name: nn.Parameter(torch.randn(shape, generator=drawn)) for name, shape in SHAPES.items()}


def gradients(step: int) -> dict[str, torch.Tensor]:
    """Now and then a hundred times as large, so that the clipping by RMS has something to do."""
    drawn = torch.Generator().manual_seed(1000 + step)
    scale = 10.0 ** (-step % 4 - 2)
    return {name: scale * torch.randn(shape, generator=drawn) for name, shape in SHAPES.items()}


class Reference:
    """The formula, one number at a time, in Python's float64."""

    def __init__(self, named: dict[str, nn.Parameter]) -> None:
        self.p = {name: p.detach().double().flatten().tolist() for name, p in named.items()}
        self.m = {name: [0.0] * len(values) for name, values in self.p.items()}
        self.v = {name: [0.0] * len(values) for name, values in self.p.items()}
        self.t = 0
        self.cut = 0

    def step(self, grads: dict[str, torch.Tensor], lr: float, peak: float, weight_decay: float) -> None:
        self.t += 1
        b1, b2 = ((beta**self.t - beta) / (beta**self.t - 1) for beta in BETAS)
        for name, p in self.p.items():
            g = grads[name].double().flatten().tolist()
            m = self.m[name] = [b1 * a + (1 - b1) * b for a, b in zip(self.m[name], g, strict=True)]
            v = self.v[name] = [b2 * a + (1 - b2) * b * b for a, b in zip(self.v[name], g, strict=True)]
            rms = math.sqrt(sum(b * b / max(a, EPS**2) for a, b in zip(v, g, strict=True)) / len(g))
            rate = lr / max(1.0, rms)
            self.cut += rms > 1.0
            shrink = 1.0 - rate / peak * weight_decay if len(SHAPES[name]) > 1 else 1.0
            self.p[name] = [a * shrink - rate * b / (math.sqrt(c) + EPS) for a, b, c in zip(p, m, v, strict=True)]


def test_a_hundred_steps_equal_the_formula() -> None:
    named = parameters()
    ours, reference = StableAdamW(named.items(), betas=BETAS, eps=EPS), Reference(named)
    for step in range(100):
        grads = gradients(step)
        for name, p in named.items():
            p.grad = grads[name].clone()
        settings = {"lr": 1e-3 * (1 + step % 3) / 3, "peak": 1e-3, "weight_decay": 0.01}
        ours.step(**settings)
        reference.step(grads, **settings)
    assert 0 < reference.cut < 100 * len(SHAPES), "both branches of max(1, rms) are taken"
    for name, p in named.items():
        expected = torch.tensor(reference.p[name], dtype=torch.float64)
        torch.testing.assert_close(p.detach().double().flatten(), expected, rtol=1e-5, atol=1e-6)


def test_the_first_step_goes_by_the_gradients_sign() -> None:
    """Debiased betas are 0 at t = 1: m = g and v = g squared."""
    assert debiased(0.9, 1) == 0.0
    p = nn.Parameter(torch.zeros(4))
    p.grad = torch.tensor([3.0, -0.5, 1e-3, -20.0])
    StableAdamW([("p", p)], betas=BETAS, eps=EPS).step(lr=0.1, peak=0.1, weight_decay=0.0)
    torch.testing.assert_close(p.detach(), torch.tensor([-0.1, 0.1, -0.1, 0.1]), rtol=2e-3, atol=0)


def test_weights_shrink_by_the_share_of_the_peak_and_norms_and_biases_do_not() -> None:
    named = parameters()
    before = {name: p.detach().clone() for name, p in named.items()}
    for p in named.values():
        p.grad = torch.zeros_like(p)
    ours = StableAdamW(named.items(), betas=BETAS, eps=EPS)
    ours.step(lr=2e-4, peak=8e-4, weight_decay=0.1)
    for name, p in named.items():
        kept = 1 - 0.25 * 0.1 if p.dim() > 1 else 1.0
        torch.testing.assert_close(p.detach(), before[name] * kept)


def test_going_on_from_the_saved_state_is_going_on() -> None:
    def run(steps: range, ours: StableAdamW) -> None:
        for step in steps:
            for name, p in ours.parameters.items():
                p.grad = gradients(step)[name]
            ours.step(lr=1e-3, peak=1e-3, weight_decay=0.01)

    whole = StableAdamW(parameters().items(), betas=BETAS, eps=EPS)
    run(range(8), whole)
    first = StableAdamW(parameters().items(), betas=BETAS, eps=EPS)
    run(range(5), first)
    second = StableAdamW(first.parameters.items(), betas=BETAS, eps=EPS)
    second.load({name: tensor.clone() for name, tensor in first.state().items()}, first.t)
    run(range(5, 8), second)
    for name, p in whole.parameters.items():
        assert torch.equal(p, second.parameters[name])
    assert set(whole.state()) == {f"{kind}.{name}" for kind in ("exp_avg", "exp_avg_sq") for name in SHAPES}


def test_a_state_of_another_model_is_refused_by_name() -> None:
    ours = StableAdamW(parameters().items(), betas=BETAS, eps=EPS)
    state = ours.state()
    with pytest.raises(ValueError, match=r"first exp_avg\.matrix"):
        ours.load({name: tensor for name, tensor in state.items() if name != "exp_avg.matrix"}, 3)
    with pytest.raises(ValueError, match=r"exp_avg_sq.norm has shape \(9,\), not \(8,\)"):
        ours.load({**state, "exp_avg_sq.norm": torch.zeros(9)}, 3)


def test_the_norm_of_all_gradients_is_that_of_one_long_vector() -> None:
    named = parameters()
    for name, p in named.items():
        p.grad = gradients(2)[name]
    ours = StableAdamW(named.items(), betas=BETAS, eps=EPS)
    flat = torch.cat([p.grad.flatten() for p in named.values() if p.grad is not None])
    torch.testing.assert_close(ours.grad_norm(), flat.norm())
    ours.zero_grad()
    with pytest.raises(ValueError, match="embedding has no gradient"):
        ours.step(lr=1.0, peak=1.0, weight_decay=0.0)
