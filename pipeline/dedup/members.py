"""A few of many documents, by number: a bit for each of the many, and where each of the few stands among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Bits = npt.NDArray[np.uint64]
Before = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True)
class Members:
    """A set of numbers below a bound. Memory: 1.5 bits for each number below it."""

    bits: Bits
    before: Before
    """Word of `bits` -> how many members stand in the words before; one more for the end."""

    @classmethod
    def of(cls, bound: int, *numbers: Numbers) -> Members:
        """The set of all `numbers`, which are below the bound."""
        bits = np.zeros(-(-bound // 64), np.uint64)
        for some in numbers:
            _enter(some, bits)
        return cls(bits=bits, before=_counted(bits))

    def __len__(self) -> int:
        return int(self.before[-1])

    def numbers(self) -> Numbers:
        """The members, ascending."""
        return _listed(self.bits, len(self))

    def places(self, numbers: Numbers) -> Numbers:
        """How many members stand before each of `numbers`, which all are members."""
        return _places(numbers, self.bits, self.before)


@njit(cache=True)
def _enter(numbers: Numbers, bits: Bits) -> None:
    for number in numbers:
        bits[number >> np.uint32(6)] |= np.uint64(1) << np.uint64(number & np.uint32(63))


@njit(cache=True)
def _counted(bits: Bits) -> Before:
    before = np.zeros(len(bits) + 1, np.uint32)
    for word in range(len(bits)):
        before[word + 1] = before[word] + _ones(bits[word])
    return before


@njit(cache=True)
def _ones(word: np.uint64) -> np.uint32:
    """How many bits are set (Warren, Hacker's Delight, 5-1)."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.uint32((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True)
def _listed(bits: Bits, count: int) -> Numbers:
    out, n = np.empty(count, np.uint32), 0
    for word in range(len(bits)):
        if bits[word]:
            for bit in range(64):
                if bits[word] >> np.uint64(bit) & np.uint64(1):
                    out[n] = word * 64 + bit
                    n += 1
    return out


@njit(cache=True)
def _places(numbers: Numbers, bits: Bits, before: Before) -> Numbers:
    out = np.empty(len(numbers), np.uint32)
    for n in range(len(numbers)):
        word = numbers[n] >> np.uint32(6)
        below = (np.uint64(1) << np.uint64(numbers[n] & np.uint32(63))) - np.uint64(1)
        out[n] = before[word] + _ones(bits[word] & below)
    return out
