"""A stage's work cut into units: pieces of input files, in an order that depends on the input alone."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.stores.store import URL, why

if TYPE_CHECKING:
    from pipeline.settings import AnySource


class InputError(Exception):
    """The input files are not as the recipe says; the message names pattern or file, and the mend."""


VERSION = ("etag", "ETag", "blob_id", "mtime", "last_modified", "LastModified", "updated", "created")
"""What stores call the mark that changes with a file's content, the surest first."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What the stage that made a file says of it."""

    stage: str
    size: int | None
    """None where the hash alone is told."""
    xxh64: str


@dataclass(frozen=True, slots=True)
class Piece:
    """An input file, or a part of one."""

    path: str
    """An absolute path, or the address of a file in a store."""
    name: str
    """The file relative to its source's root, with forward slashes."""
    size: int
    """Bytes on disk, of the part if it is a part: what units are balanced by."""
    groups: tuple[int, int] | None = None
    """Row groups [a, b) of a Parquet file, or parts of a shard; None for the whole file."""
    version: str = ""
    """Of a file in a store, the store's mark that changes with its content."""
    signed: Signed | None = field(default=None, compare=False)
    """Of a file that a stage made, what it has to be; None for a raw one."""


@dataclass(frozen=True, slots=True)
class Unit:
    number: int
    pieces: tuple[Piece, ...]


def find_source(name: str, source: AnySource) -> list[Piece]:
    """The files of a source of a recipe; a repository may hold links to what it has not. Raises InputError.

    Those of shards are the ones that the index.json files name.
    """
    if source.kind == "shards":
        from pipeline.shard_files import find_shards

        return [file.piece for file in find_shards(name, source)]
    return find(source.patterns, name, dangling=source.kind == "code")


def find(patterns: Sequence[str], source: str | None = None, *, dangling: bool = False) -> list[Piece]:
    """The files that match, sorted by name; names are relative to the patterns' common fixed folder.

    A folder that `datasets` saved (`save_to_disk`) stands for its Arrow files. `source` is named in messages.
    Raises InputError if a pattern matches no file, or anything that is no readable file: a folder whose files it
    does not match, a broken link unless `dangling` ones are passed over, a file without permission.
    """
    where = f"sources.{source}.read" if source else "read"
    root = Path(os.path.commonpath([_fixed_folder(pattern) for pattern in patterns]))
    found: dict[str, Piece] = {}
    for pattern in patterns:
        pieces = _in_store(pattern, root, where) if URL in pattern else _on_disk(pattern, root, where, dangling)
        if not pieces:
            told = "" if URL in pattern else f"patterns are relative to the current directory, {os.getcwd()}; "
            raise InputError(f"{where}: {pattern} matches no file; {told}mend the pattern or put the files there")
        found |= {piece.name: piece for piece in pieces}
    return [found[name] for name in sorted(found)]


def _on_disk(pattern: str, root: Path, where: str, dangling: bool) -> list[Piece]:
    paths = [Path(name).absolute() for name in sorted(glob.iglob(pattern, recursive=True, include_hidden=False))]
    if dangling:
        paths = [path for path in paths if path.exists()]
    folders = [path for path in paths if path.is_dir()]
    saved = [file for folder in folders for file in _saved(folder, where)]
    files = [path for path in paths if path not in set(folders)] + saved
    for fault, bad in (
        ("is a broken link", [path for path in files if not path.exists()]),
        ("is neither a file nor a folder", [path for path in files if path.exists() and not path.is_file()]),
        ("cannot be read (no permission)", [path for path in (*files, *folders) if not os.access(path, os.R_OK)]),
        ("is a folder; write which of its files, such as {}/**/*.parquet", _unread(folders, files)),
    ):
        if bad:
            raise InputError(f"{where}: {bad[0]} {fault.format(bad[0])}{_more(bad)}")
    return [_piece(path, root) for path in files]


def _piece(path: Path, root: Path) -> Piece:
    return Piece(path=str(path), name=path.relative_to(root).as_posix(), size=path.stat().st_size)


def _unread(folders: Iterable[Path], files: Iterable[Path]) -> list[Path]:
    """The folders with something in them of which no file is read."""
    inside = {parent for file in files for parent in file.parents}
    return [folder for folder in folders if folder not in inside and any(name[0] != "." for name in os.listdir(folder))]


def _more(bad: Sequence[Path]) -> str:
    return f" (and {len(bad) - 1} more); mend or remove them, or narrow the pattern" if len(bad) > 1 else ""


def _saved(folder: Path, where: str) -> list[Path]:
    """The Arrow files, in order, of a folder that `datasets` saved: one data set, or one of several splits."""
    try:
        if (whole := folder / "dataset_dict.json").is_file():
            parts = [folder / split for split in json.loads(whole.read_bytes())["splits"]]
            return [file for part in parts for file in _saved(part, where)]
        if (state := folder / "state.json").is_file():
            return [folder / file["filename"] for file in json.loads(state.read_bytes()).get("_data_files", [])]
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise InputError(f"{where}: {folder} is no whole saved data set ({fault}); save it anew") from None
    return []


def _in_store(pattern: str, root: Path, where: str) -> list[Piece]:
    """The files of a store that match, through fsspec: their sizes and versions stand in its listing."""
    try:
        import fsspec

        store, path = fsspec.core.url_to_fs(pattern)
        listed: dict[str, dict[str, Any]] = store.glob(path, detail=True)
    except Exception as fault:  # every store has its own faults
        raise InputError(f"{where}: {pattern} cannot be listed ({why(fault, pattern)})") from None
    files = {store.unstrip_protocol(name): info for name, info in listed.items() if info["type"] == "file"}
    folders = [Path(store.unstrip_protocol(name)) for name, info in listed.items() if info["type"] == "directory"]
    inside = {parent for file in files for parent in Path(file).parents}
    if unread := [folder for folder in folders if folder not in inside]:
        raise InputError(f"{where}: {unread[0]} is a folder; write which of its files{_more(unread)}")
    return [
        Piece(
            path=file,
            name=_absolute(file).relative_to(root).as_posix(),
            size=int(info.get("size") or 0),
            version=version(info),
        )
        for file, info in files.items()
    ]


def version(info: Mapping[str, Any]) -> str:
    """A store's mark of a file's content, the same from a listing as from the file; nothing where it has none."""
    mark = next((info[key] for key in VERSION if info.get(key) is not None), "")
    return str(mark.timestamp() if isinstance(mark, datetime) else mark)


def _absolute(pattern: str) -> Path:
    """A path as it stands from the root; s3://bucket/x -> /s3:/bucket/x."""
    return Path("/") / pattern.replace(URL, ":/", 1) if URL in pattern else Path(pattern).absolute()


def _fixed_folder(pattern: str) -> str:
    """The part of a pattern before its first wildcard, as an absolute folder."""
    parts = _absolute(pattern).parts
    fixed = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return str(Path(*parts[:fixed]))


def group(pieces: Iterable[Piece], limit: int) -> list[Unit]:
    """Pieces in order -> units of at most `limit` bytes each; a larger piece is a unit of its own."""
    units: list[Unit] = []
    open_pieces: list[Piece] = []
    room = limit
    for piece in pieces:
        if open_pieces and piece.size > room:
            units.append(Unit(len(units), tuple(open_pieces)))
            open_pieces, room = [], limit
        open_pieces.append(piece)
        room -= piece.size
    if open_pieces:
        units.append(Unit(len(units), tuple(open_pieces)))
    return units


def stamps(pieces: Iterable[Piece]) -> dict[str, list[int | str]]:
    """name -> [size, mtime in ns] of each file, in a store [size, version]: what a fingerprint holds of raw input."""
    return {piece.name: _stamp(piece) for piece in pieces}


def _stamp(piece: Piece) -> list[int | str]:
    if URL in piece.path:
        return [piece.size, piece.version]
    found = os.stat(piece.path)
    return [found.st_size, found.st_mtime_ns]
