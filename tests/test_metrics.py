"""Each step stands in the records exactly once."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
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


def test_what_a_rewind_takes_back_is_taken_out_and_the_spike_that_caused_it_stays(tmp_path: Path) -> None:
    """A spike is recorded after the steps that are done once it was mended, so a resumed run keeps it too."""
    path = tmp_path / "metrics.jsonl"
    spike = {**record(2, "spike"), "at": 4}
    with closing(Metrics(path, 0)) as metrics:
        for number in (1, 2, 3, 4):
            metrics.write(record(number))
        metrics.rewind(2)
        metrics.write(spike)
        metrics.write(record(3))
    write(path, 2, [record(3)])
    assert read_metrics(path) == [record(1), record(2), spike, record(3)]


def test_numbers_that_are_none_become_null_and_those_of_numpy_become_numbers(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    odd = {"loss": math.nan, "grad_norm": math.inf, "lr": -math.inf, "rows": [np.int64(3), np.float32(0.5)]}
    write(path, 0, [{"kind": "step", "step": 1, **odd, "rate": np.float64(0.1)}])

    def refused(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    line = json.loads(path.read_text(), parse_constant=refused)
    assert line == {
        "kind": "step", "step": 1, "loss": None, "grad_norm": None, "lr": None, "rows": [3, 0.5], "rate": 0.1,
    }  # fmt: skip


FULL = """
import resource, signal, sys
from pathlib import Path
from train.metrics import Metrics
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
metrics = Metrics(Path(sys.argv[1]), 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
step = 0
try:
    while step < 100:
        step += 1
        metrics.write({"kind": "step", "step": step, "phase": "learn"})
except OSError as fault:
    metrics.close()
    print(step, fault.filename == sys.argv[1], fault.strerror)
"""


def test_a_full_disk_is_told_with_the_files_name_and_costs_the_torn_line_only(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    ended = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    step, named, why = ended.stdout.split(maxsplit=2)
    assert (named, why.strip(), ended.stderr) == ("True", "File too large", "")
    assert path.stat().st_size == 1000
    write(path, 1000, [])
    assert [line["step"] for line in read_metrics(path)] == list(range(1, int(step)))


STEP = {
    "kind": "step",
    "share": 0.1234,
    "tokens": 1_234_567_890,
    "loss": 2.3456,
    "lr": 8e-4,
    "grad_norm": 0.531,
    "tokens_per_second": 12_345.0,
    "flops_per_second": 12.34e9,
    "mfu": None,
    "data_wait": 0.02,
    "seconds": 1.0,
    "left": 4_321.0,
}
SCORES = {
    "code": {"0.15": {"bits_per_byte": 1.2344}, "0.3": {"bits_per_byte": 1.4}},
    "web": {"0.15": {"bits_per_byte": 1.5}, "0.3": {"bits_per_byte": None}},
}
SAMPLE = {
    "text": "The [MASK] of France is [MASK].",
    "masks": [
        [{"token": " capital", "probability": 0.876}, {"token": " king", "probability": 0.05}],
        [{"token": " Paris", "probability": 0.4312}],
    ],
}
ROWS = [{"source": "web", "context": 1024, "row": 1234 + number} for number in range(5)]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            STEP,
            "12.3 %  1.2B tokens  loss 2.346  lr 8.0e-04  grad 0.53  12.3k tokens/s  12.3G FLOP/s  wait 2 %  "
            "1 h 12 min left",
        ),
        (
            {**STEP, "mfu": 0.4321, "loss": None, "grad_norm": None, "left": 500_000.0},
            "12.3 %  1.2B tokens  loss nan  lr 8.0e-04  grad nan  12.3k tokens/s  MFU 43 %  wait 2 %  5 d 18 h left",
        ),
        (
            {"kind": "evaluation", "sources": SCORES},
            "held-out bits per byte at 15 / 30 %: code 1.234 / 1.400  web 1.500 / nan",
        ),
        (
            {"kind": "evaluation", "sources": SCORES, "averaged": SCORES, "samples": [SAMPLE]},
            "held-out bits per byte at 15 / 30 %: code 1.234 / 1.400  web 1.500 / nan; "
            "averaged weights: code 1.234 / 1.400  web 1.500 / nan\n"
            "    The [capital 88 %, king 5 %] of France is [Paris 43 %].",
        ),
        (
            {"kind": "spike", "at": 1234, "why": "loss 9.1 is 12 sigma above 2.3", "rows": ROWS},
            "spike at step 1,234: loss 9.1 is 12 sigma above 2.3. Goes on from here without 5 rows: "
            "web/1024 1,234, web/1024 1,235, web/1024 1,236 and 2 more (skipped.json)",
        ),
        (
            {"kind": "spike", "at": 1234, "why": "the loss is nan", "rows": ROWS[:1]},
            "spike at step 1,234: the loss is nan. Goes on from here without 1 row: web/1024 1,234 (skipped.json)",
        ),
        (
            {"kind": "started", "from": "a/step-00001200, with its moments"},
            "a/step-00001200, with its moments",
        ),
        (
            {"kind": "stopped", "signal": "SIGTERM", "checkpoint": "a/step-00001200"},
            "stopped by SIGTERM, saved a/step-00001200; run it again to go on",
        ),
        (
            {
                "kind": "audit",
                "read": {"a": {"web": {"tokens": 1_900}, "code": {"tokens": 5}}, "b": {"web": {"tokens": 200}}},
            },
            "read code 5  web 2.1k tokens, as planned",
        ),
        ({"kind": "resumed", "checkpoint": "a/step-00001200"}, "goes on from a/step-00001200"),
        ({"kind": "saved", "checkpoint": "a/step-00001200"}, "saved a/step-00001200"),
    ],
)
def test_a_record_makes_one_line_for_people(more: dict[str, Any], said: str) -> None:
    assert console_line({"phase": "learn", "step": 1200, **more}) == f"learn  step 1,200  {said}"
