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
from pipeline.ingest.packed import ENDINGS, Bytes, CutOffError, Packing, contents, packing
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

MOST_WITHIN = 16
"""Places within a block that are tried: a page may quote the beginnings of records, and each costs a copy."""

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
        packed = _packing(path, data)
        tape = Tape.standing(data, packed, at)
        headers, head = _framing(path, data, packed).header(tape)
        size = head + int(headers.get("content-length", ""))
        if size > LARGEST or tape.need(size) < size:
            raise ValueError(f"no record at {at}")
        return tape.window[tape.at : tape.at + size]


def _packing(path: Path, data: Bytes) -> Packing | None:
    """By the first bytes, or if these are damaged by the file's name and the first member that is whole."""
    named = ENDINGS.get(path.suffix.lower())
    if (shown := packing(data)) or not named or _begun(data[: ARC.ahead]):
        return shown
    whole = any(named.member_from(data, 0, framing.begins) is not None for framing in (WARC, ARC))
    return named if whole else None


def _begun(head: bytes) -> Framing | None:
    """What a file is that begins so."""
    return next((framing for framing in (WARC, ARC) if framing.begins.match(head.lstrip(b"\r\n"))), None)


def _framing(path: Path, data: Bytes, packed: Packing | None) -> Framing:
    """By the first record, or if that is broken by the file's name."""
    tape = Tape(data, packed)
    tape.need(ARC.ahead)
    return _begun(tape.window) or (ARC if ".arc" in path.name.lower() else WARC)


class _Captures:
    """The records of an open file."""

    def __init__(self, path: Path, data: Bytes) -> None:
        self.path = path
        self.data = data
        self.packing = _packing(path, data)
        self.framing = _framing(path, data, self.packing)
        self._reread = 0

    def records(self) -> Iterator[Record | Found]:
        """As the module's `records`."""
        any_told, any_whole, lost = False, False, None
        start: int | None = 0
        while start is not None:
            self.tape = Tape(self.data, self.packing, start)
            lost = None
            while self._to_record():
                record = self._read(self.tape.place())
                if isinstance(record, Found) and record.reason != "too_large" and not self.tape.need(1):
                    lost = record
                    break
                any_told, any_whole = True, any_whole or isinstance(record, Record)
                yield record
            if self.tape.fault and not lost:  # every record is whole, but the end or the checksum of the member is not
                lost = Found(0, self._dropped(self.tape.place(), self.tape.fault))
            start = self.tape.resume(self.framing.begins)
            if lost and start is not None:
                yield lost
        if not (lost or any_told) and self.tape.position:
            raise UnreadableFile(f"{self.path}: holds nothing but empty lines; fetch it anew or remove it")
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
        if self._is_spoiled(at, size):
            return self._broken(at, size, "")
        block = tape.window[tape.at + head : tape.at + size]
        tape.at += size
        return Record(at, headers, block, size)

    def _passed(self, at: str, head: int, size: int) -> Found:
        """A record that is too large to be kept, or one whose length is wrong."""
        passed = self.tape.skip(size)
        self._reread += self.tape.position
        if passed == size and self._is_between(self.tape)[0]:
            return Found(size, Dropped(at=at, reason="too_large", value=size, threshold=LARGEST))
        if self._reread > REREAD:
            return self._broken(at, 0, f"{passed} of {size} bytes")
        self.tape = Tape.standing(self.data, self.packing, at)
        return self._broken(at, head, f"{passed} of {size} bytes")

    def _is_between(self, tape: Tape, size: int = 0) -> tuple[bool, int]:
        """Whether the next record begins or the tape ends `size` bytes from here and behind so many of empty lines."""
        tape.need(size + MOST_BLANK + self.framing.ahead)
        blank = BLANK.match(tape.window, tape.at + size)
        assert blank
        ends = blank.end() == len(tape.window) or bool(self.framing.begins.match(tape.window, blank.end()))
        return ends, blank.end() - blank.start()

    def _is_whole(self, head: int, size: int) -> bool:
        """Whether a record is as long as it says, so that it swallows no good one.

        The next one begins behind it as the format has it, and no whole one stands within; or it begins about there,
        or an empty line is there (its own beginning may be broken), and no other record begins within the block.
        """
        tape = self.tape
        ends, blank = self._is_between(tape, size)
        if ends and blank == self.framing.blank:
            return not self._holds_another(head, size)
        end = tape.at + size
        other = self.framing.next.search(tape.window, tape.at + head, end + self.framing.ahead)
        return (ends or blank > 0) and not (other and other.start() < end)

    def _holds_another(self, head: int, size: int) -> bool:
        """Whether a whole record stands within the block of one that ends as it should, but by chance."""
        tape, framing = self.tape, self.framing
        at, end = tape.at + head, tape.at + size
        for _ in range(MOST_WITHIN):
            if (at := tape.window.find(framing.mark, at, end)) < 0:
                break
            start = at + framing.mark.startswith(b"\n")
            if framing.begins.match(tape.window, start):
                inner = Tape(tape.window[start : end + MOST_BLANK + framing.ahead], None)
                headers, begin = framing.header(inner)
                length = headers.get("content-length", "")
                if LENGTH.fullmatch(length) and self._is_between(inner, begin + int(length)) == (True, framing.blank):
                    return True
            at += len(framing.mark)
        return False

    def _is_spoiled(self, at: str, size: int) -> bool:
        """Whether a record is all of a member that is at fault; where it is one of several, nobody knows which."""
        tape = self.tape
        is_alone = len(tape.window) - tape.at - size <= MOST_BLANK
        return tape.fault is not None and is_alone and at == str(tape.fault.member)

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
