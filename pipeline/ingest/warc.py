"""A WARC file -> its records, whole or counted as broken: no damage hides the good records behind it.

Written here and not taken from FastWARC, since FastWARC 2.0 gives up a gzip file at its first broken member, ends
without a word where a file is cut off, and tells no place within a member that holds many records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.documents import Dropped
from pipeline.ingest.reading import Found
from pipeline.ingest.tape import Tape, contents

LARGEST = 30 << 20
"""Bytes of a record's block at most, and of a page once decoded; a longer one is no page to learn from, and would be
several times as much memory while it is read. Common Crawl cuts pages at 1 MB, since 2025 at 5 MB."""

LONGEST_HEADER = 1 << 16
"""Bytes of a record's header at most; a URL has 2 to 8 kB at most in practice."""

VERSION = re.compile(rb"WARC/[01]\.\d{1,2}[ \t]*\r?\n")
NEXT = re.compile(rb"\nWARC/[01]\.\d{1,2}[ \t]*\r?\n")
FOLDED = re.compile(r"\n[ \t]+")


@dataclass(frozen=True, slots=True)
class Record:
    at: str
    """As `Tape.place` tells it."""
    headers: Mapping[str, str]
    """Names in lower case."""
    block: bytes
    size: int
    """Bytes of header and block."""


def records(path: Path) -> Iterator[Record | Found]:
    """The records of a WARC file in order; a broken or oversize one comes as what is dropped."""
    with contents(path) as data:
        start: int | None = 0
        while start is not None:
            tape = Tape(data, start)
            told = False
            while _to_record(tape):
                record = _read(tape, tape.place())
                told = told or (isinstance(record, Found) and record.reason == "bad_gzip")
                yield record
            if tape.fault and not told:  # every record is whole, but the end or the checksum of the member is not
                yield Found(0, Dropped(at=tape.place(), reason="bad_gzip", value=tape.fault))
            start = tape.resume()


def record_at(path: Path, at: str) -> bytes:
    """Header and block of the record at `at`, as they stand in the (decompressed) file. Raises ValueError."""
    byte, _, inside = at.partition("+")
    with contents(path) as data:
        tape = Tape(data, int(byte))
        tape.skip(int(inside or 0))
        headers, head = _header(tape)
        size = head + int(headers.get("content-length", ""))
        if tape.need(size) < size:
            raise ValueError(f"no record at {at}")
        return tape.window[tape.at : tape.at + size]


def _to_record(tape: Tape) -> bool:
    """Pass over the empty lines before a record; False at the end of the tape."""
    while tape.need(1):
        window, at = tape.window, tape.at
        while at < len(window) and window[at] in b"\r\n":
            at += 1
        tape.at = at
        if at < len(window):
            return True
    return False


def _read(tape: Tape, at: str) -> Record | Found:
    """The record that begins here, and move behind it; behind a broken one, to the next that can be found."""
    headers, head = _header(tape)
    length = headers.get("content-length", "")
    if not length.isdigit():
        return _broken(tape, at, max(head, 1), "no Content-Length" if head else "no WARC header")
    size = head + int(length)
    if tape.position + size > tape.most:
        return _broken(tape, at, head, "longer than the file")
    if size > LARGEST:
        passed = tape.skip(size)
        if passed == size:
            return Found(size, Dropped(at=at, reason="too_large", value=size, threshold=LARGEST))
        return Found(passed, Dropped(at=at, reason=_why(tape), value=f"{passed} of {size} bytes"))
    have = tape.need(size + 4)
    if have < size:
        return _broken(tape, at, head, f"{have} of {size} bytes")
    behind = tape.window[tape.at + size : tape.at + size + 4]
    if behind and behind[:1] not in b"\r\n" and behind != b"WARC":
        return _broken(tape, at, head, "Content-Length is wrong")
    block = tape.window[tape.at + head : tape.at + size]
    tape.at += size
    return Record(at, headers, block, size)


def _header(tape: Tape) -> tuple[dict[str, str], int]:
    """(fields, bytes of the header with its empty line); ({}, 0) where no record begins."""
    size = 1 << 11
    while tape.need(size) and VERSION.match(tape.window, tape.at):
        end = tape.at + LONGEST_HEADER
        close = tape.window.find(b"\r\n\r\n", tape.at, end)
        bare = tape.window.find(b"\n\n", tape.at, close if close >= 0 else end)  # not by the standard, but seen
        if bare >= 0 or close >= 0:
            begin, width = (bare, 2) if bare >= 0 else (close, 4)
            return _fields(tape.window[tape.at : begin]), begin + width - tape.at
        if len(tape.window) - tape.at < size or size >= LONGEST_HEADER:
            break
        size *= 4
    return {}, 0


def _fields(header: bytes) -> dict[str, str]:
    text = header.decode("utf-8", "replace")
    if "\n " in text or "\n\t" in text:
        text = FOLDED.sub(" ", text)
    pairs = (line.partition(":") for line in text.split("\n"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _why(tape: Tape) -> str:
    return "bad_gzip" if tape.fault else "bad_record"


def _broken(tape: Tape, at: str, behind: int, value: str) -> Found:
    """Look for the next record from `behind` bytes on, since a wrong length may have swallowed good ones."""
    begin = tape.position
    tape.at += behind - 1
    while not (found := NEXT.search(tape.window, tape.at)):
        tape.at = max(tape.at, len(tape.window) - 12)  # a version line may stand across the windows' edge
        before = len(tape.window) - tape.at
        if tape.need(before + 1) == before:
            tape.at = len(tape.window)
            break
    if found:
        tape.at = found.start() + 1
    return Found(tape.position - begin, Dropped(at=at, reason=_why(tape), value=tape.fault or value))
