"""Snapshots -> checkpoints on disk, written in a thread of their own while training goes on.

One is written at a time: the next save waits for it. A fault of the thread is raised at the next call, and at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from train.checkpoint import remove, standing, write
from train.retention import superseded
from train.snapshot import Files
from train.state import State


class Saver:
    """Writes the checkpoints of a run, and removes those that need not stay.

    with Saver(folder, keep=5) as saver:
        saver.save(state, snapshot(model, optimizer), tokenizer)
        ...
        for checkpoint in saver.done(): ...

    keep  checkpoints of a decay that stay (train.settings.Train.keep)

    Leaving it waits for the last one. Every method raises CheckpointError where a checkpoint could not be written; what
    stood before stands then, and nothing is left of the one that failed. A process that ends without leaving it writes
    its last checkpoint to the end.
    """

    def __init__(self, folder: Path, keep: int | None) -> None:
        self.folder, self.keep = folder, keep
        self._thread: threading.Thread | None = None
        self._fault: BaseException | None = None
        self._finished: list[Path] = []
        self._wrote = False

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.wait()
            self._retain()
        except Exception as ours:
            if fault is None:
                raise
            fault.add_note(str(ours))  # the first fault is the one to tell

    def save(self, state: State, files: Files, tokenizer: Path) -> None:
        """Begin to write a checkpoint of a snapshot (train.checkpoint.snapshot), once the one before is written."""
        self.wait()
        self._thread = threading.Thread(target=self._write, args=(state, files, tokenizer), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Until nothing is on its way to disk."""
        if self._thread:
            self._thread.join()
            self._thread = None
        self._check()

    def done(self) -> list[Path]:
        """The checkpoints that have come to stand since this was last asked.

        What they make superfluous is removed, but of what is returned nothing is until it is asked again: there is time
        to copy it elsewhere.
        """
        self._check()
        finished = [self._finished.pop(0) for _ in range(len(self._finished))]  # the thread may add another meanwhile
        if finished:
            self._retain(but=finished)
        return finished

    def _retain(self, but: Sequence[Path] = ()) -> None:
        """Remove what need not stay. A Saver that wrote nothing removes nothing: another one may be at work."""
        if self._wrote:
            for folder in superseded(standing(self.folder), self.keep):
                if folder not in but:
                    remove(folder)

    def _write(self, state: State, files: Files, tokenizer: Path) -> None:
        try:
            self._finished.append(write(self.folder, state, files, tokenizer))
            self._wrote = True
        except BaseException as fault:
            self._fault = fault

    def _check(self) -> None:
        if self._fault:
            fault, self._fault = self._fault, None
            raise fault
