"""The processes of a launch: they end with it, and it ends, with a line that says why, when one of them dies."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import multiprocess
from multiprocess import forkserver
from multiprocess.process import _children  # active_children() forgets those that died

LOOKS = 0.5
"""Seconds between two looks at the processes."""

PATIENCE = 5.0
"""Seconds in which a pool that has lost a worker should come to its end; it waits for ever for a lock that one held."""


UNCLEAR = (None, 255, -signal.SIGTERM)
"""Exit codes that do not tell what happened: 255 is what was missed, SIGTERM how a pool ends its workers."""


class WorkerDied(BaseException):  # no Exception: a unit that is at work meanwhile has not failed
    """Raised in the main thread while it waits for a pool that has lost a worker."""


class Progress(threading.Thread):
    """Tells how many units of a folder stand, as long as its block lasts."""

    def __init__(self, folder: Path, tell: Callable[[int], None]) -> None:
        super().__init__(daemon=True)
        self.folder, self.tell = folder, tell
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(LOOKS):
            self.look()

    def look(self) -> None:
        self.tell(len(list((self.folder / "units").glob("*.json"))))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


class Watcher(Progress):
    """Tells a launch's progress, and interrupts the main thread if a process died: the pool would wait for ever."""

    def __init__(self, stage: str, folder: Path, total: int, tell: Callable[[int], None]) -> None:
        super().__init__(folder, tell)
        self.stage, self.total = stage, total
        self._seen: dict[int, multiprocess.Process] = {}

    def run(self) -> None:
        """Tell the progress until the stage is over; of a death, interrupt the main thread, and end all if it hangs."""
        while not self._over.wait(LOOKS):
            self.look()
            if (told := self.death()) and not self._over.is_set():
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                if not self._over.wait(PATIENCE):
                    print(told, file=sys.stderr, flush=True)
                    for child in list(_children):
                        child.kill()  # they wait for the same lock
                    os._exit(1)
                return

    def death(self, wait: float = 0.0) -> str | None:
        """What to tell of a process that died before the work was done; None while all live. Looks for `wait` seconds.

        A worker that got SIGTERM is no news: so pools end theirs.
        """
        until = time.monotonic() + wait
        while True:
            self._seen |= {child.pid: child for child in list(_children)}
            marks = self._marks()
            codes = {pid: child.exitcode for pid, child in self._seen.items()}
            dead = {pid: code for pid, code in codes.items() if code not in (None, 0, -signal.SIGTERM)}
            dead |= {pid: codes.get(pid) for pid in marks if not _alive(pid) and pid in self._marks()}
            if dead and self._left():
                pid = min(dead, key=lambda pid: (dead[pid] in UNCLEAR, pid not in marks, pid))
                return _told(self.stage, marks.get(pid), dead[pid])
            if time.monotonic() >= until:
                return None
            time.sleep(0.05)

    def _marks(self) -> dict[int, int]:
        """Process -> the unit that it is at work on."""
        marks: dict[int, int] = {}
        for path in (self.folder / "running").glob("[0-9]" * 5):
            try:
                marks[int(path.read_bytes().split()[0])] = int(path.name)
            except (FileNotFoundError, ValueError, IndexError):
                continue
        return marks

    def _left(self) -> bool:
        ended = {path.stem for folder in ("units", "failed") for path in (self.folder / folder).glob("*.json")}
        return len(ended) < self.total


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _told(stage: str, unit: int | None, code: Any) -> str:
    who, where = (f"a process of {stage}", "") if unit is None else ("a worker", f" in unit {unit} of {stage}")
    if code not in UNCLEAR and code > 0:
        how = f"ended by itself (exit code {code}){where}; mend what it calls (a scorer?)"
        mend = "run the same command again"
    else:
        how = f"was killed ({f'signal {-code}; ' if code and code < 0 else ''}out of memory?){where}"
        mend = "run the same command again, with fewer --workers if memory is short"
    return f"{who} {how}; what the other units did stands: {mend}"


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGUSR1 raises WorkerDied meanwhile. Not SIGINT: a shell's background jobs are started with it ignored."""

    def died(*_: object) -> None:
        raise WorkerDied

    before = signal.signal(signal.SIGUSR1, died)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


_launching = threading.Event()


@contextmanager
def mortal_children() -> Iterator[None]:
    """Processes forked meanwhile end with this one, even if it is killed: datatrove's manager would stay for ever."""
    _launching.set()
    try:
        yield
    finally:
        _launching.clear()


def keep_interrupts() -> None:
    """Have Ctrl-C end this process alone, which then ends the workers of its pools: each would write a traceback.

    What starts them, and so they, go on with what is ignored now.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def die_with_parent() -> None:
    """End when the process that started this one ends: no worker works on behind a new run's back."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


os.register_at_fork(after_in_child=lambda: die_with_parent() if _launching.is_set() else None)
