"""A trace of the steps that were asked for, in the form that Chrome reads; nothing without being asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from train.profile import profiled
from train.settings import Profile

CPU = torch.device("cpu")


def work(settings: Profile | None, folder: Path, steps: int, done: int = 0) -> None:
    """Steps that multiply once each: the number of products in a trace tells the number of its steps."""
    x = torch.ones(8, 8)
    with profiled(settings, folder, CPU) as profile:
        for number in range(done + 1, done + steps + 1):
            torch.mm(x, x)
            profile.step(number)


def products(path: Path) -> int:
    return sum(event.get("name") == "aten::mm" for event in json.loads(path.read_text())["traceEvents"])


def test_the_steps_that_were_asked_for_are_traced_and_their_dearest_operators_told(tmp_path: Path) -> None:
    work(Profile(first=3, steps=2), tmp_path, steps=12)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["step-00000005.json", "step-00000005.txt"]
    assert products(tmp_path / "profile" / "step-00000005.json") == 2
    table = (tmp_path / "profile" / "step-00000005.txt").read_text()
    assert "aten::mm" in table
    assert "Self CPU" in table


def test_a_process_that_goes_on_traces_after_as_many_steps_of_its_own(tmp_path: Path) -> None:
    work(Profile(first=3, steps=2), tmp_path, steps=12, done=1000)
    assert products(tmp_path / "profile" / "step-00001005.json") == 2


def test_a_run_that_ends_within_the_trace_writes_what_it_has(tmp_path: Path) -> None:
    work(Profile(first=2, steps=50), tmp_path, steps=6)
    assert products(tmp_path / "profile" / "step-00000006.json") == 4


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_a_run_that_ends_before_the_trace_writes_none(steps: int, tmp_path: Path) -> None:
    work(Profile(first=3, steps=2), tmp_path, steps=steps)
    assert list(tmp_path.iterdir()) == []


def test_without_settings_nothing_is_written_and_no_profiler_runs(tmp_path: Path) -> None:
    with profiled(None, tmp_path, CPU) as profile:
        assert not torch.autograd.profiler._is_profiler_enabled
        profile.step(1)
    work(None, tmp_path, steps=30)
    assert list(tmp_path.iterdir()) == []


def test_after_the_trace_no_profiler_runs_any_more(tmp_path: Path) -> None:
    with profiled(Profile(first=1, steps=2), tmp_path, CPU) as profile:
        running = []
        for number in range(1, 7):
            running.append(torch.autograd.profiler._is_profiler_enabled)
            profile.step(number)
        assert not running[-1]
    assert (tmp_path / "profile" / "step-00000003.json").exists()


@pytest.mark.parametrize(
    ("wrong", "told"), [({"first": 0}, "first is at least 1"), ({"steps": 0}, "steps is at least")]
)
def test_a_trace_of_nothing_is_refused(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Profile(**wrong)
