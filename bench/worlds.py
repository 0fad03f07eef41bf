"""One loss curve on 1, 2 and 4 processes, and a run that goes on with two processes where one has stopped.

    python bench/worlds.py [RECIPE]

A short training of the recipe's sources through the command line, one CPU thread a process (gloo). Ends with 1 unless
no step's loss is further than 1e-6 of it from that of one process, and every step reads the same rows, before and after
the number of processes changed.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

from bench.proofs.figure import drawn
from bench.proofs.prepared import options
from bench.proofs.short import copied, packed, shortened, steps, trained, training

STEPS = 40
WORLDS = (1, 2, 4)
NEAR = 1e-6
"""Of the loss: what sums in another order may differ by in float32."""


def changed(recipe: Path, folder: Path, before: int, after: int) -> int:
    """Train on `before` processes to about the half, stop, and end on `after` -> steps done at the change."""
    process = training(recipe, folder, "--processes", str(before))
    while len(steps(folder)) < STEPS // 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    if process.returncode:
        raise RuntimeError(f"ended with {process.returncode}: {told.decode()}")
    done = len(steps(folder))
    trained(recipe, folder, "--processes", str(after))
    return done


def apart(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[float]:
    """Of every step, how far the other's loss is from the one's, as a share of it."""
    return [abs(a["loss"] - b["loss"]) / a["loss"] for a, b in zip(one, other, strict=True)]


def main() -> None:
    parser = options(__doc__, "worlds")
    chosen = parser.parse_args()
    work = chosen.work / "worlds"
    recipe = shortened(chosen.recipe, work, STEPS)
    rows = packed(recipe, work)
    runs = {}
    for world in WORLDS:
        folder = copied(rows, work / f"world-{world}")
        trained(recipe, folder, "--processes", str(world))
        runs[f"{world} processes"] = steps(folder)
    folder = copied(rows, work / "changed")
    done = changed(recipe, folder, 1, 2)
    runs[f"1, and 2 from step {done}"] = steps(folder)
    (_, alone), *others = runs.items()
    failed = []
    print(f"{len(alone)} steps\n{'':26}{'farthest loss':>14}{'in step':>9}  rows")
    for name, other in others:
        far = apart(alone, other)
        same = [one["rows"] for one in alone] == [one["rows"] for one in other]
        print(f"{name:26}{max(far):14.1e}{far.index(max(far)) + 1:9}  {'the same' if same else 'OTHERS'}")
        if not same or max(far) > NEAR:
            failed.append(name)
    with drawn(chosen.figure, columns=2) as (left, right):
        for style, (name, run) in zip(("-", "--", ":", "-."), runs.items(), strict=True):
            left.plot([one["step"] for one in run], [one["loss"] for one in run], style, label=name)
        for name, other in others:
            right.semilogy([one["step"] for one in other], [max(far, 1e-9) for far in apart(alone, other)], label=name)
        left.set_ylabel("loss, nats")
        right.set_ylabel("difference to one process, share of the loss")
        for axes in (left, right):
            axes.set_xlabel("step")
            axes.legend()
    if failed:
        sys.exit(f"not the same run: {', '.join(failed)}")


if __name__ == "__main__":
    main()
