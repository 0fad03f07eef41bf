"""A file in a store that fsspec knows -> a copy on disk for as long as it is read: every reader reads every store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.ingest.reading import UnreadableFile
from pipeline.stores.store import URL, why
from pipeline.units import Piece, version


@contextmanager
def fetched(piece: Piece) -> Iterator[Piece]:
    """The piece as a file on disk. Raises UnreadableFile, naming the address, for what cannot be fetched or read.

    So it does for a file that is no longer the one that was listed, and that the fingerprint tells of.
    """
    if URL not in piece.path:
        yield piece
        return
    with tempfile.TemporaryDirectory(prefix="bertmill-") as folder:
        copy = str(Path(folder) / piece.path.rpartition("/")[2])
        try:
            import fsspec

            store, path = fsspec.core.url_to_fs(piece.path)
            store.get_file(path, copy)
            store.invalidate_cache()
            now = version(store.info(path))
        except Exception as fault:  # every store has its own faults
            told = why(fault, piece.path)
            raise UnreadableFile(f"{piece.path}: cannot be fetched ({told}); try again or remove it") from None
        if piece.version and now != piece.version:
            raise UnreadableFile(f"{piece.path}: has changed since it was listed; run the same command again")
        try:
            yield replace(piece, path=copy)
        except UnreadableFile as fault:
            fault.args = (str(fault).replace(copy, piece.path),)
            raise
