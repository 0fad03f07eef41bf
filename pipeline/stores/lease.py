"""Of the machines that could work on one run in a store, one does: it leaves a note there, and renews it.

A note whose process has gone, or that was not renewed for a while, counts no more. Machines' clocks have to agree to a
few minutes. It is no lock against everything: a machine that sleeps for longer than that and wakes up goes on beside
its successor. What both write is the same: the settings of each stage are compared, and units are functions of them.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipeline.stores.mirror import Mirror
from pipeline.stores.store import StoreError

NOTE = ".lock"

RENEWED = 60.0
"""Seconds between two renewals."""

LOST = 600.0
"""Seconds without one after which the process is taken for dead: ten renewals, so that a slow store is no death."""


@contextmanager
def leased(workspace: Path) -> Iterator[None]:
    """Hold a run in a store for this process; on disk there is nothing to do. Raises StoreError if another holds it."""
    mirror = Mirror.of(workspace)
    if mirror is None:
        yield
        return
    lease = _Lease(mirror, mirror.name(workspace / NOTE))
    lease.take()
    renewal = threading.Thread(target=lease.renew, daemon=True)
    renewal.start()
    try:
        yield
    finally:
        lease.over.set()
        renewal.join()
        lease.give_back()


class _Lease:
    def __init__(self, mirror: Mirror, name: str) -> None:
        self.store, self.name = mirror.store, name
        self.over = threading.Event()
        self.told = {"host": platform.node(), "place": _place(), "pid": os.getpid(), "token": uuid4().hex}

    def take(self) -> None:
        """Put the note there. Raises StoreError if a live process's stands, or comes first."""
        for _ in range(2):
            if self.store.create(self.name, self._note()) and self._is_ours():
                return
            other = self._holder() or {}
            if other and not _gone(other):
                break
            if other:
                self.store.remove(self.name)
        waits = f"{LOST / 60:.0f} minutes after its last sign of life"
        raise StoreError(
            f"{self.store.at(self.name)}: another bertmill works on this run (process {other.get('pid')} on "
            f"{other.get('host')}); wait for it or end it. If it has died, this one may go on {waits}, or when this "
            f"object is removed"
        )

    def renew(self) -> None:
        """Say now and then that this process lives, while the note is its own."""
        while not self.over.wait(RENEWED):
            with suppress(StoreError):
                if not self._is_ours():
                    return
                self.store.write(self.name, self._note())

    def give_back(self) -> None:
        with suppress(StoreError):  # it would hide what happened before
            if self._is_ours():
                self.store.remove(self.name)

    def _note(self) -> bytes:
        return json.dumps({**self.told, "seen": time.time()}).encode()

    def _is_ours(self) -> bool:
        return (self._holder() or {}).get("token") == self.told["token"]

    def _holder(self) -> dict[str, Any] | None:
        """The note; of nobody where it cannot be read, None where there is none."""
        found = self.store.read([self.name])
        try:
            return dict(json.loads(found[self.name])) if found else None
        except (ValueError, TypeError):
            return {"seen": 0}


def _gone(note: dict[str, Any]) -> bool:
    """Whether the process that left a note is no more, as far as one can tell from here."""
    if time.time() - float(note.get("seen", 0)) > LOST:
        return True
    if note.get("place") != _place():
        return False
    try:
        os.kill(int(note.get("pid", 0)), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _place() -> str:
    """Where process numbers mean what they do here: this start of this machine, this container."""
    found = [platform.node()]
    with suppress(OSError):
        found += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(found)
