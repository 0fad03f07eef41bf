"""Bytes of a page -> text, with the charset it was written in: what is declared, unless the bytes say otherwise."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import cache

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))

WIDER = {
    "shift_jis": "cp932",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
}
"""Codecs of the labels that the WHATWG encoding standard reads as a larger charset than their name says."""

MOST_ERRORS = 0.05
"""Share of the characters beyond ASCII that may be undecodable in a declared charset: a few bytes of a foreign
quotation stay below it, text in another charset far above."""

MOST_ERRORS_UTF8 = 0.5
"""The same in UTF-8, whose sequences legacy text hardly ever makes by chance: its letters beyond ASCII read as UTF-8
are errors nearly all (measured on pages in nine legacy charsets: 0.8 and more)."""

LOOKED_AT = 1 << 17
"""Bytes from the start that detection reads."""


def codec(label: str | None) -> str | None:
    """The Python codec for a charset label, as the WHATWG encoding standard reads it; None if there is none."""
    label = (label or "").strip(" \t\"';").lower()
    found = map_encoding_to_html5(label, False) if label else None
    if not found and label:
        try:
            found = map_encoding_to_html5(codecs.lookup(label).name, False)
        except (LookupError, ValueError):  # Python has more aliases (latin-1) than the standard, and still not all
            return None
    return WIDER.get(found, found) if found else None


def decode(data: bytes, declared: str | None = None, meta: bool = True) -> tuple[str, str]:
    """(text, codec used): what `to_utf8` finds."""
    content, name = to_utf8(data, declared, meta)
    return content.decode(), name


def to_utf8(data: bytes, declared: str | None = None, meta: bool = True) -> tuple[bytes, str]:
    """(valid UTF-8, codec used); `data` itself if it is that.

    `declared` is the label outside the page, of its HTTP header; `meta` looks into HTML too.
    A byte-order mark decides. Bytes beyond ASCII that are valid UTF-8 are UTF-8 whatever is declared. Else the first
    of header, meta and detection that decodes with at most `MOST_ERRORS` is taken, or the one with the fewest.
    What cannot be decoded becomes U+FFFD.
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace").encode("utf-8", "replace"), name
    wide = _wide(data)
    if not wide and _is_utf8(data):
        return data, "utf-8"
    best, fewest = ("", ""), 2.0
    for name in [wide] if wide else _candidates(data, declared, meta):
        text = _decoded(data, name)
        errors = _errors(text)
        if errors < fewest:
            best, fewest = (text, name), errors
        if errors <= (MOST_ERRORS_UTF8 if name == "utf-8" else MOST_ERRORS):
            break
    return best[0].encode("utf-8", "replace"), best[1]


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(data: bytes, name: str) -> str:
    """What cannot be decoded becomes U+FFFD; of one-byte charsets by a table, since Python is slow at errors."""
    table = _table(name)
    return codecs.charmap_decode(data, "strict", table)[0] if table else data.decode(name, "replace")


@cache
def _table(name: str) -> str | None:
    """The character of each byte, of a charset that has one byte a character."""
    every = bytes(range(256))
    table = "".join(every[at : at + 1].decode(name, "replace") for at in range(256))
    return table if every.decode(name, "replace") == table and table.count("�") < 100 else None


def _errors(text: str) -> float:
    """Share of undecodable characters among those beyond ASCII; that the last one is cut off says nothing."""
    errors = text.count("�") - text.endswith("�")
    return errors / max(len(text) - len(text.encode("ascii", "ignore")), 1)


def _candidates(data: bytes, declared: str | None, meta: bool) -> Iterator[str]:
    """Names in the order of trust; lazily, since detection costs more than decoding."""
    labels = [declared] + ([detect_encoding(data[:LOOKED_AT], from_html_meta=True)] if meta else [])
    for name in (codec(label) for label in labels):
        if name and not name.startswith("utf-16"):  # UTF-16 would have shown itself; the standard says so of meta too
            yield name
    yield codec(detect_encoding(data[:LOOKED_AT])) or "utf-8"
    yield "cp1252"


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark, or ISO-2022-JP: valid UTF-8 both, told by bytes that no UTF-8 text has."""
    if data.find(b"\x1b", 0, LOOKED_AT) >= 0 and data.find(b"\x1b$", 0, LOOKED_AT) >= 0 and data.isascii():
        return "iso2022_jp"
    head = data[:1024]
    if head.count(0) * 5 <= len(head) * 2:  # markup is ASCII, so nearly every second byte is 0
        return None
    return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
