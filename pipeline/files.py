"""Files that are whole or not there: written aside, made durable, renamed."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xxhash


@contextmanager
def durable(path: Path) -> Iterator[Path]:
    """Yield a draft's path; when the block ends well and the draft exists, it is fsynced and renamed to `path`.

    The draft's name holds node and process: a worker that outlived a killed run, or was thought lost by its cluster,
    cannot spoil its successor's draft.
    After a fault the draft is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.draft")
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


def sealed(content: Mapping[str, Any]) -> bytes:
    """JSON for people and programs, with a `seal` that any changed byte of it breaks: xxh64 of it without the seal."""
    bare = {name: value for name, value in content.items() if name != "seal"}
    return _written({**bare, "seal": xxhash.xxh64_hexdigest(_written(bare))})


def unbroken(path: Path) -> bool:
    """Whether a file is, to the byte, what `sealed` made."""
    try:
        text = path.read_bytes()
        return sealed(json.loads(text)) == text
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _written(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"
