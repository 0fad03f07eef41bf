"""One pass over the UTF-8 bytes of a batch gives the words of every document, shared by filters and dedup.

A *word* is a maximal run of `\\w` characters of Python's `re` (letters, digits, underscore) and of the marks
that follow them. Han, Kana, Thai, Lao, Khmer and Myanmar are written without spaces: there each character
with its marks is a word, so that n-grams of words become n-grams of characters. A *symbol* is any other
visible character, or a run of the same one ("...", "===="). Spaces, controls, invisible format characters and
marks that follow no word give no token.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

WORD, SYMBOL, LETTER, ALONE, INNER = 1, 2, 4, 8, 16
"""Flags of a token: a word; a symbol; holds a letter; a character of a script without spaces; one symbol
between two word characters, with no space on either side (don't, 3.14, a/b)."""

UNSPACED = (
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"  # Han
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
    "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f\U0001aff0-\U0001b16f"  # Hiragana, Katakana
    "\u0e01-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f\u1780-\u17ff"  # Myanmar, Khmer
)
"""Inside of a character class: the blocks of the scripts written without spaces (Unicode 14)."""

_SPACE, _MARK = np.uint8(32), np.uint8(64)
_WORD, _SYMBOL, _LETTER, _ALONE, _INNER = (np.uint8(flag) for flag in (WORD, SYMBOL, LETTER, ALONE, INNER))
_SEED, _STEP = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15)
_MIX1, _MIX2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_BIG_I_WITH_DOT, _DOT_ABOVE = 0x130, 0x307


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The tokens of a batch of documents in order; document d has tokens bounds[d] : bounds[d + 1]."""

    data: npt.NDArray[np.uint8]
    """The bytes that were read, also those outside of the documents."""
    offsets: npt.NDArray[np.int64]
    """(documents + 1) where each document begins in `data`."""
    starts: npt.NDArray[np.signedinteger[Any]]
    """Where the token begins in `data`."""
    characters: npt.NDArray[np.int32]
    """Code points, as written (not lower-cased)."""
    hashes: npt.NDArray[np.uint64]
    """Of the lower-cased token; a final sigma counts as sigma. The same on every machine."""
    kinds: npt.NDArray[np.uint8]
    """WORD or SYMBOL, with LETTER, ALONE, INNER."""
    bounds: npt.NDArray[np.int64]
    """(documents + 1) tokens before each document."""

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def word_hashes(self, document: int) -> npt.NDArray[np.uint64]:
        """The hashes of a document's words, without its symbols."""
        a, b = self.bounds[document], self.bounds[document + 1]
        hashes: npt.NDArray[np.uint64] = self.hashes[a:b][(self.kinds[a:b] & WORD) != 0]
        return hashes

    def text(self, token: int) -> str:
        """A token as it was written."""
        a, n = int(self.starts[token]), int(self.characters[token])
        return self.data[a : a + 4 * n].tobytes().decode(errors="ignore")[:n]


def scan_batch(column: pa.Array) -> Words:
    """The words of a string or large_string column, a slice of one too; a null has none."""
    return scan(*text_of(column))


def text_of(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a string or large_string column, no copy, and (documents + 1) where each text begins in them."""
    width = np.int64 if pa.types.is_large_string(column.type) else np.int32
    _, places, text = column.buffers()
    if not len(column):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    offsets = np.frombuffer(places, width)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return np.frombuffer(text, np.uint8) if text else np.empty(0, np.uint8), offsets


def scan(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Words:
    """The words of the documents data[offsets[d] : offsets[d + 1]]; each is valid UTF-8."""
    size = int(offsets[-1] - offsets[0])
    bounds = np.zeros(len(offsets), np.int64)
    width: type[np.signedinteger[Any]] = np.int32 if offsets[-1] < 1 << 31 else np.int64
    for room in (size // 3 + 64, size):  # a token takes 5 bytes in prose, 3 in Han; only odd texts have more
        starts, characters = np.empty(room, width), np.empty(room, np.int32)
        hashes, kinds = np.empty(room, np.uint64), np.empty(room, np.uint8)
        if _scan(data, offsets, *_tables(), starts, characters, hashes, kinds, bounds):
            break
    n = bounds[-1]
    return Words(
        data=data, offsets=offsets, starts=starts[:n], characters=characters[:n],
        hashes=hashes[:n], kinds=kinds[:n], bounds=bounds,
    )  # fmt: skip


@cache
def _tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """Code point -> flags, and code point -> its lower-case code point.

    Planes 4 to 13 hold no characters and 15 and 16 private ones (symbols), so only the others are asked.
    """
    codes = np.r_[0:0xD800, 0xE000:0x40000, 0xE0000:0xE0200]
    text = list(map(chr, codes.tolist()))
    category = np.array(list(map(unicodedata.category, text)))
    space = _which(str.isspace, text) | np.isin(category, ["Cc", "Cf"])
    mark = np.strings.startswith(category, "M")
    word = _which(str.isalnum, text) | (codes == ord("_"))
    letter, alone = _which(str.isalpha, text), _which(re.compile(f"[{UNSPACED}]").match, text) & word
    flags = np.full(0x110000, SYMBOL, np.uint8)
    flags[codes] = np.select([word, mark, space], [_WORD, _MARK, _SPACE], _SYMBOL)
    flags[codes] |= _LETTER * letter + _ALONE * alone
    lower = np.arange(0x110000, dtype=np.uint32)
    cased = [(ord(character), ord(character.lower()[0])) for character in text if character.lower() != character]
    lower[[code for code, _ in cased]] = [code for _, code in cased]
    lower[ord("ς")] = ord("σ")
    return flags, lower


def _which(test: Callable[[str], Any], text: list[str]) -> npt.NDArray[np.bool_]:
    return np.fromiter((bool(test(character)) for character in text), np.bool_, len(text))


@njit(cache=True, inline="always")
def decode(data: Any, i: Any) -> tuple[Any, int]:
    """The code point of the character that begins at byte i, and its bytes."""
    b = np.uint32(data[i])
    if b < 0x80:
        return b, 1
    if b < 0xE0:
        return (b & 0x1F) << 6 | (data[i + 1] & 0x3F), 2
    if b < 0xF0:
        return (b & 0x0F) << 12 | np.uint32(data[i + 1] & 0x3F) << 6 | (data[i + 2] & 0x3F), 3
    high = (b & 0x07) << 18 | np.uint32(data[i + 1] & 0x3F) << 12
    return high | np.uint32(data[i + 2] & 0x3F) << 6 | (data[i + 3] & 0x3F), 4


@njit(cache=True)
def _scan(
    data: Any, offsets: Any, flags: Any, lower: Any,
    starts: Any, characters: Any, hashes: Any, kinds: Any, bounds: Any,
) -> bool:  # fmt: skip
    """Fill the columns of the tokens and their bounds; False if there is no room for all of them."""
    n = 0
    for document in range(len(offsets) - 1):
        i, end = offsets[document], offsets[document + 1]
        touches = False  # the token before is a word of a spaced script, and ends here
        while i < end:
            code, size = decode(data, i)
            kind = flags[code]
            if not kind & (_WORD | _SYMBOL):
                i, touches = i + size, False
                continue
            if n == len(starts):
                return False
            start, first, count, h, found = i, code, 0, _SEED, np.uint8(0)
            while True:
                h = (h ^ np.uint64(lower[code])) * _STEP
                if code == _BIG_I_WITH_DOT:
                    h = (h ^ np.uint64(_DOT_ABOVE)) * _STEP
                found |= kind
                count, i = count + 1, i + size
                if i >= end:
                    kind = _SPACE
                    break
                code, size = decode(data, i)
                kind = flags[code]
                if found & _SYMBOL:
                    if code != first:
                        break
                elif not kind & _MARK and (found & _ALONE or kind & _ALONE or not kind & _WORD):
                    break
            if found & _SYMBOL and count == 1 and touches and kind & _WORD and not kind & _ALONE:
                found |= _INNER
            touches = found & (_WORD | _ALONE) == _WORD
            h = (h ^ (h >> np.uint64(33))) * _MIX1
            h = (h ^ (h >> np.uint64(33))) * _MIX2
            starts[n], characters[n] = start, count
            hashes[n], kinds[n] = h ^ (h >> np.uint64(33)), found & ~_MARK
            n += 1
        bounds[document + 1] = n
    return True
