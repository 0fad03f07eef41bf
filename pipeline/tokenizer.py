"""Clean documents -> a byte-level BPE `tokenizer.json` in ModernBERT's layout, or an existing one taken over.

Layout of the ids: 256 bytes, merges, runs of 24 to 2 spaces (indented code), the three placeholders of redacted
personal data, [UNK] [CLS] [SEP] [PAD] [MASK], and [unused0] ... up to the size asked for.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

from pipeline.documents import id_words, read_batches, text_bytes
from pipeline.tally import Tally
from pipeline.units import Unit

SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
PERSONAL = ("|||IP_ADDRESS|||", "|||EMAIL_ADDRESS|||", "|||PHONE_NUMBER|||")
"""What redaction puts in place of personal data (Dolma's, and so ModernBERT's)."""

SPACES = tuple(" " * n for n in range(24, 1, -1))
"""Runs of spaces with ids of their own (GPT-NeoX-20B, and so ModernBERT: ids 50254 to 50276)."""


class TokenizerError(Exception):
    """A tokenizer cannot be trained or taken over; the message says why and what to do."""


def spare(vocab: int) -> int:
    """How many [unused] ids at least: 83 of 50,368 as in ModernBERT, and in proportion."""
    return vocab // 600


def train_tokenizer(
    unit: Unit, out: Path, tally: Tally, *, shares: Mapping[str, float], sizes: Mapping[str, int],
    vocab: int, sample: int, holdout: float,
) -> None:  # fmt: skip
    """Train on a sample of the unit's files, which hold documents of all sources; write `tokenizer.json` to `out`.

    A document is drawn by its id alone, with the probability that gives source s `sample * shares[s]` bytes of the
    `sizes[s]` there are; so the sample does not depend on how the work was cut. Held-out documents are never drawn.
    """
    rates = {name: min(1.0, sample * shares[name] / sizes[name]) if sizes[name] else 0.0 for name in sizes}
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = NFC()
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = ByteLevelDecoder()
    added = len(SPACES) + len(PERSONAL) + len(SPECIAL)
    trainer = BpeTrainer(
        vocab_size=vocab - added - spare(vocab),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(unit, rates, holdout, tally), trainer)
    _add_tokens(tokenizer, vocab)
    tally.more["merged_tokens"] = tokenizer.get_vocab_size(with_added_tokens=False) - 256
    tokenizer.save(str(out), pretty=False)


def _texts(unit: Unit, rates: Mapping[str, float], holdout: float, tally: Tally) -> Iterator[list[str]]:
    for piece in unit.pieces:
        for batch in read_batches(Path(piece.path), columns=["id", "text", "source"]):
            tally.read(batch.num_rows, text_bytes(batch))
            chosen = drawn(batch, rates, holdout)
            taken = batch.filter(pa.array(chosen))
            tally.kept(taken.num_rows, text_bytes(taken))
            tally.dropped["not_sampled"] += batch.num_rows - taken.num_rows
            yield taken.column("text").to_pylist()


def drawn(batch: pa.RecordBatch, rates: Mapping[str, float], holdout: float) -> npt.NDArray[np.bool_]:
    """Which documents of a batch are in the sample: bool (documents,)."""
    draw, keep = id_words(batch.column("id"))
    rate = np.array([rates[name] for name in batch.column("source").to_pylist()])
    sampled: npt.NDArray[np.bool_] = (draw < rate * 2.0**64) & ~held_out(keep, holdout)
    return sampled


def held_out(words: npt.NDArray[np.uint64], holdout: float) -> npt.NDArray[np.bool_]:
    """Whether each document is kept for evaluation: its id's second word (uint64) lies in the first `holdout` share."""
    held: npt.NDArray[np.bool_] = words < np.uint64(int(holdout * 2**64))
    return held


def _add_tokens(tokenizer: Tokenizer, vocab: int) -> None:
    """Spaces, placeholders, special tokens, and [unused] ones up to `vocab`."""
    plain = [AddedToken(text, normalized=False, special=False) for text in (*SPACES, *PERSONAL)]
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


def check_tokenizer(path: Path) -> int:
    """How many ids a tokenizer has. Raises TokenizerError unless it has the special tokens that training needs."""
    if not path.is_file():
        raise TokenizerError(f"{path}: there is no such file")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as fault:  # the library raises bare Exception
        raise TokenizerError(f"{path}: is not a tokenizer.json: {fault}") from None
    missing = [name for name in SPECIAL if name != "[UNK]" and tokenizer.token_to_id(name) is None]
    if missing:
        raise TokenizerError(f"{path}: has no {', '.join(missing)}; add them as special tokens")
    return int(max(tokenizer.get_vocab(with_added_tokens=True).values())) + 1


def publish(folder: Path, _: Sequence[object]) -> None:
    """Give the one unit's file the name that every tool looks for, without a second copy to go astray."""
    link = folder / "tokenizer.json"
    link.unlink(missing_ok=True)
    link.symlink_to("00000.json")
