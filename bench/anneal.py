"""From one stable checkpoint two anneals branch, on the general mixture and on a domain, beside a start from nothing.

    python bench/anneal.py [RECIPE] [--domain science] [--tokens 1000000] [--anneal 300000] [--threads 2]

The parent reads the recipe's first mixture without the domain, at a constant rate. Each anneal goes on from its last
checkpoint with its moments, and decays; the start from nothing reads the tokens of the anneal on the domain.
`bertmill compare` shows all four. Ends with 1 unless the anneal on the domain beats the parent and the start from
nothing on the domain's held-out text, and the parent's files are what they were, to the byte.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.proofs.curves import held_out
from bench.proofs.prepared import PROGRAM, ended, fresh, like, options, other, prepared
from pipeline.files import hash_of
from train.job import Job
from train.phase import Phase
from train.settings import Start

SHARE = 0.8
"""Of the domain in its anneal; the rest is the parent's mixture, so that it is not forgotten."""


def mixtures(mix: Mapping[str, float], domain: str) -> tuple[dict[str, float], dict[str, float]]:
    """The mixture without the domain, and one that is mostly the domain."""
    left = sum(share for name, share in mix.items() if name != domain)
    general = {name: share / left for name, share in mix.items() if name != domain}
    return general, {**{name: share * (1 - SHARE) for name, share in general.items()}, domain: SHARE}


def settled(job: Job, folder: Path, phase: Phase, threads: int, start: Start | None = None) -> Job:
    """One phase, evaluated eight times on the way."""
    evaluate = replace(job.settings.evaluate, every=-(-phase.tokens // 8))
    words = {"evaluate": evaluate, "save_every": phase.tokens, "resume_every": None, "start": start}
    return other(job, folder, (phase,), threads, **words)


def prints(folder: Path) -> dict[str, str]:
    """File -> hash of its bytes."""
    return {str(path.relative_to(folder)): hash_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def main() -> None:
    parser = options(__doc__, "anneal")
    parser.add_argument("--domain", default="science", help="a source of the recipe's first mixture")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of the parent")
    parser.add_argument("--anneal", type=int, default=300_000, help="tokens of each anneal")
    chosen = parser.parse_args()
    recipe, job = prepared(chosen.recipe, chosen.work)
    work = fresh(chosen.work / f"anneal-{recipe.name}")
    first = job.settings.phases[0]
    general, domain = mixtures(first.mix, chosen.domain)
    short, threads = chosen.anneal, chosen.threads
    begun = like(first, "learn", chosen.tokens, warmup=chosen.tokens // 20, mix=general)
    parent = settled(job, work / "parent", begun, threads)
    start = Start(from_=str(ended(parent).checkpoint.resolve()))
    before = prints(parent.folder)
    usual, special = (like(first, "settle", short, decay="1-sqrt", mix=mix) for mix in (general, domain))
    scratch = like(first, "learn", short, warmup=short // 20, decay="1-sqrt", mix=domain)
    runs = {
        "parent": parent,
        "general": settled(job, work / "general", usual, threads, start),
        "domain": settled(job, work / "domain", special, threads, start),
        "nothing": settled(job, work / "nothing", scratch, threads),
    }
    for run in runs.values():
        ended(run)
    named = [f"{name}={run.folder}" for name, run in runs.items()]
    subprocess.run([PROGRAM, "compare", *named, "--figure", chosen.figure], check=True)
    bits = {name: held_out(run)[-1].bits[chosen.domain] for name, run in runs.items()}
    print(f"\n{chosen.domain}: " + ", ".join(f"{name} {value:.3f}" for name, value in bits.items()))
    if prints(parent.folder) != before:
        sys.exit("the parent's files changed")
    print(f"the parent's {len(before)} files are what they were")
    if not bits["domain"] < min(bits["parent"], bits["nothing"]):
        sys.exit("the anneal on the domain is not the best on it")


if __name__ == "__main__":
    main()
