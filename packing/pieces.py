"""A long text -> pieces whose ids, end to end, are provably those of the whole, by the words of a byte-level BPE.

The expression of GPT-2 splits a text into runs of letters, of numbers, of white space and of all else, each with at
most one space before it; it never looks back, and ahead only in a run of white space. Words are encoded on their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

LETTERS = (
    "A-Za-zÀ-ÖØ-öø-ÿĀ-ʯα-ωА-џא-תء-غก-ฮ\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
)  # fmt: skip
"""Letters in every version of Unicode, none of which is ever composed with what stands before it."""

MARKS = "!-&(-/:-@\\[-`{-~、。，！？：；「」（）"
"""Punctuation likewise; without the apostrophe, which begins words such as 's."""

BOUNDARY = re.compile(
    rf"[^\s\u180e](?=[ \n])|[{LETTERS}](?=[0-9'{MARKS}])|[0-9](?=['{LETTERS}{MARKS}])|[{MARKS}](?=[0-9{LETTERS}])"
)
"""Where a text may be cut: before a space or line feed that follows anything but white space, and between letters,
digits and punctuation. NFC joins none of these to what stands before. (U+180E was white space in old Unicode.)"""


def pieces(text: str, size: int, added: Sequence[str] = ()) -> Iterator[str]:
    """Cut a text at the first BOUNDARY after each `size` characters; where there is none, it stays whole.

    added: contents of the added tokens; a cut goes through none of them. Linear in the text.
    """
    at = 0
    while len(text) - at > size and (cut := _boundary(text, at + size - 1, added)):
        yield text[at:cut]
        at = cut
    yield text[at:]


def _boundary(text: str, start: int, added: Sequence[str]) -> int | None:
    ends = (match.end() for match in BOUNDARY.finditer(text, start))
    return next((cut for cut in ends if not spanned(text, cut, added)), None)


def spanned(text: str, cut: int, added: Sequence[str]) -> bool:
    """Whether one of `added` stands in the text with `cut` inside it."""
    return any(text.find(name, max(0, cut - len(name) + 1), cut + len(name) - 1) >= 0 for name in added)


def words_stand_alone(plain: dict[str, Any]) -> bool:
    """Whether `pieces` has its proof for a tokenizer (as in `tokenizer.json`): GPT-2's words, at most NFC, and added
    tokens that take nothing from what stands around them."""
    words = plain["pre_tokenizer"] or {}
    return (
        plain["model"]["type"] == "BPE"
        and not plain["model"].get("continuing_subword_prefix")
        and not plain["model"].get("end_of_word_suffix")
        and (plain["normalizer"] or {"type": "NFC"}) == {"type": "NFC"}
        and words.get("type") == "ByteLevel"
        and words.get("use_regex", True)
        and not words["add_prefix_space"]
        and not any(token["normalized"] and BOUNDARY.search(token["content"]) for token in plain["added_tokens"])
        and not any(
            token["single_word"] or token["lstrip"] or token["rstrip"]
            for token in plain["added_tokens"]
            if not token["special"]
        )
    )
