"""Real bytes -> bytes that nobody would write: what storage, networks, bad software and malice make of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

DEEP, LONG = 100_000, 1 << 20
"""Levels of nesting and bytes of a line, the largest that are put in."""

ODD = (
    b"\0",
    b"\0" * 1000,
    b"\xff",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"&#xD800;",
    b"\xf4\x90\x80\x80",
    b"\xe2\x80\xa8",
    b"\r\n\r\n",
    b"\n",
    b"\x1b$B",
    b"%",
    b"]]>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
)
NUMBERS = (b"0", b"-1", b"9" * 9, b"9" * 19, b"9" * 5000, b"1e999", b"NaN", b"0x10", b"\xc2\xb2")
NESTED = (b"<div>", b"<p><b>", b"[", b"{", b'{"a":', b"\\begin{x}", b"$", b"(", b"<sec><p>", b"\\textbf{", b"<table>")
PAIRS = (
    (b"[", b"]"),
    (b'{"a":', b"}"),
    (b"<b>", b"</b>"),
    (b"<div>", b"</div>"),
    (b"{", b"}"),
    (b"\\emph{", b"}"),
    (b"(", b")"),
)
NUMBER = re.compile(rb"\d+")
VALUE = re.compile(rb'(?<=:)"[^"\\]*"(?=[,}])|(?<=>)[^<>]+(?=<)')


def mutated(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """One to four mutations of `data`; `others` are what is spliced in."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = random.choice(MUTATIONS)(data, others, random)
    return data


def _flip(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    spoiled = bytearray(data)
    for _ in range(random.choice((1, 1, 8, 64)) if data else 0):
        spoiled[random.randrange(len(spoiled))] ^= 1 << random.randrange(8)
    return bytes(spoiled)


def _span(data: bytes, random: Random) -> tuple[int, int]:
    begin = random.randint(0, len(data))
    return begin, min(len(data), begin + random.choice((1, 4, 32, 500, len(data))))


def _cut(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    return data[: random.randint(0, len(data))]


def _deleted(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    begin, end = _span(data, random)
    return data[:begin] + data[end:]


def _repeated(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    begin, end = _span(data, random)
    times = min(random.choice((2, 2, 50, 5000)), LONG // max(end - begin, 1) + 1)
    return data[:begin] + data[begin:end] * times + data[end:]


def _spliced(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    other = random.choice(others)
    begin, end = _span(other, random)
    at = random.randint(0, len(data))
    return data[:at] + other[begin:end] + data[at:]


def _inserted(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + random.choice(ODD) + data[at:]


def _number(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Another number where one stands: mostly a length, a date or an id."""
    found = list(NUMBER.finditer(data, 0, 1 << 14))
    if not found:
        return _inserted(data, others, random)
    at = random.choice(found)
    return data[: at.start()] + random.choice(NUMBERS) + data[at.end() :]


def _nested(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + random.choice(NESTED) * random.choice((30, 1000, 1000, DEEP)) + data[at:]


def _wrapped(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """A span within many pairs of brackets: the nesting is deep and well-formed."""
    return _within_pairs(data, *_span(data, random), random)


def _value(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """The same of a whole string of JSON, or of the text of an element."""
    found = list(VALUE.finditer(data, 0, 1 << 14))
    begin, end = random.choice(found).span() if found else _span(data, random)
    return _within_pairs(data, begin, end, random)


def _within_pairs(data: bytes, begin: int, end: int, random: Random) -> bytes:
    opened, closed = random.choice(PAIRS)
    levels = random.choice((30, 300, 900, 3000))
    return data[:begin] + opened * levels + data[begin:end] + closed * levels + data[end:]


def _long(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    at = random.randint(0, len(data))
    return (
        data[:at]
        + random.choice((b"a", b"a ", b" ", b"&", b'"', b"=", b"\t")) * (LONG >> random.choice((1, 6, 8)))
        + data[at:]
    )


MUTATIONS: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    _flip,
    _flip,
    _cut,
    _deleted,
    _deleted,
    _repeated,
    _spliced,
    _inserted,
    _inserted,
    _number,
    _nested,
    _wrapped,
    _value,
    _long,
)
