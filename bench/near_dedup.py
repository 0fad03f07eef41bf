"""Exact and near dedup of real text beside datatrove, text-dedup, gaoya and rensa: speed, memory, recall and precision.

    python bench/near_dedup.py [FILE.jsonl.gz ...] [--slow 0.05] [--peers datatrove gaoya ...]

The text is `bench/dedup/corpus.py`'s, or the files named (a `text` in each line; texts of one `family` are drawn
together). Each program runs alone in a process of its own, on one core;
seconds are CPU seconds, the peak is of resident memory. Ours are the stages of a run, from the filtered documents on,
each writing and signing its folder. Programs that take minutes for 10 MB get a share of the families of documents; ours
is measured on the same documents in the same run.

    recall     pairs of J >= .8 of which at most one document is kept (J by bench/dedup/jaccard.py, all pairs)
    .75, .8    removed documents that have a kept one of at least that J
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from bench.dedup.jaccard import Pairs, Score

OURS = ("20x6", "14x8")
"""Bands x rows: the default, and what the peers are told."""
SLOW = ("datatrove", "text_dedup")
"""What is measured on a share of the documents alone."""
FAST = ("datatrove_", "gaoya", "rensa")
ENVIRONMENT = {"datatrove": "datatrove", "datatrove_": "datatrove", "text_dedup": "text-dedup"}
"""Program -> its environment in bench/peers.py, where that is not its own name."""
NAMES = {"datatrove": "datatrove 0.10.1", "datatrove_": "  its words by \\w+", "text_dedup": "text-dedup 0.4.1",
         "gaoya": "gaoya 0.2.2", "rensa": "rensa 0.5.0", "20x6": "bertmill", "14x8": "bertmill, 14 x 8"}  # fmt: skip

ALONE = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"), "1")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("files", nargs="*", type=Path)
    options.add_argument("--slow", type=float, default=0.05, help="share of the documents for the slow programs")
    options.add_argument("--peers", nargs="*", default=[*SLOW, *FAST], choices=[*SLOW, *FAST])
    asked = options.parse_args()
    from bench.dedup.corpus import corpus

    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        compare(asked.files or corpus(), asked, Path(folder))


def compare(files: Sequence[Path], asked: argparse.Namespace, folder: Path) -> None:
    from bench.dedup.corpus import drawn, read

    documents = list(read(files))
    truth = pairs_of([document["text"] for document in documents])
    every = np.arange(len(documents))
    small = np.array([n for n, one in enumerate(documents) if drawn(one["family"]) < asked.slow], np.int64)
    for chosen, peers in ((small, [*SLOW, *FAST]), (every, [*FAST])):
        table(
            [documents[n]["text"] for n in chosen], among(truth, chosen), [p for p in peers if p in asked.peers], folder
        )


def pairs_of(texts: list[str]) -> Pairs:
    """The truth for all documents; 0.5 for a look at how many there are of each similarity."""
    from bench.dedup.jaccard import shingle_sets, similar

    found = similar(shingle_sets(texts), 0.5)
    counts, edges = np.histogram(found[2], np.arange(0.5, 1.01, 0.1))
    told = ", ".join(f"{edge:.1f}: {count}" for edge, count in zip(edges, counts, strict=False))
    print(f"pairs by J in {len(texts)} documents: {told}", flush=True)
    return found


def among(pairs: Pairs, chosen: npt.NDArray[np.int64]) -> Pairs:
    """The pairs of chosen documents, by their new numbers."""
    place = np.full(max(chosen.max(initial=0), pairs[0].max(initial=0), pairs[1].max(initial=0)) + 1, -1, np.int32)
    place[chosen] = np.arange(len(chosen))
    a, b = place[pairs[0]], place[pairs[1]]
    inside = (a >= 0) & (b >= 0)
    return a[inside], b[inside], pairs[2][inside]


def table(texts: list[str], truth: Pairs, peers: Sequence[str], folder: Path) -> None:
    from bench.dedup.jaccard import score
    from bench.dedup.ours import write_texts

    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"\n{len(texts)} documents, {size:.1f} MB, {int((truth[2] >= 0.8).sum())} pairs of J >= .8")
    print(f"{'':20}  signatures  survivors      whole                peak  removed  recall     .75      .8")
    print(f"{'':20}        MB/s          s          s       MB/s       MB", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        here = Path(name)
        write_texts(texts, here)
        with (here / "documents.jsonl").open("wb") as whole:
            for path in sorted(here.glob("part-*")):
                whole.write(path.read_bytes())
        for program in (*OURS, *peers):
            out = here / program
            out.mkdir()
            told = measure(program, here, out)
            if told is None:
                print(f"{NAMES[program]:20} failed", flush=True)
                continue
            kept = np.zeros(len(texts), np.bool_)
            kept[json.loads((out / "kept.json").read_bytes())] = True
            report(NAMES[program], told, size, score(kept, truth))


def measure(program: str, texts: Path, out: Path) -> dict[str, Any] | None:
    """Seconds and memory of one program, alone; ours from the filtered documents on."""
    from bench.peers import python

    if program in OURS:
        script = Path(__file__).with_name("dedup") / "ours.py"
        before, after = ([sys.executable, script, texts, out, until, program] for until in ("filter", "dedup"))
        return run(before) and run(after)
    script = Path(__file__).with_name("dedup") / "peers.py"
    return run([python(ENVIRONMENT.get(program, program)), script, texts / "documents.jsonl", out, program])


def report(name: str, told: dict[str, Any], size: float, scored: Score) -> None:
    seconds = told["seconds"]
    whole = sum(seconds.values())
    signatures = f"{size / seconds['signatures']:.2f}" if seconds.get("signatures") else "-"
    justified = " ".join(f"{share:7.4f}" for share in scored.justified.values())
    print(
        f"{name:20} {signatures:>11} {seconds['survivors']:>10.2f} {whole:>10.1f} {size / whole:>10.2f} "
        f"{told['peak']:>8.0f} {scored.removed:>8} {scored.recall:>7.4f} {justified}",
        flush=True,
    )
    if stages := told.get("stages"):
        print(f"{'':20} seconds: {', '.join(f'{stage} {taken:.2f}' for stage, taken in stages.items())}", flush=True)


def run(command: list[Any]) -> dict[str, Any] | None:
    """What a program prints last; None where it failed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, env=os.environ | ALONE)
    if done.returncode:
        print(done.stderr.decode(errors="replace")[-2000:], file=sys.stderr)
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
