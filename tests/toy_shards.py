"""A writer of MDS shards of any columns, apart from the one under test: as others' tools write them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
import zstandard

CODES = {"uint8": 8, "int8": 9, "uint16": 16, "int16": 17, "float16": 18, "uint32": 32, "int32": 33, "float32": 34,
         "uint64": 64, "int64": 65, "float64": 66}  # fmt: skip


def value_bytes(encoding: str, value: Any) -> bytes:
    """One value of a column as it stands in a sample."""
    if encoding == "str":
        return str(value).encode()
    if encoding == "bytes":
        return bytes(value)
    if encoding == "int":
        return struct.pack("<q", value)
    if not encoding.startswith("ndarray"):
        return bytes(np.dtype(encoding).type(value).tobytes())
    _, *static = encoding.split(":")
    array = np.asarray(value)
    if len(static) == 2:
        return array.tobytes()
    wide = sum(max(array.shape) >= 1 << bits for bits in (8, 16, 32))
    head = bytes([array.ndim << 2 | wide]) + b"".join(side.to_bytes(1 << wide, "little") for side in array.shape)
    return (b"" if static else bytes([CODES[array.dtype.name]])) + head + array.tobytes()


def fixed_size(encoding: str) -> int | None:
    if encoding == "int":
        return 8
    if encoding in ("str", "bytes"):
        return None
    if not encoding.startswith("ndarray"):
        return np.dtype(encoding).itemsize
    _, *static = encoding.split(":")
    if len(static) < 2:
        return None
    return int(np.dtype(static[0]).itemsize * np.prod([int(side) for side in static[1].split(",")]))


def shard_bytes(columns: Mapping[str, str], samples: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> bytes:
    parts = []
    for sample in samples:
        values = [value_bytes(columns[name], sample[name]) for name in sorted(columns)]
        sizes = [len(v) for name, v in zip(sorted(columns), values, strict=True) if fixed_size(columns[name]) is None]
        parts.append(struct.pack(f"<{len(sizes)}I", *sizes) + b"".join(values))
    head = json.dumps(config, sort_keys=True).encode()
    offsets = np.cumsum([4 + 4 * (len(parts) + 1) + len(head), *map(len, parts)])
    return np.array([len(parts), *offsets], "<u4").tobytes() + head + b"".join(parts)


def digests(content: bytes, hashes: Sequence[str]) -> dict[str, str]:
    told = {}
    for name in hashes:
        of = getattr(xxhash, name)(content) if name.startswith("xxh") else hashlib.new(name, content)
        told[name] = of.hexdigest()
    return told


def write_shards(
    folder: Path,
    columns: Mapping[str, str],
    shards: Sequence[Sequence[Mapping[str, Any]]],
    *,
    compression: str | None = None,
    hashes: Sequence[str] = (),
    unpacked: bool = False,
) -> Path:
    """Write shards and their index.json. unpacked: leave the plain files, though the index says they are packed."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(columns)
    config = {
        "column_encodings": [columns[name] for name in names],
        "column_names": names,
        "column_sizes": [fixed_size(columns[name]) for name in names],
        "compression": compression,
        "format": "mds",
        "hashes": list(hashes),
        "size_limit": 1 << 26,
        "version": 2,
    }
    infos = []
    for number, samples in enumerate(shards):
        content, name = shard_bytes(columns, samples, config), f"shard.{number:05}.mds"
        raw = {"basename": name, "bytes": len(content), "hashes": digests(content, hashes)}
        packed = None
        if compression:
            small = zstandard.ZstdCompressor(write_content_size=True).compress(content)
            packed = {"basename": f"{name}.zstd", "bytes": len(small), "hashes": digests(small, hashes)}
            if not unpacked:
                (folder / f"{name}.zstd").write_bytes(small)
        if unpacked or not compression:
            (folder / name).write_bytes(content)
        infos.append({**config, "raw_data": raw, "samples": len(samples), "zip_data": packed})
    (folder / "index.json").write_text(json.dumps({"shards": infos, "version": 2}, sort_keys=True))
    return folder


def merge(folder: Path) -> Path:
    """One index for the folders below, with the names of shards as they lie from here."""
    shards = []
    for index in sorted(folder.glob("*/index.json")):
        for info in json.loads(index.read_text())["shards"]:
            for part in (info["raw_data"], info["zip_data"]):
                if part:
                    part["basename"] = f"{index.parent.name}/{part['basename']}"
            shards.append(info)
    (folder / "index.json").write_text(json.dumps({"shards": shards, "version": 2}, sort_keys=True))
    return folder
