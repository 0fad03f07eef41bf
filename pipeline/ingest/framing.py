"""How the records of a capture format follow one another: what WARC and ARC each tell of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.ingest.tape import Tape


@dataclass(frozen=True)
class Framing:
    name: str
    begins: re.Pattern[bytes]
    """What a record begins with."""
    mark: bytes
    """What a record begins with, found fast: one that stands whole within another, whose length swallowed it."""
    next: re.Pattern[bytes]
    """How a record is found after damage, be it in mid-line: what broke may have lost its end."""
    ahead: int
    """Bytes that these look at."""
    blank: int
    """Bytes of the line ends that the standard puts behind a record."""
    header: Callable[[Tape], tuple[dict[str, str], int]]
    """A record's fields, `content-length` among them, and the bytes of its header; ({}, 0) if none begins here."""
