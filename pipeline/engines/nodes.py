"""A process on another node -> whether it may work for a run: it sees the run's folder, and is of the same build."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pipeline.stage import Record, StageError

PACKAGES = ("bertmill", "datatrove", "numpy", "pyarrow", "tokenizers")
"""Packages that results may depend on."""

PATIENCE = 10.0
"""Seconds in which a file that was just written should be seen on every node. NFS goes to its server for a name that
was not looked up before; the rest is a busy server."""


class FolderError(StageError):
    """The folder on this node is not the one that the run writes: nothing may be done in it."""


@dataclass(frozen=True)
class Site:
    """What all processes of a launch have in common."""

    folder: Path
    fingerprint: str
    """Of the stage whose folder it is."""
    build: Mapping[str, str]

    def see(self, patience: float = PATIENCE) -> None:
        """Raise FolderError unless this process sees the stage's folder as the run left it."""
        until = time.monotonic() + patience
        while (found := _fingerprint(self.folder)) != self.fingerprint:
            if found is not None:
                raise FolderError(f"{self.folder} was started over meanwhile; these units are no longer asked for")
            if time.monotonic() >= until:
                raise FolderError(
                    f"node {platform.node()} does not see {self.folder}; put the work folder where all nodes see it "
                    f"under the same path"
                )
            time.sleep(0.2)

    def compare(self) -> None:
        """Raise StageError unless this process has the run's packages and sources."""
        mine = build()
        differing = [name for name, told in self.build.items() if mine.get(name) != told]
        if others := [f"{name} {mine.get(name)}, not {self.build[name]}" for name in differing]:
            raise StageError(
                f"node {platform.node()} has {'; '.join(others)} as the run has; install the same there and run again"
            )


def _fingerprint(folder: Path) -> str | None:
    record = Record.read(folder)
    return record.fingerprint if record else None


def versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


@cache
def build() -> dict[str, str]:
    """Versions of what results depend on, and a hash of the sources that do the work."""
    digest = hashlib.blake2b(digest_size=6)
    root = Path(__file__).parents[1]
    for package in ("pipeline", "packing"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    python = ".".join(platform.python_version_tuple()[:2])
    return {**versions(), "Python": python, "bertmill's sources": digest.hexdigest()}
