"""How near-dedup grows: millions of synthetic signatures, every stage behind them in a process of its own.

    python bench/near_dedup_scale.py [--documents 1M] [--near 20x6] [--datatrove] [--out FOLDER]

Documents and signatures are written as signed folders (bench/dedup/synthetic.py: real bucket sizes, as on the text of
bench/dedup/corpus.py, and one cluster of near-copies, a twentieth of all). Then `bertmill run`'s stages go on from
there. CPU seconds and peak resident memory (files that are mapped count) of each, with one worker. `--datatrove` puts
its stages 2 and 3 beside them, on as many signatures in the same buckets (14x8). 20 million take some 15 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bench.dedup.synthetic import Synthetic
    from pipeline.settings import Near

SOURCES = ("a", "b")
CLUSTER = 20
"""One document in so many is of the large cluster."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--documents", type=millions, default=1_000_000)
    options.add_argument("--near", default="20x6", help="bands x rows")
    options.add_argument("--datatrove", action="store_true", help="takes 1 KB of disk a document more")
    options.add_argument("--out", type=Path, help="kept if given; what stands there is not made again")
    options.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.part:
        print(json.dumps(PARTS[asked.part[0]](asked, asked.part[1])))
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        asked.out = asked.out or Path(folder)
        asked.out.mkdir(parents=True, exist_ok=True)
        measure(asked)


def millions(text: str) -> int:
    return int(float(text.removesuffix("M")) * (1e6 if text.endswith("M") else 1))


def measure(asked: argparse.Namespace) -> None:
    from bench.near_dedup import run

    def part(name: str, of: str = "") -> dict[str, Any]:
        command = [sys.executable, __file__, "--documents", asked.documents, "--near", asked.near, "--out", asked.out]
        told = run([*command, "--part", name, of])
        if told is None:
            sys.exit(f"{name} {of} failed")
        return told

    shape = part("write")
    print(f"{asked.documents / 1e6:g} million documents, bands {asked.near}; made of {shape['real']} real ones,")
    print(f"the largest buckets of a band there {shape['largest']}, and here one of {shape['cluster']}")
    print(f"{'':14}{'CPU s':>10}{'us a doc':>10}{'peak MB':>9}{'disk GB':>9}  units", flush=True)
    for name in part("stages")["stages"]:
        row(name, part("stage", name), asked.documents)
    if asked.datatrove:
        row("datatrove 2+3", datatrove(asked, part("datatrove")), asked.documents)


def row(name: str, told: dict[str, Any], documents: int) -> None:
    each = told["seconds"] / documents * 1e6
    print(
        f"{name:14}{told['seconds']:>10.1f}{each:>10.2f}{told['peak']:>9.0f}{told['bytes'] / 1e9:>9.2f}"
        f"  {told['units']}",
        flush=True,
    )


def recipe(asked: argparse.Namespace) -> Path:
    from bench.dedup.ours import write_recipe

    if not (none := asked.out / "none.jsonl").exists():
        none.touch()  # what the sources read; it is part of the fingerprints
    return write_recipe(asked.out / "recipe.yaml", none, asked.near, SOURCES)


def datatrove(asked: argparse.Namespace, written: dict[str, Any]) -> dict[str, Any]:
    from bench.near_dedup import run
    from bench.peers import python

    script = Path(__file__).with_name("dedup") / "peers.py"
    told = run([python("datatrove"), script, "-", asked.out / "datatrove", "datatrove_signed"])
    if told is None:
        sys.exit("datatrove failed")
    return {**written, "seconds": told["seconds"]["survivors"], "peak": told["peak"]}


def near(asked: argparse.Namespace) -> Near:
    from pipeline.settings import Near

    bands, rows = map(int, asked.near.split("x"))
    return Near(bands=bands, rows=rows)


def synthetic(asked: argparse.Namespace) -> Synthetic:
    from bench.dedup.real_signatures import profile
    from bench.dedup.synthetic import Synthetic

    return Synthetic(profile=profile(near(asked)), documents=asked.documents, step=CLUSTER)


# what runs in processes of its own


def write(asked: argparse.Namespace, _: str) -> dict[str, Any]:
    from bench.dedup import signed_folders

    made = synthetic(asked)
    signed_folders.write(made, recipe(asked), near(asked), asked.out / "work")
    sizes = np.sort(np.unique(made.profile.keys[:, 0], return_counts=True)[1])
    return {"real": len(made.profile), "largest": sizes[:-6:-1].tolist(), "cluster": -(-asked.documents // CLUSTER)}


def declared(asked: argparse.Namespace, _: str) -> dict[str, Any]:
    """The stages from the first behind the signatures to the last of dedup."""
    from recipes.load import load
    from recipes.plan import stages

    names = list(dict.fromkeys(stage.name.split("/")[0] for stage in stages(load(recipe(asked)))))
    return {"stages": names[names.index("signatures") + 1 : names.index("dedup") + 1]}


def stage(asked: argparse.Namespace, name: str) -> dict[str, Any]:
    """Run the stages of this name, after what is compiled has been loaded."""
    from bench.dedup.ours import timed_stages, warm_up
    from bench.dedup.peers import one_core, peak

    one_core()
    warm_up(asked.out / "warm", asked.near)
    seconds = timed_stages(recipe(asked), asked.out / "work", name)
    files = [path for path in (asked.out / "work" / name).rglob("*") if path.is_file()]
    units = sum(path.parent.name == "units" for path in files)
    size = sum(path.stat().st_size for path in files)
    return {"seconds": seconds.get(name, 0.0), "peak": peak(), "units": units, "bytes": size}


def signed_for_datatrove(asked: argparse.Namespace, _: str) -> dict[str, Any]:
    from bench.dedup.peers import BANDS
    from bench.dedup.signed_folders import write_for_datatrove

    size = write_for_datatrove(synthetic(asked), near(asked), asked.out / "datatrove" / "signatures")
    return {"bytes": size, "units": BANDS + 1}


PARTS: dict[str, Callable[[argparse.Namespace, str], dict[str, Any]]] = {
    "write": write,
    "stages": declared,
    "stage": stage,
    "datatrove": signed_for_datatrove,
}

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
