from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.documents import Dropped
from pipeline.tally import SAMPLES, Tally


def test_a_document_that_went_nowhere_is_noticed() -> None:
    tally = Tally()
    tally.read(3, 30)
    tally.kept(1, 10)
    tally.drop(Dropped(at="2", reason="short"), "file#2")
    with pytest.raises(AssertionError, match="1 of 3 documents are unaccounted for"):
        tally.check("unit 0")
    tally.drop(Dropped(at="3", reason="bad_json"), "file#3")
    tally.check("unit 0")


def test_samples_are_bounded_by_reason_and_in_length(tmp_path: Path) -> None:
    tally = Tally()
    for n in range(SAMPLES + 50):
        tally.drop(Dropped(at=str(n), reason="short", value=n, threshold=5, text="x" * 5_000), f"f#{n}", "id")
    tally.drop(Dropped(at="x", reason="odd", value="\ud800"), "f#x")
    tally.write_samples(tmp_path / "d.parquet")
    rows = pq.read_table(tmp_path / "d.parquet").to_pylist()
    assert [row["reason"] for row in rows] == ["odd"] + ["short"] * SAMPLES
    assert rows[0]["value"] == "\ufffd"
    assert {len(row["text"]) for row in rows} == {0, 2_000}
    assert tally.counts()["dropped"] == {"odd": 1, "short": SAMPLES + 50}


def test_nothing_dropped_leaves_no_samples(tmp_path: Path) -> None:
    (tmp_path / "d.parquet").write_bytes(b"of an earlier try")
    Tally().write_samples(tmp_path / "d.parquet")
    assert not (tmp_path / "d.parquet").exists()


def test_units_add_up() -> None:
    first, second = Tally(), Tally()
    first.read(2, 20)
    first.kept(2, 18)
    first.more["rows"] = 5
    second.read(3, 30)
    second.drop(Dropped(at="1", reason="short"), "f#1")
    total = Tally.total([{**first.counts(), "bytes_written": 7}, {**second.counts(), "bytes_written": None}])
    assert total == {
        "documents_in": 5,
        "documents_out": 2,
        "bytes_in": 50,
        "bytes_out": 18,
        "rows": 5,
        "dropped": {"short": 1},
    }
