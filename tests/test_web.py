"""Captures -> pages: which records are pages, and what is read of them."""

from __future__ import annotations

import gzip
import resource
import time
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator

from pipeline.documents import Document, Dropped
from pipeline.ingest.web import read_captures
from tests.captures import PAGE, gzipped, record, response


def read(tmp_path: Path, *records: bytes) -> list[Document | Dropped]:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzipped(*records))
    assert len(list(ArchiveIterator(str(path), parse_http=False))) == len(records)
    found = list(read_captures(path))
    assert sum(size for size, _ in found) == sum(len(one) - 4 for one in records)
    return [what for _, what in found]


def dropped(tmp_path: Path, one: bytes) -> tuple[str, object]:
    (what,) = read(tmp_path, one)
    assert isinstance(what, Dropped)
    return what.reason, what.value


def test_a_page_becomes_its_main_text_with_address_title_and_date(tmp_path: Path) -> None:
    (page,) = read(tmp_path, record(response(), target_uri="<http://a.example/b c>"))
    assert isinstance(page, Document)
    assert page.text.startswith("Head\n\nSome words")
    assert (page.url, page.title, page.date) == ("http://a.example/b c", "A page", "2026-01-02T03:04:05Z")
    assert page.metadata == {"content_type": "text/html", "charset": "utf-8"}


@pytest.mark.parametrize("mime", ["text/html; charset=utf-8", "TEXT/HTML", "application/xhtml+xml", ""])
def test_html_is_a_page_by_its_type_or_its_beginning(tmp_path: Path, mime: str) -> None:
    (page,) = read(tmp_path, record(response(PAGE, f"Content-Type: {mime}")))
    assert isinstance(page, Document)


def test_a_resource_record_of_html_is_a_page_and_a_conversion_of_text_is_taken_as_it_is(tmp_path: Path) -> None:
    page, text = read(
        tmp_path,
        record(PAGE, "resource", content_type="text/html"),
        record("Überall\n\nText <b>".encode(), "conversion", content_type="text/plain"),
    )
    assert isinstance(page, Document)
    assert isinstance(text, Document)
    assert (page.title, text.text) == ("A page", "Überall\n\nText <b>")


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (record(b"x", "request"), ("not_a_page", "request")),
        (record(b"x", "warcinfo"), ("not_a_page", "warcinfo")),
        (record(response(b""), "revisit"), ("not_a_page", "revisit")),
        (record(b"x", "resource", content_type="image/png"), ("not_a_page", "resource image/png")),
        (record(b"dns", target_uri="dns:a.example"), ("not_a_page", "dns")),
        (record(response(PAGE, "Content-Type: text/plain")), ("not_a_page", "text/plain")),
        (record(response(b"?", "Content-Type: ")), ("not_a_page", "no type")),
        (record(response(b"%PDF-1.7")), ("not_a_page", "application/pdf called text/html")),
        (record(response(status="404 Not Found")), ("http_status", "404")),
        (record(response(b"")), ("empty_text", "")),
        (record(response(b"<title>only this</title>")), ("empty_text", "only this")),
        (record(b"HTTP/9"), ("bad_http", "no HTTP status line")),
        (record(b"<html>", target_uri="http://a.example"), ("bad_http", "no HTTP status line")),
    ],
)
def test_what_is_no_page_is_dropped_for_its_reason(tmp_path: Path, one: bytes, told: tuple[str, str]) -> None:
    assert dropped(tmp_path, one) == told


def test_a_page_that_the_crawler_cut_says_so(tmp_path: Path) -> None:
    (page,) = read(tmp_path, record(response(), truncated="length"))
    assert isinstance(page, Document)
    assert page.metadata["truncated"] == "length"


def test_a_page_over_the_limit_is_too_large(tmp_path: Path) -> None:
    assert dropped(tmp_path, record(response(b"<p>word</p>" * 3_000_000)))[0] == "too_large"


HOSTILE = {
    "nested": b"<div>" * 100_000 + b"x",
    "nested in pairs": b"<section><article>" * 60_000 + b"x",
    "attributes": b"<a " + b" ".join(b"x%d=1" % n for n in range(100_000)) + b">x</a>",
    "nulls": b"<p>a\0b</p>" * 200_000,
    "one line": b"<p>" + b"word " * 5_000_000,
    "signs": b"&" * 3_000_000,
    "open comment": b"<!--" * 1_000_000,
    "deep and wide": b"<div>" * 2000 + b"<p>hi</p>" * 100_000,
    "no tags": bytes(range(1, 256)) * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_costs_bounded_time_and_memory_and_its_neighbour_is_read(tmp_path: Path, name: str) -> None:
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hostile, page = read(tmp_path, record(response(HOSTILE[name])), record(response()))
    assert isinstance(page, Document)
    assert isinstance(hostile, Document) or hostile.reason in ("hostile_markup", "empty_text")
    assert time.process_time() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # kB: 1 GB


HOSTILE_HTTP = {
    "a header line without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000_000,
    "a head of spaces": b"HTTP/1.1 200 OK\r\n" + b" " * 20_000_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"Set-Cookie: a=b\r\n" * 1_000_000 + b"\r\n" + PAGE,
    "many codings": response(PAGE, "Content-Encoding: " + "gzip, " * 8000),
    "many chunks": response(b"1\r\na\r\n" * 4_000_000, "Transfer-Encoding: chunked"),
    "a bomb": response(gzip.compress(bytes(200_000_000)), "Content-Encoding: gzip"),
    "a bomb in a bomb": response(gzip.compress(gzip.compress(bytes(200_000_000))), "Content-Encoding: gzip, gzip"),
    "bytes of no charset": response(b"<p>" + b"\x81\x8d" * 10_000_000, "Content-Type: text/html; charset=gb18030"),
    "surrogates": response(b"<p>a\xed\xa0\x80b &#xD800; \xef\xbf\xbe</p>" * 1000 + PAGE),
}


@pytest.mark.parametrize("name", HOSTILE_HTTP)
def test_a_hostile_response_costs_bounded_time_and_memory_and_its_neighbour_is_read(tmp_path: Path, name: str) -> None:
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hostile, page = read(tmp_path, record(HOSTILE_HTTP[name]), record(response()))
    assert isinstance(page, Document)
    assert isinstance(hostile, Document) or hostile.reason in ("bad_http", "too_large", "empty_text", "hostile_markup")
    assert time.process_time() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # kB: 1 GB
