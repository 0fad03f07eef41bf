"""A process that saves checkpoints and is ended, or denied a write, at any one of its changes to files."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import torch

from train.checkpoint import CheckpointError
from train.saver import Saver
from train.state import State

REFUSED = {"os.mkdir", "os.rename"}
"""Events of Python's audit hooks that a full disk refuses; opening a file to write is another."""
CHANGES = {*REFUSED, "os.remove", "os.rmdir"}
"""All that changes which files there are. Before and after each, a killed process leaves something else."""


def state(step: int, **changes: Any) -> State:
    given: dict[str, Any] = {
        "step": step,
        "g": 8 * step,
        "tokens": 500 * step,
        "phase": "learn",
        "context": 128,
        "rope": 160_000.0,
        "local_rope": 10_000.0,
        "finished": False,
        "loss": 2.5,
        "evaluation": None,
        "vocab": 264,
        "shape": {},
        "identity": {},
        "versions": {},
        "kept": "resume",
    }
    return State(**{**given, **changes})


def files(step: int, numbers: int = 1000) -> dict[str, dict[str, torch.Tensor]]:
    """What two steps have in common differs between them in every number."""
    values = torch.arange(numbers, dtype=torch.float32) + step
    return {
        "model.safetensors": {"weight": values},
        "optimizer.safetensors": {"exp_avg.weight": values / 2, "exp_avg_sq.weight": values / 4},
    }


def saves(folder: Path, tokenizer: Path, out: Path, at: int, how: Literal["kill", "full"]) -> None:
    """Save steps 2 and 3, each of which replaces the one before; write to `out` what came of it.

    at  number of the change to files at which the process is killed, or finds the disk full; 0: at none
    """
    calls, counting = 0, True

    def watch(event: str, details: tuple[Any, ...]) -> None:
        nonlocal calls
        if not counting or not (_writes(event, details) or event in (CHANGES if how == "kill" else REFUSED)):
            return
        calls += 1
        if calls == at and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if calls == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    said = ""
    sys.addaudithook(watch)
    try:
        with Saver(folder, keep=1) as saver:
            for step in (2, 3):
                saver.save(state(step), files(step), tokenizer)
                saver.wait()
                saver.done()
    except CheckpointError as fault:
        said = str(fault)
    counting = False
    out.write_text(f"{calls}\n{said}")


def only_begins(folder: Path, tokenizer: Path) -> None:
    """Begin to save, and end."""
    Saver(folder, keep=1).save(state(2), files(2, 1_000_000), tokenizer)


def _writes(event: str, details: tuple[Any, ...]) -> bool:
    return event == "open" and bool(details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
