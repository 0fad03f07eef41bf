"""A tokenizer + texts -> how well it fits them: bytes a token, tokens a word, ids that nothing uses, habits.

*Bytes a token* are UTF-8 bytes of the text; *tokens a word* (fertility) are all tokens, white space and symbols
included, over the words of pipeline/words.py: runs of letters and digits, and each character of scripts written without
spaces. Both compare over tokenizers, as they are of the same texts. Memory: about 100 bytes a token of a batch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer

from pipeline.words import WORD, scan_batch

RARE = 10
"""Uses under which an id is rare: its embedding hardly learns."""

HABITS = (
    "the\u0020the",
    "\u0020\u0020\u0020\u0020return\u0020x",
    "\t\tx\u0020=\u00201",
    "a\n\n\nb",
    "don't",
    "1234567",
    "2024-06-01",
    "3.14159",
)
"""Texts that show how white space, contractions and digits are cut."""


@dataclass(kw_only=True)
class Fit:
    """Sums over some of the documents."""

    documents: int = 0
    bytes: int = 0
    words: int = 0
    tokens: int = 0

    def told(self) -> dict[str, Any]:
        """The sums, and what they come to; a ratio without a denominator is None."""
        return {
            "documents": self.documents,
            "bytes": self.bytes,
            "words": self.words,
            "tokens": self.tokens,
            "bytes_per_token": self.bytes / self.tokens if self.tokens else None,
            "tokens_per_word": self.tokens / self.words if self.words else None,
        }


@dataclass(kw_only=True)
class Uses:
    """What one tokenizer makes of all documents given to it."""

    tokenizer: Tokenizer
    fits: dict[tuple[str, str], Fit] = field(default_factory=dict)
    """By what is told apart and its name: ("source", "web"), ("language", "de"), ("all", "all")."""
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """How often each id was used (ids,)."""
    changed: int = 0
    """Documents that do not come back from their tokens, but for how they are normalised."""

    def __post_init__(self) -> None:
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.tokenizer.encode_special_tokens = True  # as packing does: `[MASK]` written in a text is text
        self.counts = np.zeros(1 + max(self.tokenizer.get_vocab().values()), np.int64)

    def add(self, texts: Sequence[str], groups: Sequence[Mapping[str, str]]) -> None:
        """Count a batch of texts, each under its groups such as {"source": "web", "language": "de"} and under all."""
        words = scan_batch(pa.array(texts, pa.large_string()))
        is_word = np.concatenate([[0], (words.kinds & WORD != 0).cumsum()])
        in_text = np.diff(is_word[words.bounds])
        normal = self.tokenizer.normalizer
        for number, encoding in enumerate(self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)):
            ids, text = encoding.ids, texts[number]
            self.counts += np.bincount(np.array(ids, np.int64), minlength=len(self.counts))
            back = self.tokenizer.decode(ids, skip_special_tokens=False)
            self.changed += back not in (text, normal.normalize_str(text) if normal else text)
            for group in (("all", "all"), *groups[number].items()):
                fit = self.fits.setdefault(group, Fit())
                fit.documents += 1
                fit.bytes += len(text.encode())
                fit.words += int(in_text[number])
                fit.tokens += len(ids)

    def told(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "fits": [{"by": by, "name": name, **fit.told()} for (by, name), fit in sorted(self.fits.items())],
            "changed_documents": self.changed,
            **self._vocabulary(),
            "layout": layout(self.tokenizer),
            "habits": {text: cut(self.tokenizer, text) for text in HABITS},
        }

    def _vocabulary(self, shown: int = 12) -> dict[str, Any]:
        """Which ids the documents use: those that can stand for text alone, special ones are none of them."""
        names = {number: name for name, number in self.tokenizer.get_vocab().items()}
        special = {n for n, token in self.tokenizer.get_added_tokens_decoder().items() if token.special}
        ids = np.array(sorted(set(names) - special), np.int64)
        used = self.counts[ids]
        seen = ids[used > 0]
        texts = {int(n): self.tokenizer.decode([int(n)], skip_special_tokens=False) for n in seen}
        merged = {n: text for n, text in texts.items() if n not in self.tokenizer.get_added_tokens_decoder()}
        longest = sorted(merged, key=lambda n: (-len(texts[n].encode()), n))[:shown]
        return {
            "ids": len(self.counts),
            "special_ids": len(special),
            "unused_ids": int((used == 0).sum()),
            "rare_ids": int(((used > 0) & (used < RARE)).sum()),
            "unused_first": [names[int(n)] for n in ids[used == 0][:shown]],
            "rare_first": [texts[int(n)] for n in ids[(used > 0) & (used < RARE)][:shown]],
            "longest": [{"token": texts[n], "uses": int(self.counts[n])} for n in longest],
        }


def cut(tokenizer: Tokenizer, text: str) -> list[str]:
    """The tokens of a text, as the parts of it that they stand for."""
    return [text[a:b] for a, b in tokenizer.encode(text, add_special_tokens=False).offsets]


def cut_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def layout(tokenizer: Tokenizer) -> dict[str, Any]:
    """What data and model have to agree on, and what published tokenizers have wrong."""
    plain = json.loads(tokenizer.to_str())
    ids = 1 + max(tokenizer.get_vocab().values())
    added = {token["content"]: token for token in plain["added_tokens"]}
    mask = added.get("[MASK]") or added.get("<mask>")
    return {
        "model": plain["model"]["type"],
        "merges": len(plain["model"].get("merges", [])),
        "normalizer": plain["normalizer"] and plain["normalizer"]["type"],
        "prefix_space": cut_ids(tokenizer, "the") == cut_ids(tokenizer, " the"),
        "multiple_of_64": ids % 64 == 0,
        "mask_takes_the_space_before_it": bool(mask and mask["lstrip"]),
        "unused_tokens": sum(bool(re.fullmatch(r"\[unused\d+\]", name)) for name in added),
        "runs_of_spaces": [n for n in range(2, 33) if " " * n in cut(tokenizer, "x" + " " * n)],
        "tokens_of_1_3_9_sevens": [len(cut(tokenizer, "7" * n)) for n in (1, 3, 9)],
    }
