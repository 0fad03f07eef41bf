"""The order of rows at two thousand million rows beside StreamingDataset's: seconds to start, memory, rows a second.

    python bench/order.py [--peer-rows 10_000_000] [--python PATH]

24 sources, three phases of two contexts, 2 G rows: the order is made and the first batch read at a random row, each
time in a fresh process (the imports before it are told beside), then three million rows one batch after another. The
shares are compared with the counts at every row of 200,000, and the same stretch is read under 12 random numbers of
processes, with a new order now and then.

mosaicml-streaming's order of an epoch (`py1e` over its partitions) is made for fewer rows in its own environment and
told by the row, for it grows with the rows. CPU time; medians.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

BATCH = 4608
NAMES = [f"source{number:02}" for number in range(24)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peer-rows", type=int, default=10_000_000)
    options.add_argument("--python", type=Path, help="interpreter that has mosaicml-streaming; made under work/peers")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--ours", type=int, help=argparse.SUPPRESS)
    options.add_argument("--peer", nargs="*", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.ours is not None:
        print(json.dumps(ours(asked.ours)))
        return
    if asked.peer is not None:
        print(json.dumps(peer(int(asked.peer[0]))))
        return
    from bench.peers import ask, python

    interpreter = asked.python or python("mosaicml-streaming")
    mine, theirs = [], []
    for number in range(asked.rounds):
        command = [sys.executable, __file__, "--ours", str(number)]
        mine.append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
        theirs.append(ask(interpreter, __file__, asked.peer_rows))
    show(mine, theirs, asked.peer_rows)


def show(mine: list[dict[str, float]], theirs: list[dict[str, float]], peer_rows: int) -> None:
    told = {name: median(one[name] for one in mine) for name in mine[0]}
    rows, starts = told["rows"], (told[name] * 1e3 for name in ("made", "first", "imports"))
    print("bertmill, {:,.0f} rows: made in {:.1f} ms, first batch {:.1f} ms; imports {:.0f} ms".format(rows, *starts))
    print(f"  {told['speed'] / 1e6:.1f} M rows/s in batches of {BATCH}")
    print(f"  memory {told['grown']:.0f} MB more than before, {told['peak']:.0f} MB in all")
    print(f"  a count is never more than {max(one['worst'] for one in mine):.2f} rows off its share")
    same = sum(one["same"] for one in mine)
    print(f"  12 numbers of processes with restarts: the same rows in {same:.0f} of {len(mine)} runs")
    seconds, each = (median(one[name] for one in theirs) for name in ("seconds", "bytes"))
    print(f"mosaicml-streaming, {peer_rows:,} rows: {seconds:.1f} s and {each:.0f} bytes a row at its peak")
    print(f"  for {rows:,.0f}: {rows / peer_rows * seconds / 60:.0f} min and {rows * each / 1e9:.0f} GB at each start")


def ours(number: int) -> dict[str, float]:
    """One start in this process, and what follows it."""
    began = time.process_time()
    import numpy as np

    from packing.mixture import Order, Phase, Source

    imports = time.process_time() - began
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    weights = {name: 0.001 + at for at, name in enumerate(NAMES)}
    turned = dict(zip(NAMES, reversed(weights.values()), strict=True))
    sources = [Source(name=name, context=context, rows=90_000_001) for name in NAMES for context in (1024, 8192)]
    phases = [
        Phase(name="learn", context=1024, rows=1_660_000_000, weights=weights),
        Phase(name="lengthen", context=8192, rows=290_000_000, weights=weights),
        Phase(name="settle", context=8192, rows=50_000_000, weights=turned),
    ]

    def order() -> Order:
        return Order(sources, phases, seed=17)

    dice = np.random.default_rng(number)
    began = time.process_time()
    whole = order()
    made = time.process_time() - began
    g = int(dice.integers(whole.total - 4_000_000))
    began = time.process_time()
    whole.rows(g, g + BATCH)
    first = time.process_time() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    began = time.process_time()
    for at in range(g, g + 3_000_000, BATCH):
        whole.rows(at, at + BATCH)
    speed = 3_000_000 / (time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    stretch = whole.rows(g, g + 200_000)
    same, at, processes = True, g, [int(n) for n in dice.integers(1, 129, 12)]
    while at < g + 190_000:
        again = order() if dice.random() < 0.1 else whole
        parts = [again.batch(at, BATCH, rank, n) for n in [int(dice.choice(processes))] for rank in range(n)]
        same &= bool(np.array_equal(np.concatenate(parts), stretch[at - g : at - g + BATCH]))
        at += BATCH
    return {
        "rows": whole.total,
        "imports": imports,
        "made": made,
        "first": first,
        "speed": speed,
        "grown": grown / 1024,
        "peak": peak / 1024,
        "worst": worst(whole, stretch, g),
        "same": same,
    }


def worst(order: Any, stretch: Any, g: int) -> float:
    """The largest distance of a count from its share, at every row of the stretch that its first phase covers."""
    import numpy as np

    start, quota = order.starts[stretch["phase"][0]], np.array(order.quotas[stretch["phase"][0]], float)
    stretch = stretch[stretch["phase"] == stretch["phase"][0]]
    before, begun = order.consumed(g), order.consumed(start)
    share = quota / quota.sum()
    found = 0.0
    for at, source in enumerate(order.sources):
        if quota[at]:
            drawn = before[source.name, source.context] - begun[source.name, source.context]
            counts = drawn + np.cumsum(stretch["source"] == order.names.index(source.name))
            ideal = share[at] * np.arange(g - start + 1, g - start + 1 + len(stretch))
            found = max(found, float(np.abs(counts - ideal).max()))
    return found


def peer(rows: int) -> dict[str, float]:
    """What StreamingDataset does at each start, resumed or not: partition all rows, shuffle them, keep the array."""
    import numpy as np
    from mds_library import streaming  # type: ignore[import-not-found, unused-ignore]

    streaming()
    from streaming.base.partition import get_partitions  # type: ignore[import-not-found, unused-ignore]
    from streaming.base.shuffle import get_shuffle  # type: ignore[import-not-found, unused-ignore]

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    shards = np.full(rows // 16_384, 16_384, np.int64)
    total = int(shards.sum())
    partitions = get_partitions("orig", total, 2, 1, 8, 1, 16)
    shuffle = get_shuffle("py1e", shards, 2, 17, 0, 262_144)
    order = np.where(partitions != -1, shuffle[partitions], -1)
    seconds = time.process_time() - began
    assert order.size >= total
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return {"seconds": seconds, "bytes": grown / total}


if __name__ == "__main__":
    main()
