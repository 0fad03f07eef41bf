"""The files of URLs and words that a recipe names -> their entries; a list that is missing or empty is told by name."""

from __future__ import annotations

import glob
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.filters.settings import Urls
from pipeline.units import InputError

LISTS = tuple(field.name for field in fields(Urls) if field.name != "soft_threshold")
"""The settings that name files."""


def named(urls: Urls) -> dict[str, Any]:
    """The settings as a stage keeps them: files by their names, so that they are the same on another machine."""
    files = {name: [Path(pattern).name for pattern in _patterns(urls, name)] for name in LISTS}
    return {**files, "soft_threshold": urls.soft_threshold}


def _patterns(urls: Urls, name: str) -> tuple[str, ...]:
    given: str | tuple[str, ...] = getattr(urls, name)
    return (given,) if isinstance(given, str) else given


def files_of(urls: Urls, name: str) -> list[Path]:
    """The files behind one of `LISTS`, sorted. Raises InputError naming what is not there.

    A pattern may name a folder in the layout of the UT1 lists: its file `domains` (`urls` for blocked_urls), or those
    of the folders in it.
    """
    found: set[Path] = set()
    for pattern in _patterns(urls, name):
        matches = [Path(match) for match in glob.glob(pattern, recursive=True)]
        inside = {"blocked_domains": "domains", "blocked_urls": "urls"}.get(name)
        files = {path for path in matches if path.is_file()}
        if inside:
            ways = (inside, f"{inside}.gz", f"*/{inside}", f"*/{inside}.gz")
            files |= {path for folder in matches if folder.is_dir() for way in ways for path in folder.glob(way)}
        if not files:
            raise InputError(f"urls.{name}: {pattern} names no list; mend the pattern or put the file there")
        found |= files
    return sorted(found)


def stamps_of(urls: Urls, source: str) -> dict[str, list[int]]:
    """setting/file -> [size, mtime in ns] of every list. Raises InputError for one that is missing or empty."""
    stamps: dict[str, list[int]] = {}
    for name in LISTS:
        try:
            for number, path in enumerate(files_of(urls, name)):
                if not any(line for chunk in read(path, 1 << 16) for line in entries(chunk)):
                    raise InputError(f"urls.{name}: {path} holds no entry; fill it or do not name it")
                stat = path.stat()
                stamps[f"urls.{name}/{number}/{path.name}"] = [stat.st_size, stat.st_mtime_ns]
        except InputError as fault:
            raise InputError(f"sources.{source}.filters.{fault}") from None
    return stamps


def read(path: Path, size: int = 1 << 24) -> Iterator[bytes]:
    """A list's bytes, plain or gzip, in pieces of about `size` that end with a line. Raises InputError."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            rest = b""
            while piece := file.read(size):
                whole, _, tail = (rest + piece).rpartition(b"\n")
                if whole:
                    yield whole + b"\n"
                rest = tail
            if rest:
                yield rest + b"\n"
    except (OSError, EOFError, zlib.error) as fault:
        raise InputError(f"{path}: cannot be read as a list: {fault}") from None


def entries(lines: bytes) -> Iterator[bytes]:
    """The entries: what stands on a line, but for spaces, empty lines and comments (#)."""
    for line in lines.split(b"\n"):
        if (entry := line.strip()) and not entry.startswith(b"#"):
            yield entry
