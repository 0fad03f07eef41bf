"""Several processes read a training's rows together: each row once, whatever their number before and after a stop."""

from __future__ import annotations

import json
import multiprocessing
import signal
from pathlib import Path
from typing import Any

import pytest

from packing.quarantine import Quarantine
from packing.shards import Shards
from tests.toy_ranks import read
from tests.toy_training import job, packed, settings
from train.audit import Audit, Counts
from train.order import order_of
from train.schedule import Schedule

QUARANTINE = (
    Quarantine(source="web", context=64, rows=tuple(range(0, 150, 2))),
    Quarantine(source="code", context=128, rows=(1,)),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("ranks")
    packed(base)
    return base


def start(data: Path, world: int, steps: range, out: Path, *, killed: bool = False) -> list[Any]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.toy_ranks"])
    out.mkdir(exist_ok=True)
    given = settings(quarantine=QUARANTINE)
    ranks = [context.Process(target=read, args=(data, given, rank, world, steps, out, killed)) for rank in range(world)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    return [rank.exitcode for rank in ranks]


def by_step(out: Path) -> dict[int, list[Any]]:
    """What the ranks read in each step, first rank first."""
    found: dict[int, list[Any]] = {}
    for path in sorted(out.iterdir()):
        found.setdefault(int(path.name[:4]), []).append(json.loads(path.read_bytes()))
    return found


def test_two_processes_that_are_killed_and_three_that_go_on_read_every_row_once(data: Path, tmp_path: Path) -> None:
    """Saved after step 6, killed after step 8, in the first phase: the two steps between come again."""
    assert start(data, 2, range(8), tmp_path / "two", killed=True) == [-signal.SIGKILL] * 2
    assert start(data, 3, range(6, 18), tmp_path / "three") == [0, 0, 0]
    two, three = by_step(tmp_path / "two"), by_step(tmp_path / "three")
    assert [len(parts) for parts in (two[5], three[6])] == [2, 3]
    together = {**{step: two[step] for step in range(6)}, **three}

    run = job(data, data, settings=settings(quarantine=QUARANTINE))
    shards = {key: Shards(folder) for key, folder in run.shards.items()}
    order = order_of(run.settings, {key: len(rows) for key, rows in shards.items()}, run.seed)
    for step in Schedule(run.settings).steps():
        expected: list[int] = []
        for place in order.rows(step.g, step.g + step.rows):
            phase = order.phases[place["phase"]]
            row = shards[order.names[place["source"]], phase.context][place["index"]]
            expected += [] if place["left_out"] else row.input_ids.tolist()
        assert [token for part in together[step.number] for token in part["ids"]] == expected
    for number in (6, 7):  # as two and as three read them
        for what in ("ids", "masked"):
            assert [one for part in two[number] for one in part[what]] == [
                one for part in three[number] for one in part[what]
            ]

    audit = Audit()
    for part in (part for parts in together.values() for part in parts):
        for phase, sources in part["read"].items():
            audit.add(phase, {source: Counts(**counts) for source, counts in sources.items()})
    audit.check(run.settings, order, order.total)
    left_out = order.rows(0, order.total)["left_out"].sum()
    assert sum(counts.left_out for counts in audit.counts.values()) == left_out > 2
    assert sum(counts.rows for counts in audit.counts.values()) == order.total - left_out


@pytest.mark.parametrize("step", [0, 13])
def test_more_processes_than_rows_leave_some_without_any(step: int, data: Path, tmp_path: Path) -> None:
    read(data, settings(), 0, 1, range(step, step + 1), tmp_path)
    (alone,) = by_step(tmp_path)[step]
    (tmp_path / "many").mkdir()
    for rank in range(11):
        read(data, settings(), rank, 11, range(step, step + 1), tmp_path / "many")
    parts = [json.loads((tmp_path / "many" / f"{step:04}-{rank}.json").read_bytes()) for rank in range(11)]
    assert [token for part in parts for token in part["ids"]] == alone["ids"]
    assert sum(not part["ids"] for part in parts) >= 3
