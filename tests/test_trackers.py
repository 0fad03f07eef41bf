"""What trackers show is what metrics.jsonl says, each step once, whatever stopped the run; none of them stops it."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.units import InputError
from recipes.load import RecipeError, load
from recipes.ready import check
from tests.toy_records import SAVED, apart, evaluation, step, tracked
from train.adapters import Once, Scalars
from train.metrics import Record
from train.trackers import Tracker, TrackerError, TrackerWarning, scalars, trackers


def test_a_record_is_drawn_by_its_names() -> None:
    assert scalars(step(2)) == {
        "train/loss": 5.0,
        "train/lr": 1e-3,
        "train/grad_norm": 0.5,
        "train/tokens": 1000.0,
        "speed/tokens_per_second": 1e4,
        "speed/flops_per_second": 1e9,
        "speed/data_wait": 0.01,
        "speed/seconds": 0.05,
    }
    assert scalars({**step(2), "mfu": 0.4})["speed/mfu"] == 0.4
    assert scalars(evaluation(4)) == {
        f"{head}/web/{rate}/{name}": value
        for head in ("evaluation", "evaluation_averaged")
        for rate in ("0.15", "0.3")
        for name, value in (("bits_per_byte", 0.25), ("loss", 2.0))
    }
    assert scalars(SAVED) == {}


def test_what_is_no_number_is_not_drawn() -> None:
    assert "train/loss" not in scalars(step(1, math.nan))
    assert "train/grad_norm" not in scalars({**step(1), "grad_norm": None})


def test_without_trackers_nothing_is_written(tmp_path: Path) -> None:
    with trackers(tracked(), tmp_path / "run", "toy") as tracker:
        tracker.record(step(1))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_missing_package_is_told_in_a_line_before_any_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(TrackerError) as fault:
        trackers(tracked(name), tmp_path / "run", "toy")
    assert str(fault.value) == f"train.track: {name} is not installed; pip install 'bertmill[trackers]'"
    assert not (tmp_path / "run").exists()


class Kept:
    """A tracker that keeps what it is shown, and fails from its n-th record on."""

    def __init__(self, fails_at: int = 99) -> None:
        self.shown: list[int] = []
        self.fails_at, self.closed, self.flushed = fails_at, False, 0

    def log(self, scalars: Scalars, record: Record) -> None:
        if len(self.shown) + 1 == self.fails_at:
            raise ConnectionError("no route\nto host")
        self.shown.append(record["step"])

    def flush(self) -> None:
        self.flushed += 1

    def close(self) -> None:
        self.closed = True


def test_a_tracker_that_fails_is_told_of_once_and_the_others_go_on() -> None:
    tracker, sound, broken = Tracker(), Kept(), Kept(fails_at=3)
    tracker.add("wandb", lambda: broken)
    tracker.add("trackio", lambda: sound)
    tracker.record(step(1))
    tracker.record(step(2))
    with pytest.warns(TrackerWarning) as told:
        tracker.record(step(3))
    assert [str(one.message) for one in told] == [
        "wandb: ConnectionError: no route to host. Training goes on without it; metrics.jsonl has all records"
    ]
    for record in (step(4), step(5), SAVED):
        tracker.record(record)  # a second warning would be an error here
    tracker.close()
    assert (broken.shown, sound.shown, sound.flushed, sound.closed) == ([1, 2], [1, 2, 3, 4, 5], 1, True)


def test_a_tracker_that_cannot_be_opened_does_not_hinder_the_training() -> None:
    def refuse() -> Kept:
        raise PermissionError("no API key")

    tracker = Tracker()
    with pytest.warns(TrackerWarning, match="wandb: PermissionError: no API key. Training goes on"):
        tracker.add("wandb", refuse)
    tracker.record(step(1))
    tracker.close()


def test_what_was_shown_before_a_kill_is_not_shown_again(tmp_path: Path) -> None:
    """Killed after the evaluation at step 3, then after step 5 and before its evaluation."""
    shown = []
    for records in (
        [step(1), step(2), step(3), evaluation(3)],
        [step(2), step(3), evaluation(3), step(4), step(5)],
        [step(4), step(5), evaluation(5), step(6)],
    ):
        adapter = Once(kept := Kept(), tmp_path / "last")
        for record in records:
            adapter.log(scalars(record), record)
        shown.append(kept.shown)  # and no close
    assert shown == [[1, 2, 3, 3], [4, 5], [5, 6]]


def test_a_rewind_does_not_make_a_step_come_twice(tmp_path: Path) -> None:
    adapter = Once(kept := Kept(), tmp_path / "last")
    for number in (1, 2, 3, 2, 3, 4):
        adapter.log(scalars(step(number)), step(number))
    adapter.close()
    assert (kept.shown, kept.closed) == ([1, 2, 3, 4], True)


def parts(path: Path) -> Iterator[bytes]:
    """The records of a .wandb file: a log of LevelDB's form, in blocks of 32 KB, behind a header of 7 bytes."""
    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32_768 - at % 32_768) < 7:
            at += left
            continue
        size, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or its last part
            yield whole
            whole = b""


def history(folder: Path) -> list[dict[str, Any]]:
    """What wandb wrote down of a run, row by row, over all processes that had a part in it."""
    protocol = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    rows = []
    for path in sorted(folder.glob("track/wandb/offline-run-*/*.wandb")):
        for part in parts(path):
            record = protocol.Record.FromString(part)
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                rows.append({(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in items})
    return rows


def test_wandb_offline_goes_on_with_one_run_and_has_each_step_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="pip install 'bertmill[trackers]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for records in (
        ("step:1", "step:2", "step:3", "step:4"),
        ("step:3", "step:4", "step:5", "evaluation:5", "step:6"),
    ):
        ended = apart("wandb", tmp_path, *records)
        assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    rows = history(tmp_path)
    assert [row["_step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["train/tokens"] for row in rows] == [500.0 * number for number in range(1, 7)]
    assert rows[4]["train/loss"] == 2.0
    assert rows[4]["evaluation/web/0.15/bits_per_byte"] == 0.2
    runs = {path.name for path in tmp_path.glob("track/wandb/offline-run-*/*.wandb")}
    assert runs == {f"run-{(tmp_path / 'track/id').read_text()}.wandb"}


def test_wandb_without_a_key_is_told_of_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="pip install 'bertmill[trackers]'")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    ended = apart("wandb", tmp_path, "step:1", "step:2")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("TrackerWarning: wandb: UsageError: No API key configured") == 1, ended.stderr
    assert "Training goes on without it; metrics.jsonl has all records" in ended.stderr


def test_trackio_goes_on_with_one_run_and_has_each_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio", reason="pip install 'bertmill[trackers]'")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "home"))
    for records in (("step:1", "step:2", "step:3"), ("step:2", "step:3", "evaluation:3", "step:4")):
        ended = apart("trackio", tmp_path, *records)
        assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    with sqlite3.connect(tmp_path / "home" / "bertmill.db") as base:
        rows = base.execute("select run_name, step, metrics from metrics order by step, id").fetchall()
    base.close()
    assert {name for name, _, _ in rows} == {f"toy-{(tmp_path / 'track/id').read_text()}"}
    assert [at for _, at, _ in rows] == [1, 2, 3, 3, 4]
    assert json.loads(rows[3][2])["evaluation/web/0.15/bits_per_byte"] == pytest.approx(1 / 3)
    assert json.loads(rows[4][2])["train/loss"] == 2.5


RECIPE = """
name: toy
sources: {{notes: {{kind: text, read: {folder}/a.jsonl}}}}
model: {{layers: 4, hidden: 32, heads: 2, intermediate: 48}}
train:
  track: [tensorboard, {track}]
  phases: [{{name: learn, tokens: 1M, context: 128, mix: {{notes: 1.0}}}}]
"""


def test_a_recipe_is_told_of_a_missing_package_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "A note."}\n')
    (tmp_path / "toy.yaml").write_text(RECIPE.format(folder=tmp_path, track="wandb"))
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError) as fault:
        check(load(tmp_path / "toy.yaml"))
    assert str(fault.value).splitlines() == [
        f"train.track: {name} is not installed; pip install 'bertmill[trackers]'" for name in ("tensorboard", "wandb")
    ]


@pytest.mark.parametrize(
    ("track", "told"),
    [("tensorboard", "names a tracker twice: ['tensorboard', 'tensorboard']"), ("mlflow", "train.track.1: ")],
)
def test_a_recipe_names_trackers_that_there_are_once(track: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(RECIPE.format(folder=tmp_path, track=track))
    with pytest.raises(RecipeError, match=re.escape(told)):
        load(tmp_path / "toy.yaml")
