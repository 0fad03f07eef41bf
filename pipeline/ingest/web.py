"""Captures of the web -> documents: the main text of HTML pages (WARC), or text that others extracted (WET)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.documents import Document, Dropped
from pipeline.ingest import capture, http
from pipeline.ingest.charset import decode, to_utf8
from pipeline.ingest.page.by_trafilatura import main_text
from pipeline.ingest.page.page import HostileMarkupError, Page, read_page
from pipeline.ingest.reading import Found
from pipeline.settings import Extract

PAGES = ("text/html", "application/xhtml+xml")
HTML_STARTS = (b"<!doctype html", b"<html")
BINARY = {
    b"%PDF-": "application/pdf",
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"PK\x03\x04": "application/zip",
}
"""First bytes of files that servers are known to call HTML."""


def read_captures(path: Path, extract: Extract = "bertmill") -> Iterator[Found]:
    """Every record of a WARC or WET file: a page, or why it is none.

    Pages are `response` records of HTML with status 200, `resource` records of HTML, and `conversion` records of text.
    """
    for record in capture.records(path):
        yield record if isinstance(record, Found) else Found(record.size, _read(record, extract))


def _read(record: capture.Record, extract: Extract) -> Document | Dropped:
    kind = record.headers.get("warc-type", "").lower()
    if kind == "response":
        return _response(record, extract)
    mime = record.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "resource" and mime in PAGES:
        return _page(record, record.block, None, mime, extract)
    if kind == "conversion" and mime == "text/plain":
        text, charset = decode(record.block, "utf-8", meta=False)
        return _document(record, Page(None, None, None, text), mime, charset)
    value = f"{kind} {mime}" if kind in ("resource", "conversion") else kind
    return Dropped(at=record.at, reason="not_a_page", value=value)


def _response(record: capture.Record, extract: Extract) -> Document | Dropped:
    if not record.block.startswith(b"HTTP/"):  # dns: and ftp: captures are responses too
        scheme = _url(record).partition(":")[0]
        if scheme not in ("http", "https"):
            return Dropped(at=record.at, reason="not_a_page", value=scheme)
    try:
        response = http.parse(record.block, capture.LARGEST)
    except http.HttpError as fault:
        return Dropped(at=record.at, reason="bad_http", value=str(fault))
    except http.OversizeError:
        return Dropped(at=record.at, reason="too_large", threshold=capture.LARGEST)
    if response.status != 200:
        return Dropped(at=record.at, reason="http_status", value=str(response.status))
    mime = response.mime or _guessed(record, response.body)
    if mime not in PAGES:
        return Dropped(at=record.at, reason="not_a_page", value=mime or "no type")
    return _page(record, response.body, response.charset, mime, extract)


def _guessed(record: capture.Record, body: bytes) -> str:
    """The type of a page whose server told none."""
    told = record.headers.get("warc-identified-payload-type", "").lower()
    return told or ("text/html" if body[:256].lstrip().lower().startswith(HTML_STARTS) else "")


def _page(record: capture.Record, body: bytes, declared: str | None, mime: str, extract: Extract) -> Document | Dropped:
    for start, true in BINARY.items():
        if body.startswith(start):
            return Dropped(at=record.at, reason="not_a_page", value=f"{true} called {mime}")
    html, charset = to_utf8(body, declared)
    try:
        page = read_page(html)
    except HostileMarkupError as fault:
        head = html[:2000].decode("utf-8", "replace")
        return Dropped(at=record.at, reason="hostile_markup", value=str(fault), text=head)
    if extract == "trafilatura":
        page = page._replace(text=main_text(html.decode(), _url(record)))
    return _document(record, page, mime, charset)


def _document(record: capture.Record, page: Page, mime: str, charset: str) -> Document | Dropped:
    text = page.text.strip("\r\n")
    if not text or text.isspace():
        return Dropped(at=record.at, reason="empty_text", value=page.title or "")
    metadata = {"content_type": mime, "charset": charset}
    captured = record.headers.get("warc-date")
    if page.date and captured:
        metadata["captured"] = captured
    if cut := record.headers.get("warc-truncated"):
        metadata["truncated"] = cut
    return Document(
        at=record.at,
        text=text,
        url=_url(record) or None,
        title=page.title,
        language=page.language,
        date=page.date or captured,
        metadata=metadata,
    )


def _url(record: capture.Record) -> str:
    """The page's address; some writers put it in angle brackets."""
    return record.headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">")
