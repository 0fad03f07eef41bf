"""Shards on their way: packed by zstd into a store, and back into a folder as they were.

A folder of shards in a store holds one zstd frame a shard, and an index.json that says so and is written last;
`StreamingDataset` reads it as it is. Memory: a few MiB, whatever the size of a shard. Disk: one packed shard.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import xxhash
import zstandard

from packing.arrival import CHUNK, LOCK, bring
from packing.index import INDEX, SUFFIX, Entry, entries, index_bytes, read_index
from packing.mds import MEND, ShardError
from pipeline.files import hash_of, write_atomically
from pipeline.stores.mirror import Mirror
from pipeline.stores.store import Store

LEVEL = 3
"""zstd's own default: 0.8 bytes a token instead of 2 on manuals that repeat themselves, 1.3 to 1.6 on the web."""

NOTE = ".sending"
"""Suffix of what stands in the store for each shard that has arrived, until the index has: its entry of it."""


class Sent(NamedTuple):
    name: str
    size: int
    packed: int
    """Bytes in the store."""


def send(folder: Path, address: str, level: int = LEVEL) -> Generator[Sent]:
    """Pack each shard of a folder and put it into a store, the index last; what has arrived is not sent again.

    Yields each shard. Raises ShardError for shards that are not whole, StoreError for a store that cannot be used
    or holds other shards.
    """
    store, own = Store(address.rstrip("/")), read_index(folder)
    if packed := [entry.packed.name for entry in own if entry.packed]:
        raise ShardError(f"{folder}: {packed[0]} is packed already; fetch these shards into a folder first")
    infos = json.loads((folder / INDEX).read_bytes())["shards"]
    there = store.sizes("")
    arrived = _arrived(store, own, folder) if INDEX in there else _noted(store, own)
    for number, entry in enumerate(own):
        if not _stands_there(arrived[number], entry, there):
            arrived[number] = _sent(entry, infos[number], store, level)
        yield Sent(entry.path.name, entry.size, arrived[number]["zip_data"]["bytes"])
    store.write(INDEX, index_bytes(address, arrived))
    store.remove(*(name for name in store.sizes("") if name.endswith(NOTE)))


def _arrived(store: Store, own: list[Entry], folder: Path) -> list[dict[str, Any]]:
    """What the index in the store tells of our shards. ShardError if it tells of others."""
    content = store.read([INDEX])[INDEX]
    if [entry.xxh64 for entry in entries(content, folder)] != [entry.xxh64 for entry in own]:
        raise ShardError(f"{store.url}: holds other shards; name an empty folder, or remove that one")
    return list(json.loads(content)["shards"])


def _noted(store: Store, own: list[Entry]) -> list[dict[str, Any]]:
    """What a sending that was cut off has noted of each shard; empty where it has not come to it."""
    names = [entry.path.name + NOTE for entry in own]
    found = store.read(names)
    return [json.loads(found.get(name, b"{}")) for name in names]


def _stands_there(info: dict[str, Any], entry: Entry, there: dict[str, int]) -> bool:
    """Whether a note tells of this very shard, and the store has what it tells of."""
    if not info or not info["zip_data"] or info["raw_data"]["hashes"]["xxh64"] != entry.xxh64:
        return False
    return bool(there.get(info["zip_data"]["basename"]) == info["zip_data"]["bytes"])


def _sent(entry: Entry, info: dict[str, Any], store: Store, level: int) -> dict[str, Any]:
    """Pack one shard, put it and a note of it into the store -> its entry in the index there."""
    name = entry.path.name + SUFFIX
    entry.check_size()
    with tempfile.TemporaryDirectory(prefix="bertmill-") as aside:
        packed, digest = Path(aside) / name, xxhash.xxh64()
        packer = zstandard.ZstdCompressor(level=level)
        with entry.path.open("rb") as source, packer.stream_writer(packed.open("wb"), size=entry.size) as writer:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                writer.write(chunk)
        if digest.hexdigest() != entry.xxh64:
            raise ShardError(f"{entry.path}: has the xxh64 {digest.hexdigest()}, not {entry.xxh64}; {MEND}")
        told = {"basename": name, "bytes": packed.stat().st_size, "hashes": {"xxh64": hash_of(packed)}}
        store.put(packed, name)
    sent = {**info, "compression": "zstd", "zip_data": told}
    store.write(entry.path.name + NOTE, json.dumps(sent).encode())
    return sent


def fetch(address: str, folder: Path) -> Iterator[Sent]:
    """Bring all shards of a store into a folder, as they were before they were sent; what stands there is kept.

    Yields each shard. Raises ShardError where the folder holds other shards, or the store's are damaged.
    """
    store, folder = Store(address.rstrip("/")), folder.absolute()
    found = store.read([INDEX]).get(INDEX)
    if found is None:
        raise ShardError(f"{store.at(INDEX)}: is missing; send these shards to their end")
    wanted = entries(found, folder)
    infos = json.loads(found)["shards"]
    content = index_bytes(folder, [{**info, "compression": None, "zip_data": None} for info in infos])
    if (folder / INDEX).exists() and (folder / INDEX).read_bytes() != content:
        raise ShardError(f"{folder}: holds other shards than {address}; name an empty folder, or remove that one")
    folder.mkdir(parents=True, exist_ok=True)
    for entry in wanted:
        if not (entry.path.exists() and entry.path.stat().st_size == entry.size and hash_of(entry.path) == entry.xxh64):
            bring(entry, Mirror(folder, store), anew=True)
        yield Sent(entry.path.name, entry.size, entry.packed.size if entry.packed else entry.size)
    (folder / LOCK).unlink(missing_ok=True)
    write_atomically(folder / INDEX, content)
