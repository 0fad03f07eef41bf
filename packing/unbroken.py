"""A text without a boundary, such as 100 MB of one letter -> its ids, in the memory of a part of it.

A byte-level BPE merges, of all neighbours in a word, those of the lowest rank, the leftmost first. So tokens end to end
are the ids of a word if and only if each two neighbours are the ids of their own bytes: the first merge across a
boundary would be made in those two alone, too. Parts of a word are therefore encoded one after the other, each cut
before some token of its own, and what meets at the cut is encoded once more, together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from packing.pieces import LETTERS, MARKS, spanned

Ids = npt.NDArray[np.uint32]

INSIDE = re.compile(
    rf"(?<=[{LETTERS}]{{4}})(?=[{LETTERS}])|(?<=[0-9]{{4}})(?=[0-9])"
    rf"|(?<=['{MARKS}]{{4}})(?=[{MARKS}])|(?<=[ \n\t]{{4}})(?=[ \n\t]{{3}})"
)
"""Places in a word such that what stands on each side is a word too: behind an 's or 're that may begin it, and
before the last white space, which may belong to the next word."""

ONE_WORD = re.compile(rf"[{LETTERS}]+|[0-9]+|['{MARKS}]+|[ \n\t]+")

MARGIN = 16
"""Tokens at the end of a part that are not kept: they may come out otherwise with what follows."""

TRIES = 8
"""Cuts that are tried in one part, each of which encodes the next one."""

MEETING = 4
"""Tokens at least on each side of a cut that are encoded together."""


class Vocabulary(NamedTuple):
    """What is known of the tokens."""

    sizes: npt.NDArray[np.int32]
    """Bytes of each (V,)."""
    added: npt.NDArray[np.bool_]
    """Whether it is an added token that merges never make (V,): what follows it is encoded on its own."""
    names: Sequence[str]
    """Contents of the added tokens."""


def encode_unbroken(
    text: str, size: int, encode: Callable[[str], Ids], normalise: Callable[[str], str], vocabulary: Vocabulary
) -> Ids | None:
    """Ids of the text, encoded in parts of `size` characters; None where no cut can be proven right.

    encode: the tokenizer, for which `words_stand_alone`; normalise: what it does to a text first.
    """
    kept: list[Ids] = []
    begin, ids = 0, encode(text[:size])
    while begin + size < len(text):
        part = text[begin : begin + size]
        if normalise(part) != part:
            return None
        for number, cut, alone in _cuts(text, begin, part, ids, vocabulary):
            following, left = encode(text[cut : cut + size]), ids[:number]
            if alone or _meet(text, cut, left, following, encode, vocabulary.sizes):
                break
        else:
            return None
        kept.append(left)
        begin, ids = cut, following
    return np.concatenate([*kept, ids])


def _cuts(text: str, begin: int, part: str, ids: Ids, vocabulary: Vocabulary) -> Iterator[tuple[int, int, bool]]:
    """(tokens before it, place in the text, whether it stands behind an added token) of cuts that may be right, from
    the last one on, TRIES at most."""
    data = np.frombuffer(part.encode(), np.uint8)
    ends = np.cumsum(vocabulary.sizes[ids])
    if ends[-1] != len(data):
        return
    first = (data & 0xC0) != 0x80  # bytes that begin a character
    characters = np.cumsum(first) - 1
    longest = max(map(len, vocabulary.names), default=0)
    found = 0
    for number in range(len(ids) - MARGIN, MARGIN, -1):
        end = ends[number - 1]
        if not first[end]:
            continue
        cut = begin + int(characters[end])
        alone = bool(vocabulary.added[ids[number - 1]]) and cut <= begin + len(part) - longest
        if alone or (INSIDE.match(text, cut) and not spanned(text, cut, vocabulary.names)):
            yield number, cut, alone
            found += 1
            if found == TRIES:
                return


def _meet(
    text: str, cut: int, left: Ids, right: Ids, encode: Callable[[str], Ids], sizes: npt.NDArray[np.int32]
) -> bool:
    """Whether the last tokens before the cut and the first ones after it are the ids of their text, in one word."""
    for before in range(MEETING, min(len(left), 2 * MARGIN)):
        size = int(sizes[left[-before:]].sum())
        head = text[max(0, cut - size) : cut].encode()[-size:]
        if head[0] & 0xC0 != 0x80:
            break
    else:
        return False
    for after in range(MEETING, min(len(right), 2 * MARGIN)):
        size = int(sizes[right[:after]].sum())
        tail = text[cut : cut + size + 1].encode()
        if len(tail) > size and tail[size] & 0xC0 != 0x80:
            break
    else:
        return False
    met = (head + tail[:size]).decode()
    expected = np.concatenate([left[-before:], right[:after]])
    return ONE_WORD.fullmatch(met) is not None and np.array_equal(encode(met), expected)
