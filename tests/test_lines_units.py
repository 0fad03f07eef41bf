"""The same documents in other files, units, runs, orders and processes; colliding hashes; files that are not whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commands.verify import verify
from pipeline.dedup.columns import write_columns
from pipeline.dedup.lines import hashes as line_hashes
from pipeline.dedup.lines import repeats as line_repeats
from pipeline.dedup.lines import segments as line_segments
from pipeline.dedup.lines.repeats import find_repeated, repeated_in
from pipeline.engines import run as engines_run
from pipeline.engines.run import Engine, run
from pipeline.stage import StageError
from pipeline.tally import Tally
from pipeline.units import Piece, Unit
from tests.toy_lines import NO_FLOOR, Page, counts, declared, in_plain_python, left, remove, sites


def test_files_units_runs_and_order_are_no_part_of_any_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = sites()
    wanted = in_plain_python(pages, NO_FLOOR)
    tables = []
    for number, (files, seed, rows) in enumerate([(1, None, 1 << 22), (4, 7, 1 << 22), (3, 8, 100), (5, 9, 25)]):
        monkeypatch.setattr(line_hashes, "RUN", rows)  # many runs a unit
        monkeypatch.setattr(line_repeats, "TOGETHER", rows)  # and many looks at a part
        monkeypatch.setattr(line_segments, "SLICE_BYTES", 10 * rows)
        work = tmp_path / str(number)
        assert remove(work, pages, files=files, seed=seed) == wanted
        runs = len(list(work.glob("line_hashes/web/00/*.arrow")))
        assert runs == files if rows == 1 << 22 else runs > 2 * files or rows == 100
        sums = [counts(work, stage) for stage in ("lines/web", "lines/news", "line_hashes/web", "repeated_lines")]
        tables.append([*sums, *(pq.read_table(work / f"lines/{s}/frequent.parquet") for s in ("web", "news"))])
    assert tables[1:] == tables[:1] * 3


def outputs(work: Path) -> dict[str, bytes]:
    paths = [path for pattern in ("line*/*/**/*", "repeated_lines/**/*") for path in sorted(work.glob(pattern))]
    files = [path for path in paths if path.suffix in (".arrow", ".parquet") or path.parent.name == "units"]
    return {path.relative_to(work).as_posix(): path.read_bytes() for path in files}


def test_tasks_and_workers_are_no_part_of_any_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines_run, "WORKER_BYTES", 1)
    remove(tmp_path / "one", sites(), files=3)
    for stage in declared(sites(), NO_FLOOR, 3):
        two = Engine(workers=2, tasks=5) if stage.name in ("repeated_lines", "lines/web") else Engine(tasks=7)
        run(stage, tmp_path / "two", two)
    assert len(outputs(tmp_path / "one")) > 6 * 16
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")


def test_what_ran_is_verified_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    remove(tmp_path, sites(), files=2)
    assert len(list(verify(tmp_path))) == 2 + 2 + 1 + 2
    assert not any(run(stage, tmp_path, Engine())[1] for stage in declared(sites(), NO_FLOOR, 2))


KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from pipeline.engines.run import Engine, run
from tests.toy_lines import NO_FLOOR, declared, sites

def dying(work, after):
    done = []
    def do(unit, out, tally):
        work(unit, out, tally)
        done.append(unit)
        if len(done) > after:
            os.kill(os.getpid(), signal.SIGKILL)
    return do

for killed, after in (("line_hashes/web", 1), ("repeated_lines", 4), ("lines/web", 1)):
    if not (child := os.fork()):
        for stage in declared(sites(), NO_FLOOR, 3):
            if stage.name == killed:
                stage = replace(stage, work=lambda workspace, make=stage.work: dying(make(workspace), after))
            run(stage, Path(sys.argv[1]), Engine())
        os._exit(0)
    print(os.waitpid(child, 0)[1])
"""


def test_a_run_killed_in_each_of_the_stages_ends_with_the_same_bytes(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-W", "error", "-c", KILLED, str(killed)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == 3 * [str(int(signal.SIGKILL))]
    assert remove(killed, sites(), files=3) == remove(whole, sites(), files=3) == in_plain_python(sites(), NO_FLOOR)
    assert outputs(killed) == outputs(whole)


def test_changed_settings_are_refused_by_name(tmp_path: Path) -> None:
    remove(tmp_path, sites(), files=2)
    for change, message in (
        ({"scope": "all"}, r"scope: site -> all.*--redo line_hashes/news"),
        ({"max_documents": 3}, r"max_documents: 2 -> 3.*--redo repeated_lines"),
        ({"keep": "none"}, r"keep: first -> none.*--redo lines/news"),
    ):
        with pytest.raises(StageError, match=message):
            remove(tmp_path, sites(), replace(NO_FLOOR, **change), files=2)


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes({"truncated": content[:-9], "foreign": os.urandom(len(content)), "empty": b""}[how])


@pytest.mark.parametrize("how", ["missing", "truncated", "foreign", "empty"])
def test_a_file_that_is_not_what_was_signed_is_named_with_the_stage_to_do_again(tmp_path: Path, how: str) -> None:
    stages = declared(sites(), NO_FLOOR, 2)
    place = next(number for number, stage in enumerate(stages) if stage.name == "repeated_lines")
    for stage in stages[:place]:
        run(stage, tmp_path, Engine())
    file = tmp_path / "line_hashes/web/07/00001.0000.arrow"
    content = file.read_bytes()
    spoil(file, how)
    with pytest.raises(StageError, match=r"line_hashes/web/07/00001\.0000\.arrow.*--redo line_hashes/web"):
        run(stages[place], tmp_path, Engine())
    file.write_bytes(content)
    run(stages[place], tmp_path, Engine())
    spoil(tmp_path / "repeated_lines/00003.arrow", how)
    with pytest.raises(StageError, match=r"repeated_lines/00003\.arrow.*--redo repeated_lines"):
        run(stages[-1], tmp_path, Engine())
    assert not left(tmp_path)


@pytest.mark.parametrize("how", ["missing", "truncated", "foreign", "empty"])
def test_a_list_that_cannot_be_read_is_told_in_a_line(tmp_path: Path, how: str) -> None:
    remove(tmp_path, sites())
    spoil(tmp_path / "repeated_lines/00003.arrow", how)
    with pytest.raises(StageError, match=r"repeated_lines/00003\.arrow.*--redo repeated_lines"):
        repeated_in(tmp_path / "repeated_lines", "web", 0)


def test_a_list_of_other_documents_is_refused(tmp_path: Path) -> None:
    remove(tmp_path, sites())
    for source, unit in (("books", 0), ("web", 1)):
        with pytest.raises(StageError, match=r"00000\.arrow: cannot be read \(.*" + source):
            repeated_in(tmp_path / "repeated_lines", source, unit)


def repeated(folder: Path, runs: list[dict[str, Any]], most: int) -> tuple[np.ndarray[Any, Any], Tally]:
    """What part 0 tells of runs of one source, each a unit's."""
    pieces = []
    for number, columns in enumerate(runs):
        path = folder / f"{number:05}.0000.arrow"
        write_columns(path, columns)
        pieces.append(Piece(str(path), f"web/{path.name}", path.stat().st_size))
    tally, out = Tally(), folder / "out.arrow"
    find_repeated(Unit(0, tuple(pieces)), out, tally, units={"web": len(runs)}, max_documents=most)
    with pa.memory_map(str(out)) as file:
        table = pa.ipc.open_file(file).read_all()
    return np.rec.fromarrays([table[name].to_numpy() for name in table.schema.names], names=table.schema.names), tally


def run_of(hashes: np.ndarray[Any, Any], firsts: np.ndarray[Any, Any], documents: int = 1) -> dict[str, Any]:
    return {"hash": hashes, "first": firsts, "documents": np.full(len(hashes), documents, np.uint32)}


@pytest.mark.parametrize("bits", [24, 28])
def test_hashes_of_fewer_bits_collide_as_often_as_the_formula_says(tmp_path: Path, bits: int) -> None:
    """N lines that are all different, by hashes of so many bits: N^2 / 2^(bits + 1) pairs are expected to be one."""
    dice = np.random.default_rng(3)
    words = dice.integers(0, 10**6, (40_000, 6)).astype(str).tolist()
    batch = pa.record_batch({"text": pa.array(["\n".join(map(" ".join, words))], pa.large_string()),
                             "source": ["web"], "url": pa.array([None], pa.string())})  # fmt: skip
    hashes = line_segments.cut(batch, "line", "site", 1).hashes
    assert len(np.unique(hashes)) == len(hashes) == 40_000
    short = np.sort(hashes >> np.uint64(64 - bits))
    run = {name: column[np.append(True, short[1:] != short[:-1])] for name, column in run_of(short, short).items()}
    run["documents"] = np.unique(short, return_counts=True)[1].astype(np.uint32)
    _, tally = repeated(tmp_path, [run], 1)
    expected = len(hashes) ** 2 / 2 ** (bits + 1)
    assert abs(tally.more["repeated_lines"] - expected) < 5 * expected**0.5


def test_a_line_of_a_hundred_million_documents_is_one_row_of_each_run(tmp_path: Path) -> None:
    ours, firsts = np.array([5, 6, 7], np.uint64), np.array([9, 9, 9], np.uint64)
    runs = [run_of(ours, firsts + np.uint64(50 - n), 2_500_000) for n in range(40)]
    rows, tally = repeated(tmp_path, runs, 6)
    assert len(rows) == 3 * 40
    assert set(rows["documents"]) == {100_000_000}
    assert set(rows["first"]) == {20}
    assert tally.more == {"distinct_lines": 3, "repeated_lines": 3}


def test_a_document_straight_after_a_run_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_hashes, "RUN", 3)
    dice = random.Random(2)
    pages = [Page(f"p{n}", "\n".join(dice.choice("abcdefgh") * 3 for _ in range(9))) for n in range(12)]
    for most in (1, 4, 8):
        settings = replace(NO_FLOOR, max_documents=most)
        assert remove(tmp_path / str(most), pages, settings, files=2) == in_plain_python(pages, settings)
