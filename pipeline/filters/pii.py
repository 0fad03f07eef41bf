"""Personal data in documents: counted, asked for by rules, and put under ModernBERT's own placeholders.

Taken for an e-mail address is what stands unquoted on both sides of an @; for an IP address four numbers up to 255 that
no word before them makes a version or a section, and IPv6; for a phone number what begins with a country's code, has
the form of a North American number, or comes after a word such as "tel" or "call us at". Dates, prices, ISBNs and
numbers in tables have none of these.

Four numbers below 32 are a version or the number of a section nearly always, and one in 4,096 addresses has such: they
are taken for an address only where something says so.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipeline.filters.internet import scripts
from pipeline.filters.personal import CUED, DIALLED, EMAIL, IPV4, IPV6, NATIONAL, RESERVED, Spans, spans
from pipeline.filters.redaction import Pii, replaced
from pipeline.filters.rules import Column, Rule, at_most
from pipeline.words import text_of

KINDS = ("emails", "ips", "phones")
PLACEHOLDERS = (b"|||EMAIL_ADDRESS|||", b"|||IP_ADDRESS|||", b"|||PHONE_NUMBER|||")
"""Of each kind; tokens of their own in ModernBERT's tokenizer and in those we train."""

_VERSION = re.compile(
    rb"(?:(?<![A-Za-z])(?:version|ver|release|rel|revision|rev|build|firmware|section|sec|chapter|clause|figure|fig|table|appendix"
    rb"|rule|paragraph|article)|\xc2\xa7|==|[A-Za-z0-9]/|@)[ .:=\"'(]{0,4}$",
    re.IGNORECASE,
)
"""What makes four numbers a version or the number of a section. `name/1.2.3.4` is a package or a browser."""

_SMALL = 32
"""Above all numbers of nearly every version and section of four numbers."""

_SAID = re.compile(
    rb"(?:(?<![A-Z])IP(?![a-z])|(?<![A-Za-z])ip(?![a-z])|Ip(?![a-z])|(?i:inet|addr|forwarded|netmask|subnet|gateway"
    rb"|name ?server)|(?<![A-Za-z])(?i:dns|ping|telnet|ssh|traceroute|whois))[^\n]{0,20}\Z|://\Z"
)
"""What says before it, on the same line, that an address follows."""
_PORT = re.compile(rb":\d{2,5}(?![\d.:])")
"""What stands behind an address with a port."""
_NETWORK = re.compile(rb"/(\d{1,3})(?!\d)")
"""What stands behind the address of a network; that of a single computer has bits beyond these."""

_NUMBER = re.compile(rb"\+?\(?\d+(?:(?:[ ./()-]|\xc2\xa0){1,3}\d+)*")
_DATE = re.compile(rb"(?:19|20)\d\d([-./ ])[01]?\d\1[0-3]?\d|[0-3]?\d([-./ ])[0-3]?\d\2(?:19|20)\d\d")
_CUE = re.compile(
    rb"(?:(?<![A-Za-z\x80-\xff])(?:tel(?:e?(?:phone?|fono?n?|fax))?|t\xc3\xa9l(?:\xc3\xa9phone)?|tel\xc3\xa9fono|fon"
    rb"|phone|fax|mobile?|cell(?:ular(?:e)?|phone)?|celular|handy|gsm|whatsapp|hotline|m(?:\xc3\xb3|o)vil|tlf|tfn|puh"
    rb"|dial|call(?:[ ](?:us|me|now|him|her|them|toll[- ]free))?)|\xd1\x82\xd0\xb5\xd0\xbb(?:\xd0\xb5\xd1\x84\xd0\xbe"
    rb"\xd0\xbd)?|\xd0\xa2\xd0\xb5\xd0\xbb(?:\xd0\xb5\xd1\x84\xd0\xbe\xd0\xbd)?"
    rb"|\xe7\x94\xb5\xe8\xaf\x9d|\xe9\x9b\xbb\xe8\xa9\xb1|\xe6\x89\x8b\xe6\x9c\xba|\xe2\x98\x8e|\xf0\x9f\x93\x9e)"
    rb"(?:[ ]?(?:no|nr|number|nummer|num|#|at|on|is))?(?:[ .:()#-]|\r?\n|\t|\xc2\xa0|\xef\xbc\x9a|\xef\xb8\x8f){0,5}$",
    re.IGNORECASE,
)
"""What says that a phone number follows, in the languages of most pages."""

_UNASSIGNED = frozenset(("28", "83", "89"))
"""What no country's code begins with (ITU-T E.164); those that begin with 1 and 7 stand alone."""

_SHORTEST, _LONGEST = 9, 15
"""Digits of an international number with its country's code (E.164 allows 15)."""


def rules(settings: Pii) -> list[Rule]:
    """A rule for each kind that is to be dropped."""
    return [at_most(f"pii_{kind}", f"pii.{kind}", 0) for kind in KINDS if getattr(settings, kind) == "drop"]


def measure(batch: pa.RecordBatch, settings: Pii) -> dict[str, Column]:
    """How many of each kind stand in each document."""
    found = find(batch.column("text"), settings)
    counts = np.zeros((batch.num_rows, len(KINDS)))
    np.add.at(counts, (found[:, 0], found[:, 3]), 1)
    return {f"pii.{kind}": counts[:, number] for number, kind in enumerate(KINDS)}


def redact(texts: Sequence[str], settings: Pii) -> list[str]:
    """The texts with placeholders where personal data of the kinds to be redacted stood."""
    wanted = [getattr(settings, kind) == "redact" for kind in KINDS]
    if not any(wanted):
        return list(texts)
    column = pa.array(texts, pa.large_string())
    found = find(column, settings)
    found = found[np.array(wanted)[found[:, 3]]]
    data, offsets = text_of(column)
    redacted = list(texts)
    bounds = np.flatnonzero(np.diff(found[:, 0], prepend=-1, append=-1))
    for first, last in pairwise(bounds):
        d = int(found[first, 0])
        instead = [(start, end, PLACEHOLDERS[kind]) for _, start, end, kind in found[first:last].tolist()]
        redacted[d] = replaced(data, offsets[d], offsets[d + 1], instead)
    return redacted


def find(column: pa.Array, settings: Pii) -> Spans:
    """(found, 4) of document, first byte and end in the column's data, number in `KINDS`: sorted, without overlaps."""
    data, offsets = text_of(column)
    kept: list[tuple[int, int, int, int]] = []
    last = 0
    for d, start, end, kind in spans(data, offsets, scripts()).tolist():
        if start < last:  # inside of what was found before it: an address in digits
            continue
        before = data[max(int(offsets[d]), start - 40) : start].tobytes()
        if kind == EMAIL:
            number = 0
        elif kind in (IPV4, RESERVED, IPV6):
            behind = data[end : end + 8].tobytes()
            if not _address(data[start:end].tobytes(), before, behind, kind, settings.private_ips):
                continue
            number = 1
        else:
            end = _phone(data[start:end].tobytes(), before, kind, start)
            number = 2
        if end > start:
            kept.append((d, start, end, number))
            last = end
    return np.array(kept, np.int64).reshape(-1, 4)


def _address(text: bytes, before: bytes, behind: bytes, kind: int, private: bool) -> bool:
    """Whether what may be an IP address is one that is asked for."""
    try:
        address = ipaddress.ip_address(text.decode())
    except ValueError:  # colons in another order
        return False
    number, bits = int(address), address.max_prefixlen
    length = _NETWORK.match(behind)
    if length and int(length[1]) < bits and number << int(length[1]) & ((1 << bits) - 1) == 0:
        return False
    if kind == IPV6:
        documentation = number >> 96 == 0x20010DB8
        return private or (0x2000 <= number >> 112 < 0x4000 and not documentation)
    if (kind == RESERVED and not private) or _VERSION.search(before):
        return False
    small = kind == IPV4 and max(address.packed) < _SMALL
    return not small or bool(_SAID.search(before) or _PORT.match(behind))


def _phone(text: bytes, before: bytes, kind: int, start: int) -> int:
    """Where the phone number that may begin at `start` ends, or -1."""
    if kind == NATIONAL:
        return start + len(text)
    found = _NUMBER.match(text)
    if found is None or (kind == CUED and (not _CUE.search(before) or _DATE.match(text))):
        return -1
    groups = re.split(rb"(\D+)", found[0].lstrip(b"+("))
    digits = sum(map(len, groups[::2]))
    most = 11 if kind == DIALLED and groups[0][:1] in (b"1", b"7") else _LONGEST
    end = start + len(found[0])
    while digits > most and len(groups) > 2:  # what comes after the number: a year, another number
        digits -= len(groups[-1])
        end -= len(groups[-1]) + len(groups[-2])
        groups = groups[:-2]
    behind = text[end - start : end - start + 1]
    if digits > most or behind.isalpha() or behind in (b"@", b"_"):
        return -1
    if kind == CUED:
        return end if digits >= 7 else -1
    number = b"".join(groups[::2]).decode()
    country = digits == 11 if number[0] in "17" else number[0] != "0" and number[:2] not in _UNASSIGNED
    decimal = len(groups) == 3 and groups[1] == b"."
    return end if country and digits >= _SHORTEST and not decimal and not number.endswith("000") else -1
