"""Texts made by code of what tokenizers get wrong: white space, marks, normal forms, runs, names of tokens."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Sequence

SPACES = (*" \t\n\v\f\r", "\r\n", "\n\n", *"\x1c\x1f\x85\xa0\u1680\u180e\u2003\u2028\u2029\u202f\u205f\u3000")
INVISIBLE = (*"\0\x7f\xad\u034f\u061c\u115f\u200b\u200c\u200d\u200e\u2060\u2066\ufe0f\ufeff\ufffd\uffff", "\U000e0001")
MARKS = tuple("\u0300\u0301\u0308\u0323\u0327\u0338\u0345\u05b0\u064b\u093c\u0e38\u1161\u11a8\u20dd\u3099\u1dce")
"""Of several combining classes, so that normalisation reorders and composes them; two of them are Hangul."""
WORDS = (
    "the", "It's", "they'RE", "I'll", "'s", "''s", " 'd", "x1", "1x", "3.14", "0x7f", "snake_case", "camelCaseHTML",
    "naïve", "cafe\u0301", "\u1e9b\u0323", "\u212b", "ﬁ", "ǆ", "İ", "ß", "Ω", "٣٤", "²", "Ⅻ", "½", "…", "—", "。",
    "日本語", "テ\u3099", "한국", "\u1112\u1161", "שלום", "क\u094dष\u093f", "ไทย", "\U00011347\U00011357", "=>",
    "🙂", "👩\u200d👩\u200d👧", "👍🏽", "🇩🇪", "e\u0301\u0323", "https://a.example/b?c=%20", "<|endoftext|>", "[MASK]",
    " [MASK]", "[CLS][SEP]", "[PAD", "MASK]", "</s>", "<0x0A>", "Ġ", "▁",
)  # fmt: skip
SINGLE = tuple("aZ70-=.'é日ä한ا")
LONGEST_RUN = 300


def adversarial(n: int, tokens: Sequence[str] = (), seed: int = 0) -> list[str]:
    """`n` texts, the same for the same arguments; `tokens` (a tokenizer's added ones) are written into them too.

    A quarter each: parts from the lists above, random code points of all planes, runs of one or two parts, and
    one of the former decomposed, composed, in capitals, or cut from UTF-8 or UTF-16 in the middle of a character
    (what is then no text becomes U+FFFD).
    """
    dice = random.Random(seed)
    parts = (*SPACES, *INVISIBLE, *MARKS, *WORDS)
    names = tuple(tokens) or WORDS
    repeated: tuple[Sequence[str], ...] = (SINGLE, SPACES, MARKS, names)

    def part() -> str:
        return dice.choice(names) if dice.random() < 0.15 else dice.choice(parts)

    def mixed() -> str:
        return "".join(part() + " " * (dice.random() < 0.3) for _ in range(dice.randint(0, 30)))

    def anywhere() -> str:
        last = dice.choice((0xFF, 0x2FF, 0x3000, 0xFFFF, sys.maxunicode))
        return _text("".join(chr(dice.randint(0, last)) for _ in range(dice.randint(1, 40))))

    def runs() -> str:
        one, other = dice.choice(dice.choice(repeated)), part()
        head, tail = part() * dice.randint(0, 2), part() * dice.randint(0, 2)
        return head + (one + other * dice.randint(0, 1)) * dice.randint(1, LONGEST_RUN) + tail

    def rewritten() -> str:
        text = dice.choice((mixed, anywhere, runs))()
        way = dice.randint(0, 5)
        if way < 2:
            return unicodedata.normalize("NFD" if way else "NFC", text)
        if way < 4:
            return text.upper() if way == 2 else text[::-1]
        coding = "utf-8" if way == 4 else "utf-16-le"
        data = text.encode(coding)
        return data[dice.randint(0, 3) : max(3, len(data) - dice.randint(0, 3))].decode(coding, "replace")

    makers = (mixed, anywhere, runs, rewritten)
    return [makers[number % 4]() for number in range(n)]


def _text(text: str) -> str:
    """Lone surrogates, which are no text, become U+FFFD; paired ones their character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
