"""A recipe -> one with its sources and a training of a minute, with all that a stop could harm: dropout, moments, the
running mean of the weights, two phases, a rate that falls, many saves.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import yaml

from bench import samples
from bench.proofs.prepared import HOME, PROGRAM, QUICKSTART, fresh
from pipeline.files import hash_of
from train.metrics import read_metrics

OF_TIME = ("seconds", "tokens_per_second", "data_wait", "flops_per_second", "mfu")
"""What a step's record has that no two runs share."""
OF_A_RUN = ("checkpoints", "export", "metrics.jsonl", "skipped.json", ".lock")
"""What a training leaves in a work folder."""


def shortened(recipe: Path | None, work: Path, steps: int) -> Path:
    """The recipe's file, written into `work`: 4 layers of 64, a context of at most 256, batches of 8 rows."""
    if recipe is None:
        samples.samples("web/*")
    words: dict[str, Any] = yaml.safe_load((recipe or QUICKSTART).read_text(encoding="utf-8"))
    first = words["train"]["phases"][0]
    tokens = 8 * 256
    mix = {name: first[name] for name in ("mix", "weights", "temperature") if name in first}
    settle = steps // 4
    words["name"] = f"{words['name']}-short"
    words["model"] = {"layers": 4, "hidden": 64, "heads": 2, "intermediate": 96, "dropout": 0.1, "init_std": 0.05}
    words["train"] = {
        "optimizer": {"peak": 4e-3},
        "batch": {"rows": 8, "warmup": {"from": 4, "over": steps * tokens // 8}},
        "microbatch": 512,
        "save_every": 12 * tokens,
        "resume_every": 3 * tokens,
        "keep": 2,
        "average": {"half_life": 10 * tokens},
        "evaluate": {"rows": 2},
        "phases": [
            {"name": "learn", "tokens": (steps - settle) * tokens, "context": 256, "warmup": 4 * tokens, **mix},
            {"name": "settle", "tokens": settle * tokens, "context": 256, "decay": "1-sqrt", **mix},
        ],
    }
    path = fresh(work / "recipe") / "short.yaml"
    path.write_text(yaml.safe_dump(words, sort_keys=False), encoding="utf-8")
    return path


def packed(recipe: Path, work: Path) -> Path:
    """A work folder with the recipe's rows."""
    rows = work / "rows"
    _run("run", recipe, "--work", rows, "--until", "heldout", "--workers", "2")
    return rows


def copied(rows: Path, folder: Path) -> Path:
    """A work folder of its own with the same rows, as links to the same files, and nothing of any training."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(rows, folder, copy_function=os.link, ignore=shutil.ignore_patterns(*OF_A_RUN))
    return folder


def training(recipe: Path, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """`bertmill train` on its way, at one thread a process, in a group of processes of its own."""
    command = [PROGRAM, "train", recipe.resolve(), "--work", folder.resolve(), *more]
    return subprocess.Popen(
        list(map(str, command)),
        cwd=HOME,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def trained(recipe: Path, folder: Path, *more: str) -> None:
    """`bertmill train` to the end. Raises CalledProcessError."""
    process = training(recipe, folder, *more)
    _, told = process.communicate()
    if process.returncode:
        sys.stderr.write(told.decode())
        raise subprocess.CalledProcessError(process.returncode, process.args)


def steps(folder: Path) -> list[dict[str, Any]]:
    """The records of the steps, without times."""
    path = folder / "metrics.jsonl"
    found = [one for one in read_metrics(path) if one["kind"] == "step"] if path.exists() else []
    return [{name: value for name, value in one.items() if name not in OF_TIME} for one in found]


def prints(folder: Path) -> dict[str, str]:
    """Hashes of the last checkpoint's tensors, and of what the metrics say of steps and held-out text."""
    last = max((folder / "checkpoints").glob("step-*"))
    hashes = {path.name: hash_of(path) for path in sorted(last.glob("*.safetensors"))}
    evaluations = [one for one in read_metrics(folder / "metrics.jsonl") if one["kind"] == "evaluation"]
    lines = b"\n".join(orjson.dumps(one) for one in [*steps(folder), *evaluations])
    return {**hashes, "metrics.jsonl": hashlib.sha256(lines).hexdigest()[:16]}


def _run(*words: object) -> None:
    subprocess.run(list(map(str, [PROGRAM, *words])), check=True, stdout=sys.stderr, cwd=HOME)
