"""Duplicates are shown beside what was kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from commands.look import LookError
from commands.pairs import WIDE, pairs, told
from pipeline.stage import Record
from tests.conftest import bertmill


def test_every_duplicate_is_shown_beside_the_document_that_was_kept(whole: Path) -> None:
    records = [Record.read(folder) for folder in (whole / "dedup").iterdir()]
    shown = list(pairs(whole, 10_000))
    assert len(shown) == sum(n for record in records if record for n in record.counts["dropped"].values()) > 0
    kept = {r["id"] for p in whole.glob("dedup/*/0*.parquet") for r in pq.read_table(p, columns=["id"]).to_pylist()}
    for pair in shown:
        assert pair["removed"]["id"] not in kept
        assert pair["kept"]["id"] in kept
        if pair["reason"] == "exact_duplicate":
            assert pair["removed"]["text"].split() == pair["kept"]["text"].split()
    for folder in (whole / "dedup").iterdir():
        assert list(pairs(folder, 9)) == [p for p in shown if p["removed"]["source"] == folder.name][:9]
    assert list(pairs(whole, 9, "exact_duplicate")) == [p for p in shown if p["reason"] == "exact_duplicate"][:9]


def test_differences_stand_in_two_columns_and_equal_lines_are_left_out() -> None:
    def document(text: str) -> dict[str, str]:
        return {"id": "0" * 32, "source": "web", "origin": "a/very/long/" * 9 + "file#7", "text": text}

    same = "\n".join(f"line {n} of both" for n in range(9))
    pair = {"reason": "near_duplicate", "jaccard": 0.875, "removed": document(f"{same}\nred"), "kept": document(same)}
    lines = told(pair).splitlines()
    assert lines[0] == "near_duplicate  Jaccard 0.875"
    assert lines[4:] == ["  ... 8 equal lines", *[f"{'line 8 of both':{WIDE}}   line 8 of both"],
                         f"{'red':{WIDE}} | ", "-" * (2 * WIDE + 3)]  # fmt: skip
    assert all(len(line) <= 2 * WIDE + 3 for line in lines)


def test_what_holds_no_list_is_told_so(whole: Path, tmp_path: Path) -> None:
    for path in (tmp_path, whole / "filter" / "web"):
        with pytest.raises(LookError, match="holds no finished list of duplicates"):
            list(pairs(path, 5))
    with pytest.raises(LookError, match="nothing was dropped as 'near'; the reasons are "):
        list(pairs(whole, 5, "near"))
    shutil.copytree(whole / "dedup", tmp_path / "dedup")
    with pytest.raises(LookError, match=r"filter.*cannot be read"):
        list(pairs(tmp_path, 5))


def test_the_command_shows_them(whole: Path) -> None:
    done = bertmill("look", whole, "1", "--duplicates")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Jaccard" in done.stdout
