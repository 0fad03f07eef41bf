"""Runs that cannot go on, or not from the start: each says so in a line, and what to do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.last_words import last_words
from commands.run import only_one, prepare
from pipeline.engines import run as engines_run
from pipeline.engines.run import Engine
from pipeline.stage import StageError
from pipeline.units import InputError
from recipes import ready
from recipes.load import load
from tests.conftest import BERTMILL, bertmill
from tests.toy_recipe import RECIPE

SCORERS = """\
import os, sys, time

def ends(texts):
    os._exit(3)

def leaves(texts):
    sys.exit(0)

def fails(texts):
    raise ValueError("too long:\\n" + texts[0])

def waits(texts):
    time.sleep(60)

def length(texts):
    return [float(len(text)) for text in texts]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Path]:
    """A recipe of one source of three units, with these filters."""
    (tmp_path / "in").mkdir()
    for number in range(3):
        rows = [{"text": f"note {number} {row}: " + "some words that stand for more " * 8} for row in range(60)]
        (tmp_path / "in" / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "notes_scorers.py").write_text(SCORERS)

    def made(filters: str = "") -> Path:
        path = tmp_path / "notes.yaml"
        path.write_text(RECIPE.format(folder=tmp_path, filters=filters))
        return path

    return made


def one_line(fault: pytest.ExceptionInfo[BaseException]) -> str:
    (line,) = str(fault.value).splitlines()
    return line


def changed(file: Path, at: int = 100) -> None:
    """One other bit, in as many bytes: what a look at sizes does not find."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("later", ["signatures/t", "dedup/t"])
def test_a_file_that_was_changed_since_it_was_signed_is_not_used(
    recipe: Callable[..., Path], tmp_path: Path, later: str
) -> None:
    asked, work = load(recipe()), tmp_path / "work"
    before = {"signatures/t": "filter/t", "dedup/t": "duplicates"}[later]
    prepare(asked, work, Engine(), until=before)
    file = work / "filter/t/00001.parquet"
    changed(file)
    with pytest.raises(StageError) as fault:
        prepare(asked, work, Engine(), until=later)
    assert (
        f"unit 1 (00001.parquet): StageError: {file}: is not what filter/t signed; start it over with --redo filter/t"
        in (" ".join(str(fault.value).split()))
    )
    prepare(asked, work, Engine(), until=later, redo=["filter/t"])


def test_units_of_a_stage_that_was_being_cleared_as_its_run_was_killed_do_not_stand(
    recipe: Callable[..., Path], tmp_path: Path
) -> None:
    asked, work = load(recipe()), tmp_path / "work"
    prepare(asked, work, Engine(), until="filter/t")
    (work / "filter/t/stage.json").unlink()  # `clear` begins with it
    file, told = work / "filter/t/00001.parquet", work / "filter/t/units/00001.json"
    good = file.read_bytes()
    file.write_bytes(b"of other settings")
    told.write_text(json.dumps(json.loads(told.read_bytes()) | {"bytes_written": 17}))
    prepare(asked, work, Engine(), until="filter/t")
    assert file.read_bytes() == good


@pytest.mark.parametrize("at", [100, -1])
def test_rows_are_not_packed_of_a_changed_file(recipe: Callable[..., Path], tmp_path: Path, at: int) -> None:
    asked = load(recipe())
    prepare(asked, tmp_path, Engine(), until="tokenizer")
    changed(tmp_path / "apart/t/00002.parquet", at)
    with pytest.raises(StageError, match=r"apart/t/00002.parquet: is not what apart/t signed; .* --redo apart/t"):
        prepare(asked, tmp_path, Engine(), until="pack")


def test_rows_are_not_packed_with_a_changed_tokenizer(recipe: Callable[..., Path], tmp_path: Path) -> None:
    asked, tokenizer = load(recipe()), tmp_path / "tokenizer" / "00000.json"
    prepare(asked, tmp_path, Engine(), until="tokenizer")
    tokenizer.write_text(tokenizer.read_text() + " ")
    with pytest.raises(StageError) as fault:
        prepare(asked, tmp_path, Engine(), until="pack")
    assert one_line(fault) == f"{tokenizer}: is not what tokenizer signed; start it over with --redo tokenizer"


@pytest.mark.parametrize(
    ("name", "redo", "told"),
    [
        ("filter/t/00000.parquet", [], "has gone; start its stage over with --redo filter/t"),
        ("filter/t/units/00001.json", [], "is not what filter/t signed; start it over with --redo filter/t"),
        ("ingest/t/00001.parquet", ["filter/t"], "has gone; start its stage over with --redo ingest/t"),
    ],
)
def test_a_signed_file_that_has_gone_is_told_with_the_stage_to_do_again(
    recipe: Callable[..., Path], tmp_path: Path, name: str, redo: list[str], told: str
) -> None:
    asked, work = load(recipe()), tmp_path / "work"
    prepare(asked, work, Engine(), until="filter/t")
    (work / name).unlink()
    with pytest.raises(StageError) as fault:
        prepare(asked, work, Engine(), until="signatures/t", redo=redo)
    assert one_line(fault) == f"{work / name}: {told}"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    for work in (Path("/proc/none"), tmp_path / "file" / "work"):
        (tmp_path / "file").write_text("")
        with pytest.raises(StageError) as fault, only_one(work):
            pass
        assert one_line(fault).startswith(f"{work}: cannot be written (")
    done = bertmill("sample", "/proc/none")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_scorer_that_fails_or_leaves_is_named_with_its_unit_in_a_line(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(engines_run, "WORKER_BYTES", 1)
    for scorer, told in (("fails", "ValueError: too long: note 1 0:"), ("leaves", "SystemExit: 0")):
        asked = load(recipe(f"quality: {{scorer: notes_scorers:{scorer}}}"))
        with pytest.raises(StageError) as fault:
            prepare(asked, tmp_path / scorer, Engine(workers=workers), until="filter/t")
        line = next(line for line in str(fault.value).splitlines() if "unit 1 " in line)
        assert f"the scorer notes_scorers:{scorer} failed: {told}" in line
        assert len(str(fault.value).splitlines()) == 4


def test_a_scorer_of_the_current_folder_is_found_last(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orjson.py").write_text("length = None")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    ready.check(load(recipe("quality: {scorer: notes_scorers:length}")))
    with pytest.raises(InputError, match="scorer orjson:length cannot be imported"):
        ready.check(load(recipe("quality: {scorer: orjson:length}")))


@pytest.mark.parametrize("scorer", ["ends", "waits"])
def test_a_run_whose_process_dies_says_in_which_unit(recipe: Callable[..., Path], tmp_path: Path, scorer: str) -> None:
    path, work = recipe(f"quality: {{scorer: notes_scorers:{scorer}}}"), tmp_path / "work"
    command = [str(BERTMILL), "run", str(path), "--work", str(work), "--until", "filter/t"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    if scorer == "waits":
        while not list((work / "filter" / "t" / "running").glob("*")):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    _, said = process.communicate(timeout=60)
    assert process.returncode == (3 if scorer == "ends" else -signal.SIGKILL)
    (line,) = (line for line in said.splitlines() if "compiling" not in line)
    assert line.startswith(f"{work}: the run was killed or crashed in unit 0 of filter/t (out of memory?")


def test_a_run_that_ends_in_its_own_way_has_no_last_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with last_words(tmp_path):
        pass
    with pytest.raises(StageError), last_words(tmp_path):
        raise StageError("told by another")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_a_run_with_a_line_and_nothing_at_work(
    recipe: Callable[..., Path], tmp_path: Path, workers: int
) -> None:
    path, work = recipe("quality: {scorer: notes_scorers:waits}"), tmp_path / "work"
    for number in range(2 * workers):  # enough to do for two workers
        (tmp_path / "in" / f"9{number}.jsonl").write_text(json.dumps({"text": os.urandom(4_200_000).hex()}) + "\n")
    command = [str(BERTMILL), "run", str(path), "--work", str(work), "--until", "filter/t", "--workers", str(workers)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while len(list((work / "filter" / "t" / "running").glob("*"))) < workers:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    lines = [line for line in said.splitlines() if "compiling" not in line]
    assert lines == ["stopped; run the same command again and it goes on"]


def test_the_first_run_on_a_machine_says_that_it_compiles(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    asked, told = load(recipe()), []
    for kernel, until, times in (
        ("", "ingest/t", 1),
        ("a.nbi", "filter/t", 1),
        ("", "filter/t", 1),
        ("", "dedup/t", 2),
    ):
        shutil.rmtree(tmp_path / "kernels", ignore_errors=True)
        (tmp_path / "kernels" / "words").mkdir(parents=True)
        if kernel:
            (tmp_path / "kernels" / "words" / kernel).write_text("")
        prepare(asked, tmp_path / "work", Engine(), until=until, compiles=lambda: told.append(""))
        assert len(told) == times
