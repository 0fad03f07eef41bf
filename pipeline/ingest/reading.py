"""What every reader of raw files gives: one outcome a record, with its size; and what stops a whole file."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.documents import Document, Dropped


class UnreadableFile(Exception):  # noqa: N818
    """A file that cannot be read at all; the message names the file and what to do."""


class Found(NamedTuple):
    """One record of a raw file."""

    size: int
    """Bytes read for it, decompressed."""
    what: Document | Dropped

    @property
    def reason(self) -> str | None:
        """Why it was dropped; None for a document."""
        return self.what.reason if isinstance(self.what, Dropped) else None
