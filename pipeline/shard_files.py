"""The index.json files of MDS shards that somebody else wrote -> the shard files they name, as they stand.

An index may name files in folders below its own, as one does that was merged of others. Where an index and those it was
merged of are all read, a shard counts once. What an index calls compressed may lie there unpacked: Ettin's indexes
name `shard.00000.mds.zstd`, and its folders hold `shard.00000.mds`.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.settings import ShardsSource
from pipeline.stores.store import URL, why
from pipeline.units import InputError, Piece, find, version

Column = tuple[str, str, int | None]
"""Name, encoding (`str`, `ndarray:uint32`), and bytes where they are the same in every sample."""


@dataclass(frozen=True, slots=True)
class ShardFile:
    piece: Piece
    """The file that stands, packed or not; its name is that of the unpacked one, so that unpacking renames nothing."""
    samples: int
    size: int
    """Bytes, unpacked."""
    packed: bool
    """Whether the file that stands is compressed."""
    columns: tuple[Column, ...]
    hashes: tuple[tuple[str, str], ...]
    """(algorithm, hex digest) of the unpacked file, where the index tells any."""
    packed_hashes: tuple[tuple[str, str], ...]


def parts_of(file: ShardFile, part: int) -> int:
    """How many parts of about `part` bytes a shard is read in; one that is not twice as large is read at once."""
    return max(1, file.size // part)


def find_shards(name: str, source: ShardsSource) -> list[ShardFile]:
    """The shards of a source of a recipe, sorted by name. `name` is told in faults.

    Raises InputError for an index that is none, a shard that is missing, has another size than its index says, is in
    two indexes that differ, or is compressed otherwise than with zstd.
    """
    where = f"sources.{name}.read"
    found: dict[str, ShardFile] = {}
    standing = _Standing()
    for index in find(source.patterns, name):
        for shard in _shards(index, standing, where):
            other = found.setdefault(shard.piece.name, shard)
            if other != shard:
                raise InputError(f"{where}: {index.path}: says otherwise of {shard.piece.name} than an index beside it")
    return [found[name] for name in sorted(found)]


def _shards(index: Piece, standing: _Standing, where: str) -> Iterator[ShardFile]:
    if posixpath.basename(index.path) != "index.json":
        raise InputError(f"{where}: {index.path} is no index of shards; write a pattern such as shards/**/index.json")
    columns = cache(lambda *listed: tuple(listed))  # shards of a kind share one
    try:
        content = json.loads(_content(index, where))
        for info in content["shards"]:
            if (info["format"], info["version"]) != ("mds", 2):
                raise ValueError(f"shards of format {info['format']} {info['version']}, not mds 2")
            listed = zip(info["column_names"], info["column_encodings"], info["column_sizes"], strict=True)
            yield _shard(index, info, columns(*listed), standing, where)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise InputError(f"{where}: {index.path}: is no index of MDS shards ({fault!r}); fetch it anew") from None


def _shard(
    index: Piece, info: Mapping[str, Any], columns: tuple[Column, ...], standing: _Standing, where: str
) -> ShardFile:
    raw, packed = info["raw_data"], info["zip_data"]
    name = posixpath.normpath(posixpath.join(posixpath.dirname(index.name), raw["basename"]))
    for told in [one["basename"] for one in (raw, packed) if one]:
        if posixpath.normpath(told).startswith(("/", "..")):
            raise InputError(f"{where}: {index.path}: names {told}, which is not below it; fetch it anew")
    for one in [raw, packed] if packed else [raw]:
        path = f"{index.path.removesuffix('index.json')}{one['basename']}"
        if (found := standing.of(path, where)) is None:
            continue
        size, mark = found
        if size != one["bytes"]:
            raise InputError(f"{where}: {path}: has {size} bytes, its index says {one['bytes']}; fetch it anew")
        if one is packed and (how := info["compression"]).partition(":")[0] != "zstd":
            raise InputError(f"{where}: {path}: is compressed with {how}; unpack it to {raw['basename']}, or use zstd")
        return ShardFile(
            piece=Piece(path=path, name=name, size=size, version=mark),
            samples=int(info["samples"]),
            size=int(raw["bytes"]),
            packed=one is packed,
            columns=columns,
            hashes=tuple(sorted(raw["hashes"].items())),
            packed_hashes=tuple(sorted(packed["hashes"].items())) if packed else (),
        )
    raise InputError(f"{where}: {path}: is missing, but {index.path} names it; fetch it, or narrow the pattern")


def _content(index: Piece, where: str) -> bytes:
    try:
        if URL not in index.path:
            return Path(index.path).read_bytes()
        import fsspec

        files, path = fsspec.core.url_to_fs(index.path)
        return bytes(files.cat_file(path))
    except Exception as fault:  # every store has its own faults
        raise InputError(f"{where}: {index.path}: cannot be read ({why(fault, index.path)})") from None


class _Standing:
    """Which files stand: in a store each folder is listed once."""

    def __init__(self) -> None:
        self._listed: dict[str, dict[str, tuple[int, str]]] = {}

    def of(self, path: str, where: str) -> tuple[int, str] | None:
        """(bytes, the store's mark of the content) of a file; None where there is none."""
        if URL not in path:
            file = Path(path)
            return (file.stat().st_size, "") if file.is_file() else None
        folder = posixpath.dirname(path)
        if folder not in self._listed:
            self._listed[folder] = _listing(folder, where)
        return self._listed[folder].get(posixpath.basename(path))


def _listing(folder: str, where: str) -> dict[str, tuple[int, str]]:
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(folder)
        listed: Sequence[Mapping[str, Any]] = files.ls(path, detail=True)
    except FileNotFoundError:
        return {}
    except Exception as fault:  # every store has its own faults
        raise InputError(f"{where}: {folder} cannot be listed ({why(fault, folder)})") from None
    return {
        posixpath.basename(info["name"]): (int(info["size"] or 0), version(info))
        for info in listed
        if info["type"] == "file"
    }
