"""Stages of repeated substrings that are stopped, or that find other files than were signed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dedup.columns import opened
from pipeline.dedup.substrings.ranges import answers
from pipeline.dedup.substrings.repeats import Passages, find_repeats
from pipeline.handover import check_beside
from pipeline.perform import perform
from pipeline.settings import Substrings
from pipeline.stage import Record, StageError, begin
from tests.test_substrings import own, passage, planted
from tests.toy_substrings import bring, cut, rows, stages_of

TEXTS = {f"d{n}": f"{own(f'd{n}')} {passage(0)} {own(f'e{n}')} {passage(1)}" for n in range(4)}


def test_work_that_was_stopped_in_each_stage_goes_on_to_the_same_end(tmp_path: Path) -> None:
    corpus, settings = planted(7, 20), Substrings(tokens=8)
    cut(tmp_path / "whole", corpus, settings, files=3)
    work = tmp_path / "stopped"
    for stage in stages_of(corpus, settings, files=3):
        record, folder = begin(stage, work), work / stage.name
        units = list(stage.units(work))
        record.units = len(units)
        record.write(folder)
        perform(stage.work(work), units[-1], folder, stage.suffix)  # and then the power went
        for left in ("00000", "00001"):
            (folder / f"{left}{stage.suffix}.77.draft").write_bytes(b"half")
        bring(stage, work)
    assert rows(work) == rows(tmp_path / "whole")


@pytest.mark.parametrize("stage", ["anchors/web", "recurring", "passages/web", "windows/web", "firsts"])
@pytest.mark.parametrize("how", ["missing", "cut", "foreign"])
def test_a_file_that_is_not_the_signed_one_is_refused_by_name(stage: str, how: str, tmp_path: Path) -> None:
    todo = stages_of({"web": TEXTS}, Substrings())
    reader = next(n for n, one in enumerate(todo) if stage in {read.name for read in one.reads})
    for one in todo[:reader]:
        bring(one, tmp_path)
    file = tmp_path / stage / "00000.arrow"
    if how == "missing":
        file.unlink()
    elif how == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(StageError, match=f"{stage}/00000.arrow: .*--redo {stage}") as fault:
        bring(todo[reader], tmp_path)
    assert "\n" not in str(fault.value)


def test_a_file_that_is_no_arrow_file_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "passages" / "web").mkdir(parents=True)
    Record(name="passages/web", fingerprint="f", settings={}, units=1).write(tmp_path / "passages" / "web")
    path = tmp_path / "passages" / "web" / "00000.arrow"
    for content in (None, b"", b"nothing of that kind"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(StageError, match=r"00000.arrow: cannot be read \(.*--redo passages/web$"):
            opened(path)


def test_other_settings_are_refused(tmp_path: Path) -> None:
    cut(tmp_path, {"web": TEXTS}, Substrings())
    for stage in stages_of({"web": TEXTS}, Substrings(tokens=40)):
        if stage.name != "dedup/web":
            break
    with pytest.raises(StageError, match=r"tokens: 50 -> 40.*--redo anchors/web"):
        bring(stage, tmp_path)


def test_an_answer_that_points_at_other_text_removes_nothing(tmp_path: Path) -> None:
    cut(tmp_path, {"web": TEXTS}, Substrings())
    passages = Passages([tmp_path / "passages" / "web" / "00000.arrow"])
    told = tmp_path / "firsts" / "00000.arrow"
    runs, unequal = find_repeats(passages, 0, [told], 50)
    assert (len(runs), unequal) == (6, 0)

    found = answers([told], 0)
    assert found["count"].tolist() == [4] * 22  # two passages of 60 tokens have 11 windows each
    found["place"][::2] += np.uint64(3)
    forged = tmp_path / "forged.arrow"
    schema = opened(told).schema
    with pa.ipc.new_file(forged, schema) as writer:
        writer.write_batch(pa.record_batch([pa.array(found[name]) for name in schema.names], schema=schema))
    runs, unequal = find_repeats(passages, 0, [forged], 50)
    assert unequal == 11 * 4
    assert (runs["end"] - runs["begin"] - 49).sum() == 11 * 3


def test_the_files_of_a_stage_are_checked_though_no_unit_names_them(tmp_path: Path) -> None:
    todo = {stage.name: stage for stage in stages_of({"web": TEXTS}, Substrings())}
    for name in ("dedup/web", "anchors/web"):
        bring(todo[name], tmp_path)
    shutil.copy(tmp_path / "anchors" / "web" / "units" / "00000.json", tmp_path / "anchors" / "web" / "00000.arrow")
    with pytest.raises(StageError, match="anchors/web"):
        check_beside(tmp_path, todo["recurring"], todo["recurring"].units(tmp_path))
