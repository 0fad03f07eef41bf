"""HTTP responses as captures hold them: what is declared is believed only if the bytes agree."""

from __future__ import annotations

import gzip
import io
import zlib

import brotli
import pytest
import zstandard

from pipeline.ingest.http import HttpError, OversizeError, dechunk, parse
from tests.captures import PAGE, response

LIMIT = 1 << 20


def chunked(body: bytes, size: int = 50) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKED = {
    "gzip": gzip.compress(PAGE),
    "x-gzip": gzip.compress(PAGE),
    "deflate": zlib.compress(PAGE),
    "Deflate": raw_deflate(PAGE),
    "br": brotli.compress(PAGE),
    "zstd": zstandard.compress(PAGE),
    "identity": PAGE,
}


@pytest.mark.parametrize("coding", PACKED)
def test_a_body_comes_back_from_every_coding_chunked_or_not(coding: str) -> None:
    declared = f"Content-Encoding: {coding}"
    assert parse(response(PACKED[coding], declared), LIMIT).body == PAGE
    assert parse(response(chunked(PACKED[coding]), declared, "Transfer-Encoding: chunked"), LIMIT).body == PAGE


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_a_coding_that_is_declared_and_not_there_is_not_undone(coding: str) -> None:
    assert parse(response(PAGE, f"Content-Encoding: {coding}", "Transfer-Encoding: chunked"), LIMIT).body == PAGE


def test_gzip_that_is_not_declared_is_undone() -> None:
    assert parse(response(gzip.compress(PAGE)), LIMIT).body == PAGE


def test_codings_are_undone_in_reverse() -> None:
    body = gzip.compress(brotli.compress(PAGE))
    assert parse(response(body, "Content-Encoding: br, gzip"), LIMIT).body == PAGE


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_of_a_body_that_is_cut_off_the_beginning_is_kept(coding: str) -> None:
    long = b"".join(b"<p>%d and %d</p>" % (n, n * n) for n in range(9000))
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}[coding]
    packed = pack(long)
    body = parse(response(packed[: len(packed) * 2 // 3], f"Content-Encoding: {coding}"), LIMIT).body
    assert long.startswith(body)
    assert len(body) > len(long) // 5


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_compressed_body_that_is_broken_from_the_start_is_an_error(coding: str) -> None:
    junk = b"\x1f\x8b\x08" + bytes(range(128, 256)) if coding == "gzip" else bytes(range(255, 0, -1))
    with pytest.raises(HttpError, match="broken"):
        parse(response(junk, f"Content-Encoding: {coding}"), LIMIT)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_stops_at_the_limit(coding: str) -> None:
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}[coding]
    with pytest.raises(OversizeError):
        parse(response(pack(bytes(8 << 20)), f"Content-Encoding: {coding}"), LIMIT)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;name=value\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n6\r\n wor", b"hello wor"),
        (b"5\r\nhello\r\n", b"hello"),
        (b"5\r\nhello\r\nzz\r\n", b"hello"),
        (b"<p>hello", b"<p>hello"),
        (b"abc\r\nface the facts", b"face the facts"),
        (b"5\r\nhello and more that no chunk ends", b"5\r\nhello and more that no chunk ends"),
        (b"ffffffffffff\r\nx", b"ffffffffffff\r\nx"),
        (b"", b""),
    ],
)
def test_chunks_are_joined_and_what_is_none_is_left(body: bytes, told: bytes) -> None:
    assert dechunk(body) == told


def test_headers_are_read_whatever_their_case_and_order() -> None:
    block = b"HTTP/1.0 404 Not Found\nX: 1\ncontent-type:Text/HTML ; Charset='KOI8-R'\nX: 2\nno colon here\n\nbody"
    found = parse(block, LIMIT)
    assert (found.status, found.mime, found.charset, found.body) == (404, "text/html", "KOI8-R", b"body")
    assert found.headers["x"] == "1, 2"


@pytest.mark.parametrize(
    ("line", "status"), [("200", 200), ("200 ", 200), ("OK", 200), ("Not Found", 404), ("301 Moved", 301)]
)
def test_a_status_without_number_or_phrase_is_understood(line: str, status: int) -> None:
    assert parse(response(status=line), LIMIT).status == status


@pytest.mark.parametrize(
    "block", [b"", b"<html>", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 Whatever\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_a_block_without_a_status_is_an_error(block: bytes) -> None:
    with pytest.raises(HttpError, match="no HTTP status line"):
        parse(block, LIMIT)


def test_zstd_frames_without_their_length_are_read() -> None:
    packed = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(packed, closefd=False) as stream:
        stream.write(PAGE)
    assert parse(response(packed.getvalue(), "Content-Encoding: zstd"), LIMIT).body == PAGE
