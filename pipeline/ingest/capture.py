"""A capture file -> its records, whole or counted as broken: no damage hides the good records behind it.

Written here and not taken from FastWARC, since FastWARC 2.0 gives up a gzip file at its first broken member, ends
without a word where a file is cut off, tells no place within a member that holds many records, and reads no ARC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.documents import Dropped
from pipeline.ingest.arc import ARC
from pipeline.ingest.framing import Framing
from pipeline.ingest.packed import Bytes, CutOffError, contents
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile
from pipeline.ingest.tape import Tape
from pipeline.ingest.warc import WARC

LARGEST = 30 << 20
"""Bytes of a record's block at most, and of a page once decoded; a longer one is no page to learn from, and would be
several times as much memory while it is read. Common Crawl cuts pages at 1 MB, since 2025 at 5 MB."""

REREAD = 4 << 30
"""Bytes of a file that are read again behind records that are not as long as they say: bounds what a file of such
records costs."""

SEARCHED = 1 << 16
"""Bytes read at a time to look for a record in."""

LENGTH = re.compile(r"[0-9]{1,15}")
MOST_BLANK = 16
BLANK = re.compile(rb"[\r\n]{0,%d}" % MOST_BLANK)


@dataclass(frozen=True, slots=True)
class Record:
    at: str
    """As `Tape.place` tells it."""
    headers: Mapping[str, str]
    """Names in lower case, as WARC has them."""
    block: bytes
    size: int
    """Bytes of header and block."""


def records(path: Path) -> Iterator[Record | Found]:
    """The records of a WARC or ARC file in order, plain or packed; a broken or oversize one comes as what is dropped.

    Raises DamagedFile behind them if the last thing in the file is broken, UnreadableFile if it has no whole record.
    """
    with contents(path) as data:
        yield from _Captures(path, data).records()


def record_at(path: Path, at: str) -> bytes:
    """Header and block of the record at `at`, as they stand in the (decompressed) file. Raises ValueError."""
    with contents(path) as data:
        tape = Tape.standing(data, at)
        headers, head = _framing(path, data).header(tape)
        size = head + int(headers.get("content-length", ""))
        if size > LARGEST or tape.need(size) < size:
            raise ValueError(f"no record at {at}")
        return tape.window[tape.at : tape.at + size]


def _framing(path: Path, data: Bytes) -> Framing:
    """By the first record, or if that is broken by the file's name."""
    tape = Tape(data)
    tape.need(ARC.ahead)
    head = tape.window.lstrip(b"\r\n")
    told = ARC if ".arc" in path.name.lower() else WARC
    return next((framing for framing in (WARC, ARC) if framing.begins.match(head)), told)


class _Captures:
    """The records of an open file."""

    def __init__(self, path: Path, data: Bytes) -> None:
        self.path = path
        self.data = data
        self.framing = _framing(path, data)
        self._reread = 0

    def records(self) -> Iterator[Record | Found]:
        any_whole, lost = False, None
        start: int | None = 0
        while start is not None:
            self.tape = Tape(self.data, start)
            lost = None
            while self._to_record():
                record = self._read(self.tape.place())
                if isinstance(record, Found) and record.reason != "too_large" and not self.tape.need(1):
                    lost = record
                    break
                any_whole = any_whole or isinstance(record, Record)
                yield record
            if self.tape.fault and not lost:  # every record is whole, but the end or the checksum of the member is not
                lost = Found(0, self._dropped(self.tape.place(), self.tape.fault))
            start = self.tape.resume(self.framing.begins)
            if lost and start is not None:
                yield lost
        if lost and isinstance(lost.what, Dropped):
            why = str(lost.what.value)
            if not any_whole:
                raise UnreadableFile(
                    f"{self.path}: has no whole WARC or ARC record ({why}); fetch it anew or remove it"
                )
            raise DamagedFile.told(self.path, f"byte {lost.what.at}", why)

    def _to_record(self) -> bool:
        """Pass over the empty lines before a record; False at the end of the tape."""
        tape = self.tape
        while tape.need(1):
            window, at = tape.window, tape.at
            while at < len(window) and window[at] in b"\r\n":
                at += 1
            tape.at = at
            if at < len(window):
                return True
        return False

    def _read(self, at: str) -> Record | Found:
        """The record that begins here, and move behind it; behind a broken one, to the next that can be found."""
        tape = self.tape
        headers, head = self.framing.header(tape)
        length = headers.get("content-length", "")
        if not LENGTH.fullmatch(length):
            return self._broken(at, max(head, 1), "no Content-Length" if head else f"no {self.framing.name} header")
        size = head + int(length)
        if tape.position + size > tape.most:
            return self._broken(at, head, "longer than the file")
        if size > LARGEST:
            return self._passed(at, head, size)
        have = tape.need(size)
        if have < size:
            return self._broken(at, head, f"{have} of {size} bytes")
        if not self._is_whole(head, size):
            return self._broken(at, head, "Content-Length is wrong")
        block = tape.window[tape.at + head : tape.at + size]
        tape.at += size
        return Record(at, headers, block, size)

    def _passed(self, at: str, head: int, size: int) -> Found:
        """A record that is too large to be kept, or one whose length is wrong."""
        passed = self.tape.skip(size)
        self._reread += self.tape.position
        if passed == size and self._is_between()[0]:
            return Found(size, Dropped(at=at, reason="too_large", value=size, threshold=LARGEST))
        if self._reread > REREAD:
            return self._broken(at, 0, f"{passed} of {size} bytes")
        self.tape = Tape.standing(self.data, at)
        return self._broken(at, head, f"{passed} of {size} bytes")

    def _is_between(self, size: int = 0) -> tuple[bool, int]:
        """Whether the next record begins or the file ends `size` bytes from here and behind so many of empty lines."""
        tape = self.tape
        tape.need(size + MOST_BLANK + self.framing.ahead)
        blank = BLANK.match(tape.window, tape.at + size)
        assert blank
        ends = blank.end() == len(tape.window) or bool(self.framing.begins.match(tape.window, blank.end()))
        return ends, blank.end() - blank.start()

    def _is_whole(self, head: int, size: int) -> bool:
        """Whether a record is as long as it says, so that it swallows no good one.

        The next one begins behind it as the format has it; or about there, or an empty line is there (the next one's
        own beginning may be broken), and no other record begins within the block.
        """
        tape = self.tape
        ends, blank = self._is_between(size)
        if ends and blank == self.framing.blank:
            return True
        end = tape.at + size
        other = self.framing.next.search(tape.window, tape.at + head, end + self.framing.ahead)
        return (ends or blank > 0) and not (other and other.start() < end)

    def _broken(self, at: str, behind: int, value: str) -> Found:
        """Look for the next record from `behind` bytes on, since a wrong length may have swallowed good ones."""
        tape = self.tape
        begin = tape.position
        tape.at += behind
        while (found := self._next()) is None:
            tape.at = max(tape.at, len(tape.window) - self.framing.ahead)  # one may stand across the windows' edge
            before = len(tape.window) - tape.at
            if tape.need(before + SEARCHED) == before:
                break
        tape.at = len(tape.window) if found is None else found
        fault = tape.fault if found is None else None
        return Found(tape.position - begin, self._dropped(at, fault, value))

    def _next(self) -> int | None:
        """Where in the window the next record begins: on a line of its own, or with a member of a packed file."""
        tape, framing = self.tape, self.framing
        found = framing.next.search(tape.window, tape.at)
        places = [found.start()] if found else []
        places += [place for place in tape.members() if framing.begins.match(tape.window, place)]
        return min(places, default=None)

    @staticmethod
    def _dropped(at: str, fault: CutOffError | None, value: str = "") -> Dropped:
        return Dropped(at=at, reason=fault.reason if fault else "bad_record", value=str(fault) if fault else value)
