"""A tokenizer trained on the same text by bertmill and by `tokenizers`: CPU seconds, peak memory, whether they agree.

    python bench/tokenizer.py [PATH ...] [--mb 100] [--vocab 50368] [--rounds 1] [--alone]

PATHs are folders or files of text; those of this Python installation if none is given. Where there is less than
`--mb`, they are repeated with every twentieth word made anew from the halves of two others, so that the words go on
growing as those of real text do. Every way runs in a process of its own; ours are the two stages `words` (one process
here) and `tokenizer` with what they write. `tokenizers` is given the same texts without runs of spaces, which both
layouts take out; then the merges have to be equal, pair by pair. With `--alone` only bertmill is run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ENDINGS = (".py", ".pyi", ".pyx", ".h", ".hpp", ".txt", ".rst", ".md", ".json", ".js", ".html", ".po", ".csv", ".xml")
LONGEST = 1_000_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("paths", nargs="*", type=Path)
    options.add_argument("--mb", type=float, default=100)
    options.add_argument("--vocab", type=int, default=50_368)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--alone", action="store_true", help="leave the peer out")
    options.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.way:
        way, folder, vocab = asked.way
        print(json.dumps({"ours": ours, "theirs": theirs}[way](Path(folder), int(vocab))))
        return
    paths = asked.paths or [Path(sysconfig.get_paths()["purelib"]), Path(sysconfig.get_paths()["stdlib"])]
    with tempfile.TemporaryDirectory() as folder:
        size = write(paths, Path(folder), int(asked.mb * 1e6))
        print(f"{size / 1e6:.0f} MB of text, {asked.vocab} ids")
        ways = ["ours"] if asked.alone else ["ours", "theirs"]
        told: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for _ in range(asked.rounds):
            for way in ways:
                command = [sys.executable, __file__, "--way", way, folder, str(asked.vocab)]
                answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
                told[way].append(json.loads(answer.splitlines()[-1]))
        for way, found in told.items():
            cpu, wall, peak = (median(one[key] for one in found) for key in ("cpu", "wall", "peak"))
            more = "  ".join(f"{key} {value}" for key, value in found[0].get("more", {}).items())
            print(
                f"  {way:7} {cpu:8.1f} CPU s {wall:8.1f} s {size / 1e6 / cpu:7.1f} MB/CPU s  peak {peak:.2f} GB  {more}"
            )
        if not asked.alone:
            print(f"  merges {'equal' if equal(Path(folder)) else 'DIFFER'}, pair by pair")


def texts(paths: Sequence[Path]) -> Iterator[str]:
    """All files of text under some paths, in order."""
    for path in paths:
        files = sorted(file for file in path.rglob("*") if file.suffix in ENDINGS) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                text = file.read_bytes().decode(errors="replace").replace("\0", "")
                yield from (text[at : at + LONGEST] for at in range(0, len(text), LONGEST))


def write(paths: Sequence[Path], folder: Path, size: int) -> int:
    """Documents of `size` bytes in Parquet files of 64 MB; runs of spaces are one space."""
    from pipeline.documents import Document, DocumentWriter, record

    dice, total, turn, number = random.Random(4), 0, 0, 0
    source: Iterator[str] = texts(paths)
    while total < size:
        with DocumentWriter(folder / f"{number:05}.parquet") as writer:
            written = 0
            while written < 64 << 20 and total < size:
                text = next(source, None)
                if text is None:
                    source, turn = texts(paths), turn + 1
                    continue
                while "  " in text:
                    text = text.replace("  ", " ")
                text = renewed(text, dice) if turn else text
                writer.write_row(record(Document(at=f"{turn}-{written}", text=text), "all", "text", str(number)))
                written += len(text.encode())
                total += len(text.encode())
        number += 1
    return total


def renewed(text: str, dice: random.Random) -> str:
    """The text with every twentieth word put together from the halves of two."""
    words = text.split(" ")
    for at in range(dice.randrange(20), len(words), 20):
        one, two = dice.choice(words), dice.choice(words)
        words[at] = one[: len(one) // 2 + 1] + two[len(two) // 2 :]
    return " ".join(words)


def ours(folder: Path, vocab: int) -> dict[str, Any]:
    from pipeline.tally import Tally
    from pipeline.tokenizer import LITERALS, train_tokenizer
    from pipeline.units import Piece, Unit
    from pipeline.word_counts import count_words

    files = sorted(folder.glob("*.parquet"))
    warm(folder)
    began, cpu = time.perf_counter(), time.process_time()
    for number, file in enumerate(files):
        unit = Unit(number, (Piece(str(file), file.name, file.stat().st_size),))
        out = folder / f"{number:05}.arrow"
        count_words(unit, out, Tally(), rate=1.0, holdout=0.0, literals=LITERALS, nfc=True)
    words, tally = time.process_time() - cpu, Tally()
    pieces = tuple(Piece(str(file), file.name, 1) for file in sorted(folder.glob("*.arrow")))
    train_tokenizer(Unit(0, pieces), folder / "ours.json", tally, vocab=vocab)
    more = {"words_s": round(words, 1), **{key: tally.more[key] for key in ("words", "words_left_out")}}
    return {**spent(began, cpu), "more": more}


def warm(folder: Path) -> None:
    """Have everything compiled."""
    import pyarrow as pa

    from pipeline.pretokens import WordTable
    from pipeline.tokenizer import trained
    from pipeline.word_counts import SCHEMA
    from pipeline.words import text_of

    WordTable((" ",)).count(*text_of(pa.array(["warm \u0301"], pa.large_string())))
    trained(pa.RecordBatch.from_pylist([{"word": b"warm", "count": 1}], SCHEMA), 512)


def theirs(folder: Path, vocab: int) -> dict[str, Any]:
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.normalizers import NFC
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    from pipeline.tokenizer import LITERALS, SPECIAL, spare

    size = vocab - len(LITERALS) - len(SPECIAL) - spare(vocab)
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=ByteLevel.alphabet(), special_tokens=[], show_progress=False)
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = NFC()
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    began, cpu = time.perf_counter(), time.process_time()
    batches = (
        batch.column(0).to_pylist()
        for file in sorted(folder.glob("*.parquet"))
        for batch in pq.ParquetFile(file).iter_batches(batch_size=256, columns=["text"])
    )
    tokenizer.train_from_iterator(batches, trainer)
    tokenizer.save(str(folder / "theirs.json"))
    return spent(began, cpu)


def spent(began: float, cpu: float) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu, "peak": peak / 1e6}


def equal(folder: Path) -> bool:
    """Whether both learned the same merges, in the same order."""
    both = [json.loads((folder / f"{way}.json").read_bytes())["model"]["merges"] for way in ("ours", "theirs")]
    return bool(both[0] == both[1])


if __name__ == "__main__":
    main()
