"""StableAdamW follows its formula, tensor by tensor, and torch-optimi's; AdamW follows torch's; in pieces as whole."""

from __future__ import annotations

import math
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from optimi import StableAdamW as Optimi
from optimi.utils import param_groups_weight_decay
from safetensors.torch import load_file, save_file
from torch import nn

from model.bert import Bert
from model.initialise import initialise
from model.tensors import groups, tensors
from tests.toy_sharded import NAMES, Tensors, outcome, rank, stepped
from tests.toy_training import SHAPE
from train.optimizer import AdamW, StableAdamW, debiased, optimizer_of
from train.settings import Optimizer

SHAPES = {"embedding": (50, 8), "matrix": (8, 16), "norm": (8,), "bias": (50,), "one": (1, 1)}
BETAS, EPS = (0.9, 0.98), 1e-6


def parameters(seed: int = 0) -> dict[str, nn.Parameter]:
    drawn = torch.Generator().manual_seed(seed)
    return {name: nn.Parameter(torch.randn(shape, generator=drawn)) for name, shape in SHAPES.items()}


def named_data() -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in parameters().items()}


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


def rates(step: int) -> dict[str, float]:
    """Of a step of 100: two phases with peaks and decays of their own, each with a warm-up and a fall."""
    peak, weight_decay = (1e-3, 0.01) if step < 60 else (3e-4, 0.002)
    within = step % 60
    return {
        "lr": peak * min(1.0, (within + 1) / 20, (41 - within % 41) / 10),
        "peak": peak,
        "weight_decay": weight_decay,
    }


def spiky(step: int, p: torch.Tensor) -> torch.Tensor:
    """Gradients of a tensor: mostly small, none for some rows, each seventh step up to 10,000 times as large."""
    drawn = torch.Generator().manual_seed(1000 * step + p.numel())
    gradient = torch.randn(p.shape, generator=drawn) * 10.0 ** (step % 3 - 3)
    if step % 7 == 6:
        gradient *= 10.0 ** (step % 5)
    return gradient * (torch.rand(p.shape[0], generator=drawn) < 0.6).reshape(-1, *[1] * (p.dim() - 1))


@torch.no_grad()
def apart(ours: nn.Module, theirs: nn.Module) -> float:
    """The largest difference between two weights."""
    return max(
        float((one - other).abs().max()) for one, other in zip(ours.parameters(), theirs.parameters(), strict=True)
    )


def test_a_hundred_steps_equal_those_of_torch_optimi() -> None:
    """decouple_lr is how ModernBERT used it; max_lr follows the phase, which its own code forgot."""
    ours, theirs = Tensors(named_data()), Tensors(named_data())
    optimizer = StableAdamW(ours.named_parameters(), betas=BETAS, eps=EPS)
    grouped = param_groups_weight_decay(theirs, 1e-4)  # what it begins with; each step has its own
    peer = Optimi(grouped, lr=1e-3, betas=BETAS, eps=EPS, decouple_lr=True, foreach=False)
    cut = 0
    for step in range(100):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            one.grad, other.grad = spiky(step, one), spiky(step, other)
        given = rates(step)
        optimizer.step(**given)
        for group in peer.param_groups:
            decay = given["weight_decay"] if group["weight_decay"] else 0.0
            group.update(lr=given["lr"], max_lr=given["peak"], weight_decay=decay)
        peer.step()
        assert apart(ours, theirs) <= 1e-6, step
        v = optimizer.exp_avg_sq["matrix"].clamp_min(EPS**2)
        cut += float((spiky(step, ours.matrix) ** 2 / v).mean()) > 1  # type: ignore[arg-type]
    assert 10 < cut < 90, "some steps are cut and some are not"


def test_a_hundred_steps_of_adamw_equal_those_of_torch() -> None:
    """Its weight decay is ours divided by the peak, because torch multiplies it by the rate."""
    ours, theirs = Tensors(named_data()), Tensors(named_data())
    optimizer = AdamW(ours.named_parameters(), betas=BETAS, eps=EPS)
    decayed = [p for p in theirs.parameters() if p.dim() > 1]
    kept = [p for p in theirs.parameters() if p.dim() == 1]
    grouped: list[dict[str, Any]] = [{"params": decayed}, {"params": kept, "weight_decay": 0.0}]
    peer = torch.optim.AdamW(grouped, betas=BETAS, eps=EPS)
    for step in range(100):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            one.grad, other.grad = spiky(step, one), spiky(step, other)
        given = rates(step)
        optimizer.step(**given)
        peer.param_groups[0].update(lr=given["lr"], weight_decay=given["weight_decay"] / given["peak"])
        peer.param_groups[1].update(lr=given["lr"])
        peer.step()
        assert apart(ours, theirs) <= 1e-6, step


def test_a_recipe_names_the_optimizer() -> None:
    for name, kind in (("stable-adamw", StableAdamW), ("adamw", AdamW)):
        made = optimizer_of(Optimizer(name=name, betas=(0.8, 0.9), eps=1e-5), parameters().items())  # type: ignore[arg-type]
        assert (type(made), made.betas, made.eps) == (kind, (0.8, 0.9), 1e-5)
    assert type(optimizer_of(Optimizer(), parameters().items())) is StableAdamW


def test_groups_tell_what_is_decayed_and_miss_no_parameter() -> None:
    model = Bert(SHAPE, 264)
    assert list(tensors(SHAPE, 264)) == [(name, tuple(p.shape)) for name, p in model.named_parameters()]
    found = {group.name: group for group in groups(tensors(SHAPE, 264))}
    assert {name: group.decays for name, group in found.items()} == {
        "embedding": True, "matrices": True, "norms": False, "biases": False,
    }  # fmt: skip
    assert {name: group.tensors for name, group in found.items()} == {
        "embedding": 1, "matrices": 4 * 4 + 1, "norms": 2 * 4 + 2, "biases": 1,
    }  # fmt: skip
    assert sum(group.parameters for group in found.values()) == SHAPE.parameters(264)

    initialise(model, seed=1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer_of(Optimizer(), model.named_parameters()).step(lr=1e-3, peak=1e-3, weight_decay=0.5)
    shrunk = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert len(shrunk) == found["embedding"].tensors + found["matrices"].tensors


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


@pytest.mark.parametrize("world", [2, 3])
def test_parameters_in_pieces_are_stepped_as_whole_ones(tmp_path: Path, world: int) -> None:
    """RMS, norm and moments are the whole tensor's, also where a tensor has fewer rows than there are processes."""
    save_file({name: p.detach() for name, p in parameters().items()}, tmp_path / "parameters")
    for step in range(6):
        save_file(gradients(step), tmp_path / f"gradients-{step}")
    expected = {}
    for name in NAMES:
        stood = outcome(stepped(name, tmp_path, sharded=False, steps=range(3)))
        save_file({n: tensor for n, tensor in stood.items() if n != "grad_norm"}, tmp_path / f"{name}-3")
        expected[name] = outcome(stepped(name, tmp_path, sharded=False, steps=range(6)))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.toy_sharded"])
    ranks = [context.Process(target=rank, args=(number, world, tmp_path)) for number in range(world)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
        assert process.exitcode == 0
    for name, plain in expected.items():
        for number in range(world):
            for of in ("", "on-"):
                found = load_file(tmp_path / f"{name}-{of}{number}-of-{world}")
                assert found.keys() == plain.keys()
                for n, tensor in plain.items():
                    assert (found[n] - tensor).norm() <= 1e-6 * tensor.norm(), (name, n)
