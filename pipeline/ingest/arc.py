"""How a record of an ARC file begins (Internet Archive, versions 1 and 2): one line of fields between spaces.

    http://a.example/ 192.0.2.1 20080430204825 text/html 1591                          URL, address, time, type, bytes
    http://a.example/ 192.0.2.1 20080430204825 text/html 200 - - 1234 a.arc.gz 1591    version 2

The first record, `filedesc:`, tells of the file itself.
"""

from __future__ import annotations

import re

from pipeline.ingest.framing import Framing
from pipeline.ingest.tape import Tape

LONGEST_LINE = 1 << 14

FIELDS = rb" [0-9A-Za-z:.-]{1,45} \d{12,18} [^\r\n]{0,4000}\d\r?\n"
LINE = rb"[A-Za-z][A-Za-z0-9+.-]{1,30}:[^ \r\n]{0,8000}" + FIELDS
"""A line with no space in its URL: sure enough to find a record by after damage."""

INSIDE = rb"https?://[^ \r\n]{1,600}" + FIELDS
"""The same in mid-line, its URL shorter since every place where one may begin is tried."""

ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F:]{2,45}|-|unknown")
TIME = re.compile(r"[0-9]{12,18}")


def header(tape: Tape) -> tuple[dict[str, str], int]:
    """(fields by the names that WARC has for them, bytes of the line); ({}, 0) if no record begins here."""
    tape.need(LONGEST_LINE)
    end = tape.window.find(b"\n", tape.at, tape.at + LONGEST_LINE)
    words = tape.window[tape.at : end].decode("utf-8", "replace").rstrip("\r").split(" ") if end >= 0 else []
    for at in range(2, len(words) - 1):  # a URL may hold spaces, so the fields are told by the address and the time
        if TIME.fullmatch(words[at]) and ADDRESS.fullmatch(words[at - 1]):
            return _fields(words, at), end + 1 - tape.at
    return {}, 0


def _fields(words: list[str], at: int) -> dict[str, str]:
    url, time, rest = " ".join(words[: at - 1]), words[at], words[at + 1 :]
    y, m, d, hour, minute, second = time[:4], time[4:6], time[6:8], time[8:10], time[10:12], time[12:14] or "00"
    return {
        "warc-type": "filedesc" if url.startswith("filedesc:") else "response",
        "warc-target-uri": url,
        "warc-date": f"{y}-{m}-{d}T{hour}:{minute}:{second}Z",
        "content-type": rest[0],
        "content-length": rest[-1],
    }


ARC = Framing(
    "ARC", re.compile(LINE), b"\nhttp", re.compile(rb"(?<=\n)" + LINE + b"|" + INSIDE), LONGEST_LINE, 1, header
)
