"""Long repeated substrings found and removed beside a suffix array: MB a CPU second, and whether both find the same.

    python bench/substrings.py [PATH ...]  WARC, Parquet or JSON lines; what `bertmill sample` makes if none is given

Ours is what a run does: all six stages through its engine, files read, checked and written. The peer is divsufsort and
Kasai's LCP (pydivsufsort), as in the tool of Lee et al. (2022), which is a Rust program without a package: over the
tokens of all documents end to end, as our kernels give them, in memory. Timed is the finding alone: the suffix array,
the LCP, and the windows of 50 tokens that stand earlier; it neither reads, cuts nor writes. What both find is compared
token by token. Rounds alternate; medians, CPU time.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

TOKENS = 50


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("paths", nargs="*", type=Path)
    options.add_argument("--python", type=Path, help="one that has pydivsufsort; made under work/peers if not given")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--peer", nargs="*", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.peer is not None:
        print(json.dumps(peer(*asked.peer)))
        return
    from bench.filters import documents
    from bench.lines import write
    from bench.peers import ask, python
    from bench.samples import samples

    interpreter = asked.python or python("pydivsufsort")
    texts = [text for path in asked.paths or samples("web/*.warc.gz") for _, text in documents(path)]
    size = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write(texts, home / "texts.parquet")
        bounds = write_tokens(home)
        print(f"{len(texts)} documents, {size:.1f} MB, {bounds[-1] / 1e6:.1f} M tokens")
        ours(home)  # compiles
        mine, theirs = [], []
        for _ in range(asked.rounds):
            mine.append(ours(home))
            theirs.append(ask(interpreter, __file__, home))
        gone = np.load(home / "gone.npy")
        same = np.array_equal(gone, removed(home, bounds))
    speed, beside = (size / median(one["seconds"] for one in rounds) for rounds in (mine, theirs))
    stages = {name: median(one["stages"][name] for one in mine) for name in mine[0]["stages"]}
    print(f"  bertmill, all stages      {speed:6.1f} MB/s  {mine[0]['bytes'] / 1e6:.2f} MB removed or dropped")
    print("    " + ", ".join(f"{name} {size / seconds:.0f}" for name, seconds in stages.items()))
    print(
        f"  suffix array, finding     {beside:6.1f} MB/s  {gone.sum() / 1e6:.2f} M tokens, {theirs[0]['memory']:.0f} MB"
    )
    print(f"  {speed / beside:.2f} times as fast; {'the same tokens' if same else 'OTHER TOKENS'} are found")


def write_tokens(home: Path) -> npt.NDArray[np.int64]:
    """The tokens of all documents in the order of preference (that of the ids), as numbers -> their bounds."""
    from pipeline.dedup.substrings.tokens import pieces, run_hashes, written
    from pipeline.documents import read_batches

    ids: list[str] = []
    hashes: list[npt.NDArray[np.uint64]] = []
    for batch in read_batches(home / "texts.parquet", columns=["id", "text"]):
        ids += batch.column("id").to_pylist()
        for _, words in pieces(batch.column("text")):
            hashes += np.split(run_hashes(written(words), 1), words.bounds[1:-1])
    ordered = [hashes[n] for n in sorted(range(len(ids)), key=ids.__getitem__)]
    bounds = np.cumsum([0, *map(len, ordered)])
    numbers = np.unique(np.concatenate(ordered), return_inverse=True)[1].astype(np.int64)
    apart = np.insert(numbers, bounds[1:-1], numbers.max() + 1 + np.arange(len(ordered) - 1))  # a wall between two
    np.save(home / "tokens.npy", apart)
    np.save(home / "walls.npy", bounds[1:-1] + np.arange(len(ordered) - 1))
    return bounds


def ours(home: Path) -> dict[str, Any]:
    """The stages as a run does them; the stage before only passes the documents on, and is not timed."""
    from bench.lines import pass_on
    from pipeline.engines.run import Engine, run
    from pipeline.settings import Substrings
    from pipeline.stage import Stage
    from pipeline.units import find, group
    from recipes.repeats import without_repeated_substrings

    shutil.rmtree(home / "work", ignore_errors=True)
    before = Stage(name="texts", work=lambda _: pass_on, units=lambda _: group(find([str(home / "texts.parquet")]), 1))
    run(before, home / "work", Engine())
    stages, _ = without_repeated_substrings(Substrings(tokens=TOKENS, max_repeated=1), (), {"text": before})
    seconds = {}
    for stage in stages:
        began = time.process_time()
        record, _ = run(stage, home / "work", Engine())
        seconds[stage.name.split("/")[0]] = time.process_time() - began
    gone = record.counts["bytes_in"] - record.counts["bytes_out"]
    return {"seconds": sum(seconds.values()), "stages": seconds, "bytes": gone}


def removed(home: Path, bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which tokens of all documents, in the order of their ids, our stages have found."""
    from pipeline.dedup.substrings.repeats import Passages, find_repeats
    from pipeline.documents import read_batches

    work = home / "work"
    ids = [i for b in read_batches(home / "texts.parquet", columns=["id"]) for i in b.column("id").to_pylist()]
    place = {row: n for n, row in enumerate(sorted(range(len(ids)), key=ids.__getitem__))}
    files = [work / "passages" / "text" / "00000.arrow"]
    firsts = sorted((work / "firsts").glob("*.arrow"))
    runs, _ = find_repeats(Passages(files), 0, firsts, TOKENS)
    gone = np.zeros(bounds[-1], np.bool_)
    for row, begin, end in zip(runs["row"].tolist(), runs["begin"].tolist(), runs["end"].tolist(), strict=True):
        gone[bounds[place[row]] + begin : bounds[place[row]] + end] = True
    return gone


def peer(folder: str) -> dict[str, Any]:
    """In the peer's environment: which tokens lie in a window that stands earlier, but not in that window itself."""
    from pydivsufsort import divsufsort, kasai

    home = Path(folder)
    tokens, walls = np.load(home / "tokens.npy"), np.load(home / "walls.npy")
    began = time.process_time()
    order = divsufsort(tokens)
    common = kasai(tokens, order)
    first = np.arange(len(tokens))
    heads = np.flatnonzero(np.append(True, common[:-1] < TOKENS))  # of suffixes that begin with the same window
    sizes = np.diff(heads, append=len(order))
    first[order] = np.repeat(np.minimum.reduceat(order, heads), sizes)
    windows = np.flatnonzero(first != np.arange(len(tokens)))
    document = np.searchsorted(walls, [windows, first[windows]])
    begins = np.where(document[0] == document[1], np.maximum(windows, first[windows] + TOKENS), windows)
    edges = np.zeros(len(tokens) + 1, np.int64)
    np.add.at(edges, begins, 1)
    np.add.at(edges, windows + TOKENS, -1)
    gone = np.cumsum(edges)[:-1] > 0
    seconds = time.process_time() - began
    np.save(home / "gone.npy", np.delete(gone, walls))
    return {"seconds": seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
