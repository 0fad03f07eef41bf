"""One run that is stopped 20 times, by kill -9 and by SIGTERM, at any moment: its end beside an undisturbed run's.

    python bench/stops.py [RECIPE] [--stops 20] [--seed 1]

A short training of the recipe's sources through the command line. Half of the stops come at a random moment after a
random number of steps, half while a checkpoint is being written. After SIGTERM the program has to have saved and to end
with 0. Ends with 1 unless weights, moments, the running mean, and all that the metrics say are the same, to the bit.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.proofs.prepared import options
from bench.proofs.short import copied, packed, prints, shortened, steps, trained, training

STEPS = 120
PATIENCE = 600
"""Seconds after which a run that makes no progress is given up."""
KILLED = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 0}
"""How the program ends."""


def stopped(recipe: Path, folder: Path, count: int, seed: int) -> Iterator[str]:
    """Train and stop so many times -> each stop in a line. Raises RuntimeError for an end that is none of ours."""
    rng = random.Random(seed)
    for number in range(count):
        kind = rng.choice([signal.SIGKILL, signal.SIGTERM])
        saving = bool(number % 2)
        process = training(recipe, folder)
        moment = _while_saving if saving else _any_moment
        moment(process, folder, rng)
        os.killpg(process.pid, kind) if kind == signal.SIGKILL else process.send_signal(kind)
        _, told = process.communicate(timeout=PATIENCE)
        if process.returncode not in (KILLED[kind], 0):
            raise RuntimeError(f"stop {number + 1}: ended with {process.returncode}: {told.decode()}")
        drafts = len(list((folder / "checkpoints").glob("*.draft")))
        last = max((path.name for path in (folder / "checkpoints").glob("step-*[0-9]")), default="none")
        done = len(steps(folder))
        where = "while saving" if saving else "any moment"
        yield f"{number + 1:4}  {kind.name}  {where:13} after {done:4} steps, last save {last}, drafts {drafts}"


def _any_moment(process: subprocess.Popen[bytes], folder: Path, rng: random.Random) -> None:
    wanted, began = len(steps(folder)) + rng.randrange(1, 6), time.monotonic()
    while len(steps(folder)) < wanted and process.poll() is None and time.monotonic() - began < PATIENCE:
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 0.3))


def _while_saving(process: subprocess.Popen[bytes], folder: Path, rng: random.Random) -> None:
    began, at = time.monotonic(), time.time()
    while process.poll() is None and time.monotonic() - began < PATIENCE:
        if any(_since(draft, at) for draft in (folder / "checkpoints").glob("*.draft")):  # not one that a kill left
            time.sleep(rng.uniform(0, 0.01))
            return
        time.sleep(0.0005)


def _since(path: Path, at: float) -> bool:
    try:
        return path.stat().st_mtime >= at
    except FileNotFoundError:  # renamed meanwhile
        return False


def main() -> None:
    parser = options(__doc__, "stops")
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    work = chosen.work / "stops"
    recipe = shortened(chosen.recipe, work, STEPS)
    rows = packed(recipe, work)
    calm, disturbed = (copied(rows, work / name) for name in ("calm", "disturbed"))
    trained(recipe, calm)
    for line in stopped(recipe, disturbed, chosen.stops, chosen.seed):
        print(line, flush=True)
    trained(recipe, disturbed)
    ours, theirs = prints(calm), prints(disturbed)
    print(f"\n{'':28}{'undisturbed':>18}{f'{chosen.stops} stops':>18}")
    for name in sorted(ours.keys() | theirs.keys()):
        print(f"{name:28}{ours.get(name, 'none'):>18}{theirs.get(name, 'none'):>18}")
    if ours != theirs:
        sys.exit("the two runs differ")


if __name__ == "__main__":
    main()
