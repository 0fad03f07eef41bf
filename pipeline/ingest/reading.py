"""What every reader of raw files gives: one outcome a record, with its size; and what stops a whole file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pipeline.documents import Document, Dropped


class UnreadableFile(Exception):  # noqa: N818
    """A file that cannot be read at all; the message names the file and what to do."""

    at = "file"
    """Where in the file: all of it."""


class DamagedFile(UnreadableFile):
    """A file that breaks off: what a reader gave of it before stands, the rest is missing."""

    @classmethod
    def told(cls, path: Path, at: str, why: str) -> DamagedFile:
        """The fault in one line; `at` is the place of what could not be read."""
        fault = cls(
            f"{path}: breaks off at {at} ({why}) and the rest is missing; "
            "fetch it anew, or keep what stands before with `on_bad_file: skip`"
        )
        fault.at = at
        return fault


class MissingPackage(Exception):  # noqa: N818
    """An optional package that this input needs is not installed; the message says how to install it."""


class Found(NamedTuple):
    """One record of a raw file."""

    size: int
    """Bytes read for it, decompressed."""
    what: Document | Dropped

    @property
    def reason(self) -> str | None:
        """Why it was dropped; None for a document."""
        return self.what.reason if isinstance(self.what, Dropped) else None
