"""The stage contract, by a stage that doubles the numbers in text files and drops the odd lines."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.run import Engine, run
from pipeline.stage import Record, StageError
from tests.toy_numbers import contents, numbers, raw_numbers

ROOT = Path(__file__).parents[1]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return raw_numbers(tmp_path / "raw")


def test_a_stage_fills_its_folder_and_signs_it(raw: Path, tmp_path: Path) -> None:
    record, worked = run(numbers(raw), tmp_path / "work", Engine())
    assert worked
    assert record.finished
    assert record.units == 6
    counts = record.counts
    assert (counts["documents_in"], counts["documents_out"], counts["dropped"]) == (60, 30, {"odd": 30})
    assert (tmp_path / "work/double/00001.txt").read_text().split() == ["200", "204", "208", "212", "216"]
    assert Record.read(tmp_path / "work/double") == record


def test_a_finished_stage_is_not_done_again(raw: Path, tmp_path: Path) -> None:
    first, _ = run(numbers(raw), tmp_path / "work", Engine())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*")}
    again, worked = run(numbers(raw), tmp_path / "work", Engine())
    assert not worked
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*")} == before


@pytest.mark.parametrize("tasks", [1, 4, 7])
def test_any_number_of_tasks_fills_the_same_folder(raw: Path, tmp_path: Path, tasks: int) -> None:
    run(numbers(raw), tmp_path / "one", Engine(tasks=1))
    run(numbers(raw), tmp_path / "many", Engine(tasks=tasks))
    assert contents(tmp_path / "one/double") == contents(tmp_path / "many/double")


def test_a_failing_unit_spares_the_others_and_is_named(raw: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with pytest.raises(StageError, match=r"(?s)1 of 6 units failed.*unit 3 \(3.txt\).*3.txt#0: broken on purpose"):
        run(numbers(raw, broken="3.txt"), work, Engine(tasks=7))
    assert not (Record.read(work / "double") or pytest.fail("no record")).finished
    stood = {path.name: path.stat().st_mtime_ns for path in (work / "double").glob("*.txt")}
    assert len(stood) == 5
    run(numbers(raw), work, Engine(tasks=2))
    after = {path.name: path.stat().st_mtime_ns for path in (work / "double").glob("*.txt")}
    assert {name: after[name] for name in stood} == stood, "a unit that stood was done again"
    run(numbers(raw), tmp_path / "fresh", Engine())
    assert contents(work / "double") == contents(tmp_path / "fresh/double")


def test_other_settings_are_refused_by_name_until_started_over(raw: Path, tmp_path: Path) -> None:
    run(numbers(raw), tmp_path / "work", Engine())
    with pytest.raises(StageError, match=r"factor: 2 -> 3.*--redo double"):
        run(numbers(raw, factor=3), tmp_path / "work", Engine())


def test_new_changed_and_vanished_input_files_are_noticed(raw: Path, tmp_path: Path) -> None:
    run(numbers(raw), tmp_path / "work", Engine())
    (raw / "new.txt").write_text("2")
    (raw / "0.txt").unlink()
    (raw / "1.txt").write_text("4")
    with pytest.raises(StageError) as fault:
        run(numbers(raw), tmp_path / "work", Engine())
    for said in ("input files new: new.txt", "input files vanished: 0.txt", "input files changed: 1.txt"):
        assert said in str(fault.value)


def test_a_stage_does_not_read_what_is_not_signed(raw: Path, tmp_path: Path) -> None:
    later = numbers(raw, name="later", reads=(numbers(raw),))
    with pytest.raises(StageError, match="double is not finished"):
        run(later, tmp_path / "work", Engine())
    run(numbers(raw), tmp_path / "work", Engine())
    run(later, tmp_path / "work", Engine())


def test_a_stage_is_stale_when_what_it_reads_was_made_anew(raw: Path, tmp_path: Path) -> None:
    run(numbers(raw), tmp_path / "work", Engine())
    run(numbers(raw, name="later", reads=(numbers(raw),)), tmp_path / "work", Engine())
    (tmp_path / "work/double/stage.json").unlink()
    changed = numbers(raw, factor=5)
    run(changed, tmp_path / "work", Engine())
    with pytest.raises(StageError, match="double was made anew"):
        run(numbers(raw, name="later", reads=(changed,)), tmp_path / "work", Engine())


def test_an_output_that_was_cut_off_or_removed_does_not_stand(raw: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with pytest.raises(StageError):
        run(numbers(raw, broken="5.txt"), work, Engine())
    os.truncate(work / "double/00001.txt", 3)
    (work / "double/00002.txt").unlink()
    run(numbers(raw), work, Engine())
    run(numbers(raw), tmp_path / "fresh", Engine())
    assert contents(work / "double") == contents(tmp_path / "fresh/double")


def test_too_many_broken_records_are_not_signed(raw: Path, tmp_path: Path) -> None:
    (raw / "0.txt").write_text("2\nnot a number\n4")
    with pytest.raises(StageError, match=r"1 of 53 records are broken.*--dropped"):
        run(numbers(raw, max_bad=0.01), tmp_path / "work", Engine())
    record, _ = run(numbers(raw, max_bad=0.05), tmp_path / "work", Engine())
    assert record.counts["dropped"]["bad_number"] == 1


def test_a_damaged_record_is_told_in_one_line(raw: Path, tmp_path: Path) -> None:
    run(numbers(raw), tmp_path / "work", Engine())
    (tmp_path / "work/double/stage.json").write_text("{")
    with pytest.raises(StageError, match=r"stage.json: is damaged"):
        run(numbers(raw), tmp_path / "work", Engine())


@pytest.mark.parametrize(("workers", "tasks"), [(0, None), (None, 0)])
def test_no_workers_or_tasks_are_refused(workers: int | None, tasks: int | None) -> None:
    with pytest.raises(StageError, match="at least 1"):
        Engine(workers=workers, tasks=tasks)


SLOW = """
    import os, sys, time
    from functools import partial
    from pathlib import Path
    sys.path[:0] = [{root!r}, {here!r}]
    import slow_work
    from pipeline.engines import run as engines_run
    from pipeline.engines.run import Engine, run
    from pipeline.stage import Stage, StageError
    from pipeline.units import find, group, stamps

    if __name__ == "__main__":
        raw, work = Path({raw!r}), Path({work!r})
        engines_run.WORKER_BYTES = 1  # as many workers as are asked for, though there is little to do
        stage = Stage(
            name="slow",
            work=lambda _: partial(slow_work.slow, pause={pause}, deadly={deadly!r}, code={code}),
            units=lambda _: group(find([f"{{raw}}/*.txt"]), 1),
            suffix=".txt",
        )
        try:
            run(stage, work, Engine(workers={workers}, tasks=6))
        except StageError as fault:
            sys.exit(str(fault))
"""

WORK = """
    import os, signal, time
    from pathlib import Path

    def slow(unit, out, tally, *, pause, deadly, code):
        for piece in unit.pieces:
            if piece.name == deadly:
                os.kill(os.getpid(), -code) if code < 0 else os._exit(code)
            text = Path(piece.path).read_text()
            tally.read(1, len(text))
            with out.open("w") as file:
                for character in text:
                    file.write(character)
                    file.flush()
                    time.sleep(pause)
            tally.kept(1, len(text))
"""


def in_background() -> None:
    """As a shell starts its background jobs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def slow_run(tmp_path: Path, raw: Path, **options: Any) -> subprocess.Popen[str]:
    (tmp_path / "slow_work.py").write_text(textwrap.dedent(WORK))
    filled = SLOW.format(
        root=str(ROOT), here=str(tmp_path), raw=str(raw), **{"deadly": "", "code": -signal.SIGKILL, **options}
    )
    script = tmp_path / "slow.py"
    script.write_text(textwrap.dedent(filled))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    return subprocess.Popen(
        [sys.executable, str(script)], stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=in_background
    )


def test_kill_9_in_the_middle_loses_no_finished_unit_and_leaves_nothing_that_looks_whole(
    raw: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    folder = work / "slow"
    process = slow_run(tmp_path, raw, work=str(work), pause=0.01, workers=1)
    while len(list((folder / "units").glob("*.json"))) < 2:
        assert process.poll() is None, process.stderr and process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stood = {path.name: path.stat().st_mtime_ns for path in (folder / "units").glob("*.json")}
    assert not json.loads((folder / "stage.json").read_text())["finished"]
    for path in folder.glob("[0-9]*.txt"):
        assert path.read_text() == (raw / f"{int(path.stem)}.txt").read_text(), "a cut-off file looks whole"
    second = slow_run(tmp_path, raw, work=str(work), pause=0, workers=1)
    _, said = second.communicate()
    assert second.returncode == 0, said
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "units").glob("*.json")}
    assert len(after) == 6
    assert {name: after[name] for name in stood} == stood
    assert not list(folder.rglob("*.draft"))


def test_workers_end_with_a_run_that_is_killed_and_the_next_run_goes_on(raw: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    process = slow_run(tmp_path, raw, work=str(work), pause=0.02, workers=2)
    while len(list((work / "slow" / "units").glob("*.json"))) < 2:
        assert process.poll() is None, process.stderr and process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)  # returns when the last worker has let go of the pipe
    stood = len(list((work / "slow" / "units").glob("*.json")))
    assert stood < 6
    second = slow_run(tmp_path, raw, work=str(work), pause=0, workers=2)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    for path in raw.iterdir():
        assert (work / "slow" / f"{int(path.stem):05}.txt").read_text() == path.read_text()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (-signal.SIGKILL, r"^a worker was killed \(signal 9; out of memory\?\) in unit 3 of slow; .*fewer --workers"),
        (3, r"^a worker ended by itself \(exit code 3\) in unit 3 of slow; "),
    ],
)
def test_a_worker_that_dies_ends_the_stage_with_a_line_that_names_its_unit(
    raw: Path, tmp_path: Path, code: int, told: str
) -> None:
    process = slow_run(tmp_path, raw, work=str(tmp_path / "work"), pause=0, workers=2, deadly="3.txt", code=code)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.match(told, said)
    assert said.count("\n") == 1, said


def manager(pid: int) -> int:
    """The process of a run that hands ranks to its workers."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        words = (path.parent / "cmdline").read_text()
        its_own = path.read_text().rpartition(")")[2].split()[1] == str(pid)
        if its_own and "resource_tracker" not in words and "forkserver" not in words:
            return int(path.parent.name)
    raise LookupError(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_between_the_workers_that_is_killed_ends_the_stage_with_a_line(raw: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work" / "slow"
    process = slow_run(tmp_path, raw, work=str(tmp_path / "work"), pause=0.05, workers=2)
    while len(list((folder / "running").glob("*"))) < 2:
        assert process.poll() is None, process.stderr and process.stderr.read()
    os.kill(manager(process.pid), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert re.match(r"a (worker|process of slow) was killed \(.*out of memory\?\)( in unit \d of slow)?; ", said)
    assert said.count("\n") == 1, said
