"""The block of a captured HTTP response -> status, headers and the body as the page's author wrote it.

What a capture declares is often untrue: crawlers decode bodies and keep the headers. So nothing is believed that the
bytes deny: a body that is not chunked or not compressed is taken as it is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import zstandard
from isal import isal_zlib

from pipeline.ingest.packed import GZIP_FAULT, is_text

try:
    import brotli
except ImportError:
    brotli = None

LONGEST_HEAD = 1 << 16
"""Bytes of status line and headers at most (browsers stop at 256 kB, servers at 8 to 64 kB)."""

BLOCK = 1 << 15
"""Compressed bytes taken at a time: of a broken stream all but the last block is kept."""

STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(?:(\d{3})\b|([A-Za-z][A-Za-z -]*))")
CODES = {status.phrase.lower().encode(): status.value for status in HTTPStatus}
"""Some archives keep the reason phrase and lose the number."""

MOST_CODINGS = 4
"""Content codings on top of one another; servers use one."""

MOST_CHUNKS = 1 << 19
"""Chunks of a body; the largest pages still have 60 bytes in each then."""

BLANK = re.compile(rb"\r?\n\r?\n")
FIELD = re.compile(r"\n([^:\r\n]+):([^\r\n]*)")
FOLDED = re.compile(r"\r?\n[ \t]+")
CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]{0,4096})?\r?\n")
LINE_END = re.compile(rb"\r?\n")


class HttpError(Exception):
    """A response that cannot be read; the message says why."""


class OversizeError(Exception):
    """A body that is longer than allowed once it is decoded."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    """Names in lower case; a repeated one joined with commas."""
    body: bytes
    """Decoded: neither chunked nor compressed."""

    @property
    def mime(self) -> str:
        """`text/html` of `Text/HTML; charset=x`; empty if the type is not told."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        found = re.search(r"charset\s*=\s*[\"']?([^\s;\"',]+)", self.headers.get("content-type", ""), re.I)
        return found[1] if found else None


def parse(block: bytes, limit: int) -> Response:
    """Read the block of a response record; a decoded body has at most `limit` bytes.

    Raises HttpError if there is no status line, headers have no end or a compressed body cannot be decoded,
    OversizeError if it is too long.
    """
    found = STATUS.match(block)
    status = found and (int(found[1]) if found[1] else CODES.get(found[2].rstrip().lower()))
    if not status:
        raise HttpError("no HTTP status line")
    blank = BLANK.search(block, 0, LONGEST_HEAD)
    if not blank and len(block) > LONGEST_HEAD:
        raise HttpError(f"the headers have no end within {LONGEST_HEAD} bytes")
    head, body = (block[: blank.start()], block[blank.end() :]) if blank else (block, b"")
    headers = _headers(head)
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = dechunk(body)
    codings = [word.strip() for word in headers.get("content-encoding", "").lower().split(",")]
    if len(codings) > MOST_CODINGS:
        raise HttpError(f"{len(codings)} content codings")
    for coding in reversed(codings):
        body = decompress(body, coding, limit)
    if len(body) > limit:
        raise OversizeError
    return Response(status, headers, body)


def _headers(head: bytes) -> dict[str, str]:
    text = head.decode("latin-1")
    if "\n " in text or "\n\t" in text:
        text = FOLDED.sub(" ", text)
    headers: dict[str, str] = {}
    for name, value in FIELD.findall(text):
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def dechunk(body: bytes) -> bytes:
    """The content of a chunked body; a body whose first chunk is none is returned as it is.

    Of a body that breaks off, or goes on as something else, what came before is kept. Raises HttpError.
    """
    parts: list[bytes] = []
    at = 0
    while size := CHUNK.match(body, at):
        begin, end = size.end(), size.end() + int(size[1], 16)
        close = LINE_END.match(body, end)
        if begin == end:  # the last chunk; trailers are of no use
            return b"".join(parts)
        if not close and end < len(body):
            break
        parts.append(body[begin:end])
        if not close:
            break
        if len(parts) > MOST_CHUNKS:
            raise HttpError(f"more than {MOST_CHUNKS} chunks")
        at = close.end()
    return b"".join(parts) if parts else body


def decompress(body: bytes, coding: str, limit: int) -> bytes:
    """Undo one content coding, up to just over `limit` bytes; of a stream that breaks off, what came before is kept.

    Compression that is not declared is undone if the first bytes show it. Raises HttpError.
    """
    if body.startswith(b"\x1f\x8b\x08"):
        return _inflated(body, 31, limit)[0]
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        return _unzstd(body, limit)
    if coding == "deflate" and body[:1] == b"x" and int.from_bytes(body[:2]) % 31 == 0:  # zlib's header
        return _inflated(body, 15, limit)[0]
    if coding not in ("deflate", "br"):
        return body
    try:  # neither raw deflate nor brotli shows itself: the end tells
        content, whole = _unbrotli(body, limit) if coding == "br" else _inflated(body, -15, limit)
    except HttpError:
        if is_text(body):
            return body
        raise
    return content if whole or not is_text(body) else body


def _inflated(body: bytes, window: int, limit: int) -> tuple[bytes, bool]:
    """(content, whether the stream came to its end or over the limit)."""
    stream, size = isal_zlib.decompressobj(window), 0
    parts: list[bytes] = []
    try:
        for begin in range(0, len(body), BLOCK):
            parts.append(stream.decompress(body[begin : begin + BLOCK], limit + 1 - size))
            size += len(parts[-1])
            if stream.eof or size > limit:
                break
    except GZIP_FAULT as fault:
        if not size:
            raise HttpError(f"the compressed body is broken ({fault})") from None
    return b"".join(parts), stream.eof or size > limit


def _unzstd(body: bytes, limit: int) -> bytes:
    parts = io.BytesIO()
    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as stream:
            while parts.tell() <= limit and (part := stream.read(1 << 16)):
                parts.write(part)
    except zstandard.ZstdError as fault:
        if not parts.tell():
            raise HttpError(f"the compressed body is broken ({fault})") from None
    return parts.getvalue()


def _unbrotli(body: bytes, limit: int) -> tuple[bytes, bool]:
    """(content, whether the stream came to its end or over the limit)."""
    if brotli is None:
        raise HttpError("the body is compressed with brotli; install bertmill[brotli]")
    stream, size = brotli.Decompressor(), 0
    parts: list[bytes] = []
    try:
        while size <= limit and not stream.is_finished():
            part = stream.process(body, output_buffer_limit=1 << 20)
            if not part and stream.can_accept_more_data():
                break  # cut off: nothing more is to come
            parts.append(part)
            size += len(part)
            body = b""
    except brotli.error as fault:
        if not parts:
            raise HttpError(f"the compressed body is broken ({fault})") from None
    return b"".join(parts), stream.is_finished() or size > limit
