"""Counts of words -> a byte-level BPE `tokenizer.json` in ModernBERT's layout, or an existing one taken over.

Layout of the ids: 256 bytes, merges, runs of 24 to 2 spaces (indented code), the three placeholders of redacted
personal data, [UNK] [CLS] [SEP] [PAD] [MASK], and [unused0] ... up to the size asked for. Text is put in NFC and no
space is put before it: packing encodes with this file, and `export` hands this file on, so that data and model agree.
Memory: see word_counts.py and merges.py; 2.5 GB at most for a sample of any size.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing

from pipeline.tally import Tally
from pipeline.units import Unit

SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
PERSONAL = ("|||IP_ADDRESS|||", "|||EMAIL_ADDRESS|||", "|||PHONE_NUMBER|||")
"""What redaction puts in place of personal data (Dolma's, and so ModernBERT's)."""

SPACES = tuple(" " * n for n in range(24, 1, -1))
"""Runs of spaces with ids of their own (GPT-NeoX-20B, and so ModernBERT: ids 50254 to 50276)."""

LITERALS = (*SPACES, *PERSONAL)
"""Tokens that stand for text and are taken out of it before it is cut into words."""

MULTIPLE = 64
"""Of which the number of ids is one: the output matrix then fits tensor cores (ModernBERT: 50,368 = 787 x 64)."""


class TokenizerError(Exception):
    """A tokenizer cannot be trained, extended or taken over; the message says why and what to do."""


def spare(vocab: int) -> int:
    """How many [unused] ids at least: 83 of 50,368 as in ModernBERT, and in proportion."""
    return vocab // 600


def letters() -> list[str]:
    """The character by which a byte-level BPE writes each of the 256 bytes: itself if it can be seen, else one above
    U+00FF. (Of the bytes' Latin-1 characters, 188 can be seen.)"""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return [chr(byte if byte in seen else next(hidden)) for byte in range(256)]


def train_tokenizer(unit: Unit, out: Path, tally: Tally, *, vocab: int) -> None:
    """Write the tokenizer of `vocab` ids that the words in the unit's files, all sources', give.

    Raises TokenizerError if there is no word.
    """
    from pipeline.word_counts import gathered  # compiled code that `plan` need not wait for

    words = gathered([Path(piece.path) for piece in unit.pieces], tally)
    tokenizer = trained(words, vocab)
    tally.more["merged_tokens"] = tokenizer.get_vocab_size(with_added_tokens=False) - 256
    tokenizer.save(str(out), pretty=False)


def trained(words: pa.RecordBatch, vocab: int) -> Tokenizer:
    """The tokenizer of words with their counts (columns `word` and `count`)."""
    if not words.num_rows:
        raise TokenizerError("there is no text to train a tokenizer on; raise tokenizer.sample, or name one by `from`")
    from pipeline.merges import Cells, learn
    from pipeline.word_counts import bytes_of

    texts = sorted(letters())
    ids = np.array([texts.index(letter) for letter in letters()], np.uint8)
    data, offsets = bytes_of(words["word"])
    begin = offsets[0]
    tokens, ends = ids[data[begin : offsets[-1]]], offsets - begin
    try:
        cells = Cells(tokens, ends, words["count"].to_numpy(), np.ones(256, np.int32))
    except ValueError as fault:
        raise TokenizerError(f"tokenizer.sample: {fault}") from None
    merges = learn(cells, texts, vocab - len(LITERALS) - len(SPECIAL) - spare(vocab))
    pairs = [(texts[first], texts[second]) for first, second in merges]
    tokenizer = Tokenizer(BPE(vocab={text: number for number, text in enumerate(texts)}, merges=pairs))
    tokenizer.normalizer = NFC()
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = ByteLevelDecoder()
    _add_tokens(tokenizer, vocab)
    return tokenizer


def _add_tokens(tokenizer: Tokenizer, vocab: int) -> None:
    """Spaces, placeholders, special tokens, and [unused] ones up to `vocab`."""
    plain = [AddedToken(text, normalized=False, special=False) for text in LITERALS]
    special = [AddedToken(text, lstrip=text == "[MASK]", normalized=False, special=True) for text in SPECIAL]
    tokenizer.add_tokens(plain)
    tokenizer.add_special_tokens(special)
    missing = vocab - tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([AddedToken(f"[unused{n}]", normalized=False, special=True) for n in range(missing)])
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )


def take_tokenizer(unit: Unit, out: Path, tally: Tally) -> None:
    """Take over the unit's one file, an existing `tokenizer.json`, after a look at what training needs of it."""
    path = Path(unit.pieces[0].path)
    check_tokenizer(path)
    shutil.copyfile(path, out)


def opened(path: Path) -> Tokenizer:
    """An existing tokenizer, as it is. Raises TokenizerError if there is none."""
    if not path.is_file():
        raise TokenizerError(f"{path}: there is no such file")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as fault:  # the library raises bare Exception
        raise TokenizerError(f"{path}: is not a tokenizer.json: {fault}") from None


def check_tokenizer(path: Path) -> int:
    """How many ids a tokenizer has. Raises TokenizerError unless it has the special tokens that training needs."""
    tokenizer = opened(path)
    missing = [name for name in SPECIAL if name != "[UNK]" and tokenizer.token_to_id(name) is None]
    if missing:
        raise TokenizerError(f"{path}: has no {', '.join(missing)}; add them as special tokens")
    return int(max(tokenizer.get_vocab(with_added_tokens=True).values())) + 1


def publish(folder: Path, _: Sequence[object]) -> None:
    """Give the one unit's files the names that every tool looks for, without a second copy to go astray."""
    for name, file in (("tokenizer.json", "00000.json"), ("parts.json", "parts/00000.json")):
        link = folder / name
        link.unlink(missing_ok=True)
        if (folder / file).exists():
            link.symlink_to(file)
