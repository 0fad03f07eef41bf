"""Whole recipes shared out in different ways, and the options that say how."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from commands.engine import engine_of
from commands.run import prepare
from pipeline.engines.clusters import Ray, Slurm
from pipeline.engines.run import Engine
from pipeline.stage import StageError
from recipes.load import load
from tests.conftest import bertmill
from tests.toy_recipe import outputs, toy_recipe


def survivors(work: Path) -> list[str]:
    paths = sorted(work.glob("dedup/*/*.parquet"))
    return [id for path in paths for id in pq.read_table(path, columns=["id"])["id"].to_pylist()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a recipe that one task has carried out up to the documents that occur once."""
    folder = tmp_path_factory.mktemp("alone")
    prepare(load(toy_recipe(folder)), folder / "work", Engine(tasks=1), until="dedup")
    kept = survivors(folder / "work")
    assert 110 <= len(kept) == len(set(kept)) <= 125  # of 180 notes, 60 of them copies or nearly
    return folder


@pytest.mark.parametrize("tasks", [4, 7])
def test_the_same_documents_survive_whatever_the_number_of_tasks(alone: Path, tmp_path: Path, tasks: int) -> None:
    prepare(load(alone / "notes.yaml"), tmp_path, Engine(tasks=tasks), until="dedup")
    assert survivors(tmp_path) == survivors(alone / "work")
    assert outputs(tmp_path) == outputs(alone / "work")


def test_engines_are_named_with_a_file_of_settings_or_without(tmp_path: Path) -> None:
    assert engine_of("local", 3, None) == Engine(workers=3)
    assert engine_of("ray", None, 7) == Engine(tasks=7, cluster=Ray())
    path = tmp_path / "c.yaml"
    path.write_text(
        "partition: cpu\ntime: 4:00:00\nmemory: 8.5\ncpus: 2\nsbatch: {constraint: avx512}\nsetup: |\n  module load x\n"
    )
    asked = Slurm(
        partition="cpu", time="4:00:00", memory=8.5, cpus=2, sbatch={"constraint": "avx512"}, setup="module load x\n"
    )
    assert engine_of(f"slurm:{path}", None, None) == Engine(cluster=asked)
    path.write_text("# nothing\n")
    assert engine_of(f"slurm:{path}", None, None) == Engine(cluster=Slurm())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("memory: 8\npartitoin: cpu\n", ":2: partitoin: no such setting; did you mean 'partition'?"),
        (
            "speed: 8\n",
            ":1: speed: no such setting; there are cpus, memory, partition, time, account, qos, setup, sbatch",
        ),
        ("cpus: many\n", ":1: cpus: is a whole number such as 4608 or 1.7T, not 'many'"),
        ("cpus: 0\n", ":1: slurm: 0 cpus do nothing; a task has at least 1"),
        ("memory: -1\n", ":1: slurm: -1 GB are no memory of a task; 4 is usual, 0 asks for none in particular"),
        ("sbatch: {array: 0-3}\n", ":1: slurm: array is not for you to choose: tasks are told by it"),
        ("- cpus\n", ":1: is a file of settings, such as 'memory: 8'"),
        ("a: [\n", ": cannot be read: while parsing a flow node"),
    ],
)
def test_a_file_of_settings_that_does_not_hold_together_is_told_with_its_line(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(StageError) as fault:
        engine_of(f"slurm:{path}", None, None)
    assert str(fault.value).startswith(f"{path}{told}")
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("word", ["spark", "ray:", "local:x.yaml", ""])
def test_an_engine_that_there_is_not_is_refused(word: str) -> None:
    with pytest.raises(StageError, match=r"^--engine is local, ray, slurm, ray:FILE or slurm:FILE, not "):
        engine_of(word, None, None)


def test_a_file_of_settings_that_is_missing_ends_a_run_in_a_line(alone: Path, tmp_path: Path) -> None:
    done = bertmill("run", alone / "notes.yaml", "--work", tmp_path, "--engine", "ray:none.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith("none.yaml: cannot be read: ")
    assert done.stderr.count("\n") == 1


def test_every_setting_of_a_cluster_is_documented() -> None:
    told = (Path(__file__).parents[1] / "docs" / "engines.md").read_text()
    names = {*Ray.__dataclass_fields__, *Slurm.__dataclass_fields__}
    assert not [name for name in names if f"`{name}`" not in told]
