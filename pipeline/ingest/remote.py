"""A file in a store that fsspec knows -> a copy on disk for as long as it is read: every reader reads every store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.ingest.reading import UnreadableFile
from pipeline.units import URL, Piece


@contextmanager
def fetched(piece: Piece) -> Iterator[Piece]:
    """The piece as a file on disk. Raises UnreadableFile, naming the address, for what cannot be fetched or read."""
    if URL not in piece.path:
        yield piece
        return
    with tempfile.TemporaryDirectory(prefix="bertmill-") as folder:
        copy = str(Path(folder) / piece.path.rpartition("/")[2])
        try:
            import fsspec

            store, path = fsspec.core.url_to_fs(piece.path)
            store.get_file(path, copy)
        except Exception as fault:  # every store has its own faults
            told = " ".join(str(fault).split())[:300] or type(fault).__name__
            raise UnreadableFile(f"{piece.path}: cannot be fetched ({told}); try again or remove it") from None
        try:
            yield replace(piece, path=copy)
        except UnreadableFile as fault:
            fault.args = (str(fault).replace(copy, piece.path),)
            raise
