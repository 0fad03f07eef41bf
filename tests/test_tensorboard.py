"""TensorBoard draws what metrics.jsonl says, each step once, whatever stopped the run."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.toy_records import ROOT, SAVED, apart, evaluation, show, step
from tests.toy_training import job, packed, settings
from train.loop import train
from train.metrics import Record, read_metrics
from train.settings import Average
from train.trackers import scalars

Curves = Mapping[str, list[tuple[int, Any]]]


def drawn(folder: Path) -> Curves:
    """What TensorBoard draws of the event files in a folder."""
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = events.EventAccumulator(str(folder), {events.SCALARS: 0})
    found.Reload()
    return {
        name: [(event.step, pytest.approx(event.value)) for event in found.Scalars(name)]
        for name in found.Tags()["scalars"]
    }


def expected(records: Sequence[Record], over: str) -> Curves:
    curves: dict[str, list[tuple[int, Any]]] = {}
    for record in records:
        for name, number in scalars(record).items():
            if over == "step" or name.startswith(("train/loss", "evaluation")):
                curves.setdefault(name, []).append((record[over], number))
    return curves


def board(folder: Path) -> tuple[Curves, Curves]:
    return drawn(folder / "track/tensorboard/steps"), drawn(folder / "track/tensorboard/tokens")


@pytest.fixture
def tensorboard() -> None:
    pytest.importorskip("tensorboard", reason="pip install 'bertmill[trackers]'")


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_draws_every_record_over_steps_and_over_tokens(tmp_path: Path) -> None:
    records = [step(1), step(2), evaluation(2), step(3, math.nan), step(4)]
    show("tensorboard", tmp_path, [*records, SAVED])
    steps, tokens = board(tmp_path)
    assert steps == expected(records, "step")
    assert tokens == expected(records, "tokens")
    assert [at for at, _ in steps["train/loss"]] == [1, 2, 4]


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_forgets_what_came_after_the_checkpoint_that_is_gone_on_from(tmp_path: Path) -> None:
    first = [step(1), step(2), evaluation(2), step(3), evaluation(3), step(4)]
    again = [step(3, 7.0), evaluation(3), step(4, 8.0), step(5)]
    show("tensorboard", tmp_path, first)
    show("tensorboard", tmp_path, again)
    records = [*first[:3], *again]
    assert board(tmp_path) == (expected(records, "step"), expected(records, "tokens"))


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_forgets_what_a_rewind_took_back(tmp_path: Path) -> None:
    show("tensorboard", tmp_path, [step(1), step(2), evaluation(2), step(3), step(4), step(3, 7.0), step(4, 8.0)])
    records = [step(1), step(2), evaluation(2), step(3, 7.0), step(4, 8.0)]
    assert board(tmp_path) == (expected(records, "step"), expected(records, "tokens"))


@pytest.mark.usefixtures("tensorboard")
def test_what_tensorboard_was_shown_before_a_save_outlives_a_kill(tmp_path: Path) -> None:
    ended = apart("tensorboard", tmp_path, "step:1", "step:2", "step:3", "saved:3", "step:4", kill=True)
    assert ended.returncode == -9, ended.stderr
    again = [step(4, 7.0), step(5)]
    show("tensorboard", tmp_path, again)
    records = [step(1), step(2), step(3), *again]
    assert board(tmp_path) == (expected(records, "step"), expected(records, "tokens"))


def test_tensorboard_on_a_full_disk_is_given_up_and_the_training_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'bertmill[trackers]'")
    code = """
import resource, signal, sys, warnings
from pathlib import Path
from tests.toy_records import SAVED, step, tracked
from train.trackers import trackers
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
tracker = trackers(tracked("tensorboard"), Path(sys.argv[1]), "toy")
tracker.record(step(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
warnings.simplefilter("always")
for number in range(2, 200):
    tracker.record(step(number))
    tracker.record(SAVED)
tracker.close()
print("done")
"""
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
    assert ended.stderr.count("TrackerWarning: tensorboard: OSError") == 1, ended.stderr


@pytest.mark.usefixtures("tensorboard")
def test_a_training_that_was_stopped_twice_is_drawn_as_its_metrics_say(tmp_path: Path) -> None:
    """The second time it is as if killed after step 7: its newest checkpoint is lost."""
    packed(tmp_path)
    toy = job(tmp_path, tmp_path, settings=settings(track=("tensorboard",), average=Average(half_life=2_000)))
    train(toy, device="cpu", until=3)
    train(toy, device="cpu", until=7)
    shutil.rmtree(toy.checkpoints / "step-00000007")
    result = train(toy, device="cpu")
    records = read_metrics(toy.metrics)
    assert [record["step"] for record in records if record["kind"] == "step"] == list(range(1, result.step + 1))
    steps, tokens = board(toy.folder)
    assert (steps, tokens) == (expected(records, "step"), expected(records, "tokens"))
    assert {"evaluation/web/0.15/bits_per_byte", "evaluation_averaged/code/0.3/bits_per_byte"} <= tokens.keys()
    documented = (ROOT / "docs" / "metrics.md").read_text()
    names = {name for record in records for name in record} | steps.keys()
    assert {name for name in names if not name.startswith("evaluation") and f"`{name}`" not in documented} == set()
