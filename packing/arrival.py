"""Shards that are not here are brought when they are first used, unpacked, and kept as long as there is room.

What is brought stands in a folder's mirror (pipeline.stores.mirror), or in a folder of one's own, as the very files
that were packed. Each machine brings a shard once, however many processes ask for it; a process that is killed
meanwhile leaves a draft, which the next one removes. Memory: a few MiB, whatever the size of a shard. Disk: while a
shard is on its way, its packed file besides.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xxhash
import zstandard

from packing.index import INDEX, Entry, read_index
from packing.mds import ShardError
from pipeline.files import durable
from pipeline.stores.mirror import Mirror
from pipeline.stores.mirror import opened as mirrored
from pipeline.stores.store import URL

CACHE_LIMIT = "BERTMILL_SHARDS_GB"
"""Environment variable: gigabytes that the shards in all mirrors may take; without it there is no limit."""

AGAIN = "send these shards again"

CHUNK = 1 << 20
"""Bytes unpacked at a time."""

LOCK = ".bringing"
"""One byte of it is a shard's lock: the system frees it when a process dies."""

_one = threading.Lock()
"""One thread at a time: drafts are named by process, and a process loses its locks when any thread closes the file."""


def located(folder: Path) -> tuple[list[Entry], Mirror | None]:
    """The shards of a folder, and the mirror that they are brought into when they are first used, if any.

    A folder on disk that holds packed shards is the store, and mirrored like one.
    """
    mirror = Mirror.of(folder)
    if mirror is None:
        found = read_index(folder)
        if not any(entry.packed for entry in found):
            return found, None
    with _one:
        if mirror is None:
            folder = mirrored(f"file{URL}{folder.absolute()}")
        mirror = Mirror.of(folder)
        assert mirror
        mirror.refresh(folder / INDEX)
        return read_index(folder), mirror


def bring(entry: Entry, mirror: Mirror, *, anew: bool = False) -> None:
    """Make the shard stand, as long as it was written; `anew` whatever stands there. Safe beside other processes.

    Raises StoreError for what the store has not or has otherwise, ShardError for what does not unpack to the shard.
    """
    before = _written(entry)
    if before and not anew:
        return
    with _alone(entry.path):
        if (now := _written(entry)) and (not anew or now != before):
            return  # another process has brought it meanwhile
        for left in entry.path.parent.glob(f"{entry.path.name}*.draft"):
            left.unlink(missing_ok=True)  # by a process that was killed, as the lock is ours
        _make_room(entry, mirror)
        if entry.packed is None:
            mirror.fetch(entry.path, entry.xxh64, AGAIN)
            return
        packed = entry.path.with_name(entry.packed.name)
        mirror.fetch(packed, entry.packed.xxh64, AGAIN)
        unpack(entry, packed, entry.path)
        packed.unlink()


def _written(entry: Entry) -> tuple[int, int] | None:
    """What tells one writing of a file from the next; None where it does not stand."""
    try:
        stat = entry.path.stat()
    except FileNotFoundError:
        return None
    return (stat.st_ino, stat.st_mtime_ns) if stat.st_size == entry.size else None


def unpack(entry: Entry, packed: Path, path: Path) -> None:
    """packed -> the shard at `path`, whole or not at all. ShardError unless its size and hash are those told."""
    size, digest = 0, xxhash.xxh64()
    with durable(path) as draft, packed.open("rb") as source, draft.open("wb") as file:
        try:
            for chunk in zstandard.ZstdDecompressor().read_to_iter(source, write_size=CHUNK):
                size += len(chunk)
                if size > entry.size:
                    break
                digest.update(chunk)
                file.write(chunk)
        except zstandard.ZstdError as fault:
            raise ShardError(f"{packed}: cannot be unpacked from byte {size} of the shard on ({fault})") from None
        if size != entry.size or digest.hexdigest() != entry.xxh64:
            raise ShardError(f"{packed}: does not unpack to the {entry.size} bytes of its index; {AGAIN}")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let only one process of this machine bring this shard."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _one, (path.parent / LOCK).open("ab") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, xxhash.xxh32_intdigest(path.name))
        yield


def _make_room(entry: Entry, mirror: Mirror) -> None:
    """Remove the shards that were not opened for longest, until this one has room under the limit.

    Readers that have one mapped keep it. ShardError where the limit is below one shard, or no number.
    """
    told = os.environ.get(CACHE_LIMIT)
    if not told or Mirror.of(entry.path) is None:
        return
    try:
        limit = float(told) * 10**9
    except ValueError:
        raise ShardError(f"{CACHE_LIMIT}={told}: is no number of gigabytes; write 200") from None
    if entry.size > limit:
        raise ShardError(f"{entry.path}: has {entry.size} bytes, {CACHE_LIMIT}={told} leaves no room for it; raise it")
    others = []
    for path in mirror.root.parent.rglob("*.mds"):
        if path != entry.path and (path.parent / INDEX).exists():
            stat = path.stat()
            others.append((stat.st_atime_ns, stat.st_size, path))
    taken = entry.size + sum(size for _, size, _ in others)
    for _, size, path in sorted(others):
        if taken <= limit:
            return
        path.unlink(missing_ok=True)
        taken -= size
