"""Stages as job arrays: the script that is submitted, run as it is, and the real Slurm where it is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.run import prepare, start_over
from pipeline.engines import nodes, slurm_queue
from pipeline.engines import run as engines_run
from pipeline.engines.clusters import Slurm
from pipeline.engines.run import Engine, run
from pipeline.stage import StageError
from recipes.load import load
from tests.conftest import BERTMILL
from tests.toy_numbers import contents, numbers, raw_numbers
from tests.toy_recipe import outputs, toy_recipe
from tests.toy_slurm import fake_slurm, lacking, real_slurm

ROOT = Path(__file__).parents[1]
ON_SLURM = Engine(tasks=2, cluster=Slurm(memory=1))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return raw_numbers(tmp_path / "raw")


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the jobs are that Slurm's commands on PATH keep; their processes find the stages of these tests."""
    monkeypatch.setenv("PATH", f"{fake_slurm(tmp_path / 'slurm')}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "slurm" / "jobs"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Slurm of two nodes on this machine."""
    if told := lacking():
        pytest.skip(told)
    with (
        real_slurm(tmp_path_factory.mktemp("slurm") / "conf", 16900 + os.getpid() % 1000 * 3) as conf,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLURM_CONF", str(conf))
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


def submitted(jobs: Path) -> int:
    return sum(path.name.isdigit() for path in jobs.iterdir())


def same_as_local(raw: Path, folder: Path, tmp_path: Path) -> bool:
    run(numbers(raw), tmp_path / "local", Engine())
    return contents(folder) == contents(tmp_path / "local" / "double")


def test_a_job_array_fills_the_same_folder(raw: Path, tmp_path: Path, jobs: Path) -> None:
    record, worked = run(numbers(raw), tmp_path / "work", ON_SLURM)
    assert worked
    assert record.counts["documents_out"] == 30
    assert submitted(jobs) == 1
    script = (jobs / "1" / "script").read_text()
    assert not {"partition", "time", "account", "qos"} & {line[10:].split("=")[0] for line in script.splitlines()}
    assert f'export PATH="{Path(sys.executable).parent}:$PATH"' in script
    assert same_as_local(raw, tmp_path / "work" / "double", tmp_path)
    assert run(numbers(raw), tmp_path / "work", ON_SLURM) == (record, False)
    assert submitted(jobs) == 1


def test_the_script_asks_for_what_the_settings_say_and_for_nothing_else(raw: Path, tmp_path: Path, jobs: Path) -> None:
    asked = Slurm(
        cpus=2, memory=1.5, partition="cpu", time="4:00:00", account="me", qos="low", setup="export FROM_SETUP=yes",
        sbatch={"constraint": "avx512", "exclusive": ""},
    )  # fmt: skip
    run(numbers(raw), tmp_path / "work", Engine(tasks=1, workers=2, cluster=asked))
    script = (jobs / "1" / "script").read_text()
    options = {line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")}
    name, log = slurm_queue.name_of(tmp_path / "work" / "double"), tmp_path / "work" / "double" / "log" / "slurm_logs"
    assert options == {
        "cpus-per-task=2", "mem=1536M", "nodes=1", "ntasks=1", "partition=cpu", "time=4:00:00", "account=me",
        "qos=low", "constraint=avx512", "exclusive", "requeue", "array=0-0%2", f"job-name={name}",
        f"output={log}/%A_%a.out", f"error={log}/%A_%a.out",
    }  # fmt: skip
    assert "export FROM_SETUP=yes" in script
    assert "srun" not in script


def test_a_unit_that_fails_or_kills_its_job_spares_the_others_and_is_named(
    raw: Path, tmp_path: Path, jobs: Path
) -> None:
    work = tmp_path / "work"
    with pytest.raises(StageError) as fault:
        run(numbers(raw, deadly="1.txt", broken="3.txt"), work, ON_SLURM)
    head, *lines = str(fault.value).splitlines()
    assert head == "double: 2 of 6 units failed; the others stand. Mend this and run again:"
    assert lines == [
        "  unit 1 (1.txt): StageError: was begun 2 times, and its process killed each time (out of memory or time?)",
        "  unit 3 (3.txt): RuntimeError: 3.txt#0: broken on purpose",
    ]
    run(numbers(raw), work, ON_SLURM)
    assert same_as_local(raw, work / "double", tmp_path)


INTERRUPTED = """
import signal, sys
from pathlib import Path
from pipeline.engines.clusters import Slurm
from pipeline.engines.run import Engine, run
from commands.faults import stoppable
from tests.toy_numbers import numbers
signal.signal(signal.SIGINT, signal.default_int_handler)
with stoppable():
    run(numbers(Path(sys.argv[1])), Path(sys.argv[2]), Engine(tasks=1, cluster=Slurm(memory=1)))
"""


def interrupted(raw: Path, work: Path) -> str:
    """What a run says that is stopped with Ctrl-C as soon as its jobs are in the queue."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(raw), str(work)], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    while not (slurm_queue.mark(work / "double").exists() and slurm_queue.jobs(work / "double")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    return said


def test_ctrl_c_leaves_the_jobs_and_the_next_run_waits_for_them_and_submits_none(
    raw: Path, tmp_path: Path, jobs: Path
) -> None:
    work = tmp_path / "work"
    (jobs / "pause").write_text("4")
    name = slurm_queue.name_of(work / "double")
    assert interrupted(raw, work) == (
        "stopped; the jobs of double go on; run the same command again to wait for them, or end them with "
        f"scancel --name={name}\n"
    )
    told = rf"^{work}/double: jobs of an earlier start are in Slurm's queue; go on with --engine slurm, or .*{name}"
    with pytest.raises(StageError, match=told):
        run(numbers(raw), work, Engine())
    with pytest.raises(StageError, match=told):
        start_over([numbers(raw)], work, "double")
    run(numbers(raw), work, ON_SLURM)
    assert submitted(jobs) == 1
    assert same_as_local(raw, work / "double", tmp_path)


def test_jobs_that_were_cancelled_are_told_and_submitted_again(raw: Path, tmp_path: Path, jobs: Path) -> None:
    work = tmp_path / "work"
    (jobs / "pause").write_text("2")
    interrupted(raw, work)
    subprocess.run(["scancel", f"--name={slurm_queue.name_of(work / 'double')}"], check=True)
    (jobs / "pause").write_text("0")
    run(numbers(raw), work, ON_SLURM)
    assert submitted(jobs) == 2
    assert same_as_local(raw, work / "double", tmp_path)


def test_a_job_that_waits_for_a_person_is_told_and_left(raw: Path, tmp_path: Path, jobs: Path) -> None:
    (jobs / "pause").write_text("3")
    (jobs / "reason").write_text("JobHeldUser")
    with pytest.raises(StageError, match=r"job 1_0 waits for a person \(JobHeldUser\); release or mend it, or end it"):
        run(numbers(raw), tmp_path / "work", ON_SLURM)
    (jobs / "reason").unlink()
    run(numbers(raw), tmp_path / "work", ON_SLURM)
    assert submitted(jobs) == 1


@pytest.mark.usefixtures("jobs")
def test_what_sbatch_says_against_a_job_is_told_in_a_line(
    raw: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StageError, match=r"^double: sbatch refused the job: invalid partition specified: none$"):
        run(numbers(raw), tmp_path / "work", Engine(cluster=Slurm(partition="none")))
    assert capfd.readouterr() == ("", "")
    run(numbers(raw), tmp_path / "work", ON_SLURM)


@pytest.mark.usefixtures("jobs")
def test_a_node_of_another_build_does_nothing_and_is_told(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines_run, "build", lambda: {**nodes.build(), "numpy": "0.1"})
    with pytest.raises(StageError) as fault:
        run(numbers(raw), tmp_path / "work", ON_SLURM)
    head, line = str(fault.value).splitlines()
    assert head == "double: 6 of 6 units failed. Mend this and run again:"
    assert line.startswith("  units 0, 1, 2, 3, 4, 5: StageError: node ")
    assert ", not 0.1 as the run has; install the same there" in line


def test_slurm_that_is_not_there_and_a_run_inside_an_array_are_refused(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StageError, match="--engine slurm needs Slurm's sbatch and squeue on PATH"):
        run(numbers(raw), tmp_path / "work", ON_SLURM)
    monkeypatch.setenv("PATH", f"{fake_slurm(tmp_path / 'slurm')}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    with pytest.raises(StageError, match="--engine slurm inside a job array"):
        run(numbers(raw), tmp_path / "work", ON_SLURM)


@pytest.mark.usefixtures("real")
def test_the_real_slurm_fills_the_same_folder_and_tells_of_a_killed_job(raw: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with pytest.raises(StageError, match=r"(?s)1 of 6 units failed; the others stand.*unit 1 .* was begun 2 times"):
        run(numbers(raw, deadly="1.txt"), work, ON_SLURM)
    run(numbers(raw), work, ON_SLURM)
    assert same_as_local(raw, work / "double", tmp_path)
    with pytest.raises(StageError, match=r"^other: sbatch refused the job: .*[Mm]emory"):
        run(numbers(raw, name="other"), work, Engine(cluster=Slurm(memory=500)))


@pytest.mark.usefixtures("real")
def test_the_real_slurm_keeps_jobs_that_the_next_run_waits_for(raw: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    subprocess.run(["scontrol", "update", "PartitionName=cpu", "State=DOWN"], check=True)
    try:
        assert "go on; run the same command again to wait for them" in interrupted(raw, work)
        with pytest.raises(StageError, match="in Slurm's queue; go on with --engine slurm"):
            run(numbers(raw), work, Engine())
    finally:
        subprocess.run(["scontrol", "update", "PartitionName=cpu", "State=UP"], check=True)
    run(numbers(raw), work, ON_SLURM)
    listed = slurm_queue.jobs(work / "double") or []
    assert len({job.id.split("_")[0] for job in listed}) == 1, listed
    assert same_as_local(raw, work / "double", tmp_path)


@pytest.mark.usefixtures("real")
def test_a_recipe_on_the_real_slurm_makes_the_bytes_of_one_on_this_machine(tmp_path: Path) -> None:
    path = toy_recipe(tmp_path)
    (tmp_path / "cluster.yaml").write_text("partition: cpu\nmemory: 1\ntime: 0:30:00\n")
    command = [str(BERTMILL), "run", str(path), "--work", str(tmp_path / "slurm"), "--until", "filter"]
    done = subprocess.run(
        [*command, "--engine", f"slurm:{tmp_path / 'cluster.yaml'}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    asked = load(path)
    prepare(asked, tmp_path / "local", Engine(), until="filter")
    made = outputs(tmp_path / "slurm")
    assert "filter/t/00000.parquet" in made
    assert made == outputs(tmp_path / "local")
