"""What a Python installation holds -> a small corpus in the real formats, so that a fresh machine has data.

Nothing is downloaded and nothing installed is imported. The same installation gives the same bytes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.files import sync

WEB_PAGES = 450
"""About 5.5 MB of HTML and 3 MB of text: what ten minutes on two cores can also train on."""

CODE_BYTES = 4_000_000
"""Bytes of source text."""

ARTICLES = 250
"""About 2.6 MB of text."""

SIGNATURE = "sample.json"


class SampleError(Exception):
    """The sample cannot be made; the message says in one line why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one folder of the sample holds."""

    files: int
    records: int
    """WARC records, Parquet rows or articles."""
    bytes: int
    """On disk."""
    raw_bytes: int
    """HTML, source code or XML and TeX, before compression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A finished sample: `parts` by folder (web, code, science), and the versions of what it was made from."""

    folder: Path
    parts: Mapping[str, Part]
    versions: Mapping[str, str]

    def items(self) -> Iterator[tuple[str, int]]:
        """The figures to print, by name."""
        for name, part in self.parts.items():
            yield f"{name} files", part.files
            yield f"{name} records", part.records
            yield f"{name} bytes", part.bytes


def sample(
    folder: Path, *, web_pages: int = WEB_PAGES, code_bytes: int = CODE_BYTES, articles: int = ARTICLES
) -> Sample:
    """Fill `folder` with web/*.warc.gz, code/*.parquet, science/*.tar.gz and science/*.tar, and sign it.

    It is written aside and renamed, so that a stopped call leaves nothing that looks whole. A folder that holds
    a finished sample of these sizes is returned as it is. Raises SampleError for sizes below 1, for a folder
    that holds anything else, and where the installation has nothing to read.
    """
    sizes = {"web_pages": web_pages, "code_bytes": code_bytes, "articles": articles}
    for name, value in sizes.items():
        if value < 1:
            raise SampleError(f"{name} is {value}; it must be at least 1")
    folder = folder.absolute()
    if finished := _finished(folder, sizes):
        return finished
    aside = folder.parent / f".{folder.name}.unfinished"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if aside.exists():
            shutil.rmtree(aside)  # of a call that was stopped
        aside.mkdir()
        signed = _fill(aside, sizes)
        os.replace(aside, folder)
        sync(folder.parent)
    except OSError as fault:
        raise SampleError(f"{folder}: {fault.strerror}") from fault
    return _loaded(folder, signed)


def _finished(folder: Path, sizes: Mapping[str, int]) -> Sample | None:
    """The sample that lies there, None for a place that is free, a fault for anything else."""
    signature = folder / SIGNATURE
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if not signature.is_file():
        raise SampleError(f"{folder} holds something that is no sample; give a new or an empty folder")
    try:
        signed = json.loads(signature.read_text("utf-8"))
        changed = [
            f"{name} {signed['sizes'][name]} -> {sizes[name]}" for name in sizes if signed["sizes"][name] != sizes[name]
        ]
        found = _loaded(folder, signed)
    except (ValueError, KeyError, TypeError, OSError):
        raise SampleError(f"{signature} cannot be read; remove {folder} and call again") from None
    if changed:
        raise SampleError(f"{folder} holds a sample of other sizes ({', '.join(changed)}); give another folder")
    return found


def _loaded(folder: Path, signed: Mapping[str, Any]) -> Sample:
    parts = {name: Part(**part) for name, part in signed["parts"].items()}
    return Sample(folder=folder, parts=parts, versions=signed["versions"])


def _fill(folder: Path, sizes: Mapping[str, int]) -> dict[str, Any]:
    from pipeline.sample.code import write_code
    from pipeline.sample.installed import versions
    from pipeline.sample.papers import write_science
    from pipeline.sample.web import write_web

    parts = {
        "web": _part(folder / "web", write_web, sizes["web_pages"]),
        "code": _part(folder / "code", write_code, sizes["code_bytes"]),
        "science": _part(folder / "science", write_science, sizes["articles"]),
    }
    signed = {
        "sizes": dict(sizes),
        "parts": {name: asdict(part) for name, part in parts.items()},
        "versions": versions(),
    }
    (folder / SIGNATURE).write_text(json.dumps(signed, indent=2) + "\n", "utf-8")
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)
    return signed


def _part(folder: Path, write: Callable[[Path, int], tuple[int, int]], size: int) -> Part:
    folder.mkdir()
    records, raw = write(folder, size)
    if not records:
        raise SampleError(
            f"this Python installation holds nothing to make {folder.name} of; are its packages installed?"
        )
    written = list(folder.iterdir())
    return Part(files=len(written), records=records, bytes=sum(path.stat().st_size for path in written), raw_bytes=raw)
