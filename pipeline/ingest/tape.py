"""A file, plain or packed, as a window of its bytes that moves forward; a broken member spoils no other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.ingest.packed import Bytes, CutOffError, Packing

PLAIN = 1 << 20
"""Bytes of a plain file taken at a time."""

WIDE = 1 << 20
"""Bytes of a window that grows by a quarter at least when it grows: growing it bit by bit would copy it each time."""


class Tape:
    """The (decompressed) bytes of a file from byte `start` of it on, up to its end or the first broken member.

    `window` holds what was read and not let go; `at` is the place in it.
    """

    def __init__(self, data: Bytes, packed: Packing | None, start: int = 0) -> None:
        self.window = b""
        self.at = 0
        self.fault: CutOffError | None = None
        """Why the bytes end before their time."""
        self._data = data
        self._packing = packed
        self._base = 0 if self._packing else start
        self._members = [(0, start)]
        """(place on the tape, byte of the file) of the members in the window."""
        self._parts = self._packed(start) if self._packing else self._plain(start)

    @classmethod
    def standing(cls, data: Bytes, packed: Packing | None, place: str) -> Tape:
        """A tape at a place that `place` told of another one of the same file. Raises ValueError."""
        byte, _, inside = place.partition("+")
        tape = cls(data, packed, int(byte))
        tape.skip(int(inside or 0))
        return tape

    @property
    def position(self) -> int:
        return self._base + self.at

    @property
    def most(self) -> int:
        """Bytes that the tape can have at most."""
        return len(self._data) * (self._packing.most_dense if self._packing else 1)

    def place(self) -> str:
        """Where this is: byte of the file, or if packed `byte of the member` with `+place in it` unless that is 0."""
        if not self._packing:
            return str(self.position)
        while len(self._members) > 1 and self._members[1][0] <= self.position:
            del self._members[0]
        begin, byte = self._members[0]
        return f"{byte}+{self.position - begin}" if self.position > begin else str(byte)

    def members(self) -> list[int]:
        """Places in the window, behind this one, where a member of a packed file begins."""
        return [begin - self._base for begin, _ in self._members if begin > self.position] if self._packing else []

    def need(self, size: int) -> int:
        """Have at least `size` bytes from `at` on in the window; returns how many there are, fewer only at the end."""
        have = len(self.window) - self.at
        if have >= size:
            return have
        if have > WIDE:
            size = max(size, have + have // 4)
        parts = [self.window[self.at :]]
        try:
            while have < size and (part := next(self._parts, b"")):
                parts.append(part)
                have += len(part)
        except CutOffError as fault:
            self.fault, self._parts = fault, iter(())
        self._base, self.at = self.position, 0
        self.window = b"".join(parts)
        return have

    def skip(self, size: int) -> int:
        """Move on by `size` bytes without keeping them; returns how many there were."""
        left = size
        while left and (have := min(self.need(1), left)):
            self.at += have
            left -= have
        return size - left

    def resume(self, begins: re.Pattern[bytes]) -> int | None:
        """Behind a fault, the byte of the file where the next member starts whose first bytes match `begins`."""
        if not (self.fault and self._packing):
            return None
        begin = self._members[-1][1] + 1  # behind the last that gave anything: it may have swallowed others
        return self._packing.member_from(self._data, begin, begins)

    def _plain(self, start: int) -> Iterator[bytes]:
        for at in range(start, len(self._data), PLAIN):
            yield self._data[at : at + PLAIN]

    def _packed(self, start: int) -> Iterator[bytes]:
        assert self._packing
        given = 0
        for member, part in self._packing.members(self._data, start):
            if member != self._members[-1][1]:
                if given:
                    self._members.append((given, member))
                else:  # a frame without content came before
                    self._members = [(0, member)]
            given += len(part)
            yield part
