"""The raw formats that are fuzzed: real records to mutate, a good one to stand between them, and what holds both."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import lz4.frame
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipeline.ingest import archives, capture
from pipeline.ingest.capture import Record
from pipeline.ingest.stage import READERS

LARGEST, MOST = 60_000, 200
"""Bytes of a record that is mutated, and how many are."""

LARGEST_FILE = 1 << 20
"""Bytes of a file that is one record (PDF)."""

PACKS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.compress,
    "lz4": lz4.frame.compress,
}


@dataclass(frozen=True)
class Format:
    name: str
    kind: str
    """The kind of source that reads it."""
    ending: str
    seeds: Sequence[bytes]
    good: Callable[[str], bytes]
    """Name -> a record whose document holds that name."""
    hold: Callable[[Sequence[bytes]], bytes]
    """Records -> the file they stand in."""
    container: bool = False
    """The file is mutated and not its records, so the neighbours in it may be lost."""
    single: bool = False
    """A file has one record."""


def formats(raw: Path) -> Iterator[Format]:
    """`raw` holds what `bertmill sample` makes, or files of the same endings anywhere below it."""
    yield from _captures(raw)
    yield from _tables(raw)
    yield from _archives(raw)
    yield from _files(raw)


def _prose(name: str) -> str:
    return f"A neighbour stands between the mutated records, {name} is its name, and it has to be kept as it is. " * 3


def _found(raw: Path, *endings: str) -> list[Path]:
    return sorted(path for path in raw.rglob("*") if path.name.endswith(endings) and path.is_file())


def _few(seeds: Iterator[bytes]) -> list[bytes]:
    return [seed for seed, _ in zip((s for s in seeds if len(s) <= LARGEST), range(MOST), strict=False)]


def _captures(raw: Path) -> Iterator[Format]:
    blocks = _few(
        record.block
        for path in _found(raw, ".warc.gz")
        for record in capture.records(path)
        if isinstance(record, Record) and record.headers.get("warc-type") == "response"
    )
    if not blocks:
        return
    pages = [block.partition(b"\r\n\r\n")[2] for block in blocks]
    warcs = [_warc(block) for block in blocks]
    warc = Format("warc", "web", ".warc", warcs, lambda name: _warc(_http(_good(name))), b"".join)
    yield warc
    yield replace(
        warc, name="arc", ending=".arc", seeds=[*map(_arc, blocks)], good=lambda name: _arc(_http(_good(name)))
    )
    yield replace(warc, name="http", seeds=blocks, good=lambda name: _http(_good(name)), hold=_each(_warc))
    yield replace(warc, name="html", seeds=pages, good=_good, hold=_each(lambda page: _warc(_http(page))))
    texts = [_wet(page[:20_000]) for page in pages]
    yield replace(warc, name="wet", ending=".wet", seeds=texts, good=lambda name: _wet((_prose(name)).encode()))
    for ending, pack in PACKS.items():
        packed = replace(warc, name=f"warc.{ending}", ending=f".warc.{ending}", hold=_each(pack))
        yield packed
        yield replace(packed, name=f"{ending} file", hold=_all(pack), container=True)
        members, good = [*map(pack, warcs)], _then(warc.good, pack)
        yield replace(packed, name=f"{ending} members", seeds=members, good=good, hold=b"".join)


def _each(wrap: Callable[[bytes], bytes]) -> Callable[[Sequence[bytes]], bytes]:
    return lambda parts: b"".join(map(wrap, parts))


def _all(pack: Callable[[bytes], bytes]) -> Callable[[Sequence[bytes]], bytes]:
    return lambda parts: pack(b"".join(parts))


def _then(good: Callable[[str], bytes], pack: Callable[[bytes], bytes]) -> Callable[[str], bytes]:
    return lambda name: pack(good(name))


def _http(page: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page


def _good(name: str) -> bytes:
    return f"<html><head><title>{name}</title></head><body><main><p>{_prose(name)}</p></main></body></html>".encode()


def _warc(block: bytes, kind: str = "response", mime: str = "application/http") -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a.example/\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n"
    return f"{head}Content-Type: {mime}\r\nContent-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def _wet(text: bytes) -> bytes:
    return _warc(text, "conversion", "text/plain")


def _arc(block: bytes) -> bytes:
    return f"http://a.example/ 192.0.2.1 20260102030405 text/html {len(block)}\n".encode() + block + b"\n"


def _tables(raw: Path) -> Iterator[Format]:
    rows = [row for path in _found(raw, ".parquet") for row in pq.read_table(path).slice(0, MOST).to_pylist()]
    lines = _few(orjson.dumps(row, default=str) for row in rows if isinstance(row.get("content"), str))
    books = _few(orjson.dumps(_notebook(row["content"])) for row in rows if isinstance(row.get("content"), str))
    texts = _few(row["content"].encode() for row in rows if isinstance(row.get("content"), str))
    if not lines:
        return
    code = Format("code jsonl", "code", ".jsonl", lines, _code, _lines)
    yield code
    for ending in ("gz", "zst"):
        packed = replace(
            code, name=f"code jsonl.{ending}", ending=f".jsonl.{ending}", hold=_packed_lines(PACKS[ending])
        )
        yield packed
        yield replace(packed, name=f"jsonl.{ending} file", container=True)
    yield replace(code, name="text jsonl", kind="text", good=lambda name: orjson.dumps({"text": _prose(name)}))
    yield replace(
        code, name="pes2o", kind="science", ending=".json", good=lambda name: orjson.dumps({"text": _prose(name)})
    )
    stack = Format("stack rows", "code", ".parquet", texts, lambda name: (_prose(name)).encode(), _stack)
    yield stack
    yield replace(stack, name="notebooks", seeds=books, good=lambda n: orjson.dumps(_notebook(n)), hold=_notebooks)
    yield replace(stack, name="parquet file", container=True)


def _code(name: str) -> bytes:
    return orjson.dumps({"content": _prose(name), "path": "a.py", "language": "Python"})


def _lines(parts: Sequence[bytes]) -> bytes:
    return b"".join(part + b"\n" for part in parts)


def _packed_lines(pack: Callable[[bytes], bytes]) -> Callable[[Sequence[bytes]], bytes]:
    return lambda parts: pack(_lines(parts))


def _stack(parts: Sequence[bytes], path: str = "a.py") -> bytes:
    """The parts may be no UTF-8, as nobody checks what is written into a column."""
    column = pa.array(parts, pa.large_binary()).view(pa.large_string())
    table = pa.table({"content": column, "path": [path] * len(parts), "language": ["Python"] * len(parts)})
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=8)
    return file.getvalue()


def _notebooks(parts: Sequence[bytes]) -> bytes:
    return _stack(parts, "a.ipynb")


def _notebook(text: str) -> dict[str, object]:
    cells = [
        {"cell_type": "markdown", "source": text.splitlines(keepends=True)[:40]},
        {"cell_type": "code", "source": text, "outputs": [{"output_type": "stream", "text": ["1"]}]},
    ]
    return {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}


def _archives(raw: Path) -> Iterator[Format]:
    members = [
        one
        for path in _found(raw, ".tar.gz", ".tar")
        for one, _ in zip(archives.members(path), range(MOST), strict=False)
    ]
    articles = _few(one.content for one in members if one.content and one.name.endswith((".xml", ".nxml")))
    sources = _few(gzip.decompress(one.content) for one in members if one.content and one.name.endswith(".gz"))
    if articles:
        jats = Format("jats tar", "science", ".tar.gz", articles, _article, _tar("xml", bytes, gzip.compress))
        yield jats
        yield replace(jats, name="jats tar file", ending=".tar", hold=_tar("xml", bytes, bytes), container=True)
        yield replace(jats, name="jats xml file", ending=".xml", hold=b"".join, single=True)
    if sources:
        latex = Format("latex tar", "science", ".tar", sources, _paper, _tar("gz", gzip.compress, bytes))
        yield latex
        packed = [*map(gzip.compress, sources)]
        yield replace(
            latex, name="latex gz", seeds=packed, good=_then(_paper, gzip.compress), hold=_tar("gz", bytes, bytes)
        )


def _tar(
    ending: str, wrap: Callable[[bytes], bytes], pack: Callable[[bytes], bytes]
) -> Callable[[Sequence[bytes]], bytes]:
    def hold(parts: Sequence[bytes]) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            for number, part in enumerate(map(wrap, parts)):
                header = tarfile.TarInfo(f"2601/2601.{number:05}.{ending}")
                header.size = len(part)
                archive.addfile(header, io.BytesIO(part))
        return pack(file.getvalue())

    return hold


def _article(name: str) -> bytes:
    return (
        '<article xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta><title-group><article-title>Of '
        f"{name}</article-title></title-group></article-meta></front><body><sec><title>One</title><p>{_prose(name)}</p>"
        "</sec></body></article>"
    ).encode()


def _paper(name: str) -> bytes:
    body = f"\\begin{{document}}\n\\section{{One}}\n{_prose(name)}\n\\end{{document}}\n"
    return b"\\documentclass{article}\n" + body.encode()


def _same(record: bytes) -> Callable[[str], bytes]:
    return lambda name: record


def _files(raw: Path) -> Iterator[Format]:
    """What else is read, by the endings of its files: each a file of its own, and its own good neighbour."""
    done = {".xml", ".parquet", ".json", ".jsonl"}
    for kind, readers in READERS.items():
        for ending in sorted({ending for endings in readers for ending in endings} - done):
            found = [path for path in _found(raw, ending) if path.stat().st_size <= LARGEST_FILE]
            seeds = [path.read_bytes() for path in found[:MOST]]
            if seeds and not ending.endswith((".gz", ".zst", ".lz4", ".tar", ".tgz", ".warc", ".arc", ".wet", ".wat")):
                name = f"{kind} {ending} file"
                yield Format(name, kind, ending, seeds, _same(seeds[0]), b"".join, single=True)
