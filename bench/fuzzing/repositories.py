"""Files of source code: alone, and in archives of repositories."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow.parquet as pq

from bench.fuzzing.formats import Format, before, few, found, packed, prose, unpacked_before
from bench.fuzzing.papers import tar


def formats(raw: Path) -> Iterator[Format]:
    rows = [row for path in found(raw, ".parquet") for row in pq.read_table(path).slice(0, 200).to_pylist()]
    files = few(row["content"].encode() for row in rows if isinstance(row.get("content"), str))
    if not files:
        return
    repository = Format("repository tar", "code", ".tar", files, lambda name: prose(name).encode(), tar("py", bytes))
    yield repository
    yield replace(repository, name="repository tar file", intact=before)
    for ending in ("gz", "zst"):
        name, hold = f"repository tar.{ending}", packed(repository.hold, ending)
        yield replace(repository, name=name, ending=f".tar.{ending}", hold=hold)
        intact = unpacked_before(ending)
        yield replace(repository, name=f"{name} file", ending=f".tar.{ending}", hold=hold, intact=intact)
    zipped = replace(repository, name="repository zip", ending=".zip", hold=_zip)
    yield zipped
    yield replace(zipped, name="repository zip file", intact=_members)
    alone = replace(repository, hold=b"".join, single=True)
    yield replace(alone, name="code file", ending=".py")
    books = [orjson.dumps({"cells": [{"cell_type": "code", "source": file.decode()}]}) for file in files]
    yield replace(alone, name="notebook file", ending=".ipynb", seeds=books)


def _zip(parts: Sequence[bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, part in enumerate(parts):
            archive.writestr(f"src/{number:05}.py", part)
    return file.getvalue()


def _members(whole: bytes, damaged: bytes) -> bytes:
    """The files that no changed byte stands in, if nothing has moved and the directory at the end is whole."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        infos, directory = archive.infolist(), archive.start_dir
        if len(whole) != len(damaged) or whole[directory:] != damaged[directory:]:
            return b""
        ends = [*(info.header_offset for info in infos[1:]), directory]
        spans = zip(infos, ends, strict=True)
        spared = [one for one, end in spans if whole[one.header_offset : end] == damaged[one.header_offset : end]]
        return b"\n".join(archive.read(one) for one in spared)
