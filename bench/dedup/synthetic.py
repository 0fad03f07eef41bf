"""Signatures and texts of any number of documents whose buckets are shaped as those of real text are.

The signatures of a real corpus are taken again and again, each time with all hashes changed by a salt of that round:
within a round the same documents share the same bands, so the sizes of buckets, and how those of the bands go
together, are the real ones. Between them lies one cluster of near-copies as large as is asked for, in one bucket of
every band. Texts are short, but two are similar (J = .82) exactly where those of the real documents are. All is a pure
function of a document's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.dedup.real_signatures import Profile

Numbers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

WORDS = 14
"""Words of a text, the last of them its own: 10 shingles, of which similar texts share 9, J = 9 / 11."""
DIGITS = 6
"""Hex digits of a word."""

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_STEP, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def mixed(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64: a permutation of the 64-bit numbers."""
    z = values + _STEP
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """Documents 0 to `documents`; every `step`-th is of the large cluster."""

    profile: Profile
    documents: int
    step: int

    def _origin(self, numbers: Numbers) -> tuple[npt.NDArray[np.bool_], Numbers, Hashes]:
        """(is it of the cluster, which real document it is made of, the salt of its round)."""
        large = numbers % self.step == 0
        others = numbers - numbers // self.step - 1
        rounds = -(-(self.documents - -(-self.documents // self.step)) // len(self.profile))
        return large, np.where(large, 0, others // rounds), mixed((others % rounds).astype(np.uint64))

    def ids(self, numbers: Numbers) -> Any:
        halves = [mixed(numbers.astype(np.uint64) + np.uint64(half << 40)) for half in (1, 2)]
        return _strings(np.hstack([_digits(half, 16) for half in halves]))

    def exact(self, numbers: Numbers) -> Hashes:
        large, real, salt = self._origin(numbers)
        own = numbers.astype(np.uint64)[:, None] + np.array([3 << 40, 4 << 40], np.uint64)
        return mixed(np.where(large[:, None], own, self.profile.exact[real] ^ salt[:, None]))

    def words(self, numbers: Numbers) -> npt.NDArray[np.int32]:
        large, real, _ = self._origin(numbers)
        return np.where(large, 1000, self.profile.words[real]).astype(np.int32)

    def bytes(self, numbers: Numbers) -> Numbers:
        large, real, _ = self._origin(numbers)
        return np.where(large, 7000, self.profile.bytes[real])

    def keys(self, numbers: Numbers, band: int) -> Hashes:
        large, real, salt = self._origin(numbers)
        return mixed(np.where(large, np.uint64(band), self.profile.keys[real, band] ^ salt))

    def texts(self, numbers: Numbers) -> Any:
        large, real, salt = self._origin(numbers)
        cluster = np.where(large, np.uint64(7), mixed(self.profile.similar[real].astype(np.uint64) ^ salt))
        words = [mixed(cluster + np.uint64(word << 32)) for word in range(WORDS - 1)]
        words.append(self.exact(numbers)[:, 0])
        spaced = [np.hstack([_digits(word, DIGITS), np.full((len(numbers), 1), 32, np.uint8)]) for word in words]
        return _strings(np.hstack(spaced)[:, :-1])

    def signature_columns(self, numbers: Numbers, names: Sequence[str]) -> list[Any]:
        """Arrow arrays of the columns of a file of signatures."""
        import pyarrow as pa

        words = self.words(numbers)
        made = {"id": lambda: self.ids(numbers).cast(pa.string()), "bytes": lambda: pa.array(self.bytes(numbers)),
                "quality": lambda: pa.nulls(len(numbers), pa.float64()), "words": lambda: pa.array(words),
                "exact": lambda: _sixteen(self.exact(numbers))}  # fmt: skip
        short = words < 5
        return [
            pa.array(self.keys(numbers, int(name.removeprefix("band_"))), mask=short)
            if name.startswith("band_")
            else made[name]()
            for name in names
        ]


def _digits(values: Hashes, count: int) -> npt.NDArray[np.uint8]:
    """(values, count) the first hex digits of each."""
    shifts = np.arange(60, 60 - 4 * count, -4, dtype=np.uint64)
    return _HEX[(values[:, None] >> shifts & np.uint64(15)).astype(np.uint8)]


def _strings(content: npt.NDArray[np.uint8]) -> Any:
    import pyarrow as pa

    offsets = np.arange(0, content.size + 1, content.shape[1], dtype=np.int64)
    content = np.ascontiguousarray(content)
    return pa.LargeStringArray.from_buffers(len(content), pa.py_buffer(offsets), pa.py_buffer(content))


def _sixteen(halves: Hashes) -> Any:
    import pyarrow as pa

    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(halves), [None, pa.py_buffer(halves)])
