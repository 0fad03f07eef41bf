"""Texts -> token ids, equal to what `tokenizers` gives, in bounded memory however long a text is.

By fastokens where it is installed and proven equal, else by `tokenizers`, and `why_slow` tells the reason. Beside the
ids, either needs some 80 bytes a byte of what it is given at once: GROUP characters, up to 400 MB. Only a text that has
no place where it may be cut (see packing/pieces.py, packing/unbroken.py) goes to it whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from packing.accelerated import Accelerator, Encoded, RefusedError, difference, proven
from packing.pieces import pieces, words_stand_alone
from packing.unbroken import Vocabulary, encode_unbroken

PIECE = 1 << 18
"""Characters of a text that are encoded as one, about."""

GROUP = 1 << 20
"""Characters that go to the library at once; a piece with more is cut inside its words."""

CHECKED_FIRST = 1 << 16
"""Characters of the first texts that both encoders are given."""

CHECKED_SHARE = 256
"""One character in so many is given to both: a tenth of the accelerator's own time."""

CHECKED_AT_ONCE = 1 << 14
"""Characters of one text that are checked: longer ones are looked at in part."""

PRINTED = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
ALPHABET = frozenset(map(chr, [*PRINTED, *range(256, 512 - len(PRINTED))]))
"""The characters by which a byte-level BPE writes the 256 bytes: these as they are, the others from 256 on."""


class EncodeError(Exception):
    """A tokenizer that cannot be used for packing; told in one line."""


def id_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smaller of uint16 and uint32 that holds every id."""
    return np.dtype(np.uint16 if vocab_size <= 65_535 else np.uint32)


class Encoder:
    """Turns texts into ids without special tokens: `[MASK]` written in a text is text. BPE dropout is off.

    One for each unit, as a sample of the texts is encoded by both encoders, and the first one that differs makes
    `tokenizers` encode from then on: the whole unit, if the caller looks at `mixed`.
    Encodes in the calling thread: work is spread over processes by unit, and the libraries' threads, once
    started, do not live on in a forked worker (TOKENIZERS_PARALLELISM=true, FASTOKENS_BPE_THREADS=4 start them).
    """

    def __init__(self, tokenizer_json: Path) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._file = tokenizer_json
        self._tokenizer, plain = _load(tokenizer_json, _stamp(tokenizer_json))
        self._vocab: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        self._added: dict[int, Any] = self._tokenizer.get_added_tokens_decoder()
        self._names = tuple(sorted(token.content for token in self._added.values()))
        self.vocab_size = max(self._vocab.values()) + 1
        self.dtype = id_dtype(self.vocab_size)
        self.cls, self.sep, self.pad, self.mask = (self._id(n) for n in ("[CLS]", "[SEP]", "[PAD]", "[MASK]"))
        self.unk: int | None = self._vocab.get("[UNK]")
        special = {number for number, token in self._added.items() if token.special}
        special |= {self.cls, self.sep, self.pad, self.mask, *([] if self.unk is None else [self.unk])}
        self.special_ids = tuple(sorted(special))
        """Ids that never stand for text: not to be masked, not to be drawn as replacements."""
        self._cuts = words_stand_alone(plain)
        self._read = self._checked = 0
        self._refused = ""
        self.mixed = False
        """Whether earlier texts were encoded by the accelerator before it was seen to differ: encode them again."""

    def _id(self, name: str) -> int:
        if name not in self._vocab:
            raise EncodeError(f"{self._file}: has no {name}; add it as a special token")
        return self._vocab[name]

    @property
    def why_slow(self) -> str:
        """Why `tokenizers` encodes, 20 times as slowly as the accelerator would; nothing where that does."""
        return self._refused or _accelerator(self._file, _stamp(self._file))[1]

    @property
    def by(self) -> str:
        """What encodes: fastokens or tokenizers."""
        return "tokenizers" if self.why_slow else "fastokens"

    def refer(self, why: str) -> None:
        """Let `tokenizers` encode from now on; `why` is what `why_slow` tells."""
        self._refused = why

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The ids that `tokenizers` gives. Raises UnicodeEncodeError for lone surrogates, which are no text."""
        accelerator = None if self._refused else _accelerator(self._file, _stamp(self._file))[0]
        if accelerator:
            before = self._read
            try:
                found = self._encode(texts, accelerator.encode)
                differs = self._compared(texts, found, accelerator)
            except RefusedError as fault:
                differs = str(fault)
            if not differs:
                return found
            self.refer(differs)
            self.mixed = before > 0
        return self._encode(texts, self._refer)

    def _compared(self, texts: Sequence[str], found: Encoded, accelerator: Accelerator) -> str:
        """What tells of a text of which the accelerator gave other ids; the first ones and some of all are checked."""
        ids, counts = found
        ends = np.cumsum(counts)
        for text, end, count in zip(texts, ends.tolist(), counts.tolist(), strict=True):
            if self._checked <= CHECKED_FIRST + self._read // CHECKED_SHARE:
                whole = len(text) <= CHECKED_AT_ONCE
                begin = 0 if whole else self._read % (len(text) - CHECKED_AT_ONCE)
                part = [text[begin : begin + CHECKED_AT_ONCE]]
                ours = (ids[end - count : end], np.array([count])) if whole else accelerator.encode(part)
                self._checked += len(part[0])
                if told := difference(ours, self._refer(part), part):
                    return told
            self._read += len(text)
        return ""

    def _refer(self, texts: Sequence[str]) -> Encoded:
        found = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        counts = np.array([len(part) for part in found], np.int64)
        return np.fromiter(chain.from_iterable(found), np.uint32, int(counts.sum())), counts

    def _encode(self, texts: Sequence[str], encode: Any) -> Encoded:
        ids: list[npt.NDArray[np.uint32]] = []
        counts = np.zeros(len(texts), np.int64)
        for of, batch in self._groups(texts):
            part = self._within_words(batch[0], encode) if len(batch) == 1 and len(batch[0]) > GROUP else None
            found, sizes = encode(batch) if part is None else (part, [len(part)])
            np.add.at(counts, of, sizes)
            ids.append(found)
        return np.concatenate(ids) if ids else np.empty(0, np.uint32), counts

    def _groups(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
        """Numbers of texts, and pieces of them, about GROUP characters at a time; a longer piece alone."""
        of: list[int] = []
        batch: list[str] = []
        size = 0
        for number, text in enumerate(texts):
            for piece in pieces(text, PIECE, self._names) if self._cuts and len(text) > PIECE else (text,):
                if batch and size + len(piece) > GROUP:
                    yield of, batch
                    of, batch, size = [], [], 0
                of.append(number)
                batch.append(piece)
                size += len(piece)
        if batch:
            yield of, batch

    def _within_words(self, text: str, encode: Any) -> npt.NDArray[np.uint32] | None:
        """Ids of a text that has no boundary, or None if there is no proof that parts of it give them."""
        if not self._cuts or self._unbroken is None:
            return None
        normalizer = self._tokenizer.normalizer
        normalise = normalizer.normalize_str if normalizer else str
        return encode_unbroken(text, PIECE, lambda part: encode([part])[0], normalise, self._unbroken)

    @cached_property
    def _unbroken(self) -> Vocabulary | None:
        try:
            sizes = self.token_bytes()
        except EncodeError:
            return None
        made = self._tokenizer.get_vocab(with_added_tokens=False)
        added = np.zeros(self.vocab_size, np.bool_)
        added[[number for number, token in self._added.items() if not token.special and token.content not in made]] = 1
        return Vocabulary(sizes, added, self._names)

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


Stamp = tuple[int, int] | None


def _stamp(path: Path) -> Stamp:
    """What tells one state of a file from another; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=1)
def _load(path: Path, _: Stamp) -> tuple[Any, dict[str, Any]]:
    """The tokenizer, and what its file holds; kept, as a process packs many units. EncodeError if it is none."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as fault:  # the library raises nothing more special
        raise EncodeError(f"{path}: is not a tokenizer.json ({fault}); name one that is") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # encode their names, do not let them through
    if getattr(tokenizer.model, "dropout", None):
        tokenizer.model.dropout = None
    return tokenizer, json.loads(tokenizer.to_str())


@lru_cache(maxsize=1)
def _accelerator(path: Path, stamp: Stamp) -> tuple[Accelerator | None, str]:
    """The accelerator of a tokenizer, or why there is none."""
    tokenizer, plain = _load(path, stamp)
    names = [token["content"] for token in plain["added_tokens"]]
    encoder = Encoder(path)
    try:
        return proven(tokenizer.to_str(), encoder._refer, names), ""
    except RefusedError as fault:
        return None, str(fault)
