"""Near-dedup by bertmill: what it keeps of a folder of documents, and the CPU seconds of each stage.

As a program it runs in a process of its own: `TEXTS OUT UNTIL BANDSxROWS` takes the stages of a run from where it
stands up to UNTIL, writes the numbers of the kept documents to OUT/kept.json and prints seconds and peak memory.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.stage import Record, Stage

RECIPE = """\
name: near-dedup
unit: 64M
sources: {sources}
dedup: {{near: {{bands: {bands}, rows: {rows}}}}}
tokenizer: {{vocab: 512}}
model: {{layers: 4, hidden: 32, heads: 2, intermediate: 48}}
train: {{phases: [{{name: learn, tokens: 1K, context: 128, mix: {{{mix}}}}}]}}
"""
FILES = 8


def write_recipe(path: Path, read: Path, near: str, sources: Sequence[str] = ("t",)) -> Path:
    """A recipe without filters; `near` is bands x rows."""
    bands, rows = near.split("x")
    told = ", ".join(f"{name}: {{kind: text, read: {read}, filters: {{pii: null}}}}" for name in sources)
    mix = ", ".join(f"{name}: {1 / len(sources)}" for name in sources)
    path.write_text(RECIPE.format(sources=f"{{{told}}}", bands=bands, rows=rows, mix=mix))
    return path


def write_texts(texts: Sequence[str], folder: Path) -> None:
    """Documents as JSON lines in some files; a document's number is its `id`."""
    part = -(-len(texts) // FILES)
    for begin in range(0, len(texts), part):
        with (folder / f"part-{begin:08}.jsonl").open("w", encoding="utf-8") as file:
            for number, text in enumerate(texts[begin : begin + part], begin):
                file.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")


def deduplicate(texts: Path, out: Path, until: str, near: str) -> dict[str, Any]:
    """{seconds by part and by stage, peak memory in MB}; what is compiled has been loaded before."""
    from bench.dedup.peers import one_core, peak

    one_core()
    with next(texts.glob("part-*.jsonl")).open(encoding="utf-8") as lines:
        warm_up(out / "warm", near, [json.loads(line)["text"] for line in islice(lines, 2000)])
    stages = timed_stages(write_recipe(out / "recipe.yaml", texts / "part-*.jsonl", near), out / "work", until)
    if until == "dedup":
        (out / "kept.json").write_text(json.dumps(survivors(out / "work" / "dedup" / "t")))
    parts = {"signatures": 0.0, "survivors": 0.0, "rest": 0.0}
    for stage, taken in stages.items():
        parts[{"signatures": "signatures", "dedup": "rest"}.get(stage, "survivors")] += taken
    return {"seconds": parts, "stages": stages, "peak": peak()}


def timed_stages(recipe: Path, work: Path, until: str) -> dict[str, float]:
    """Carry out a recipe; CPU seconds of what was done, by the first part of the stages' names."""
    from bench.dedup.peers import spent
    from commands.run import prepare
    from pipeline.engines.run import Engine
    from recipes.load import load

    stages: dict[str, float] = {}
    before = spent()

    def told(stage: Stage, record: Record, worked: bool) -> None:
        nonlocal before
        name, now = stage.name.split("/")[0], spent()
        if worked:
            stages[name] = stages.get(name, 0.0) + now - before
        before = now

    prepare(load(recipe), work, Engine(), until=until, told=told)
    return stages


def warm_up(folder: Path, near: str, texts: Sequence[str] = ()) -> None:
    """A run on a few documents, so that what numba compiles is compiled and loaded.

    `texts`: some of those that will be signed; it compiles a kernel anew for each layout of the arrays it meets.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    words = [f"w{n}" for n in range(300)]
    plain = [" ".join([*words[: n % 7], *words[n // 3 :]]) for n in range(60)]
    write_texts([*(f"{text} é\u3000{text}" for text in plain), *texts], folder)
    timed_stages(write_recipe(folder / "recipe.yaml", folder / "part-*.jsonl", near), folder / "work", "dedup")


def survivors(folder: Path) -> list[int]:
    """The numbers of the documents that a stage has kept."""
    import pyarrow.parquet as pq

    told = [text for path in sorted(folder.glob("*.parquet")) for text in pq.read_table(path)["metadata"].to_pylist()]
    return [int(json.loads(text)["id"]) for text in told]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    texts, out, until, near = sys.argv[1:]
    print(json.dumps(deduplicate(Path(texts), Path(out), until, near)))
