"""Records as a training writes them, and a process of its own that shows them to a tracker and is killed if need be.

Light, so that such a process is quick: no torch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from train.metrics import Record
from train.phase import Phase
from train.settings import Train
from train.trackers import trackers

ROOT = Path(__file__).parents[1]


def step(number: int, loss: float | None = None) -> Record:
    return {
        "kind": "step",
        "step": number,
        "phase": "learn",
        "rows": [8 * number - 8, 8 * number],
        "tokens": 500 * number,
        "loss": 10 / number if loss is None else loss,
        "lr": 1e-3,
        "grad_norm": 0.5,
        "tokens_per_second": 1e4,
        "flops_per_second": 1e9,
        "mfu": None,
        "data_wait": 0.01,
        "seconds": 0.05,
    }


def evaluation(number: int) -> Record:
    score = {"loss": 2.0, "accuracy": 0.5, "bits_per_byte": 1 / number, "asked": "5eed"}
    by_rate = {"web": {"0.15": score, "0.3": score}}
    return {
        "kind": "evaluation",
        "step": number,
        "phase": "learn",
        "tokens": 500 * number,
        "sources": by_rate,
        "averaged": by_rate,
        "samples": [],
    }


SAVED = {"kind": "saved", "step": 0, "phase": "learn", "checkpoint": "a/step-00000000"}
SHOWN: Mapping[str, Callable[[int], Record]] = {"step": step, "evaluation": evaluation, "saved": lambda number: SAVED}


def tracked(*names: str) -> Train:
    phase = Phase(name="learn", tokens=4096, context=64, mix={"web": 1.0})
    return Train(phases=(phase,), track=names)  # type: ignore[arg-type]


def show(name: str, folder: Path, records: Sequence[Record]) -> None:
    with trackers(tracked(name), folder, "toy") as tracker:
        for record in records:
            tracker.record(record)


def apart(name: str, folder: Path, *records: str, kill: bool = False) -> subprocess.CompletedProcess[str]:
    """Show records such as step:3 in a process of its own, which is killed after the last one or ends well."""
    asked = [sys.executable, "-W", "always", "-m", "tests.toy_records", name, str(folder), str(int(kill)), *records]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)


if __name__ == "__main__":
    name, folder, kill, *records = sys.argv[1:]
    tracker = trackers(tracked(name), Path(folder), "toy")
    for record in records:
        kind, number = record.split(":")
        tracker.record(SHOWN[kind](int(number)))
    if int(kill):
        os.kill(os.getpid(), signal.SIGKILL)
    tracker.close()
