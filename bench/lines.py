"""Repeated lines found and removed beside datatrove's SentenceDedup, all three stages of both: MB a CPU second.

    python bench/lines.py [PATH ...]       WARC, Parquet or JSON lines; what `bertmill sample` makes if none is given

Both compare whole lines of one source and keep the first (`n_sentences=1, split_sentences=False`, floor of 50 words, no
floor of sentences). datatrove removes the second of two equal lines of one document too, and depends on the order of
documents. Its default, three-sentence spans (C4's rule), is timed as well. Rounds alternate; medians, CPU time of one
process, what both write included.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("paths", nargs="*", type=Path)
    options.add_argument(
        "--python", type=Path, help="interpreter that has datatrove; made under work/peers if not given"
    )
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--peer", nargs="*", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.peer is not None:
        print(json.dumps(peer(*asked.peer)))
        return
    from bench.filters import documents
    from bench.peers import ask, python
    from bench.samples import samples
    from pipeline.settings import Lines

    interpreter = asked.python or python("datatrove")
    texts = [text for path in asked.paths or samples("web/*.warc.gz") for _, text in documents(path)]
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts)} documents, {size:.1f} MB")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write(texts, home / "texts.parquet")
        (home / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
        alike = Lines(max_documents=1, scope="source", min_line_words=1)
        ways: dict[str, Callable[[], dict[str, Any]]] = {
            "bertmill, all but one of each line": lambda: ours(home, alike),
            "bertmill, as it ships": lambda: ours(home, Lines(scope="source")),
            "datatrove, all but one of each line": lambda: ask(interpreter, __file__, home, 1, ""),
            "datatrove, as it ships (three sentences)": lambda: ask(interpreter, __file__, home, 3, "sentences"),
        }
        ours(home, alike)  # compiles
        told: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for _ in range(asked.rounds):
            for way, do in ways.items():
                told[way].append(do())
    speeds = {way: size / median(one["seconds"] for one in rounds) for way, rounds in told.items()}
    for way, rounds in told.items():
        left = f"{rounds[0]['documents']} documents and {rounds[0]['bytes'] / 1e6:.2f} MB left"
        print(f"  {way:42} {speeds[way]:7.2f} MB/s  {left}")
    alone, theirs = (next(speeds[way] for way in ways if way.startswith(name)) for name in ("bertmill", "datatrove"))
    print(f"  {alone / theirs:.0f} times as fast")


def write(texts: list[str], path: Path) -> None:
    from pipeline.documents import Document, DocumentWriter, record

    with DocumentWriter(path) as writer:
        for number, text in enumerate(texts):
            writer.write_row(record(Document(at=str(number), text=text), "text", "text", "file"))


def ours(home: Path, settings: Any) -> dict[str, Any]:
    """The three stages as a run does them; the stage before only passes the documents on, and is not timed."""
    from pipeline.engines.run import Engine, run
    from pipeline.stage import Stage
    from pipeline.units import find, group
    from recipes.repeats import without_repeated_lines

    shutil.rmtree(home / "work", ignore_errors=True)
    before = Stage(name="texts", work=lambda _: pass_on, units=lambda _: group(find([str(home / "texts.parquet")]), 1))
    run(before, home / "work", Engine())
    stages, _ = without_repeated_lines(settings, ["text"], {"text": before})
    began = time.process_time()
    records = [run(stage, home / "work", Engine())[0] for stage in stages]
    counts = records[-1].counts
    return {
        "seconds": time.process_time() - began,
        "documents": counts["documents_out"],
        "bytes": counts["bytes_out"],
    }


def pass_on(unit: Any, out: Path, _: Any) -> None:
    shutil.copyfile(unit.pieces[0].path, out)


def peer(folder: str, sentences: str, split: str) -> dict[str, Any]:
    """In datatrove's own environment: the three steps on the texts of a file, and what they leave."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import SentenceDedupFilter, SentenceDedupSignature, SentenceFindDedups
    from datatrove.pipeline.dedup.sentence_dedup import SentDedupConfig
    from datatrove.pipeline.writers import JsonlWriter

    home = Path(folder) / "peer"
    shutil.rmtree(home, ignore_errors=True)
    with open(Path(folder) / "texts.jsonl") as lines:
        texts = [json.loads(line) for line in lines]
    how = {"n_sentences": int(sentences), "split_sentences": bool(split), "only_dedup_in_index": False}
    config = SentDedupConfig(**how, min_num_sentences=3 if split else 0)
    steps = [
        SentenceDedupSignature(str(home / "signatures"), config=config),
        SentenceFindDedups(str(home / "signatures"), str(home / "duplicates"), config=config),
    ]
    last = SentenceDedupFilter(str(home / "duplicates"), config=config)
    writer = JsonlWriter(str(home / "kept"), compression=None)

    def documents() -> Any:
        return (Document(text=text, id=str(number)) for number, text in enumerate(texts))

    for one in (steps[0], last):
        one.tokenizer.word_tokenize("Load the tokenizer.")
        list(one.tokenizer.span_tokenize("Load the tokenizer."))
    began = time.process_time()
    for step in steps:
        for _ in step.run(documents()) or ():
            pass
    kept = [len(document.text.encode()) for document in writer.run(last.run(documents()))]
    return {"seconds": time.process_time() - began, "documents": len(kept), "bytes": sum(kept)}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
