"""Training ends where it should, with the same bits however it was stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.bert import Bert
from model.initialise import initialise
from model.settings import Shape
from packing.encode import Encoder
from packing.mixture import MixtureError
from packing.shards import Shards
from tests.toy_training import SHAPE, job, packed, reader, settings, shards_at
from train.batches import Batch
from train.checkpoint import CheckpointError, newest, open_checkpoint
from train.job import Job, Result
from train.learn import TrainError, gradients
from train.learner import assemble
from train.loop import train
from train.metrics import read_metrics
from train.phase import Phase
from train.ranks import Ranks, Spread
from train.schedule import Schedule
from train.settings import Batch as BatchSettings
from train.settings import BatchWarmup, Evaluate, Optimizer, Spikes, Train

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("data")
    packed(base)
    return base


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Result]:
    """A run that nothing disturbed."""
    told = job(tmp_path_factory.mktemp("whole"), data)
    return told, train(told, device="cpu")


def tensors(checkpoint: Path) -> dict[str, bytes]:
    return {name: (checkpoint / name).read_bytes() for name in ("model.safetensors", "optimizer.safetensors")}


def losses(run: Job) -> list[tuple[int, float, float]]:
    records = read_metrics(run.metrics)
    return [(r["step"], r["loss"], r["grad_norm"]) for r in records if r["kind"] == "step"]


def test_a_run_reads_every_row_of_every_phase_once_and_is_then_finished(whole: tuple[Job, Result]) -> None:
    run, result = whole
    schedule = Schedule(run.settings)
    assert result.finished
    assert result.g == schedule.total == 71 + 40 + 16
    assert result.step == len(list(schedule.steps())) == 9 + 5 + 4
    spans = [r["rows"] for r in read_metrics(run.metrics) if r["kind"] == "step"]
    assert [first for first, _ in spans] == [0, *[last for _, last in spans[:-1]]]
    assert [r["step"] for r in read_metrics(run.metrics) if r["kind"] == "step"] == list(range(1, 19))


def test_the_tokens_told_are_those_of_the_rows_of_the_order(whole: tuple[Job, Result]) -> None:
    run, result = whole
    order = reader(run).order
    counts = dict.fromkeys(order.names, 0)
    for place in order.rows(0, order.total):
        name = order.names[place["source"]]
        context = order.phases[place["phase"]].context
        counts[name] += len(Shards(run.shards[name, context])[place["index"]].input_ids)
    state = newest(run.checkpoints)
    assert state
    told = [(name, one["tokens"]) for sources in state.state.read.values() for name, one in sources.items()]
    assert {name: sum(tokens for source, tokens in told if source == name) for name in counts} == counts
    assert result.tokens == sum(counts.values())


@pytest.mark.parametrize("stop", [3, 9, 16])
def test_a_run_that_was_stopped_ends_with_the_bits_of_one_that_was_not(
    stop: int, whole: tuple[Job, Result], data: Path, tmp_path: Path
) -> None:
    """Within the first phase, at the border of two, and within the last, where context and RoPE are others."""
    undisturbed, expected = whole
    run = job(tmp_path, data)
    half = train(run, device="cpu", until=stop)
    assert (half.step, half.finished) == (stop, False)
    assert train(run, device="cpu", until=stop) == half
    result = train(run, device="cpu")
    assert tensors(result.checkpoint) == tensors(expected.checkpoint)
    assert replace(result, checkpoint=expected.checkpoint) == expected
    assert losses(run) == losses(undisturbed)


def test_a_run_that_was_killed_ends_with_the_bits_of_one_that_was_not(
    whole: tuple[Job, Result], data: Path, tmp_path: Path
) -> None:
    """Killed twice, each time between two checkpoints, with steps recorded that will come again."""
    undisturbed, expected = whole
    run = job(tmp_path, data)
    for step, saved in ((8, 5), (13, 11)):
        script = (
            "import os, signal, sys\n"
            "from pathlib import Path\n"
            "sys.path.insert(0, '.')\n"
            "from tests.toy_training import job\n"
            "from train.loop import train\n"
            "def end(record):\n"
            f"    if record['kind'] == 'step' and record['step'] == {step}:\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            f"train(job(Path({str(tmp_path)!r}), Path({str(data)!r})), device='cpu', notify=end)\n"
        )
        ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={**os.environ}, check=False)
        assert ended.returncode == -signal.SIGKILL
        left = newest(run.checkpoints)
        assert left
        assert left.state.step == saved
    result = train(run, device="cpu")
    assert tensors(result.checkpoint) == tensors(expected.checkpoint)
    assert losses(run) == losses(undisturbed)


def test_a_finished_run_returns_at_once_and_touches_nothing(whole: tuple[Job, Result]) -> None:
    run, result = whole
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    records: list[Any] = []
    assert train(run, device="cpu", notify=records.append) == result
    assert records == []
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_when_to_save_and_to_evaluate_and_how_often_changes_no_weight(
    whole: tuple[Job, Result], data: Path, tmp_path: Path
) -> None:
    changed = settings(save_every=700, evaluate=Evaluate(every=1_500, rows=2, masks=(0.3,)))
    result = train(job(tmp_path, data, settings=changed), device="cpu")
    assert tensors(result.checkpoint) == tensors(whole[1].checkpoint)


def test_checkpoints_come_every_so_many_tokens_and_at_the_end_of_each_phase(whole: tuple[Job, Result]) -> None:
    """512 tokens a step, save_every 2,560; phases end after steps 9, 14 and 18; the ninth step has 7 rows."""
    folders = sorted(path.name for path in whole[0].checkpoints.iterdir())
    assert folders == [f"step-{step:08d}" for step in (5, 9, 11, 14, 16, 18)]
    evaluated = [r["step"] for r in read_metrics(whole[0].metrics) if r["kind"] == "evaluation"]
    assert evaluated == [5, 9, 11, 14, 16, 18]


def test_a_phase_brings_its_context_and_its_rope(whole: tuple[Job, Result]) -> None:
    found = {}
    for folder in whole[0].checkpoints.iterdir():
        state = open_checkpoint(folder).state
        found[state.step] = (state.phase, state.context, state.rope)
    assert found[9] == ("learn", 64, 10_000.0)
    assert found[14] == ("turn", 64, 10_000.0)
    assert found[16] == found[18] == ("settle", 128, 160_000.0)
    assert open_checkpoint(whole[1].checkpoint).model().thetas == (160_000.0, 10_000.0)


def test_rope_of_a_phase_is_that_of_its_forward_pass(whole: tuple[Job, Result], data: Path, tmp_path: Path) -> None:
    """With 10,000 in the last phase, all up to its first step is the same and nothing after it."""
    phases = (*settings().phases[:2], replace(settings().phases[2], rope=10_000.0))
    run = job(tmp_path, data, settings=settings(phases=phases))
    train(run, device="cpu")
    ours, theirs = losses(run), losses(whole[0])
    assert ours[:14] == theirs[:14]
    assert all(a != b for a, b in zip(ours[14:], theirs[14:], strict=True))


@pytest.mark.parametrize("fixed", [False, True])
def test_loss_and_gradients_do_not_depend_on_the_size_of_a_microbatch(fixed: bool, data: Path, tmp_path: Path) -> None:
    """1, 3 and 8 rows at a time; also filled up to one size, as on CUDA (8 rows by threes leave room)."""
    shape = replace(SHAPE, dropout=0.2)
    found = []
    for rows in (1, 3, 8):
        run = job(tmp_path, data, shape=shape, settings=settings(microbatch=rows * 128))
        small = replace(run.settings.phases[2], mask=0.4)
        run = replace(run, settings=settings(microbatch=rows * 128, phases=(small,), batch=BatchSettings(rows=8)))
        batch = reader(run, pad_id=259 if fixed else None, dropped=5).read(Schedule(run.settings).step(0, 0))
        assert len(batch.microbatches) == -(-8 // rows)
        found.append(_gradients(shape, batch))
    exact = _gradients(shape, reader(run, dropped=5).read(Schedule(run.settings).step(0, 0)))
    for loss, grads in found:
        torch.testing.assert_close(loss, exact[0], rtol=1e-6, atol=0)
        for name, grad in grads.items():
            torch.testing.assert_close(grad, exact[1][name], rtol=1e-4, atol=2e-7, msg=name)


def _gradients(shape: Any, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model = Bert(shape, 264)
    initialise(model, 3)
    loss = gradients(Spread(model=model, forward=model, world=1, sharded=False), batch, batch.guessed)
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_the_batch_grows_by_levels_of_equal_steps(data: Path, tmp_path: Path) -> None:
    batch = BatchSettings(rows=8, warmup=BatchWarmup(from_=2, over=64 * 2 * 6 * 2))
    phases = (Phase(name="learn", tokens=64 * 50, context=64, mix={"web": 1.0}),)
    run = job(tmp_path, data, settings=settings(batch=batch, phases=phases))
    train(run, device="cpu")
    sizes = [r["rows"][1] - r["rows"][0] for r in read_metrics(run.metrics) if r["kind"] == "step"]
    assert sizes == [2, 2, 4, 4, 6, 6, 8, 8, 8, 2]


def test_a_toy_language_is_learned(tmp_path: Path) -> None:
    """Held-out words are guessed from what stands around them: at half the cost of guessing by frequency, or less."""
    packed(tmp_path, documents=2000, merges=200)
    learned = Train(
        optimizer=Optimizer(peak=4e-3),
        batch=BatchSettings(rows=8),
        microbatch=512,
        phases=(
            Phase(
                name="learn",
                tokens=200_000,
                context=64,
                mix={"web": 0.5, "code": 0.5},
                warmup=10_000,
                decay="1-sqrt",
                mask=0.15,
            ),
        ),
        evaluate=Evaluate(rows=16),
    )
    shape = Shape(layers=1, hidden=128, heads=4, intermediate=128, dropout=0.0)
    run = job(tmp_path, tmp_path, settings=learned, shape=shape, max_epochs=10.0)
    result = train(run, device="cpu")
    assert result.evaluation
    for source, folder in run.heldout.items():
        rows = Shards(folder)
        ids = np.concatenate([rows[n].input_ids for n in range(len(rows))])
        counts = np.bincount(ids[~np.isin(ids, Encoder(run.tokenizer).special_ids)])
        share = counts[counts > 0] / counts.sum()
        by_frequency = -(share * np.log(share)).sum()
        assert by_frequency > 2.0
        assert result.evaluation[source]["0.15"]["loss"] < 0.5 * by_frequency, source


def test_a_loss_that_is_no_number_is_told_and_leaves_weights_moments_and_counters(data: Path, tmp_path: Path) -> None:
    run = job(tmp_path, data)
    learner = assemble(run, 264, Ranks(), torch.device("cpu"), None)
    with torch.no_grad():
        learner.model.head.dense.weight[0, 0] = torch.inf
    before = {name: p.detach().clone() for name, p in learner.model.named_parameters()}
    batch = reader(run).read(Schedule(run.settings).step(4, 32))
    why = learner.measure(batch, batch.guessed, Ranks(), stretch=0)
    assert str(why) == "the loss is nan"
    assert (learner.step, learner.g, learner.optimizer.t) == (0, 0, 0)
    for name, p in learner.model.named_parameters():
        assert torch.equal(p, before[name])


def test_a_run_whose_weights_explode_stops_and_keeps_its_checkpoints(data: Path, tmp_path: Path) -> None:
    run = job(tmp_path, data, settings=settings(optimizer=Optimizer(peak=1e30), spikes=Spikes(rewinds=2)))
    with pytest.raises(TrainError, match=r"step \d+ \(row \d+ and on\): .*the run went back to step 0 2 times"):
        train(run, device="cpu")


def test_a_checkpoint_of_another_recipe_is_refused_by_name(data: Path, tmp_path: Path) -> None:
    run = job(tmp_path, data)
    train(run, device="cpu", until=2)
    other = settings(optimizer=Optimizer(peak=1e-3, weight_decay=1e-3))
    with pytest.raises(CheckpointError, match=r"train.optimizer.peak: 0.004 -> 0.001\)\. .*--redo train.*--work"):
        train(replace(run, settings=other), device="cpu")
    elsewhere = shards_at(tmp_path / "other", run.tokenizer, "web", 64, range(500))
    with pytest.raises(CheckpointError, match=r"rows.web/64: \w+ -> \w+\)"):
        train(replace(run, shards={**run.shards, ("web", 64): elsewhere}), device="cpu")
    with pytest.raises(CheckpointError, match=r"seed: 17 -> 18"):
        train(replace(run, seed=18), device="cpu")


def test_a_mix_that_the_rows_cannot_give_is_refused_before_any_step(data: Path, tmp_path: Path) -> None:
    run = job(tmp_path, data)
    fewer = {key: folder for key, folder in run.shards.items() if key != ("web", 128)}
    with pytest.raises(MixtureError, match="settle"):
        train(replace(run, shards=fewer), device="cpu")
    with pytest.raises(MixtureError, match="max_epochs"):
        train(replace(run, max_epochs=0.01), device="cpu")
    assert not run.folder.exists()


def test_training_leaves_the_callers_random_numbers_alone(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(job(tmp_path, data), device="cpu", until=1)
    assert torch.equal(torch.rand(3), expected)


def test_a_checkpoint_lost_is_trained_again_from_the_one_before(
    whole: tuple[Job, Result], data: Path, tmp_path: Path
) -> None:
    run = job(tmp_path, data)
    shutil.copytree(whole[0].folder, run.folder)
    for step in (14, 16, 18):
        shutil.rmtree(run.checkpoints / f"step-{step:08d}")
    result = train(run, device="cpu")
    assert tensors(result.checkpoint) == tensors(whole[1].checkpoint)
    assert losses(run) == losses(whole[0])
    weights = load_file(result.checkpoint / "model.safetensors")
    assert all(np.isfinite(tensor.numpy()).all() for tensor in weights.values())
