"""A poisonous row: the loss leaps, the run goes back to its last checkpoint, leaves the row out, says so, and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packing.quarantine import Quarantine
from packing.shards import Shards
from tests.toy_training import document, job, reader, settings, shards_of, tokenizer_at
from train.batches import IGNORED
from train.checkpoint import newest
from train.job import Job, Result
from train.learn import TrainError
from train.loop import train
from train.metrics import read_metrics
from train.phase import Phase
from train.schedule import Schedule
from train.settings import Batch, Evaluate, Spikes, Train
from train.skipped import Skipped

ROOT = Path(__file__).parents[1]
POISON = 601
"""The number of a document of letters that no other one has."""

SETTINGS: Train = settings(
    batch=Batch(rows=8),
    phases=(Phase(name="learn", tokens=64 * 8 * 90, context=64, mix={"web": 1.0}, warmup=3_000),),
    save_every=64 * 8 * 25,
    evaluate=Evaluate(rows=2),
    spikes=Spikes(window=64, rewinds=2),
)


def poisoned(base: Path) -> Job:
    """240 documents of a toy language, and one that is not of it."""
    tokenizer = tokenizer_at(base / "tokenizer.json")
    texts = {number: document("web", number) for number in range(240)} | {POISON: "龘靐齉爩鱻麤龗灪籲龖" * 2}
    rows = {("web", 64): shards_of(base / "pack" / "web" / "64", tokenizer, texts, 64)}
    heldout = {number: document("web", number) for number in range(10_000, 10_020)}
    held = {"web": shards_of(base / "heldout" / "web", tokenizer, heldout, 64)}
    return job(base, base, settings=SETTINGS, shards=rows, heldout=held, max_epochs=20.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Result, list[Any]]:
    told: list[Any] = []
    mine = poisoned(tmp_path_factory.mktemp("poisoned"))
    return mine, train(mine, device="cpu", notify=told.append), told


def test_the_row_is_found_named_and_left_out_and_the_run_ends(run: tuple[Job, Result, list[Any]]) -> None:
    mine, result, told = run
    assert result.finished
    (spike,) = Skipped.read(mine.folder).spikes
    (row,) = spike.rows
    held = Shards(mine.shards["web", 64])[row.index]
    assert POISON in (held.doc & 0xFFFFFFFF).tolist()
    assert row.text.startswith("é ¾ ĺ")  # the bytes of its first letter, which this tokenizer leaves apart
    assert row.loss > 8
    (record,) = [r for r in read_metrics(mine.metrics) if r["kind"] == "spike"]
    assert record["at"] == spike.step
    assert record["rows"] == [{"source": "web", "context": 64, "row": row.index}]
    assert [r["kind"] for r in told].count("spike") == 1
    state = newest(mine.checkpoints)
    assert state
    assert state.state.read["learn"]["web"]["left_out"] >= 1


def test_steps_are_recorded_once_each_and_none_is_missing(run: tuple[Job, Result, list[Any]]) -> None:
    records = [r for r in read_metrics(run[0].metrics) if r["kind"] == "step"]
    assert [r["step"] for r in records] == list(range(1, 91))
    assert [r["rows"] for r in records] == [[8 * n, 8 * n + 8] for n in range(90)]


def test_it_is_learned_as_if_the_row_had_been_in_quarantine_from_that_step_on(
    run: tuple[Job, Result, list[Any]], tmp_path: Path
) -> None:
    mine, result, _ = run
    quarantine = Skipped.read(mine.folder).quarantine()
    told = replace(mine, folder=tmp_path / "run", settings=replace(SETTINGS, quarantine=quarantine))
    expected = train(told, device="cpu")
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (result.checkpoint / name).read_bytes() == (expected.checkpoint / name).read_bytes()


def test_killed_at_its_rewind_or_after_it_the_run_ends_with_the_same_bits(
    run: tuple[Job, Result, list[Any]], tmp_path: Path
) -> None:
    mine, result, _ = run
    (spike,) = Skipped.read(mine.folder).spikes
    again = poisoned(tmp_path)
    for kill in ("record['kind'] == 'spike'", f"record['kind'] == 'step' and record['step'] == {spike.step + 3}"):
        script = (
            "import os, signal, sys\nsys.path.insert(0, '.')\nfrom pathlib import Path\n"
            "from tests.test_rewind import SETTINGS\nfrom tests.toy_training import job\nfrom train.loop import train\n"
            f"base = Path({str(tmp_path)!r})\n"
            "def end(record):\n"
            f"    if {kill}:\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            "train(job(base, base, settings=SETTINGS, shards={('web', 64): base / 'pack' / 'web' / '64'},\n"
            "    heldout={'web': base / 'heldout' / 'web'}, max_epochs=20.0), device='cpu', notify=end)\n"
        )
        ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={**os.environ}, check=False)
        assert ended.returncode == -signal.SIGKILL
    found = train(again, device="cpu")
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (result.checkpoint / name).read_bytes() == (found.checkpoint / name).read_bytes()
    assert json.loads((again.folder / "skipped.json").read_text())["spikes"][0]["step"] == spike.step


def test_a_step_whose_rows_are_all_left_out_is_passed_over(run: tuple[Job, Result, list[Any]], tmp_path: Path) -> None:
    """Step 4 in quarantine as a whole: nothing is learned in it, and the optimizer does not count it."""
    mine = run[0]
    order = reader(mine, settings=SETTINGS).order
    index = tuple(sorted(set(order.rows(24, 32)["index"].tolist())))
    quarantine = (Quarantine(source="web", context=64, rows=index, since=24),)
    told = replace(mine, folder=tmp_path / "run", settings=replace(SETTINGS, quarantine=quarantine))
    batch = reader(told, settings=told.settings).read(Schedule(told.settings).step(3, 24))
    assert len(batch.numbers) == 0
    assert all(bool((part.labels == IGNORED).all()) for part in batch.microbatches)
    train(told, device="cpu", until=6)
    state = newest(told.checkpoints)
    assert state
    assert (state.state.step, state.state.t) == (6, 5)
    third, fourth = [r for r in read_metrics(told.metrics) if r["kind"] == "step"][2:4]
    assert fourth["loss"] == third["loss"]


@pytest.mark.parametrize(("sigma", "found"), [(12, 1), (18, 0)])
def test_a_row_that_stands_out_is_found_by_two_thirds_of_sigma(
    sigma: int, found: int, run: tuple[Job, Result, list[Any]], tmp_path: Path
) -> None:
    """The row lies about 10 deviations above: between 8 and 12 the step is looked at, below 12 it is let by."""
    spikes = Spikes(window=64, sigma=sigma)
    told = replace(run[0], folder=tmp_path / "run", settings=replace(SETTINGS, spikes=spikes))
    assert train(told, device="cpu").finished
    assert sum(len(spike.rows) for spike in Skipped.read(told.folder).spikes) == found


def test_a_run_that_goes_back_too_often_gives_up(tmp_path: Path) -> None:
    mine = replace(poisoned(tmp_path), settings=replace(SETTINGS, spikes=Spikes(window=64, rewinds=0)))
    with pytest.raises(TrainError, match=r"went back to step 50 0 times. Lower the peak, or look at"):
        train(mine, device="cpu")
