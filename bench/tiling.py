"""A larger model that begins as a trained smaller one, tiled, beside the same one from random weights.

    python bench/tiling.py [RECIPE] [--tokens 1000000] [--threads 2]

The smaller model is trained on so many tokens of the recipe's first mixture, at a constant rate. Then the larger one
reads the same rows in the same order as often as it has ways to begin: random weights, and the smaller one tiled with
either map of layers. Ends with 1 unless each tiled run starts below the random one and stays below it, in held-out bits
per byte, mean of the sources, at every evaluation. What the smaller one cost comes on top and is told.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.proofs.curves import Point, held_out, losses
from bench.proofs.figure import drawn
from bench.proofs.prepared import ended, fresh, like, options, other, prepared
from model.settings import Shape
from model.tile import Layers
from packing.encode import Encoder
from train.job import Job
from train.settings import Start

PLACES = 5
"""Where the curves are told."""
WINDOW = 20
"""Steps that the loss told at a place is the mean of."""
MAPS: Mapping[str, Layers] = {"tiled, global on global": "by-kind", "tiled by depth": "by-depth"}


def shapes(like: Shape) -> tuple[Shape, Shape]:
    """4 layers of 192 -> 7 of 256, heads of 64."""
    small = replace(like, layers=4, hidden=192, heads=3, intermediate=288, global_every=3)
    return small, replace(like, layers=7, hidden=256, heads=4, intermediate=384, global_every=3)


def settled(job: Job, folder: Path, shape: Shape, tokens: int, threads: int, start: Start | None) -> Job:
    """Warmed up over a twentieth, then at the peak to the end; evaluated twenty times."""
    phase = like(job.settings.phases[0], "grow", tokens, warmup=tokens // 20)
    evaluate = replace(job.settings.evaluate, every=tokens // 20)
    words = {"evaluate": evaluate, "save_every": tokens, "resume_every": None, "start": start}
    return replace(other(job, folder, (phase,), threads, **words), shape=shape)


def told(runs: Mapping[str, Job]) -> None:
    """Loss, and held-out bits per byte, at a few places of all runs."""
    points = {name: held_out(job) for name, job in runs.items()}
    loss = {name: losses(job) for name, job in runs.items()}
    shared = next(iter(points.values()))
    print(f"{'tokens':>12} {'':26}{'loss':>8} {'bits per byte':>14}")
    for at in np.linspace(0, len(shared) - 1, PLACES).astype(int):
        for number, name in enumerate(runs):
            step = shared[at].step
            near = np.mean(loss[name][max(step - WINDOW, 0) : step])
            head = f"{shared[at].tokens:12,}" if not number else " " * 12
            print(f"{head} {name:26}{near:8.3f} {points[name][at].mean:14.3f}")


def show(runs: Mapping[str, Job], path: Path) -> None:
    with drawn(path, columns=2) as (left, right):
        for name, job in runs.items():
            curve = losses(job)
            smooth = np.convolve(curve, np.ones(WINDOW) / WINDOW, "valid")
            left.plot(range(WINDOW, len(curve) + 1), smooth, label=name)
            points = held_out(job)
            right.plot([point.tokens / 1e6 for point in points], [point.mean for point in points], ".-", label=name)
        left.set_xlabel("step")
        left.set_ylabel(f"loss, nats, mean of {WINDOW} steps")
        right.set_xlabel("million tokens")
        right.set_ylabel("held-out bits per byte")
        left.legend()


def above(tiled: Sequence[Point], random: Sequence[Point]) -> list[int]:
    """Tokens at which the tiled run was not below the random one."""
    pairs = zip(tiled, random, strict=True)
    return [point.tokens for point, other_ in pairs if not point.mean < other_.mean]


def main() -> None:
    parser = options(__doc__, "tiling")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of every training")
    chosen = parser.parse_args()
    recipe, job = prepared(chosen.recipe, chosen.work)
    work = fresh(chosen.work / f"tiling-{recipe.name}")
    small, large = shapes(job.shape)
    first = settled(job, work / "small", small, chosen.tokens, chosen.threads, None)
    parent = str(ended(first).checkpoint.resolve())
    starts = {"random": None, **{name: Start(from_=parent, layers=layers) for name, layers in MAPS.items()}}
    runs = {
        name: settled(job, work / (start.layers if start else "random"), large, chosen.tokens, chosen.threads, start)
        for name, start in starts.items()
    }
    for run in runs.values():
        ended(run)
    vocab = Encoder(job.tokenizer).vocab_size
    for name, shape in (("smaller", small), ("larger", large)):
        size = f"{shape.layers} layers of {shape.hidden}, {shape.parameters(vocab):,} parameters"
        print(f"{name}: {size}, {shape.training_flops([256], 77, vocab) / 256:.2e} operations a token")
    print(f"the smaller one ended at {held_out(first)[-1].mean:.3f} bits per byte\n")
    told(runs)
    show(runs, chosen.figure)
    points = {name: held_out(run) for name, run in runs.items()}
    if crossed := {name: found for name in MAPS if (found := above(points[name], points["random"]))}:
        sys.exit(f"not below the random start: {crossed}")


if __name__ == "__main__":
    main()
