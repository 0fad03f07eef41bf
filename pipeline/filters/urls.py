"""Addresses of web pages against lists of domains, URLs and words: which list a page stands on.

The rules are those of FineWeb's first step (Penedo et al. 2024, section 3.1; RefinedWeb, section 3.1.1): a domain or
one above it is listed, the URL or a beginning of its path is, a banned word stands in it, two softly banned ones do, or
a banned run of letters does, whatever stands between them. Lists of millions are held as sorted 64-bit hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from pipeline.filters.address import Bytes, Hashes, above, beginning, host_of, key, keys_of_lines, place, spell, step
from pipeline.filters.lists import LISTS, entries, files_of, read
from pipeline.filters.rules import Column, Rule, at_most
from pipeline.filters.settings import Urls
from pipeline.units import InputError

COLUMNS = {
    "blocked_domains": "urls.domain",
    "blocked_urls": "urls.url",
    "banned_words": "urls.word",
    "soft_banned_words": "urls.soft_words",
    "banned_subwords": "urls.subword",
}
"""List -> the column it is asked of, in the order they are asked: what was found, or how many soft words."""

_SEED = np.uint64(0xCBF29CE484222325)
_LONGEST_HOST = 1_000
"""Bytes of a host that is looked at as a name in another script; DNS has none over 253."""


@dataclass(frozen=True, slots=True)
class _Words:
    """A list of words, found by their hashes."""

    keys: Hashes
    words: Sequence[bytes]
    """In the order of `keys`."""

    @property
    def lengths(self) -> npt.NDArray[np.bool_]:
        """(longest + 1,) whether some word has so many bytes."""
        has = np.zeros(max(map(len, self.words), default=0) + 1, np.bool_)
        has[[len(word) for word in self.words]] = True
        return has

    @property
    def openings(self) -> npt.NDArray[np.bool_]:
        """(65536,) whether some word begins with these two bytes."""
        begins = np.zeros(65_536, np.bool_)
        begins[[word[0] << 8 | word[1] for word in self.words]] = True
        return begins


def rules(settings: Urls) -> list[Rule]:
    """A rule for each list that is named."""

    def found(values: Column) -> npt.NDArray[np.bool_]:
        return np.array([value is not None for value in values], np.bool_)

    asked: list[Rule] = []
    for name, column in COLUMNS.items():
        if getattr(settings, name):
            reason = f"url_{name.removesuffix('s')}"
            if name == "soft_banned_words":
                asked.append(at_most(f"url_{name}", column, settings.soft_threshold - 1))
            else:
                asked.append(Rule(reason=reason, column=column, threshold=None, fails=found))
    return asked


def measure(batch: pa.RecordBatch, settings: Urls) -> dict[str, Column]:
    """What of each document's URL is on the lists that are named. A document without a URL is not measured."""
    lists = _load(settings)
    domains, urls, words, soft, parts = lists
    data, offsets, present = _bytes_of(batch.column("url"))
    documents = batch.num_rows
    spans = np.full((documents, 4), -1, np.int64)
    hits = np.full((documents, 2), -1, np.int64)
    counts = np.zeros(documents, np.int64)
    _judge(
        data, offsets, domains, urls, words.keys, soft.keys, parts.keys, parts.lengths, parts.openings, spans, hits,
        counts,
    )  # fmt: skip
    text = data.tobytes()
    columns: dict[str, Column] = {
        "urls.domain": _named(documents, spans[:, 0], lambda d: text[spans[d, 0] : spans[d, 1]].lower()),
        "urls.url": _named(documents, spans[:, 2], lambda d: text[spans[d, 2] : spans[d, 3]]),
        "urls.word": _named(documents, hits[:, 0], lambda d: words.words[hits[d, 0]]),
        "urls.soft_words": np.where(present, counts.astype(np.float64), np.nan),
        "urls.subword": _named(documents, hits[:, 1], lambda d: parts.words[hits[d, 1]]),
    }
    return {column: columns[column] for name, column in COLUMNS.items() if getattr(settings, name)}


def _named(documents: int, found: npt.NDArray[np.int64], name: Any) -> Column:
    column = np.full(documents, None, object)
    for d in np.flatnonzero(found >= 0):
        column[d] = name(d).decode("utf-8", "replace")
    return column


def _bytes_of(column: pa.Array) -> tuple[Bytes, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """URLs end to end, where each begins (documents + 1), and which documents have one. Hosts are in ASCII."""
    present = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    raw = [value.encode() if value else b"" for value in column.to_pylist()]
    raw = [url if url.isascii() else _in_ascii(url) for url in raw]
    offsets = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(url) for url in raw], out=offsets[1:])
    return np.frombuffer(b"".join(raw), np.uint8), offsets, present


def _in_ascii(url: bytes) -> bytes:
    """A URL with its host as DNS has it (münchen.de -> xn--mnchen-3ya.de), the rest in small letters."""
    start, end, _, _ = host_of(np.frombuffer(url, np.uint8), 0, len(url))
    host = url[start:end]
    if not host.isascii() and len(host) <= _LONGEST_HOST:
        with suppress(UnicodeError):  # of no name that DNS could have: it is compared as it stands
            host = host.decode().encode("idna")
    return url[:start] + host + url[end:].decode("utf-8", "replace").lower().encode()


@lru_cache(maxsize=4)
def _load(settings: Urls) -> tuple[Hashes, Hashes, _Words, _Words, _Words]:
    """The lists in the order of `LISTS`, read once a process. Raises InputError for what cannot be read."""
    domains, urls = (_keys(settings, name) for name in LISTS[:2])
    words, soft, parts = (_words(settings, name) for name in LISTS[2:])
    if short := [word for word in parts.words if len(word) < 2]:
        raise InputError(f"urls.banned_subwords: '{short[0].decode()}' would ban nearly every URL; take it out")
    return domains, urls, words, soft, parts


def _keys(settings: Urls, name: str) -> Hashes:
    keys = [np.zeros(0, np.uint64)]
    for path in files_of(settings, name):
        for lines in read(path):
            if not lines.isascii():
                lines = b"".join((e if e.isascii() else _in_ascii(e)) + b"\n" for e in entries(lines))
            keys.append(keys_of_lines(np.frombuffer(lines, np.uint8), name == "blocked_urls"))
    return np.unique(np.concatenate(keys))


def _words(settings: Urls, name: str) -> _Words:
    """Entries without what is no letter or digit, as it is in datatrove: "x-rated" bans the word "xrated"."""
    found: dict[int, bytes] = {}
    for path in files_of(settings, name):
        for lines in read(path):
            for entry in entries(lines):
                spelled = np.zeros(2 * len(entry), np.uint8)
                data = np.frombuffer(entry.decode("utf-8", "replace").lower().encode(), np.uint8)
                word = spelled[: spell(data, 0, len(data), spelled)]
                if word.any():
                    found[int(_key_of(word[word > 0]))] = word[word > 0].tobytes()
    keys = np.array(sorted(found), np.uint64)
    return _Words(keys, [found[int(one)] for one in keys])


@njit(cache=True)
def _key_of(word: Bytes) -> Any:
    state = _SEED
    for byte in word:
        state = step(state, byte)
    return key(state)


@njit(cache=True)
def _judge(
    data: Bytes, offsets: Any, domains: Hashes, urls: Hashes, words: Hashes, soft: Hashes, parts: Hashes,
    lengths: Any, openings: Any, spans: Any, hits: Any, counts: Any,
) -> None:  # fmt: skip
    """Fill for each document spans (domain, URL), hits (word, part) and the number of different soft words."""
    seen = np.full(len(soft), -1, np.int64)
    for d in range(len(offsets) - 1):
        a, z = offsets[d], offsets[d + 1]
        if a == z:
            continue
        start, end, rest, stop = host_of(data, a, z)
        spans[d, 0] = above(data, start, end, domains)
        spans[d, 1] = end
        spans[d, 2], spans[d, 3] = beginning(data, start, end, rest, stop, urls)
        if len(words) + len(soft) + len(parts):
            spelled = np.empty(z - a, np.uint8)
            n = spell(data, a, z, spelled)
            hits[d, 0], counts[d] = _whole_words(spelled[:n], words, soft, seen, d)
            if len(parts):
                hits[d, 1] = _part(spelled[:n], parts, lengths, openings)


@njit(cache=True)
def _whole_words(spelled: Bytes, words: Hashes, soft: Hashes, seen: Any, document: int) -> tuple[int, int]:
    """(place of the first banned word or -1, how many different soft words)."""
    banned, many, state, inside = -1, 0, _SEED, False
    for i in range(len(spelled) + 1):
        if i < len(spelled) and spelled[i]:
            state, inside = step(state, spelled[i]), True
            continue
        if inside:
            if banned < 0:
                banned = place(words, key(state))
            at = place(soft, key(state))
            if at >= 0 and seen[at] != document:
                seen[at] = document
                many += 1
        state, inside = _SEED, False
    return banned, many


@njit(cache=True)
def _part(spelled: Bytes, parts: Hashes, lengths: Any, openings: Any) -> Any:
    """Place of the first banned part among the letters and digits, or -1."""
    letters = spelled[spelled > 0]
    for i in range(len(letters) - 1):
        if openings[np.int64(letters[i]) << 8 | np.int64(letters[i + 1])]:
            state = _SEED
            for n in range(1, min(len(lengths), len(letters) - i + 1)):
                state = step(state, letters[i + n - 1])
                if lengths[n]:
                    at = place(parts, key(state))
                    if at >= 0:
                        return at
    return -1
