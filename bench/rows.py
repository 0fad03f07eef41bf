"""Documents into rows beside TRL's and llm-foundry's packers: speed, fill, documents cut and tokens lost.

    python bench/rows.py                  # log-normal lengths, median 600, sigma 1.1
    python bench/rows.py LENGTHS.npy      # your own: one integer for each document

Ours cuts, packs, fills and shuffles units of 28,000 documents (128 MB of text), as the stage does, and all at once.
TRL moves the tokens along, so ours is timed with its tokens too. Of llm-foundry only the packing is run, on pieces that
we cut, since it cuts off what is longer than a row before it packs. Thousands of documents a CPU second, medians of
three alternating turns; ten minutes. What ModernBERT's own packer does is cited below, not run.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

CONTEXTS = (1024, 8192)
UNIT = 28_000
TURNS = 3
MODERNBERT = {1024: "98.7 % (99.93 % as 16 rows in one)", 8192: "99.8 % (99.995 %)"}
"""Fill of its GreedyBestFitSequencePacker on such lengths, after documents were cut off at a row's length; 24,000 to
50,000 documents a second. It drops the last batch, and packs after sampling: no run can be resumed exactly."""


def lognormal(count: int) -> np.ndarray:
    draws = np.exp(np.random.default_rng(0).normal(np.log(600), 1.1, count))
    return np.clip(draws, 8, 200_000).astype(np.int64)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def ours(lengths: np.ndarray, context: int, unit: int, tokens: bool = False) -> dict[str, float]:
    """Seconds, fill, and shares of the documents that are cut, of those that fit and are cut, and of tokens lost."""
    from packing.greedy import least_first
    from packing.rows import lay_out

    seconds = rows = filled = cut = fitting = 0.0
    least_first(np.zeros(1, np.int64), 1)
    for first in range(0, len(lengths), unit):
        some = lengths[first : first + unit]
        ids, doc = np.zeros(some.sum() if tokens else 0, np.uint16), np.arange(len(some), dtype=np.uint64)
        took, layout = timed(partial(lay_out, some, context=context, seed=1, unit=first))
        seconds += took
        if tokens:
            seconds += timed(partial(_written, ids, some, doc, layout))[0]
        rows += len(layout.pieces)
        filled += float((layout.length + 2).sum())
        several = np.bincount(layout.document, minlength=len(some)) > 1
        cut += float(several.sum())
        fitting += float((several & (some <= context - 2)).sum())
    shares = {"cut": cut / len(lengths), "fitting": fitting / len(lengths)}
    return {"seconds": seconds, "fill": filled / (rows * context), "lost": 0.0, **shares}


def _written(ids: Any, lengths: Any, doc: Any, layout: Any) -> int:
    from packing.rows import laid_out

    return len(laid_out(ids, lengths, doc, layout, cls=1, sep=2).bounds) - 1


def trl(lengths: np.ndarray, context: int, window: int, overflow: str) -> dict[str, float]:
    """TRL's packer on `window` documents at a time; 1,000 is what `pack_dataset` gives it. Run by its own Python."""
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"  # it misses torch, which packing does not
    import pyarrow as pa
    from trl.data_utils import _pack_bfd  # type: ignore[import-not-found]

    seconds = rows = kept = 0.0
    for first in range(0, len(lengths), window):
        some = lengths[first : first + window] + 2  # [CLS] and [SEP] are in its documents before it packs
        offsets = np.concatenate([[0], np.cumsum(some)]).astype(np.int64)
        ids = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(np.zeros(offsets[-1], np.int32)))
        table = pa.table({"input_ids": ids})
        took, packed = timed(partial(_pack_bfd, table, context, overflow))
        seconds += took
        rows += len(packed)
        kept += len(packed["input_ids"].combine_chunks().flatten())
    long = float((lengths + 2 > context).mean())
    lost = 1 - kept / float((lengths + 2).sum())
    return {"seconds": seconds, "fill": kept / (rows * context), "lost": lost, "cut": long, "fitting": 0.0}


def foundry(pieces: np.ndarray, documents: int, context: int, window: int) -> dict[str, float]:
    """llm-foundry's packer on `window` pieces at a time, what is left of its bins carried on. Run by its own Python."""
    import importlib.util
    import types

    for name in ("torch", "composer", "composer.utils", "transformers", "llmfoundry.utils.consts"):
        stub = types.ModuleType(name)  # named in its signatures only; nothing of them runs when it packs lengths
        vars(stub).update(Tensor=None, dist=None, PreTrainedTokenizerBase=None, CROSS_ENTROPY_IGNORE_INDEX=-100)
        sys.modules[name] = stub
    for path in map(Path, sys.path):
        if (file := path / "llmfoundry" / "data" / "packing.py").exists():
            break
    spec = importlib.util.spec_from_file_location("foundry_packing", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bins = int(window * pieces.mean() / context)
    packer = module.BinPackCollator(None, bins, context, 0, "right", None, is_profiling=True)
    seconds = 0.0
    batches = [pieces[first : first + window].tolist() for first in range(0, len(pieces) - window + 1, window)]
    for batch in batches:
        seconds += timed(partial(packer._pack_trimmed_examples, [{}] * len(batch), batch))[0]
    seconds *= len(pieces) / (len(batches) * window)
    return {"seconds": seconds, "fill": packer.efficiency, "lost": packer.waste, "cut": 0.0, "fitting": 0.0}


def report(count: int, file: Path) -> None:
    from bench import peers
    from packing.greedy import cut

    lengths = np.load(file)
    names = {name: peers.python(name) for name in ("trl", "llm-foundry")}
    for context in CONTEXTS:
        pieces = file.with_suffix(f".{context}.npy")
        np.save(pieces, cut(lengths[:count], context - 2, 30).length + 2)
        few = lengths[:count]
        wrapped = np.cumsum(few + 2)
        across = (wrapped - 1) // context != (wrapped - few - 2) // context
        tuned = partial(_ask, names["trl"], "trl", file, count, context)
        runs: dict[str, Callable[[], dict[str, float]]] = {
            "bertmill, units of 28,000": partial(ours, lengths, context, UNIT),
            "bertmill, all at once": partial(ours, lengths, context, len(lengths)),
            "bertmill with its tokens": partial(ours, few, context, UNIT, tokens=True),
            "TRL bfd, 1,000 at a time": partial(tuned, 1000, "truncate"),
            "TRL bfd_split, 1,000": partial(tuned, 1000, "split"),
            "TRL bfd_split, 50,000": partial(tuned, 50_000, "split"),
            "llm-foundry, 1,000 at a time": partial(
                _ask, names["llm-foundry"], "foundry", pieces, count, context, 1000, "-"
            ),
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
        for turn in range(TURNS + 1):
            for name, run in runs.items():
                one = run()
                if turn:  # the first one compiles
                    found[name].append(one)
        print(f"rows of {context}: {'':19} kdocs/s     full  tokens lost  documents cut  of them fitting")
        for name, some in found.items():
            number = len(lengths) if name in ("bertmill, units of 28,000", "bertmill, all at once") else count
            speed = statistics.median(number / one["seconds"] for one in some) / 1000
            cuts = "as ours" if "foundry" in name else f"{some[0]['cut']:.2%}"
            print(
                f"  {name:30} {speed:9,.0f} {some[0]['fill']:9.3%} {some[0]['lost']:10.2%} {cuts:>14} "
                f"{some[0]['fitting']:14.2%}"
            )
        print(f"  {'end to end, cut at rows':30} {'':9} {1:9.3%} {0:10.2%} {across.mean():14.2%} "
              f"{(across & (few + 2 <= context)).mean():14.2%}")  # fmt: skip
        print(f"  ModernBERT's own packer, as cited: {MODERNBERT[context]} full")


def _ask(python: Path, name: str, file: Path, count: int, context: int, window: int, overflow: str) -> dict[str, float]:
    from bench import peers

    return peers.ask(python, __file__, name, file, count, context, window, overflow)


def answer(name: str, file: str, count: str, context: str, window: str, overflow: str) -> None:
    given = np.load(file)
    if name == "trl":
        found = trl(given[: int(count)], int(context), int(window), overflow)
    else:
        found = foundry(given, int(count), int(context), int(window))
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        answer(*sys.argv[2:])
    else:
        import tempfile

        sys.path.insert(0, str(Path(__file__).parents[1]))
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "lengths.npy"
            np.save(copy, np.load(sys.argv[1]) if sys.argv[1:] else lognormal(2_000_000))
            report(100_000, copy)
