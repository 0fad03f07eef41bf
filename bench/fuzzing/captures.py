"""WARC, WET, WAT and ARC, plain and packed, and the responses and pages in them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import brotli
import zstandard

from bench.fuzzing.formats import PACKS, Format, few, found, joined, packed, prose, unpacked_before
from pipeline.ingest import capture
from pipeline.ingest.capture import Record

BLANK = b"\r\n\r\n"


def formats(raw: Path) -> Iterator[Format]:
    blocks = few(_responses(raw))
    if not blocks:
        return
    pages = [page for block in blocks if (page := block.partition(BLANK)[2])]
    warc = Format("warc", "web", ".warc", [*map(_warc, blocks)], lambda name: _warc(_http(_good(name))), b"".join)
    arc = replace(
        warc, name="arc", ending=".arc", seeds=[*map(_arc, blocks)], good=lambda name: _arc(_http(_good(name)))
    )
    texts = [_wet(page[:20_000]) for page in pages]
    wet = replace(warc, name="wet", ending=".wet", seeds=texts, good=lambda name: _wet(prose(name).encode()))
    facts = [_warc(b'{"Envelope": %d}' % len(block), "metadata", "application/json") for block in blocks]
    yield warc
    yield replace(warc, name="wat.gz", ending=".wat.gz", seeds=facts, hold=joined(gzip.compress))
    yield replace(warc, name="http", seeds=blocks, good=lambda name: _http(_good(name)), hold=joined(_warc))
    yield replace(warc, name="html", seeds=pages, good=_good, hold=joined(lambda page: _warc(_http(page))))
    for coding, code in CODINGS.items():
        coded = _coded(coding, code)
        seeds = [*map(coded, pages)]
        yield replace(warc, name=f"http {coding}", seeds=seeds, good=_then(_good, coded), hold=joined(_warc))
    for plain in (warc, arc, wet):
        if plain is not warc:
            yield plain
        for ending, pack in PACKS.items():
            name, whole = f"{plain.name}.{ending}", f"{plain.ending}.{ending}"
            yield replace(plain, name=name, ending=whole, hold=joined(pack))
            members, good = [*map(pack, plain.seeds)], _then(plain.good, pack)
            yield replace(plain, name=f"{name} members", ending=whole, seeds=members, good=good)
            one = replace(plain, ending=whole, hold=packed(b"".join, ending), intact=unpacked_before(ending))
            yield replace(one, name=f"{name} file")


def _responses(raw: Path) -> Iterator[bytes]:
    for path in found(raw, ".warc.gz"):
        for record in capture.records(path):
            if isinstance(record, Record) and record.headers.get("warc-type") == "response":
                yield record.block


def _then(good: Callable[[str], bytes], pack: Callable[[bytes], bytes]) -> Callable[[str], bytes]:
    return lambda name: pack(good(name))


def _http(page: bytes, fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + fields + b"\r\n" + page


def _chunked(page: bytes) -> bytes:
    parts = [page[at : at + 700] for at in range(0, len(page), 700)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])


def _deflated(page: bytes) -> bytes:
    return zlib.compress(page)[2:-4]


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "chunked": _chunked,
    "gzip": gzip.compress,
    "deflate": _deflated,
    "br": lambda page: brotli.compress(page, quality=4),
    "zstd": zstandard.compress,
}


def _coded(coding: str, code: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    field = b"Transfer-Encoding: chunked\r\n" if coding == "chunked" else f"Content-Encoding: {coding}\r\n".encode()
    return lambda page: _http(code(page), field)


def _good(name: str) -> bytes:
    return f"<html><head><title>{name}</title></head><body><main><p>{prose(name)}</p></main></body></html>".encode()


def _warc(block: bytes, kind: str = "response", mime: str = "application/http") -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a.example/\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n"
    return f"{head}Content-Type: {mime}\r\nContent-Length: {len(block)}\r\n\r\n".encode() + block + BLANK


def _wet(text: bytes) -> bytes:
    return _warc(text, "conversion", "text/plain")


def _arc(block: bytes) -> bytes:
    return f"http://a.example/ 192.0.2.1 20260102030405 text/html {len(block)}\n".encode() + block + b"\n"
