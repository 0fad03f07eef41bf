"""Texts -> token ids, and texts -> shards, beside `tokenizers`: megabytes of UTF-8 a CPU second of one core.

    python bench/encode.py [PATH ...] [--tokenizer tokenizer.json] [--rounds 3]

PATH: Parquet, JSON lines, WARC, plain text; what `bertmill sample` makes if none is given. Without --tokenizer a BPE
in ModernBERT's layout is trained on the texts, and its vocabulary is also used with other words and normal forms. Ours
is `Encoder.encode`, its check of a sample included; the peer `encode_batch_fast` on batches of 512 documents. The ids
of all documents and of 5,000 adversarial texts are compared. Then the stage `pack` with all that it reads and writes:
documents in Parquet -> rows in MDS shards of 64 MB of text each. Rounds alternate; medians; one process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split
from tokenizers.trainers import BpeTrainer

from bench.filters import documents
from bench.samples import samples
from packing.adversarial import adversarial
from packing.encode import Encoder
from pipeline.tokenizer import PERSONAL, SPACES, SPECIAL

BATCH = 512
UNIT = 64_000_000
GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("paths", nargs="*", type=Path)
    options.add_argument("--tokenizer", type=Path)
    options.add_argument("--vocab", type=int, default=50_368)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    texts = [text for path in asked.paths or samples("**/*.jsonl*") + samples("web/*.warc.gz") for text in read(path)]
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts)} documents, {size:.1f} MB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.tokenizer:
            tokenizers = {asked.tokenizer.name: asked.tokenizer}
        else:
            tokenizers = dict(configurations(trained(texts, asked.vocab), folder))
        for number, (title, path) in enumerate(tokenizers.items()):
            compare(title, path, texts, size, asked.rounds if not number else 1)
        whole(next(iter(tokenizers.values())), texts, size, folder, asked.rounds)


def read(path: Path) -> Iterator[str]:
    if path.suffix in (".txt", ".md", ".rst"):
        yield path.read_text(encoding="utf-8", errors="replace")
    else:
        yield from (text for _, text in documents(path))


def trained(texts: list[str], vocab: int) -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = NFC()
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    room = vocab - len(SPACES) - len(PERSONAL) - len(SPECIAL)
    trainer = BpeTrainer(vocab_size=room, initial_alphabet=sorted(ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in (*SPACES, *PERSONAL)])
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False, lstrip=n == "[MASK]") for n in SPECIAL])
    return tokenizer


def configurations(tokenizer: Tokenizer, folder: Path) -> Iterator[tuple[str, Path]]:
    """The same vocabulary with other words: what an encoder has to know of each is another thing."""
    split = Sequence([Split(Regex(GPT4), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)])
    for number, (title, normalizer, words) in enumerate(
        (
            ("ModernBERT's", NFC(), ByteLevel(add_prefix_space=False)),
            ("no normal form", None, ByteLevel(add_prefix_space=False)),
            ("a space before", NFC(), ByteLevel(add_prefix_space=True)),
            ("GPT-4's words", None, split),
            ("single digits", NFC(), Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])),
        )
    ):
        kept = json.loads(tokenizer.to_str())
        kept["normalizer"] = normalizer and json.loads(normalizer.__getstate__())
        kept["pre_tokenizer"] = json.loads(words.__getstate__())
        path = folder / f"{number}.json"
        path.write_text(json.dumps(kept))
        yield title, path


def compare(title: str, path: Path, texts: list[str], size: float, rounds: int) -> None:
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    began = time.process_time()
    encoder = Encoder(path)
    by, why = encoder.by, encoder.why_slow
    proof = time.process_time() - began

    def ours(texts: list[str]) -> list[Any]:
        encoder = Encoder(path)
        return [encoder.encode(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]

    def peer(texts: list[str]) -> list[Any]:
        found = []
        for at in range(0, len(texts), BATCH):
            batch = tokenizer.encode_batch_fast(texts[at : at + BATCH], add_special_tokens=False)
            found.append([np.array(encoding.ids, np.uint32) for encoding in batch])
        return found

    odd = adversarial(5000, [token.content for token in tokenizer.get_added_tokens_decoder().values()], seed=1)
    found: dict[str, list[Any]] = {}
    ways = {"ours": lambda: found.update(ours=ours(texts)), "peer": lambda: found.update(peer=peer(texts))}
    speeds = {way: size / seconds for way, seconds in measured(ways, rounds).items()}
    wrong, odd_wrong = differing(found["ours"], found["peer"]), differing(ours(odd), peer(odd))
    print(
        f"{title:16} by {by}: {speeds['ours']:6.1f} MB/s, tokenizers {speeds['peer']:5.2f}, "
        f"{speeds['ours'] / speeds['peer']:5.1f} times; other ids in {wrong} of {len(texts)} documents "
        f"and {odd_wrong} of {len(odd)} adversarial texts; loaded and proven in {proof:.2f} s  {why}",
        flush=True,
    )


def differing(ours: list[Any], peer: list[Any]) -> int:
    """How many texts have other ids."""
    differ = 0
    for (ids, counts), batch in zip(ours, peer, strict=True):
        parts = np.split(ids, np.cumsum(counts)[:-1])
        differ += sum(not np.array_equal(one, other) for one, other in zip(parts, batch, strict=True))
    return differ


def measured(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """CPU seconds of each, medians of alternating rounds."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, do in ways.items():
            began = time.process_time()
            do()
            times[way].append(time.process_time() - began)
    return {way: median(seconds) for way, seconds in times.items()}


def whole(tokenizer: Path, texts: list[str], size: float, folder: Path, rounds: int) -> None:
    """Documents in Parquet -> shards, by the stage that a recipe has."""
    from packing.stage import pack_documents, row_groups
    from pipeline.documents import Document, DocumentWriter, record
    from pipeline.tally import Tally
    from pipeline.units import group

    source = folder / "00000.parquet"
    with DocumentWriter(source) as writer:
        for number, text in enumerate(texts):
            writer.write_row(record(Document(at=str(number), text=text), "s", "text", "s"))
    units = group(row_groups([source]), UNIT)

    def packed() -> Tally:
        tally = Tally()
        for unit in units:
            pack_documents(
                unit, folder / f"{unit.number:05}.mds", tally, tokenizer=tokenizer, context=1024, shortest=32,
                seed=0, source="s", holdout=0.002, training=True,
            )  # fmt: skip
        return tally

    tally = packed()  # compiles, proves
    seconds = measured({"pack": packed}, rounds)["pack"]
    million = tally.more["tokens"] / seconds / 1e6
    notes = " ".join(tally.notes)
    print(
        f"Parquet to shards in {len(units)} units: {size / seconds:.1f} MB/s, {million:.1f} million tokens/s  {notes}"
    )


if __name__ == "__main__":
    main()
