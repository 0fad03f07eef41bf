"""Several processes train one model: the same losses as one, the same rows, and any number goes on for any other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import bertmill
from tests.toy_training import job, packed
from train.checkpoint import newest, verify
from train.launch import launch
from train.loop import train
from train.metrics import read_metrics
from train.ranks import RankError

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("data")
    packed(base)
    return base


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("alone")
    train(job(base, data), device="cpu")
    return base


def trained(base: Path, data: Path, processes: int, **told: Any) -> None:
    script = str(ROOT / "tests" / "toy_worlds.py")
    os.environ["PYTHONPATH"] = str(ROOT)
    launch([sys.executable, script, str(base), str(data), json.dumps(told)], processes)


def steps(base: Path) -> list[dict[str, Any]]:
    return [record for record in read_metrics(base / "run" / "metrics.jsonl") if record["kind"] == "step"]


def compare(base: Path, alone: Path) -> None:
    """The same rows, tokens and rates, and losses that differ by rounding."""
    ours, theirs = steps(base), steps(alone)
    for name in ("step", "phase", "rows", "tokens", "lr"):
        assert [record[name] for record in ours] == [record[name] for record in theirs], name
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=1e-6)
        assert mine["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)


@pytest.mark.parametrize(("processes", "parallel"), [(2, "ddp"), (3, "ddp"), (2, "fsdp")])
def test_several_processes_learn_what_one_learns(
    processes: int, parallel: str, alone: Path, data: Path, tmp_path: Path
) -> None:
    """With dropout, in phases of two contexts; three processes share eight rows unequally, and the last step has 4."""
    trained(tmp_path, data, processes, parallel=parallel)
    compare(tmp_path, alone)
    found, expected = newest(tmp_path / "run" / "checkpoints"), newest(alone / "run" / "checkpoints")
    assert found
    assert expected
    assert found.state.read == expected.state.read
    assert found.state.versions["processes"] == str(processes)
    verify(found.folder)
    weights, others = (load_file(one.folder / "model.safetensors") for one in (found, expected))
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, others[name], rtol=0, atol=1e-4, msg=name)
    for record, other in zip(evaluations(tmp_path), evaluations(alone), strict=True):
        for source, scores in record["sources"].items():
            for rate, score in scores.items():
                theirs = other["sources"][source][rate]
                assert score["asked"] == theirs["asked"]
                assert score["bits_per_byte"] == pytest.approx(theirs["bits_per_byte"], rel=1e-4)


def evaluations(base: Path) -> list[dict[str, Any]]:
    return [record for record in read_metrics(base / "run" / "metrics.jsonl") if record["kind"] == "evaluation"]


def test_one_process_goes_on_as_two_and_these_as_one_with_each_row_once(
    alone: Path, data: Path, tmp_path: Path
) -> None:
    train(job(tmp_path, data), device="cpu", until=4)
    trained(tmp_path, data, 2, until=11)
    train(job(tmp_path, data), device="cpu")
    compare(tmp_path, alone)
    found, expected = newest(tmp_path / "run" / "checkpoints"), newest(alone / "run" / "checkpoints")
    assert found
    assert expected
    assert found.state.read == expected.state.read


def test_sigterm_saves_on_all_processes_and_ends_well(alone: Path, data: Path, tmp_path: Path) -> None:
    told = json.dumps({"save_every": 10**9})
    script = (
        "import sys\nsys.path.insert(0, '.')\nfrom train.launch import launch\n"
        f"launch([sys.executable, 'tests/toy_worlds.py', {str(tmp_path)!r}, {str(data)!r}, {told!r}], 2)\n"
    )
    running = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    metrics = tmp_path / "run" / "metrics.jsonl"
    while running.poll() is None and not (metrics.exists() and b'"step"' in metrics.read_bytes()):
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    assert running.wait() == 0
    found = newest(tmp_path / "run" / "checkpoints")
    assert found
    trained(tmp_path, data, 2, save_every=10**9)
    compare(tmp_path, alone)


def test_a_process_that_is_killed_ends_all_and_is_told_without_a_traceback(
    alone: Path, data: Path, tmp_path: Path
) -> None:
    script = (
        "import os, signal, sys\nsys.path.insert(0, '.')\n"
        "from pathlib import Path\nfrom tests.toy_training import job\nfrom train.batches import Reader\n"
        "from train.loop import train\nfrom train.ranks import RankError\n"
        "read = Reader.read\n"
        "def end(self, step, size=None):\n"
        "    if step.number == 8 and self.rank == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return read(self, step, size)\n"
        "Reader.read = end\n"
        "try:\n"
        f"    train(job(Path({str(tmp_path)!r}), Path({str(data)!r})), device='cpu')\n"
        "except RankError as fault:\n"
        "    print(fault, file=sys.stderr); sys.exit(1)\n"
    )
    starter = (
        "import sys\nsys.path.insert(0, '.')\nfrom train.launch import launch\n"
        f"launch([sys.executable, '-c', {script!r}], 2)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", starter], cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "process 1 of 2 was killed by SIGKILL (out of memory?); run the same command again" in ended.stderr
    assert "Traceback" not in ended.stderr
    train(job(tmp_path, data), device="cpu")
    compare(tmp_path, alone)


def test_a_fault_of_one_process_ends_all_and_is_told_once(data: Path, tmp_path: Path) -> None:
    """A shard that is damaged where the second process reads: the first one does not wait for it for ever."""
    script = (
        "import os, sys\nsys.path.insert(0, '.')\n"
        "import train.loop\nfrom packing.shards import ShardError\n"
        "from train.batches import Reader\n"
        "read = Reader.read\n"
        "def broken(self, step, size=None):\n"
        "    if step.number == 3 and self.rank == 1: raise ShardError('row 7 is damaged')\n"
        "    return read(self, step, size)\n"
        "Reader.read = broken\n"
        "from pathlib import Path\nfrom tests.toy_training import job\nfrom train.ranks import RankError\n"
        "try:\n"
        f"    train.loop.train(job(Path({str(tmp_path)!r}), Path({str(data)!r})), device='cpu')\n"
        "except (ShardError, RankError) as fault:\n"
        "    print(type(fault).__name__, fault, file=sys.stderr); sys.exit(1)\n"
    )
    starter = (
        "import sys\nsys.path.insert(0, '.')\nfrom train.launch import launch\n"
        f"launch([sys.executable, '-c', {script!r}], 2)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", starter], cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "ShardError row 7 is damaged" in ended.stderr
    assert "RankError another process of this training has failed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_command_trains_with_several_processes_what_a_run_trains_with_one(
    whole: Path, recipe_path: Path, tmp_path: Path
) -> None:
    """From raw files' rows, with dropout; the first process alone speaks, and the end exports as that of any run."""
    work = tmp_path / "work"
    shutil.copytree(whole, work, ignore=shutil.ignore_patterns("checkpoints", "export", "metrics.jsonl"))
    ended = bertmill("run", recipe_path, "--work", work, "--processes", 2)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("started from random weights") == 1
    assert "final loss" in ended.stdout
    ours, theirs = (
        [(r["rows"], r["loss"]) for r in read_metrics(folder / "metrics.jsonl") if r["kind"] == "step"]
        for folder in (work, whole)
    )
    assert [rows for rows, _ in ours] == [rows for rows, _ in theirs]
    assert [loss for _, loss in ours] == pytest.approx([loss for _, loss in theirs], rel=1e-6)
    assert (work / "export" / "config.json").exists()


def test_a_number_of_processes_that_is_none_is_refused() -> None:
    with pytest.raises(RankError, match="--processes is at least 1, not 0"):
        launch(["true"], 0)
