"""Captures made by hand: WARC and ARC records, HTTP responses and pages for the tests of web ingest."""

from __future__ import annotations

import gzip

PAGE = b"<!doctype html><html><head><title>A  page</title></head><body><main><h1>Head</h1>" + (
    b"<p>Some words of a paragraph that is long enough to be the main text of this page.</p>" * 3
)


def response(body: bytes = PAGE, *headers: str, status: str = "200 OK") -> bytes:
    """The block of a response record; `Content-Type: text/html` unless a header tells another."""
    given = (
        headers if any(h.lower().startswith("content-type") for h in headers) else ("Content-Type: text/html", *headers)
    )
    return "\r\n".join([f"HTTP/1.1 {status}", *given, "", ""]).encode() + body


def record(block: bytes, kind: str = "response", length: int | None = None, **fields: str) -> bytes:
    """A WARC record; fields such as target_uri become WARC-Target-URI."""
    told = {"type": kind, "date": "2026-01-02T03:04:05Z", "target_uri": "http://a.example/", **fields}
    names = [f"WARC-{name.replace('_', '-')}: {value}" for name, value in told.items() if name != "content_type"]
    names += [f"Content-Type: {told['content_type']}"] if "content_type" in told else []
    size = len(block) if length is None else length
    return "\r\n".join(["WARC/1.0", *names, f"Content-Length: {size}", "", ""]).encode() + block + b"\r\n\r\n"


def gzipped(*records: bytes) -> bytes:
    """Each record a gzip member of its own, as the standard recommends."""
    return b"".join(gzip.compress(one, mtime=0) for one in records)


def arc(block: bytes, url: str = "http://a.example/", mime: str = "text/html") -> bytes:
    """An ARC record, version 1."""
    return f"{url} 192.0.2.1 20080430204825 {mime} {len(block)}\n".encode() + block + b"\n"


def arc_file() -> bytes:
    """The record that an ARC file begins with."""
    names = b"1 0 Somebody\nURL IP-address Archive-date Content-type Archive-length\n"
    return arc(names, "filedesc://a.arc", "text/plain")
