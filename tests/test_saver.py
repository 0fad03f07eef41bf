"""Checkpoints are written beside the training, and whatever ends a save, the last whole one stands."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from commands.kept import keep_checkpoint
from pipeline.stores.mirror import opened
from tests.test_checkpoint import trained
from tests.toy_crashes import files, only_begins, saves, state
from tests.toy_training import job, packed, settings
from train.checkpoint import CheckpointError, newest, open_checkpoint, save, standing, verify, write
from train.loop import train
from train.retention import Kept, kept_as, superseded
from train.saver import Saver
from train.schedule import Schedule
from train.skipped import Skipped, Spike
from train.snapshot import snapshot

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.toy_crashes"])


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}" * 1000)
    return path


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Path) -> Path:
    """Checkpoints of a run that has saved one."""
    write(tmp_path / "checkpoints", state(1), files(1), tokenizer)
    return tmp_path / "checkpoints"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def steps(folder: Path) -> list[int]:
    return [int(name.removeprefix("step-")) for name in names(folder)]


def test_what_is_saved_is_what_stood_when_it_was_asked_for(tmp_path: Path, tokenizer: Path) -> None:
    model, optimizer = trained()
    expected = save(tmp_path / "expected", state(2), model, optimizer, tokenizer)
    with Saver(tmp_path / "checkpoints", keep=5) as saver:
        saver.save(state(2), snapshot(model, optimizer), tokenizer)
        with torch.no_grad():
            for tensor in (*model.parameters(), *optimizer.state().values()):
                tensor.fill_(7.0)
    for path in expected.iterdir():
        assert (tmp_path / "checkpoints" / expected.name / path.name).read_bytes() == path.read_bytes()


def test_each_save_waits_for_the_one_before_and_each_is_told_once(folder: Path, tokenizer: Path) -> None:
    with Saver(folder, keep=5) as saver:
        assert saver.done() == []
        told = []
        for step in range(2, 8):
            saver.save(state(step, kept="product"), files(step, 100_000), tokenizer)
            told += saver.done()
        saver.wait()
        told += saver.done()
        assert saver.done() == []
    assert [open_checkpoint(path).state.step for path in told] == [2, 3, 4, 5, 6, 7]
    assert steps(folder) == [1, 2, 3, 4, 5, 6, 7]


def test_a_process_that_ends_writes_what_it_has_begun(folder: Path, tokenizer: Path) -> None:
    child = SERVER.Process(target=only_begins, args=(folder, tokenizer))
    child.start()
    child.join()
    assert child.exitcode == 0
    found = newest(folder)
    assert found
    assert verify(found.folder)["step"] == 2


@pytest.mark.parametrize("call", ["save", "wait", "done", "leave"])
def test_a_fault_of_the_thread_is_raised_at_the_next_call_and_once(call: str, tmp_path: Path, tokenizer: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where a folder should be")
    saver = Saver(tmp_path / "checkpoints", keep=5)
    saver.save(state(2), files(2), tokenizer)
    with pytest.raises(CheckpointError, match=r"step-00000002: cannot be written .*Make room"):
        match call:
            case "save":
                saver.save(state(3), files(3), tokenizer)
            case "wait":
                saver.wait()
            case "done":
                while True:
                    saver.done()
            case _:
                saver.__exit__(None, None, None)
    (tmp_path / "checkpoints").unlink()
    with saver:
        saver.save(state(4), files(4), tokenizer)
    assert steps(tmp_path / "checkpoints") == [4]


def test_the_fault_that_ends_a_training_is_not_hidden_by_one_of_its_last_save(tmp_path: Path, tokenizer: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(ValueError, match="the training's own") as raised, Saver(tmp_path / "checkpoints", 5) as saver:
        saver.save(state(2), files(2), tokenizer)
        raise ValueError("the training's own")
    assert "step-00000002: cannot be written" in raised.value.__notes__[0]


def ended(folder: Path, tokenizer: Path, at: int, how: Any) -> tuple[int | None, int, str]:
    """Exit code of a process that saves steps 2 and 3, how many changes to files it made, and what it said."""
    out = folder.parent / "out"
    out.unlink(missing_ok=True)
    child = SERVER.Process(target=saves, args=(folder, tokenizer, out, at, how))
    child.start()
    child.join()
    calls, said = out.read_text().split("\n", 1) if out.exists() else ("0", "")
    return child.exitcode, int(calls), said


def reset(folder: Path, tokenizer: Path) -> None:
    for path in folder.iterdir():
        subprocess.run(["rm", "-r", str(path)], check=True)
    write(folder, state(1), files(1), tokenizer)


def test_a_kill_before_any_change_to_files_leaves_the_last_whole_checkpoint(folder: Path, tokenizer: Path) -> None:
    """While steps 2 and 3 are saved and each removes the one before; then the next process goes on."""
    code, calls, _ = ended(folder, tokenizer, 0, "kill")
    assert (code, steps(folder)) == (0, [3])
    assert calls >= 20  # of each save: a folder, two files, two renames, five removals
    before = 1
    for at in range(1, calls + 1):
        reset(folder, tokenizer)
        code, _, _ = ended(folder, tokenizer, at, "kill")
        assert code == -signal.SIGKILL
        found = newest(folder)
        assert found
        assert found.state.step in (before, before + 1)
        before = found.state.step
        for whole in standing(folder):
            assert verify(whole)["tensors"] == 3
        with Saver(folder, keep=1) as saver:
            saver.save(state(9, kept="product"), files(9), tokenizer)
        assert names(folder)[-1] == "step-00000009"
        assert all(not name.endswith(".draft") for name in names(folder))
    assert before == 3


def test_a_disk_that_is_full_at_any_write_leaves_the_last_checkpoint_and_no_draft(
    folder: Path, tokenizer: Path
) -> None:
    code, calls, said = ended(folder, tokenizer, 0, "full")
    assert (code, said) == (0, "")
    for at in range(1, calls + 1):
        reset(folder, tokenizer)
        code, _, said = ended(folder, tokenizer, at, "full")
        assert code == 0
        if said:
            assert "([Errno 28] No space left on device" in said
            assert "\n" not in said
        assert all(not name.endswith(".draft") for name in names(folder))
        found = newest(folder)
        assert found
        verify(found.folder)
        if "written" in said:
            assert f"step-{found.state.step + 1:08d}: cannot be written" in said
        elif said:
            assert f"step-{found.state.step - 1:08d}: cannot be removed" in said


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 16 MiB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", mounted], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as fault:
        pytest.skip(f"no file system can be mounted here: {fault}")
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def leave(disk: Path, room: int) -> Path:
    """Fill a disk up to so many bytes."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize - room)
    return filler


def test_a_disk_that_fills_up_after_any_page_leaves_the_last_checkpoint_and_no_draft(
    disk: Path, tokenizer: Path
) -> None:
    """In the weights, the moments, the tokenizer's copy and the state, each a few pages long."""
    whole = write(disk / "checkpoints", state(1), files(1, 8000), tokenizer)
    pages = sum(-(-path.stat().st_size // 4096) for path in whole.iterdir())
    said = set()
    for room in range(1, pages):
        filler = leave(disk, room * 4096)
        with (
            pytest.raises(CheckpointError, match=r"step-00000002: cannot be written \(.*\)\. Make room") as raised,
            Saver(disk / "checkpoints", keep=1) as saver,
        ):
            saver.save(state(2), files(2, 8000), tokenizer)
        said.add(str(raised.value))
        assert "\n" not in str(raised.value)
        assert names(disk / "checkpoints") == [whole.name]
        verify(whole)
        filler.unlink()
    assert len(said) > 1  # more than one file was cut
    with Saver(disk / "checkpoints", keep=1) as saver:
        saver.save(state(2), files(2, 8000), tokenizer)
    assert steps(disk / "checkpoints") == [2]


@pytest.mark.parametrize("limit", [100, 3000, 6000])
def test_a_file_that_may_not_grow_is_a_full_disk_too(limit: int, folder: Path, tokenizer: Path) -> None:
    """The weights have 4 KB, the moments 8 KB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(CheckpointError, match="step-00000002: cannot be written"), Saver(folder, 5) as saver:
            saver.save(state(2), files(2), tokenizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert steps(folder) == [1]
    verify(folder / names(folder)[0])


def test_a_training_whose_disk_was_full_goes_on_and_ends_with_the_same_bits(disk: Path, tmp_path: Path) -> None:
    packed(tmp_path)
    told = settings(save_every=1_536)
    expected = train(job(tmp_path, tmp_path, settings=told), device="cpu").checkpoint
    run = replace(job(tmp_path, tmp_path, settings=told), folder=disk)
    train(run, device="cpu", until=4)
    filler = leave(disk, 150_000)
    with pytest.raises((CheckpointError, OSError)):
        train(run, device="cpu")
    stands = newest(run.checkpoints)
    assert stands
    assert stands.state.step == 4
    verify(stands.folder)
    filler.unlink()
    reached = train(run, device="cpu").checkpoint
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (reached / name).read_bytes() == (expected / name).read_bytes()


def test_a_checkpoint_is_kept_for_what_stands_at_its_step() -> None:
    """512 tokens a step but 448 in the ninth; phases end after steps 9, 14 and 18, and the last one decays."""
    told = settings(save_every=1_536, resume_every=512)
    schedule = Schedule(told)
    found = {step.number + 1: kept_as(schedule, step, told) for step in schedule.steps()}
    assert [step for step, kept in found.items() if kept == "product"] == [3, 6, 9, 10, 13, 14, 18]
    assert [step for step, kept in found.items() if kept == "decay"] == [16]
    assert [step for step, kept in found.items() if kept == "resume"] == [1, 2, 4, 5, 7, 8, 11, 12, 15, 17]
    rarely = replace(told, resume_every=None)
    assert [step for step in schedule.steps() if kept_as(schedule, step, rarely) == "resume"] == []


def test_products_stay_and_of_the_others_the_newest() -> None:
    kinds: list[Kept] = ["product", "decay", "resume"]
    for seed in range(50):
        draw = random.Random(seed)
        standing = {f"s{step}": (step, draw.choice(kinds), False) for step in draw.sample(range(100), 12)}
        left = standing.keys() - superseded(standing, keep=2)
        for kind, many in (("product", 12), ("decay", 2), ("resume", 1)):
            mine = sorted((step for step, its, _ in standing.values() if its == kind), reverse=True)
            assert (
                sorted((standing[name][0] for name in left if standing[name][1] == kind), reverse=True) == mine[:many]
            )
        assert max(standing, key=lambda name: standing[name][0]) in left
        assert {name for name in standing if standing[name][1] != "resume"} <= standing.keys() - set(
            superseded(standing, keep=None)
        )
    assert superseded({}, keep=1) == []


def test_a_run_that_has_ended_keeps_none_that_only_served_to_go_on_from() -> None:
    standing: dict[int, tuple[int, Kept, bool]] = {5: (5, "resume", False), 6: (6, "product", True)}
    assert superseded(standing, keep=1) == [5]
    assert superseded({5: (5, "resume", True)}, keep=1) == []


def test_what_was_returned_is_there_until_it_is_asked_again(folder: Path, tokenizer: Path) -> None:
    with Saver(folder, keep=2) as saver:
        for step, kept in ((2, "resume"), (3, "decay"), (4, "decay"), (5, "decay"), (6, "resume")):
            saver.save(state(step, kept=kept), files(step), tokenizer)
        saver.wait()
        told = saver.done()
        assert [open_checkpoint(path).state.step for path in told] == [2, 3, 4, 5, 6]
        assert steps(folder) == [2, 3, 4, 5, 6]
        saver.save(state(7, kept="product"), files(7), tokenizer)
        saver.wait()
        saver.done()
        assert steps(folder) == [4, 5, 6, 7]
        saver.save(state(8, kept="product", finished=True), files(8), tokenizer)
    assert steps(folder) == [4, 5, 7, 8]


def test_one_that_wrote_nothing_removes_nothing_and_a_damaged_state_stays(folder: Path, tokenizer: Path) -> None:
    write(folder, state(2), files(2), tokenizer)
    with Saver(folder, keep=1):
        pass
    assert steps(folder) == [1, 2]
    (folder / "step-00000001" / "state.json").write_text(json.dumps({"kept": "resume"}))
    with Saver(folder, keep=1) as saver:
        saver.save(state(3), files(3), tokenizer)
    assert steps(folder) == [1, 3]


def test_what_may_go_goes_from_the_store_too_whatever_this_machine_has(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after each save: the new one is put there, then those that another machine left are looked through."""
    monkeypatch.setenv("BERTMILL_MIRRORS", str(tmp_path / "mirrors"))
    store = tmp_path / "store"
    store.mkdir()
    work = opened(f"file://{store}")
    (work / "metrics.jsonl").write_text("")
    kinds: list[Kept] = ["product", "decay", "decay", "resume", "decay", "resume", "product"]
    for step, kept in enumerate(kinds, 1):
        checkpoint = write(work / "checkpoints", state(step, kept=kept), files(step), tokenizer)
        keep_checkpoint(work, checkpoint, 2)
        subprocess.run(["rm", "-r", str(checkpoint)], check=True)
    left = sorted(path.parent for path in (store / "checkpoints").glob("*/state.json"))
    assert [verify(folder)["step"] for folder in left] == [1, 3, 5, 6, 7]
    assert len(list((store / "checkpoints").glob("*/*"))) == 5 * 4
    skipped = Skipped.read(work).plus(Spike(step=1, since=0, context=64, why="", loss=1.0, rows=()))
    assert (store / "skipped.json").read_bytes() == skipped.path.read_bytes()
    skipped.path.unlink()
    opened(f"file://{store}")
    assert Skipped.read(work) == skipped
