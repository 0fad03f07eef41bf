"""How a record of a WARC file begins (ISO 28500): a version line, named fields, an empty line."""

from __future__ import annotations

import re

from pipeline.ingest.framing import Framing
from pipeline.ingest.tape import Tape

LONGEST_HEADER = 1 << 16
"""Bytes of a record's header at most; a URL has 2 to 8 kB at most in practice."""

VERSION = rb"WARC/[01]\.\d{1,2}[ \t]*\r?\n"
FOLDED = re.compile(r"\r?\n[ \t]+")
FIELD = re.compile(r"\n([^:\r\n]+):([^\r\n]*)")


def header(tape: Tape) -> tuple[dict[str, str], int]:
    """(fields by their names in lower case, bytes of the header with its empty line); ({}, 0) if none begins here."""
    size = 1 << 11
    while tape.need(size) and WARC.begins.match(tape.window, tape.at):
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


def _fields(head: bytes) -> dict[str, str]:
    """Of a name that stands twice, what it says last."""
    text = head.decode("utf-8", "replace")
    if "\n " in text or "\n\t" in text:
        text = FOLDED.sub(" ", text)
    return {name.strip().lower(): value.strip() for name, value in FIELD.findall(text)}


WARC = Framing(
    "WARC", re.compile(VERSION), b"WARC/", re.compile(VERSION + rb"(?=[A-Za-z][A-Za-z-]{1,40}:)"), 80, 4, header
)
