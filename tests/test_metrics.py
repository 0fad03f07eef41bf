"""Each step stands in the records exactly once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from train.metrics import Metrics, console_line, read_metrics


def record(step: int, kind: str = "step") -> dict[str, Any]:
    return {"kind": kind, "step": step, "phase": "learn", "loss": step / 3}


def write(path: Path, after: int, records: list[dict[str, Any]]) -> None:
    with closing(Metrics(path, after)) as metrics:
        for one in records:
            metrics.write(one)
        metrics.sync()


def test_records_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics.jsonl"
    records = [record(1), record(2), record(2, "evaluation"), record(3)]
    write(path, 0, records[:2])
    write(path, 2, records[2:])
    assert read_metrics(path) == records


def test_what_came_after_the_checkpoint_is_cut_off(tmp_path: Path) -> None:
    """The evaluation at the checkpoint's own step stays: it came before the checkpoint."""
    path = tmp_path / "metrics.jsonl"
    write(path, 0, [record(1), record(2), record(2, "evaluation"), record(3), record(4)])
    write(path, 2, [record(3)])
    assert read_metrics(path) == [record(1), record(2), record(2, "evaluation"), record(3)]
    write(path, 0, [])
    assert read_metrics(path) == []


@pytest.mark.parametrize("torn", [b'{"kind": "step", "st', b'{"kind": "step", "step": 2}', b"\x00\x00\x00", b"7\n"])
def test_a_torn_last_line_is_taken_out(torn: bytes, tmp_path: Path) -> None:
    """Also one that lacks nothing but its end of line, for the next would be written behind it."""
    path = tmp_path / "metrics.jsonl"
    write(path, 0, [record(1)])
    path.write_bytes(path.read_bytes() + torn)
    write(path, 5, [record(2)])
    assert read_metrics(path) == [record(1), record(2)]


def test_a_file_that_needs_no_cut_is_not_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 0, [record(1)])
    before = path.stat().st_ino, path.read_bytes()
    write(path, 1, [])
    assert (path.stat().st_ino, path.read_bytes()) == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {
                "kind": "step",
                "share": 0.1234,
                "loss": 2.3456,
                "lr": 8e-4,
                "grad_norm": 0.531,
                "tokens_per_second": 12_345.0,
                "data_wait": 0.02,
                "seconds": 1.0,
                "left": 4_321.0,
            },
            "12.3 %  loss 2.346  lr 8.0e-04  grad 0.53  12.3k tokens/s  wait 2 %  1 h 12 min left",
        ),
        (
            {"kind": "evaluation", "sources": {"code": {"bits_per_byte": 1.2344}, "web": {"bits_per_byte": 1.5}}},
            "held-out bits per byte: code 1.234  web 1.500",
        ),
        ({"kind": "resumed", "checkpoint": "a/step-00001200"}, "goes on from a/step-00001200"),
        ({"kind": "saved", "checkpoint": "a/step-00001200"}, "saved a/step-00001200"),
    ],
)
def test_a_record_makes_one_line_for_people(more: dict[str, Any], said: str) -> None:
    assert console_line({"phase": "learn", "step": 1200, **more}) == f"learn  step 1,200  {said}"
