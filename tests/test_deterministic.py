"""Deterministic mode is on where it was asked for and nowhere else; on a GPU a resumed run then has the same bits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.toy_training import job, packed, settings
from train.deterministic import WORKSPACE, deterministic
from train.loop import train


def state() -> tuple[object, ...]:
    cudnn = torch.backends.cudnn
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    return *algorithms, cudnn.deterministic, cudnn.benchmark, os.environ.get(WORKSPACE)


def test_it_is_on_inside_and_everything_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WORKSPACE, raising=False)
    before = state()
    with deterministic(True):
        assert state() == (True, False, True, False, ":4096:8")
    assert state() == before
    with pytest.raises(KeyError), deterministic(True):
        raise KeyError
    assert state() == before


def test_what_was_set_before_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own buffers stand inside, too."""
    monkeypatch.setenv(WORKSPACE, ":16:8")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with deterministic(True):
            assert state() == (True, False, True, False, ":16:8")
        assert state() == (True, True, False, True, ":16:8")
    finally:
        torch.use_deterministic_algorithms(False)


def test_off_it_changes_nothing() -> None:
    before = state()
    with deterministic(False):
        assert state() == before


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("data")
    packed(base)
    return base


def weights(data: Path, base: Path, stops: tuple[int, ...], device: str, on: bool) -> Mapping[str, torch.Tensor]:
    """Of a run that is stopped after so many steps, and gone on with."""
    run = job(base, data, settings=settings(deterministic=on))
    for until in (*stops, None):
        result = train(run, device=device, until=until)
    assert result.finished
    return load_file(result.checkpoint / "model.safetensors")


def test_on_the_cpu_it_refuses_nothing_and_changes_no_bit(data: Path, tmp_path: Path) -> None:
    plain = weights(data, tmp_path / "plain", (), "cpu", on=False)
    strict = weights(data, tmp_path / "strict", (5,), "cpu", on=True)
    assert state()[0] is False
    assert plain.keys() == strict.keys()
    assert all(torch.equal(plain[name], strict[name]) for name in plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_a_resumed_run_ends_with_the_same_bits(data: Path, tmp_path: Path) -> None:
    whole = weights(data, tmp_path / "whole", (), "cuda", on=True)
    resumed = weights(data, tmp_path / "resumed", (3, 11), "cuda", on=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
