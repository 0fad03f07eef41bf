"""A run that starts from another: it stops and goes on like any, knows its parent again, and leaves it as it was."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.toy_training import job, packed, settings
from train.checkpoint import CheckpointError, newest, open_checkpoint
from train.job import Job
from train.loop import train
from train.phase import Phase
from train.settings import Start


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    packed(folder)
    return folder


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Four steps of a stable phase."""
    base = tmp_path_factory.mktemp("parent")
    return train(job(base, data), until=4).checkpoint


def annealed(base: Path, data: Path, start: Start) -> Job:
    phase = Phase(name="anneal", tokens=3_072, context=64, mix={"web": 0.2, "code": 0.8}, decay="1-sqrt")
    return job(base, data, settings=settings(start=start, phases=(phase,), save_every=1_024))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_anneal_that_was_stopped_ends_with_the_bits_of_one_that_was_not(
    tmp_path: Path, data: Path, parent: Path
) -> None:
    before = content(parent.parents[1])
    start = Start(from_=str(parent))
    undisturbed = train(annealed(tmp_path / "a", data, start))
    stopped = annealed(tmp_path / "b", data, start)
    train(stopped, until=3)
    ended = train(stopped)
    assert ended.step == undisturbed.step == 6
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (ended.checkpoint / name).read_bytes() == (undisturbed.checkpoint / name).read_bytes()
    state = open_checkpoint(ended.checkpoint).state
    assert state.t == 4 + 6  # the parent's steps of the optimizer go on
    assert state.start == f"started from {parent}: the optimizer's moments go on after 4 steps"
    assert content(parent.parents[1]) == before


def test_a_run_goes_on_only_from_the_start_that_it_began_with(tmp_path: Path, data: Path, parent: Path) -> None:
    run = annealed(tmp_path, data, Start(from_=str(parent)))
    train(run, until=1)
    other = train(job(tmp_path / "other", data), until=2).checkpoint
    for start in (Start(from_=str(other)), Start(from_=str(parent), optimizer="fresh"), None):
        changed = replace(run, settings=replace(run.settings, start=start))
        with pytest.raises(CheckpointError, match=r"belongs to another run \(start: \w+ -> \w+\)"):
            train(changed)
    found = newest(run.checkpoints)
    assert found
    assert found.state.step == 1
