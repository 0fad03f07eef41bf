"""The bytes of a URL -> its host, its words, and hashes by which they are found in lists of millions.

A URL may lack its scheme, as the entries of lists do. Upper case is folded; userinfo, port, brackets of IPv6, dots at
the end of the host and blanks around it all do not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]

_SEED, _STEP = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15)
_MIX1, _MIX2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(29)


@njit(cache=True, inline="always")
def lower(byte: Any) -> Any:
    return byte + 32 if 65 <= byte <= 90 else byte


@njit(cache=True, inline="always")
def step(state: Any, byte: Any) -> Any:
    """The state of a hash after one more byte."""
    state = (state ^ np.uint64(byte)) * _STEP
    return state ^ (state >> _SHIFT)


@njit(cache=True, inline="always")
def key(state: Any) -> Any:
    """A state -> a key that is spread over all 64 bits."""
    state = (state ^ (state >> np.uint64(33))) * _MIX1
    state = (state ^ (state >> np.uint64(33))) * _MIX2
    return state ^ (state >> np.uint64(33))


@njit(cache=True, inline="always")
def place(keys: Any, wanted: Any) -> Any:
    """Where a key stands among sorted ones, or -1."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(keys) and keys[low] == wanted else -1


@njit(cache=True)
def host_of(data: Bytes, a: int, z: int) -> tuple[int, int, int, int]:
    """(host's first byte, its end, first byte behind the authority, end of the URL) of the URL data[a:z]."""
    while a < z and (data[a] <= 32 or data[a] == 60):  # blanks, <
        a += 1
    while a < z and (data[z - 1] <= 32 or data[z - 1] == 62):
        z -= 1
    start = i = a
    while i < z and (48 <= data[i] <= 57 or 97 <= lower(data[i]) <= 122 or data[i] in (43, 45, 46)):
        i += 1
    if i + 2 < z and data[i] == 58 and data[i + 1] == 47 and data[i + 2] == 47:  # ://
        start = i + 3
    elif a + 1 < z and data[a] == 47 and data[a + 1] == 47:  # // at the beginning
        start = a + 2
    rest = start
    while rest < z and data[rest] not in (35, 47, 63, 92):  # # / ? \
        rest += 1
    end = rest
    for i in range(rest - 1, start - 1, -1):
        if data[i] == 64:  # @
            start = i + 1
            break
    if start < end and data[start] == 91:  # [
        start += 1
        for i in range(start, end):
            if data[i] == 93:
                return start, i, rest, z
        return start, end, rest, z
    i = end
    while i > start and 48 <= data[i - 1] <= 57:
        i -= 1
    if i > start and data[i - 1] == 58 and not np.any(data[start : i - 1] == 58):  # :8080, and not of bare IPv6
        end = i - 1
    while end > start and data[end - 1] == 46:
        end -= 1
    return start, end, rest, z


@njit(cache=True)
def above(data: Bytes, start: int, end: int, domains: Hashes) -> int:
    """Where in data[start:end], a host, a listed domain begins: the host itself or one above it; -1 if none does.

    An address in numbers has no domain above it.
    """
    state, numeric, labels = _SEED, True, 0
    for i in range(end - 1, start - 1, -1):
        byte = lower(data[i])
        state = step(state, byte)
        numeric = numeric and (labels > 0 or 48 <= byte <= 57)
        if i == start or data[i - 1] == 46:
            labels += 1
            if (i == start or not numeric) and place(domains, key(state)) >= 0:
                return i
    return -1


@njit(cache=True)
def beginning(data: Bytes, start: int, end: int, rest: int, z: int, urls: Hashes) -> tuple[int, int]:
    """(first byte, end) of the listed URL that data[start:end] + data[rest:z], host and path, is or goes on from.

    A listed URL ends where a part of the path does: before / ? # ; or at the end. (-1, -1) if none is listed.
    """
    start, state = _hash_host(data, start, end)
    for i in range(rest, z + 1):
        if i == z or data[i] in (35, 47, 59, 63):  # # / ; ?
            if place(urls, key(state)) >= 0:
                return start, i
            if i == z:
                break
        state = step(state, lower(data[i]))
    return -1, -1


@njit(cache=True)
def _hash_host(data: Bytes, start: int, end: int) -> tuple[int, Any]:
    """Where a host without its www. begins, and the state of its hash."""
    w = 119
    if end - start > 4 and data[start + 3] == 46 and lower(data[start]) == lower(data[start + 1]) == w:
        start += 4 if lower(data[start + 2]) == w else 0
    state = _SEED
    for i in range(start, end):
        state = step(state, lower(data[i]))
    return start, state


@njit(cache=True)
def keys_of_lines(data: Bytes, paths: bool) -> Hashes:
    """(entries,) the keys of a list, one entry a line: of domains, or with `paths` of URLs. Comments (#) have none."""
    keys = np.empty(np.sum(data == 10), np.uint64)
    n = a = 0
    for z in range(len(data)):
        if data[z] != 10:
            continue
        start, end, rest, stop = host_of(data, a, z)
        comment = False
        for i in range(a, z):
            if data[i] > 32:
                comment = data[i] == 35
                break
        a = z + 1
        while start < end and data[start] in (42, 46):  # *.example.com, .example.com
            start += 1
        if comment or start >= end:
            continue
        if paths:
            while stop > rest and data[stop - 1] == 47:
                stop -= 1
            _, state = _hash_host(data, start, end)
            for i in range(rest, stop):
                state = step(state, lower(data[i]))
        else:
            state = _SEED
            for i in range(end - 1, start - 1, -1):
                state = step(state, lower(data[i]))
        keys[n] = key(state)
        n += 1
    return keys[:n]


@njit(cache=True)
def spell(data: Bytes, a: int, z: int, out: Bytes) -> int:
    """Write the letters and digits of data[a:z] to `out`, lower-cased, %41 read as A, a 0 for all else -> how many.

    Bytes of other scripts are letters.
    """
    n, i = 0, a
    while i < z:
        byte = lower(data[i])
        i += 1
        if byte == 37 and i + 1 < z:
            high, low = _digit(data[i]), _digit(data[i + 1])
            if high >= 0 and low >= 0:
                byte, i = lower(np.uint8(16 * high + low)), i + 2
        out[n] = byte if byte >= 128 or 97 <= byte <= 122 or 48 <= byte <= 57 else 0
        n += 1
    return n


@njit(cache=True, inline="always")
def _digit(byte: Any) -> Any:
    """The value of a hexadecimal digit, or -1."""
    byte = lower(byte)
    return byte - 48 if 48 <= byte <= 57 else byte - 87 if 97 <= byte <= 102 else -1
