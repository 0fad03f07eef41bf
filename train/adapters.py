"""Numbers of a record -> TensorBoard, Weights & Biases or Trackio: an adapter each, which imports it when opened."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Protocol

from pipeline.files import write_atomically
from train.metrics import Record

PROJECT = "bertmill"
"""What runs are filed under, unless WANDB_PROJECT or TRACKIO_PROJECT says otherwise."""

Scalars = Mapping[str, float]


class Adapter(Protocol):
    """One tracker. It may raise anything."""

    def log(self, scalars: Scalars, record: Record) -> None:
        """Show these numbers of a record: of a step, or of an evaluation after it."""

    def flush(self) -> None:
        """Bring what was shown to where a kill of this process cannot reach it."""

    def close(self) -> None:
        """The process ends; the run may go on in another."""


class TensorBoard:
    """Event files: all over steps in folder/steps, what runs are compared by over tokens in folder/tokens."""

    def __init__(self, folder: Path) -> None:
        self._steps, self._tokens = Axis(folder / "steps"), Axis(folder / "tokens")

    def log(self, scalars: Scalars, record: Record) -> None:
        begins = record["kind"] == "step"
        self._steps.log(scalars, record["step"], begins)
        compared = {name: number for name, number in scalars.items() if name.startswith(("train/loss", "evaluation"))}
        self._tokens.log(compared, record["tokens"], begins)

    def flush(self) -> None:
        self._steps.flush()
        self._tokens.flush()

    def close(self) -> None:
        self._steps.close()
        self._tokens.close()


class Axis:
    """Curves over one count. Where it falls back behind what was drawn, TensorBoard is told to forget the rest."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._new, self._folder = SummaryWriter, folder
        self._writer: SummaryWriter | None = None
        self._last = 0

    def log(self, scalars: Scalars, at: int, begins: bool) -> None:
        """begins  whether `at` was reached just now, so that nothing can have been drawn there yet"""
        if self._writer is None or at < self._last + begins:
            self.close()
            self._await_a_name()
            self._writer = self._new(str(self._folder), purge_step=at + (not begins))
        self._last = at
        for name, number in scalars.items():
            self._writer.add_scalar(name, number, at)

    def _await_a_name(self) -> None:
        """Event files are read in the order of their names, which know the second: one file a second is in order."""
        while any(self._folder.glob(f"events.out.tfevents.{int(time.time()):010d}.*")):
            time.sleep(0.05)

    def flush(self) -> None:
        if self._writer:
            self._writer.flush()

    def close(self) -> None:
        if self._writer:
            self._writer.close()


class Once:
    """Before a tracker that cannot take back: what was shown, before a kill or a rewind, is not shown again.

    The place of the last record is kept in a file, which is written in place: a kill of the process leaves it whole.
    """

    def __init__(self, adapter: Adapter, path: Path) -> None:
        self._adapter = adapter
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._last = int(os.read(self._file, 32) or -1)

    def log(self, scalars: Scalars, record: Record) -> None:
        place = 2 * record["step"] + (record["kind"] != "step")  # an evaluation comes after its step
        if place > self._last:
            self._adapter.log(scalars, record)
            self._last = place
            os.pwrite(self._file, b"%031d\n" % place, 0)

    def flush(self) -> None:
        self._adapter.flush()

    def close(self) -> None:
        os.close(self._file)
        self._adapter.close()


class WandB:
    """Weights & Biases. Its own variables hold: WANDB_MODE=offline, WANDB_PROJECT, WANDB_ENTITY ..."""

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        import wandb

        # Console output is not taken over, and a store that cannot be reached holds the end up for a minute only.
        quiet = wandb.Settings(console="off", finish_timeout=60)
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        self._run = wandb.init(
            project=project,
            id=_identity(folder),
            name=name,
            resume="allow",
            dir=folder,
            config=dict(config),
            settings=quiet,
        )

    def log(self, scalars: Scalars, record: Record) -> None:
        self._run.log({**scalars, "train/tokens": record["tokens"]}, step=record["step"])

    def flush(self) -> None:
        """wandb offers nothing: killed offline, it loses the last 32 KB, which are some fifty steps."""

    def close(self) -> None:
        self._run.finish()


class Trackio:
    """Trackio, in its own folder on this machine, or where its variables say: TRACKIO_DIR, TRACKIO_SPACE_ID ..."""

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        import trackio

        project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        with redirect_stdout(sys.stderr):  # it prints where it writes to
            self._run = trackio.init(
                project, f"{name}-{_identity(folder)}", resume="allow", config=dict(config), embed=False
            )

    def log(self, scalars: Scalars, record: Record) -> None:
        self._run.log({**scalars, "train/tokens": record["tokens"]}, step=record["step"])

    def flush(self) -> None:
        """It writes twice a second by itself."""

    def close(self) -> None:
        import trackio

        with redirect_stdout(sys.stderr):
            trackio.finish()  # type: ignore[no-untyped-call]


def _identity(folder: Path) -> str:
    """By which trackers know the run again: drawn once for a folder."""
    path = folder / "id"
    if not path.exists():
        write_atomically(path, uuid.uuid4().hex[:8].encode())
    return path.read_text()
