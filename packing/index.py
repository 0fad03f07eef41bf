"""index.json: what a folder of shards holds, with the size and the hash of each file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from packing.mds import MEND, ShardError, configuration
from pipeline.files import write_atomically

INDEX = "index.json"

SUFFIX = ".zstd"
"""Of a packed shard's name, as the library has it."""


class Packed(NamedTuple):
    """A shard as it travels: one zstd frame over the whole file."""

    name: str
    size: int
    xxh64: str


class Entry(NamedTuple):
    """What an index says of a shard."""

    path: Path
    size: int
    rows: int
    xxh64: str
    ids: str
    """dtype of input_ids: uint16 or uint32."""
    packed: Packed | None = None

    def check_size(self) -> None:
        """ShardError unless the file stands and is as long as it was written."""
        try:
            found = self.path.stat().st_size
        except FileNotFoundError:
            raise ShardError(f"{self.path}: is missing; {MEND}") from None
        if found != self.size:
            what = f"ends at offset {found}" if found < self.size else f"has {found} bytes"
            raise ShardError(f"{self.path}: {what}, its index says {self.size} bytes; {MEND}")


def write_index(folder: Path, infos: Iterable[Mapping[str, Any]]) -> None:
    """Write folder/index.json from what `write_shard` gave for each shard, in the order of the rows.

    Shards without rows are left out. Only a folder with an index is finished, so it is written last, aside
    and renamed. ShardError where two shards have one name.
    """
    write_atomically(folder / INDEX, index_bytes(folder, infos))


def index_bytes(folder: Path | str, infos: Iterable[Mapping[str, Any]]) -> bytes:
    shards = [dict(info) for info in infos if info["samples"]]
    names = [shard["raw_data"]["basename"] for shard in shards]
    if twice := sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []:
        raise ShardError(f"{folder}: two shards are named {twice[0]}; give each unit a file of its own")
    return json.dumps({"shards": shards, "version": 2}, sort_keys=True).encode()


def read_index(folder: Path) -> list[Entry]:
    """The shards of a folder. ShardError where its index is missing, damaged or of other columns than ours."""
    path = folder / INDEX
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ShardError(f"{folder}: has no index.json; finish the packing of this source first") from None
    return entries(content, folder)


def entries(content: bytes, folder: Path) -> list[Entry]:
    """The shards that the bytes of an index tell of, as files of `folder`. ShardError as of `read_index`."""
    path = folder / INDEX
    try:
        index = json.loads(content)
        found = [_entry(folder, info) for info in index["shards"]]
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ShardError(f"{path}: is damaged ({fault!r}); {MEND}") from None
    if other := [entry.path.name for entry in found if not entry.ids]:
        raise ShardError(f"{path}: {other[0]} does not hold packed rows with xxh64 hashes; pack this source again")
    return found


def _entry(folder: Path, info: Mapping[str, Any]) -> Entry:
    """`ids` is empty where the columns or the format are not ours. KeyError for a name that leads elsewhere."""
    raw, packed = info["raw_data"], info["zip_data"]
    kind = {key: info[key] for key in configuration(np.uint16)}
    if packed and kind["compression"] == "zstd":
        kind["compression"] = None
    ids = next((ids for ids in ("uint16", "uint32") if kind == configuration(ids)), "")
    for name in (raw["basename"], packed["basename"] if packed else "."):
        if Path(name).name != name and name != ".":
            raise KeyError(name)
    return Entry(
        folder / raw["basename"],
        int(raw["bytes"]),
        int(info["samples"]),
        raw["hashes"].get("xxh64", ""),
        ids,
        Packed(packed["basename"], int(packed["bytes"]), packed["hashes"].get("xxh64", "")) if packed else None,
    )


def check_index(folder: Path) -> None:
    """ShardError, with the offset, unless every byte of the index is what `write_index` writes for what it tells."""
    path, found = folder / INDEX, read_index(folder)
    told, content = index_bytes(folder, map(_info, found)), path.read_bytes()
    if told != content:
        pairs = zip(told, content, strict=False)
        at = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(told), len(content)))
        raise ShardError(f"{path}: is damaged at offset {at}; {MEND}")


def _info(entry: Entry) -> dict[str, Any]:
    """What `entries` has read, as it is written."""
    packed = entry.packed
    return {
        **configuration(entry.ids),
        "compression": "zstd" if packed else None,
        "raw_data": {"basename": entry.path.name, "bytes": entry.size, "hashes": {"xxh64": entry.xxh64}},
        "samples": entry.rows,
        "zip_data": {"basename": entry.path.name + SUFFIX, "bytes": packed.size, "hashes": {"xxh64": packed.xxh64}}
        if packed
        else None,
    }
