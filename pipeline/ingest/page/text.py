"""Texts of a page -> one buffer of clean text, cut into blocks: white space collapsed, references resolved."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pipeline.ingest.page.entities import reference
from pipeline.words import decode

_SIGNS = np.array([ord(sign) for sign in "¶#§^"], np.int64)
"""What links to the place where they stand show."""

_PLAIN, _BLANK, _OTHER = 0, 1, 2
_KINDS = np.array(
    [_BLANK if byte in b" \t\n\r\f\v" else _PLAIN if byte > 32 else _OTHER for byte in range(256)], np.uint8
)
_KINDS[[ord("&"), 127, 0xC2, 0xE2, 0xE3, 0xEF]] = _OTHER
"""Bytes that stand for themselves, white space, and those of references and of characters that may be neither."""

_WEIGHTS = np.array([byte > 32 and not 0x80 <= byte < 0xC0 for byte in range(256)], np.uint8)
_WEIGHTS[0xE3:] = 3
"""Characters that begin with the byte, as they are counted."""

_KIND, _WEIGHT = np.uint8(3), np.uint8(2)
_SORTS = _KINDS | _WEIGHTS << _WEIGHT
"""Both in one: the kind in the lowest two bits, the weight above."""
_NONE, _ONE, _THREE = np.uint64(0), np.uint64(1), np.uint64(3)

_AMPERSAND = ord("&")

_WIDE = 0x3000
"""From here on, scripts of which a character is a syllable or a word."""

OUT, START, CHARACTERS, LINKED, GAP, LAST, HEIGHT, LINK, SKIP, ELEMENTS, BLOCKS, COUNTED = range(12)
PLACES = 12
"""Places in the state of a page that is read: bytes written; of the open block its first byte, its characters and those
in links, whether a space (1) or line end (2) stands last, and the last one; elements open, where among
them a link began and what is not read; elements and blocks so far; whether the open link counts as one."""


@njit(cache=True)
def end_link(s: Any, out: Any, anchor: Any) -> None:
    """A link that shows nothing but the sign for a link is taken back."""
    if s[LINK] >= 0 and s[CHARACTERS] == anchor[1] + 1:
        for sign in _SIGNS:
            if s[LAST] == sign:
                s[OUT], s[CHARACTERS], s[LINKED], s[GAP] = anchor[0], anchor[1], anchor[2], anchor[3]
    s[LINK] = -1


@njit(cache=True)
def break_line(s: Any, stack: Any, out: Any, blocks: Any) -> None:
    """A line ends; the second time in a row a block does."""
    o = s[OUT]
    if s[SKIP] >= 0:
        return
    if stack[s[HEIGHT] - 1, 2]:
        out[o] = 10
        s[OUT] = o + 1
    elif s[GAP] == 2:
        flush(s, stack, out, blocks)
    elif o > s[START]:
        o -= s[GAP]
        out[o] = 10
        s[OUT], s[GAP] = o + 1, 2


@njit(cache=True)
def flush(s: Any, stack: Any, out: Any, blocks: Any) -> None:
    """End the open block; `blocks` are the columns of `Tree`."""
    if s[CHARACTERS]:
        n, stop = s[BLOCKS], s[OUT]
        while out[stop - 1] == 10 or out[stop - 1] == 32:
            stop -= 1
        blocks[0, n], blocks[1, n], blocks[2, n] = stack[s[HEIGHT] - 1, 1], s[START], stop
        blocks[3, n], blocks[4, n] = s[CHARACTERS], s[LINKED]
        s[BLOCKS] += 1
    s[START] = s[OUT]
    s[CHARACTERS] = s[LINKED] = s[GAP] = 0


@njit(cache=True)
def write(s: Any, stack: Any, data: Any, i: Any, end: Any, out: Any, names: Any, codes: Any) -> None:
    """Text into the open block; `names` and `codes` are what references mean."""
    preformatted, linked = stack[s[HEIGHT] - 1, 2] != 0, s[LINK] >= 0 and s[COUNTED] != 0
    blank = np.uint8(0) if preformatted else np.uint8(_BLANK)  # kind of a byte that may be left out behind its like
    at, stop, o, count = np.uint64(i), np.uint64(end), np.uint64(s[OUT]), _NONE  # unsigned: twice as fast in numba
    before = blank if s[GAP] or s[OUT] == s[START] else np.uint8(0)
    while at < stop:
        c = data[at]
        kind = _SORTS[c] & _KIND
        if preformatted and kind == _BLANK:
            out[o] = c if c in (10, 9) else 32
            if c != 13 and (c != 10 or o > np.uint64(s[START])):
                o += _ONE
            at += _ONE
            continue
        if kind == _OTHER:
            if c == _AMPERSAND:
                behind, code, second = reference(data, np.int64(at), end, names, codes)
                if behind > np.int64(at) and second == 0 and _is_shown(code):
                    o, at = np.uint64(_encode(out, np.int64(o), code)), np.uint64(behind)
                    count += _ONE if code < _WIDE else _THREE
                    before = np.uint8(_PLAIN)
                    continue
            if c < 0xE0 or _is_odd(data, at):
                _keep(s, o, count, linked, before)
                at = np.uint64(_write_odd(s, data, np.int64(at), end, out, names, codes, linked, preformatted))
                o, count = np.uint64(s[OUT]), _NONE
                before = blank if s[GAP] or s[OUT] == s[START] else np.uint8(0)
                continue
            kind = np.uint8(_PLAIN)
        out[o] = 32 if kind else c  # no branch: words are short, and where they end cannot be foreseen
        o += _ONE - np.uint64(kind & before)
        count += np.uint64(_SORTS[c] >> _WEIGHT)
        before = kind
        at += _ONE
    _keep(s, o, count, linked, before)
    if count:
        last = out[s[OUT] - 1 - before]
        s[LAST] = last if last < 128 else 0


@njit(cache=True, inline="always")
def _keep(s: Any, o: Any, count: Any, linked: Any, before: Any) -> None:
    """Note what was written."""
    end = np.int64(o)
    s[GAP] = 0 if end == s[START] or not before else 2 if s[GAP] == 2 and not count else 1
    s[OUT] = end
    s[CHARACTERS] += np.int64(count)
    if linked:
        s[LINKED] += np.int64(count)


@njit(cache=True)
def _write_odd(
    s: Any, data: Any, i: Any, end: Any, out: Any, names: Any, codes: Any, linked: Any, preformatted: Any
) -> Any:  # fmt: skip
    """A character that does not stand for itself, or may not. Gives the place behind it."""
    if data[i] != _AMPERSAND:
        code, size = decode(data, i)
        _character(s, out, np.int64(code), linked, preformatted)
        return i + size
    behind, first, second = reference(data, i, end, names, codes)
    if behind == i:
        first, behind = _AMPERSAND, i + 1
    _character(s, out, first, linked, preformatted)
    if second:
        _character(s, out, second, linked, preformatted)
    return behind


@njit(cache=True, inline="always")
def _is_odd(data: Any, i: Any) -> Any:
    """May the character of three bytes at i be a space, or nothing at all?"""
    c, d = data[i], data[i + _ONE]
    return (c == 0xE2 and d == 0x80) or (c == 0xE3 and d == 0x80) or (c == 0xEF and d == 0xBB)


@njit(cache=True)
def _character(s: Any, out: Any, code: Any, linked: Any, preformatted: Any) -> None:
    """A character that may be a space or nothing at all: soft hyphens, zero-width spaces, controls."""
    if code == 32 or 9 <= code <= 13 or code == 0xA0 or code == 0x3000 or code == 0x2028 or code == 0x85:
        if not preformatted:
            if s[GAP] == 0 and s[OUT] > s[START]:
                out[s[OUT]] = 32
                s[OUT] += 1
                s[GAP] = 1
        elif code != 13 and (s[OUT] > s[START] or code != 10):
            out[s[OUT]] = code if code in (10, 9) else 32
            s[OUT] += 1
    elif _is_shown(code):
        s[OUT] = _encode(out, s[OUT], code)
        s[GAP], s[LAST] = 0, code
        weight = 1 if code < _WIDE else 3
        s[CHARACTERS] += weight
        s[LINKED] += weight * linked


@njit(cache=True, inline="always")
def _is_shown(code: Any) -> Any:
    """Does a code point show, other than as a space?"""
    if code < 0x200B:
        return code > 32 and not 127 <= code <= 160 and code != 0xAD
    return code != 0x200B and code != 0x2028 and code != 0x3000 and code != 0xFEFF


@njit(cache=True, inline="always")
def _encode(out: Any, o: Any, code: Any) -> Any:
    """Write a code point as UTF-8 at o; the place behind it."""
    if code < 128:
        out[o] = code
        return o + 1
    if code < 0x800:
        out[o], out[o + 1] = 0xC0 | code >> 6, 0x80 | (code & 0x3F)
        return o + 2
    if code < 0x10000:
        out[o], out[o + 1], out[o + 2] = 0xE0 | code >> 12, 0x80 | (code >> 6 & 0x3F), 0x80 | (code & 0x3F)
        return o + 3
    out[o], out[o + 1] = 0xF0 | code >> 18, 0x80 | (code >> 12 & 0x3F)
    out[o + 2], out[o + 3] = 0x80 | (code >> 6 & 0x3F), 0x80 | (code & 0x3F)
    return o + 4
