"""The mean of the weights is the mean, from the first step on, and gives the weights back."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.toy_averaged import STEPS, averaged, model, rank, weights
from train.average import SHARE, Averaged


def wander(net: nn.Module, step: int) -> None:
    torch.manual_seed(100 + step)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.1)


def test_the_mean_is_the_sum_of_all_weights_by_their_age_in_half_lives() -> None:
    net = model()
    mean_of = Averaged(net.named_parameters(), half_life=1_000)
    seen, ends, tokens = [], [], [300, 300, 50, 1_000, 400, 400]
    for step, count in enumerate(tokens):
        wander(net, step)
        mean_of.update(count)
        seen.append({name: p.detach().double().clone() for name, p in net.named_parameters()})
        ends.append(sum(tokens[: step + 1]))
    # A step of n tokens that ended t tokens ago has the share 2^(-t/h) - 2^(-(t+n)/h) of an endless past.
    shares = [2 ** (-(ends[-1] - end) / 1_000) * (1 - 2 ** (-n / 1_000)) for end, n in zip(ends, tokens, strict=True)]
    for name, mean in mean_of.state().items():
        if name != "share":
            parts = [share * one[name] for share, one in zip(shares, seen, strict=True)]
            exact = torch.stack(parts).sum(0) / sum(shares)
            assert torch.allclose(mean.double(), exact, rtol=0, atol=1e-6), name


def test_after_one_step_the_mean_is_the_weights_to_the_bit() -> None:
    net = model()
    mean_of = Averaged(net.named_parameters(), half_life=1_000_000_000)
    mean_of.update(7)
    for name, p in net.named_parameters():
        assert torch.equal(mean_of.state()[name], p)


def test_a_mean_that_goes_on_from_its_state_has_the_same_bits() -> None:
    net, again = model(), model()
    whole, first = Averaged(net.named_parameters(), 900), Averaged(again.named_parameters(), 900)
    for step in range(8):
        wander(net, step)
        whole.update(111)
    for step in range(8):
        if step == 3:
            kept = {name: tensor.clone() for name, tensor in first.state().items()}
            first = Averaged(again.named_parameters(), 900)
            first.load(kept)
        wander(again, step)
        first.update(111)
    for name, tensor in whole.state().items():
        assert torch.equal(first.state()[name], tensor), name


def test_swapped_shows_the_mean_and_gives_the_weights_back_even_after_a_fault() -> None:
    net = model()
    mean_of = Averaged(net.named_parameters(), 900)
    for step in range(3):
        wander(net, step)
        mean_of.update(111)
    weights = {name: p.detach().clone() for name, p in net.named_parameters()}
    means = {name: tensor.clone() for name, tensor in mean_of.state().items()}
    kept = dict(net.named_parameters())
    with mean_of.swapped():
        for name, p in net.named_parameters():
            assert torch.equal(p, means[name])
            assert p is kept[name]
    with pytest.raises(KeyError), mean_of.swapped():
        raise KeyError
    for name, p in net.named_parameters():
        assert torch.equal(p, weights[name])
    for name, tensor in mean_of.state().items():
        assert torch.equal(tensor, means[name])


def test_a_state_of_another_model_is_refused_by_name() -> None:
    mean_of = Averaged(model().named_parameters(), 900)
    state = mean_of.state()
    with pytest.raises(ValueError, match=r"^1 tensors of the mean do not match, first 1\.bias$"):
        mean_of.load({name: tensor for name, tensor in state.items() if name != "1.bias"})
    with pytest.raises(ValueError, match=r"^0\.weight has shape \(2,\), not \(5, 3\)$"):
        mean_of.load({**state, "0.weight": torch.zeros(2)})


def test_a_mean_in_pieces_on_two_processes_is_that_of_one_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.toy_averaged", "tests.toy_sharded"])
    ranks = [context.Process(target=rank, args=(number, 2, tmp_path)) for number in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
        assert process.exitcode == 0
    alone = averaged(model()).state()
    for number in range(2):
        state, shown, back = (load_file(tmp_path / f"{kind}-{number}") for kind in ("state", "shown", "back"))
        assert state.keys() == alone.keys()
        for name, tensor in alone.items():
            assert torch.equal(state[name], tensor), name
            if name != SHARE:
                assert torch.equal(shown[name], tensor), name
                assert torch.equal(back[name], weights(STEPS - 1)[name]), name
