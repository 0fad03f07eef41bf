"""Texts -> token ids, equal to what `tokenizers` gives, in bounded memory however long a text is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

PIECE = 1 << 20
"""Characters of a text that are encoded as one, about."""

GROUP = 1 << 20
"""Characters that go to the library at once: it needs about 100 bytes a token until its answer is copied."""

BOUNDARY = re.compile(r"[^\s\u180e](?=[ \n])|[A-Za-z](?=[0-9])")
"""Where a text may be cut for a byte-level BPE: before a space or line feed that follows anything but white
space, and between a letter and a digit. The expression of GPT-2 begins a new word at each of these places,
whatever stands before; it never looks back, and looks ahead only in a run of white space. Words are encoded each
on its own. (U+180E was white space in old versions of Unicode.)"""

PRINTED = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
ALPHABET = frozenset(map(chr, [*PRINTED, *range(256, 512 - len(PRINTED))]))
"""The characters by which a byte-level BPE writes the 256 bytes: these as they are, the others from 256 on."""


class EncodeError(Exception):
    """A tokenizer that cannot be used for packing; told in one line."""


def id_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smaller of uint16 and uint32 that holds every id."""
    return np.dtype(np.uint16 if vocab_size <= 65_535 else np.uint32)


class Encoder:
    """Turns texts into ids without special tokens: `[MASK]` written in a text is text.

    Encodes in the calling thread: work is spread over processes by unit, and the library's threads, once
    started, do not live on in a forked worker (TOKENIZERS_PARALLELISM=true starts them all the same).
    """

    def __init__(self, tokenizer_json: Path) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_json))
        except Exception as fault:  # the library raises nothing more special
            raise EncodeError(f"{tokenizer_json}: is not a tokenizer.json ({fault}); name one that is") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # encode their names, do not let them through
        self._file = tokenizer_json
        self._vocab: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        self._added: dict[int, Any] = self._tokenizer.get_added_tokens_decoder()
        self.vocab_size = max(self._vocab.values()) + 1
        self.dtype = id_dtype(self.vocab_size)
        self.cls, self.sep, self.pad, self.mask = (self._id(n) for n in ("[CLS]", "[SEP]", "[PAD]", "[MASK]"))
        self.unk: int | None = self._vocab.get("[UNK]")
        special = {number for number, token in self._added.items() if token.special}
        special |= {self.cls, self.sep, self.pad, self.mask, *([] if self.unk is None else [self.unk])}
        self.special_ids = tuple(sorted(special))
        """Ids that never stand for text: not to be masked, not to be drawn as replacements."""
        self._cuts = _words_stand_alone(json.loads(self._tokenizer.to_str()))

    def _id(self, name: str) -> int:
        if name not in self._vocab:
            raise EncodeError(f"{self._file}: has no {name}; add it as a special token")
        return self._vocab[name]

    def encode(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Ids of all texts end to end (T,), and how many each text has (N,)."""
        ids: list[npt.NDArray[np.uint32]] = []
        counts = np.zeros(len(texts), np.int64)
        for group in self._groups(texts):
            of, batch = zip(*group, strict=True)
            encodings = self._tokenizer.encode_batch_fast(list(batch), add_special_tokens=False)
            found = [encoding.ids for encoding in encodings]
            lengths = [len(part) for part in found]
            np.add.at(counts, list(of), lengths)
            ids.append(np.fromiter(chain.from_iterable(found), np.uint32, sum(lengths)))
        return np.concatenate(ids) if ids else np.empty(0, np.uint32), counts

    def token_bytes(self) -> npt.NDArray[np.int32]:
        """UTF-8 bytes that each token stands for (vocab_size,), for bits per byte; none for special tokens.

        The bytes of a text's tokens sum to those of the text (as normalised). EncodeError unless the tokenizer
        is a byte-level one.
        """
        bytes_of = np.zeros(self.vocab_size, np.int32)
        for token, number in self._vocab.items():
            if number in self._added:
                bytes_of[number] = len(token.encode())
            elif ALPHABET.issuperset(token):
                bytes_of[number] = len(token)
            elif number not in self.special_ids:
                raise EncodeError(f"{self._file}: token {token!r} is not made of bytes; take a byte-level BPE")
        bytes_of[list(self.special_ids)] = 0
        return bytes_of

    def _groups(self, texts: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
        """Pieces of texts, each with the number of its text, about GROUP characters at a time."""
        group: list[tuple[int, str]] = []
        size = 0
        for number, text in enumerate(texts):
            for piece in pieces(text, PIECE) if self._cuts else [text]:
                group.append((number, piece))
                size += len(piece)
                if size >= GROUP:
                    yield group
                    group, size = [], 0
        if group:
            yield group


def pieces(text: str, size: int) -> Iterator[str]:
    """Cut a text at the first BOUNDARY after each `size` characters; where there is none, it stays whole."""
    at = 0
    while len(text) - at > size and (cut := BOUNDARY.search(text, at + size - 1)):
        yield text[at : cut.end()]
        at = cut.end()
    yield text[at:]


def _words_stand_alone(plain: dict[str, Any]) -> bool:
    """Whether cutting at BOUNDARY provably changes no id: GPT-2's words, at most NFC, and added tokens that lie on
    one side of a boundary. (NFC joins no space, line feed or digit to what stands before it.)"""
    words = plain["pre_tokenizer"] or {}
    return (
        plain["model"]["type"] == "BPE"
        and not plain["model"].get("dropout")
        and (plain["normalizer"] or {"type": "NFC"}) == {"type": "NFC"}
        and words.get("type") == "ByteLevel"
        and words.get("use_regex", True)
        and not words["add_prefix_space"]
        and not any(BOUNDARY.search(token["content"]) for token in plain["added_tokens"])
        and not any(
            token["single_word"] or token["lstrip"] or token["rstrip"]
            for token in plain["added_tokens"]
            if not token["special"]
        )
    )
