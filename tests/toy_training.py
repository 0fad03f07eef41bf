"""Rows, tokenizer and model small enough to train in a second, made by the real writers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from model.settings import Shape
from packing.encode import Encoder
from packing.rows import rows_of_unit
from packing.shards import Shards, write_index, write_shard
from packing.shuffle import words
from train.batches import IGNORED, Reader
from train.batches import Batch as Read
from train.job import Job
from train.masking import key_of, words_of
from train.order import order_of
from train.phase import Phase
from train.settings import Batch, Evaluate, Optimizer, Train

SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
PAD = 259
"""Its id in the smallest tokenizer."""

SHAPE = Shape(layers=4, hidden=32, heads=2, intermediate=48, window=16)

NOUNS = ("cat", "dog", "bird", "fish", "horse", "child", "judge", "miller")
VERBS = ("sees", "finds", "follows", "forgets")


def tokenizer_at(path: Path, merges: int = 0) -> Path:
    """A byte-level tokenizer: 256 bytes, so many merges at most, five special tokens, three [unused]."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = BpeTrainer(vocab_size=256 + merges, initial_alphabet=sorted(ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator((document(source, n) for source in ("web", "code") for n in range(50)), trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    tokenizer.add_tokens([AddedToken(f"[unused{n}]", normalized=False) for n in range(3)])
    tokenizer.save(str(path))
    return path


@cache
def document(source: str, number: int) -> str:
    """One sentence again and again: what is hidden stands elsewhere in the document. Sources differ in pairs."""
    draw, times = words(2, "toy", source, number).tolist()
    subject = draw % len(NOUNS)
    other = NOUNS[(subject + (3 if source == "web" else 5)) % len(NOUNS)]
    return " ".join([f"the {NOUNS[subject]} {VERBS[subject % len(VERBS)]} the {other}."] * (1 + times % 12))


def shards_at(folder: Path, tokenizer: Path, source: str, context: int, documents: range, files: int = 2) -> Path:
    """Packed rows of some documents of a source."""
    return shards_of(folder, tokenizer, {number: document(source, number) for number in documents}, context, files)


def shards_of(folder: Path, tokenizer: Path, texts: Mapping[int, str], context: int, files: int = 2) -> Path:
    """Packed rows of documents by number."""
    encoder = Encoder(tokenizer)
    infos = []
    folder.mkdir(parents=True)
    for unit in range(files):
        numbers = list(texts)[unit::files]
        ids, lengths = encoder.encode([texts[number] for number in numbers])
        rows = rows_of_unit(
            ids.astype(encoder.dtype),
            lengths,
            np.array(numbers, np.uint64),
            cls=encoder.cls,
            sep=encoder.sep,
            context=context,
            seed=1,
            unit=unit,
            shortest=8,
        )
        infos.append(write_shard(folder / f"{unit:05d}.mds", rows))
    write_index(folder, infos)
    return folder


def settings(**changes: Any) -> Train:
    """Two phases at a context of 64, one at 128 with another RoPE that decays: 9 + 5 + 4 steps of 512 tokens."""
    given: dict[str, Any] = {
        "optimizer": Optimizer(peak=4e-3, weight_decay=1e-3),
        "batch": Batch(rows=8),
        "save_every": 2_560,
        "microbatch": 256,
        "phases": (
            Phase(name="learn", tokens=4_500, context=64, mix={"web": 0.7, "code": 0.3}, warmup=1_500),
            Phase(name="turn", tokens=2_560, context=64, mix={"web": 0.2, "code": 0.8}),
            Phase(
                name="settle",
                tokens=2_048,
                context=128,
                mix={"web": 0.5, "code": 0.5},
                peak=2e-3,
                rope=160_000.0,
                decay="1-sqrt",
            ),
        ),
        "evaluate": Evaluate(rows=4),
    }
    return Train(**{**given, **changes})


def packed(
    base: Path, documents: int = 400, merges: int = 0
) -> tuple[Path, Mapping[tuple[str, int], Path], Mapping[str, Path]]:
    """Tokenizer, (source, context) -> rows for training, source -> held-out rows."""
    tokenizer = tokenizer_at(base / "tokenizer.json", merges)
    shards = {
        (source, context): shards_at(
            base / "pack" / source / str(context), tokenizer, source, context, range(documents)
        )
        for source in ("web", "code")
        for context in (64, 128)
    }
    heldout = {
        source: shards_at(base / "heldout" / source, tokenizer, source, 64, range(10_000, 10_020))
        for source in ("web", "code")
    }
    return tokenizer, shards, heldout


def job(base: Path, data: Path, **changes: Any) -> Job:
    """A training of `settings()` into base/run over the rows that `packed(data)` made."""
    given: dict[str, Any] = {
        "settings": settings(),
        "shape": SHAPE,
        "tokenizer": data / "tokenizer.json",
        "shards": {
            (source, context): data / "pack" / source / str(context)
            for source in ("web", "code")
            for context in (64, 128)
        },
        "heldout": {source: data / "heldout" / source for source in ("web", "code")},
        "folder": base / "run",
        "seed": 17,
        "threads": 1,
    }
    return Job(**{**given, **changes})


def reader(run: Job, **changes: Any) -> Reader:
    shards = {key: Shards(folder) for key, folder in run.shards.items()}
    given: dict[str, Any] = {
        "settings": run.settings,
        "order": order_of(run.settings, {key: len(rows) for key, rows in shards.items()}, run.seed),
        "shards": shards,
        "words": words_of(run.tokenizer),
        "key": key_of("mask", run.seed),
        "pad_id": None,
    }
    return Reader(**{**given, **changes})


def unmasked(batch: Read) -> list[int]:
    """The tokens as they stood in the rows, padding left out."""
    ids: list[int] = []
    for part in batch.microbatches:
        stood = part.input_ids.clone()
        real = part.labels != IGNORED
        stood[part.masked[real]] = part.labels[real]
        ids += stood[: part.tokens].tolist()
    return ids
