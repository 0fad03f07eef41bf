"""Files that are whole or not there: written aside, made durable, renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xxhash


@contextmanager
def durable(path: Path) -> Iterator[Path]:
    """Yield a draft's path; when the block ends well and the draft exists, it is fsynced and renamed to `path`.

    The draft's name holds the process id: a worker that outlived a killed run cannot spoil its successor's draft.
    After a fault the draft is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        if draft.exists():
            sync(draft)
            draft.replace(path)
            sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all."""
    with durable(path) as draft:
        draft.write_bytes(content)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def hash_of(path: Path) -> str:
    """xxh64 of a whole file, 16 hex digits."""
    digest = xxhash.xxh64()
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()
