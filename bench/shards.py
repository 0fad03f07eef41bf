"""Shards written and read, beside mosaicml-streaming: tokens a CPU second of one process, at rows of 1,024 and 8,192.

    python bench/shards.py [FOLDER] [--tokens 32] [--rounds 5]

FOLDER holds shards whose rows are taken; by default rows are made up of log-normal pieces. Written: rows in memory to
one file, with its hash, synced. Read: every row once, in a random order, in batches of half a million tokens, each
collated to one flat int32 tensor with bounds and documents; shards were opened before. The library does the same by
MDSWriter, and by StreamingDataset with a DataLoader of no workers, and by random access to it. Rounds alternate;
medians.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

BATCH = 1 << 19
"""Tokens."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", nargs="?", type=Path)
    options.add_argument("--tokens", type=float, default=32, help="millions")
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    from bench.peers import ask, python
    from packing.shards import Shards, write_index, write_shard

    for context in (0,) if asked.folder else (1024, 8192):
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            if asked.folder:
                shards = Shards(asked.folder)
                rows = shards.rows(range(len(shards)))
            else:
                rows = _made(int(asked.tokens * 1e6) // context, context)
            (work / "ours").mkdir()
            write_index(work / "ours", [write_shard(work / "ours" / "shard.00000.mds", rows)])
            np.savez(work / "rows.npz", **rows._asdict())
            taken: dict[str, list[float]] = {}
            for _ in range(asked.rounds):
                theirs = ask(python("mosaicml-streaming"), __file__, work)
                for what, seconds in {**_ours(work / "ours", rows), **theirs}.items():
                    taken.setdefault(what, []).append(seconds)
            _told(taken, len(rows.bounds) - 1, len(rows.input_ids))


def _told(taken: dict[str, list[float]], rows: int, tokens: int) -> None:
    print(f"\n  {rows:,} rows, {tokens:,} tokens, {tokens // rows:,} a row")
    print(f"  {'million tokens a CPU second':44} {'median':>8} {'least':>8} {'most':>8}")
    for what, seconds in taken.items():
        some = [tokens / one / 1e6 for one in (median(seconds), max(seconds), min(seconds))]
        print(f"  {what:44} " + " ".join(f"{speed:8.1f}" for speed in some), flush=True)


def _made(rows: int, context: int) -> Any:
    """Full rows of pieces whose lengths are log-normal: median 600, sigma 1.1."""
    from packing.flat import Rows

    dice = np.random.default_rng(1)
    ends = np.cumsum(np.maximum(32, dice.lognormal(np.log(600), 1.1, rows * context // 500).astype(np.int64)))
    cu = np.unique(np.concatenate([np.arange(rows + 1) * context, ends[ends < rows * context]]))
    ids = dice.integers(0, 50_000, rows * context).astype(np.uint16)
    return Rows(ids, cu, np.arange(len(cu) - 1, dtype=np.uint64), np.arange(rows + 1) * context)


def _ours(folder: Path, rows: Any) -> dict[str, float]:
    import torch

    from packing.flat import Row
    from packing.shards import Shards, write_shard

    shards = Shards(folder)
    shards.rows([0])
    one_by_one = [Row(*row) for row in _rows(rows._asdict())]
    batches = _batches(rows.bounds)

    def read() -> None:
        for batch in batches:
            found = shards.rows(batch)
            torch.from_numpy(found.input_ids.astype(np.int32)), torch.from_numpy(found.cu_seqlens)

    with tempfile.TemporaryDirectory() as aside:
        return {
            "write: bertmill": _seconds(lambda: write_shard(Path(aside) / "a.mds", rows)),
            "write: bertmill, rows one by one": _seconds(lambda: write_shard(Path(aside) / "a.mds", one_by_one)),
            "read: bertmill": _seconds(read),
        }


def peer(work: Path) -> dict[str, float]:
    """In the library's environment: seconds of each."""
    import torch
    from mds_library import streaming as imported  # type: ignore[import-not-found, unused-ignore]

    streaming = imported()
    flat = dict(np.load(work / "rows.npz"))
    rows = [{"input_ids": ids, "cu_seqlens": cu, "doc": doc} for ids, cu, doc in _rows(flat)]
    tokens = int(np.diff(flat["bounds"]).max())

    def write(out: str) -> None:
        columns = {
            "input_ids": f"ndarray:{rows[0]['input_ids'].dtype}",
            "cu_seqlens": "ndarray:int32",
            "doc": "ndarray:uint64",
        }
        with streaming.MDSWriter(out=out, columns=columns, hashes=["xxh64"], size_limit=None) as writer:
            for row in rows:
                writer.write(row)

    dataset = streaming.StreamingDataset(local=str(work / "ours"), shuffle=True, batch_size=BATCH // tokens)
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH // tokens, collate_fn=_collated)
    batches = _batches(flat["bounds"])
    with tempfile.TemporaryDirectory() as aside:
        return {
            "write: MDSWriter": _seconds(lambda: write(f"{aside}/out")),
            "read: StreamingDataset": _seconds(lambda: [None for _ in loader]),
            "read: StreamingDataset[i]": _seconds(
                lambda: [_collated([dataset[int(i)] for i in batch]) and None for batch in batches]
            ),
        }


def _collated(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    import torch

    bounds = np.cumsum([0, *(len(row["input_ids"]) for row in rows)])
    ends = [row["cu_seqlens"][1:] + start for row, start in zip(rows, bounds, strict=False)]
    return {
        "input_ids": torch.from_numpy(np.concatenate([row["input_ids"] for row in rows]).astype(np.int32)),
        "cu_seqlens": torch.from_numpy(np.concatenate([[0], *ends]).astype(np.int32)),
        "doc": torch.from_numpy(np.concatenate([row["doc"] for row in rows])),
    }


def _rows(flat: dict[str, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """input_ids, cu_seqlens, doc of each row."""
    first = np.searchsorted(flat["cu_seqlens"], flat["bounds"])
    for (begin, end), (a, z) in zip(pairwise(flat["bounds"].tolist()), pairwise(first.tolist()), strict=True):
        cu = (flat["cu_seqlens"][a : z + 1] - begin).astype(np.int32)
        yield flat["input_ids"][begin:end], cu, flat["doc"][a:z]


def _batches(bounds: Any) -> list[Any]:
    order = np.random.default_rng(0).permutation(len(bounds) - 1)
    return np.array_split(order, max(1, int(bounds[-1]) // BATCH))


def _seconds(work: Callable[[], object]) -> float:
    """Of all threads of this process."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        print(json.dumps(peer(Path(sys.argv[2]))))
    else:
        main()
