"""Stages on a real Ray cluster of two nodes: the same bytes as on this machine, and faults that are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands.run import prepare
from pipeline.engines import nodes, on_ray
from pipeline.engines import run as engines_run
from pipeline.engines.clusters import Ray
from pipeline.engines.run import Engine, held, run
from pipeline.stage import StageError
from recipes.load import load
from tests.conftest import BERTMILL
from tests.toy_numbers import contents, numbers, raw_numbers
from tests.toy_recipe import outputs, toy_recipe

pytest.importorskip("ray", reason="Ray is not installed: pip install 'bertmill[ray]'")

ON_RAY = Engine(tasks=2, cluster=Ray(memory=1))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with one CPU each."""
    from ray.cluster_utils import Cluster

    ours = Path(__file__).parents[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ours))  # the workers' stages are those of these tests
        small = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
        cluster: Any = Cluster(initialize_head=True, head_node_args=small)
        cluster.add_node(**small)
        patch.setenv("RAY_ADDRESS", cluster.address)
        try:
            with held(ON_RAY):
                yield cluster.address
        finally:
            cluster.shutdown()


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(engines_run, "WORKER_BYTES", 1)  # both nodes work though there is little to do
    return raw_numbers(tmp_path / "raw")


@pytest.mark.usefixtures("cluster")
def test_a_stage_on_ray_fills_the_same_folder_and_says_nothing(
    raw: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record, worked = run(numbers(raw), tmp_path / "ray", ON_RAY)
    assert worked
    assert record.counts["documents_out"] == 30
    assert capfd.readouterr() == ("", "")
    run(numbers(raw), tmp_path / "local", Engine())
    assert contents(tmp_path / "ray" / "double") == contents(tmp_path / "local" / "double")
    assert run(numbers(raw), tmp_path / "ray", ON_RAY) == (record, False)


@pytest.mark.usefixtures("cluster")
def test_a_unit_whose_process_is_killed_each_time_is_named_and_spares_the_others(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError) as fault:
        run(numbers(raw, deadly="2.txt", broken="3.txt"), tmp_path / "work", ON_RAY)
    head, *lines = str(fault.value).splitlines()
    assert head == "double: 2 of 6 units failed; the others stand. Mend this and run again:"
    assert lines == [
        "  unit 2 (2.txt): StageError: was begun 2 times, and its process killed each time (out of memory or time?)",
        "  unit 3 (3.txt): RuntimeError: 3.txt#0: broken on purpose",
    ]
    folder = tmp_path / "work" / "double"
    stood = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.txt")}
    assert len(stood) == 4
    run(numbers(raw), tmp_path / "work", ON_RAY)
    assert {name: (folder / name).stat().st_mtime_ns for name in stood} == stood, "a unit that stood was done again"
    run(numbers(raw), tmp_path / "local", Engine())
    assert contents(folder) == contents(tmp_path / "local" / "double")


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_is_lost_once_is_made_up_for(raw: Path, tmp_path: Path) -> None:
    run(numbers(raw, deadly="3.txt", once=tmp_path / "died"), tmp_path / "ray", ON_RAY)
    assert (tmp_path / "died").exists()
    run(numbers(raw), tmp_path / "local", Engine())
    assert contents(tmp_path / "ray" / "double") == contents(tmp_path / "local" / "double")


@pytest.mark.usefixtures("cluster")
def test_a_node_of_another_build_is_told_before_any_work(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ray.release()  # a new run asks all nodes
    monkeypatch.setattr(engines_run, "build", lambda: {**nodes.build(), "numpy": "0.1"})
    with pytest.raises(StageError, match=r"^node \S+ has numpy \S+, not 0\.1 as the run has; install the same"):
        run(numbers(raw), tmp_path / "work", ON_RAY)
    assert not list((tmp_path / "work" / "double").glob("*.txt"))


@pytest.mark.usefixtures("cluster")
def test_a_task_that_no_node_has_room_for_is_refused(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(
        StageError, match=r"^no node of the Ray cluster has 3 CPUs and 1 GB for a task \(the most: 1 CPU"
    ):
        run(numbers(raw), tmp_path / "work", Engine(cluster=Ray(cpus=3, memory=1)))


@pytest.mark.parametrize(
    ("address", "told"),
    [("127.0.0.1:9", r"\(\[Errno \d+\] Connection refused\)"), ("ray://x:1", r"\(.*give host:port")],
)
def test_a_cluster_that_is_not_there_is_told(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, told: str
) -> None:
    on_ray.release()
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(StageError, match=rf"^RAY_ADDRESS {address}: the Ray cluster cannot be reached {told}"):
        run(numbers(raw), tmp_path / "work", ON_RAY)


def test_ray_that_is_not_installed_is_told(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StageError, match=r"^--engine ray needs Ray; pip install 'bertmill\[ray\]'$"):
        run(numbers(raw), tmp_path / "work", ON_RAY)


@pytest.mark.usefixtures("cluster")
def test_a_recipe_on_ray_makes_the_bytes_of_one_on_this_machine(tmp_path: Path) -> None:
    asked = load(toy_recipe(tmp_path))
    prepare(asked, tmp_path / "ray", Engine(cluster=Ray(memory=1)), until="pack")
    prepare(asked, tmp_path / "local", Engine(), until="pack")
    made = outputs(tmp_path / "ray")
    assert any(name.endswith(".mds") for name in made)
    assert made == outputs(tmp_path / "local")


@pytest.mark.usefixtures("cluster")
def test_ctrl_c_ends_a_run_on_ray_with_a_line_and_nothing_at_work(tmp_path: Path) -> None:
    path, work = toy_recipe(tmp_path, filters="quality: {scorer: waiting_scorer:waits}"), tmp_path / "work"
    (tmp_path / "waiting_scorer.py").write_text("import time\n\ndef waits(texts):\n    time.sleep(600)\n")
    command = [str(BERTMILL), "run", str(path), "--work", str(work), "--until", "filter/t", "--engine", "ray"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    running = work / "filter" / "t" / "running"
    while not (marks := list(running.glob("[0-9]" * 5))):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.05)
    worker = int(marks[0].read_text().split()[0])
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    lines = [line for line in said.splitlines() if "compiling" not in line]
    assert lines == ["stopped; run the same command again and it goes on"]
    until = time.monotonic() + 10
    while os.path.exists(f"/proc/{worker}") and time.monotonic() < until:
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{worker}")
    assert not json.loads((work / "filter" / "t" / "stage.json").read_text())["finished"]
