"""What happened -> one JSON line a step, each step once however often the run was stopped; and lines for people."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from pipeline.files import write_atomically

Record = Mapping[str, Any]


class Metrics:
    """The file of a run's records, each with a `kind` and the number of steps done by then.

    Opened where a run goes on after `step` steps: what was recorded past them is taken out, for these steps come again,
    and so is a line that a kill or a full disk has torn.
    """

    def __init__(self, path: Path, step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            lines = path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if _is_before(line, step)]
            if len(kept) < len(lines):
                write_atomically(path, b"".join(kept))
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: Record) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Make what was written outlive a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _is_before(line: bytes, step: int) -> bool:
    try:
        return line.endswith(b"\n") and bool(orjson.loads(line)["step"] <= step)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return False


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole records of a run, first to last."""
    lines = path.read_bytes().splitlines(keepends=True)
    return [orjson.loads(line) for line in lines if line.endswith(b"\n")]


def console_line(record: Record) -> str:
    """One record for people.

    learn  step 1,200  12.3 %  loss 2.345  lr 8.0e-04  grad 0.53  12.3k tokens/s  wait 0 %  1 h 12 min left
    learn  step 1,200  held-out bits per byte: code 1.234  web 1.456
    """
    head = f"{record['phase']}  step {record['step']:,}"
    match record["kind"]:
        case "step":
            return (
                f"{head}  {100 * record['share']:.1f} %  loss {record['loss']:.3f}  lr {record['lr']:.1e}  "
                f"grad {record['grad_norm']:.2f}  {_short(record['tokens_per_second'])} tokens/s  "
                f"wait {100 * record['data_wait'] / max(record['seconds'], 1e-9):.0f} %  "
                f"{_duration(record['left'])} left"
            )
        case "evaluation":
            scores = "  ".join(f"{name} {score['bits_per_byte']:.3f}" for name, score in record["sources"].items())
            return f"{head}  held-out bits per byte: {scores}"
        case "resumed":
            return f"{head}  goes on from {record['checkpoint']}"
        case _:
            return f"{head}  saved {record['checkpoint']}"


def _short(number: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:.0f}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
