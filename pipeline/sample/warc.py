"""HTTP exchanges -> WARC/1.0 bytes as crawlers write them: each record a gzip member of its own.

Dates are fixed and record ids derived from what is recorded, so that the same exchanges give the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import uuid
from dataclasses import dataclass

DATE = "2025-01-01T00:00:00Z"
HTTP_DATE = "Wed, 01 Jan 2025 00:00:00 GMT"
CHUNK = 4096
REVISIT = "http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request by GET and what a server answered."""

    url: str
    body: bytes
    content_type: str
    status: str = "200 OK"
    gzipped: bool = False
    """Sent with Content-Encoding: gzip."""
    chunked: bool = False
    """Sent with Transfer-Encoding: chunked."""
    revisit: bool = False
    """Recorded as unchanged since an earlier capture: a head without a body."""


def information(name: str) -> bytes:
    """The first record of a file."""
    block = b"software: bertmill sample\r\nformat: WARC File Format 1.0\r\nrobots: classic\r\n"
    head = {"WARC-Filename": name, "Content-Type": "application/warc-fields"}
    return _record("warcinfo", name, block, head)


def captured(exchange: Exchange) -> bytes:
    """The request record and the response (or revisit) record of an exchange."""
    host, _, path = exchange.url.split("://", 1)[1].partition("/")
    asked = (
        f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: samplebot/1.0\r\n"
        f"Accept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    )
    target = {"WARC-Target-URI": exchange.url}
    request = _record(
        "request",
        exchange.url,
        asked.encode(),
        target | {"Content-Type": "application/http; msgtype=request"},
    )
    head, payload = _answer(exchange)
    answer = target | {
        "Content-Type": "application/http; msgtype=response",
        "WARC-Payload-Digest": _digest(payload),
    }
    if exchange.revisit:
        first = _identity("response", exchange.url, head + payload)
        answer |= {"WARC-Profile": REVISIT, "WARC-Refers-To": f"<urn:uuid:{first}>"}
        return request + _record("revisit", exchange.url, head, answer)
    return request + _record("response", exchange.url, head + payload, answer)


def _answer(exchange: Exchange) -> tuple[bytes, bytes]:
    """Status line and headers; the payload as it went over the wire."""
    fields = {"Date": HTTP_DATE, "Server": "nginx", "Content-Type": exchange.content_type}
    payload = exchange.body
    if exchange.gzipped:
        payload = gzip.compress(payload, 6, mtime=0)
        fields |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    if exchange.chunked:
        pieces = [payload[at : at + CHUNK] for at in range(0, len(payload), CHUNK)]
        payload = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        fields |= {"Transfer-Encoding": "chunked"}
    else:
        fields |= {"Content-Length": str(len(payload))}
    lines = [f"HTTP/1.1 {exchange.status}", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), payload


def _record(kind: str, name: str, block: bytes, head: dict[str, str]) -> bytes:
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{_identity(kind, name, block)}>",
        "WARC-Date": DATE,
        **head,
        "WARC-Block-Digest": _digest(block),
        "Content-Length": str(len(block)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return gzip.compress(b"WARC/1.0\r\n" + lines.encode() + b"\r\n" + block + b"\r\n\r\n", 6, mtime=0)


def _identity(kind: str, name: str, block: bytes) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {name} {hashlib.sha256(block).hexdigest()}")


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()
