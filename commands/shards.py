"""Folders of shards -> a store, and back: each folder that holds an index, under its own name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packing import transport
from packing.index import INDEX
from packing.mds import ShardError
from pipeline.stores.store import Store


class Carried(NamedTuple):
    name: str
    shards: int
    size: int
    packed: int
    """Bytes on the way; as many as `size` where shards are not packed."""


def send(folder: Path, address: str, level: int = transport.LEVEL) -> Iterator[Carried]:
    """Pack and send all shards at or below a folder, one folder of them after the other. Raises ShardError."""
    found = sorted(path.parent for path in folder.rglob(INDEX))
    if not found:
        raise ShardError(f"{folder}: holds no index.json of shards; name a folder that rows were packed into")
    for one in found:
        name = one.relative_to(folder).as_posix()
        yield _sum(name, transport.send(one, _below(address, name), level))


def fetch(address: str, folder: Path) -> Iterator[Carried]:
    """Bring all shards at or below an address, as they were before they were sent. Raises ShardError, StoreError."""
    there = Store(address.rstrip("/")).sizes("", deep=True)
    found = sorted(name.rpartition("/")[0] for name in there if name.rpartition("/")[2] == INDEX)
    if not found:
        raise ShardError(f"{address}: holds no index.json of shards; send them to their end")
    for name in found:
        yield _sum(name or ".", transport.fetch(_below(address, name), folder / name))


def _below(address: str, name: str) -> str:
    return address.rstrip("/") if name in ("", ".") else f"{address.rstrip('/')}/{name}"


def _sum(name: str, shards: Iterator[transport.Sent]) -> Carried:
    sizes = [(one.size, one.packed) for one in shards]
    return Carried(name, len(sizes), sum(size for size, _ in sizes), sum(packed for _, packed in sizes))


def told(carried: Carried) -> str:
    """One line."""
    return (
        f"  {carried.name:28} {carried.shards:>6,} shards {carried.size:>16,} bytes {carried.packed:>16,} in the store"
    )
