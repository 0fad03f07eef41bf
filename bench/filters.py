"""The rules for web pages beside datatrove's filters: the same decisions, and how many megabytes a CPU second.

    python bench/filters.py [PATH ...]       WARC, Parquet or JSON lines; what `bertmill sample` makes if none is given

The peer is datatrove 0.10.1 with spaCy's words: GopherRepetitionFilter, GopherQualityFilter, C4QualityFilter (without
terminal punctuation, as FineWeb runs it), FineWebQualityFilter, and for the second speed its LanguageFilter with the
same model as ours. It stops at the first filter that drops a document; ours measures everything of every document.
Every text counts as English, as it does for the peer. Rounds alternate; medians, CPU time of one thread.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

SLICE = 4 << 20
"""Characters measured together, as the filter stage does."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("paths", nargs="*", type=Path)
    options.add_argument(
        "--python", type=Path, help="interpreter that has datatrove; made under work/peers if not given"
    )
    options.add_argument("--timed", type=float, default=3.0, help="megabytes of text that are timed")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--show", type=int, default=3, help="ids shown of each class of difference")
    options.add_argument("--peer", nargs="*", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.peer is not None:
        print(json.dumps(peer(*asked.peer)))
        return
    if not asked.python:
        from bench.peers import python

        asked.python = python("datatrove")
    from bench.samples import samples

    with tempfile.TemporaryDirectory() as folder:
        named = [found for path in asked.paths or samples("web/*.warc.gz") for found in documents(path)]
        decisions(named, asked, Path(folder) / "all.jsonl")
        speed(named, asked, Path(folder) / "timed.jsonl")


def documents(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of every document of a file."""
    if ".warc" in path.name:
        from pipeline.documents import Document, clean
        from pipeline.ingest.web import read_captures

        for found in read_captures(path):
            if isinstance(found.what, Document):
                yield f"{path.name}#{found.what.at}", clean(found.what.text)
        return
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        texts = pq.read_table(path, columns=["text"]).column("text").to_pylist()
    else:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            texts = [json.loads(line).get("text") for line in lines]
    yield from ((f"{path.name}#{n}", text) for n, text in enumerate(texts) if isinstance(text, str))


def decisions(named: list[tuple[str, str]], asked: argparse.Namespace, path: Path) -> None:
    """Print the agreement, and the differences by our reason and the peer's."""
    from bench.peers import ask

    write(path, named)
    theirs = ask(asked.python, __file__, path)["reasons"]
    texts = [text for _, text in named]
    english = [code == "en" for code in identify(texts)]
    for title, threshold, column in (("as both ship", 0.01, 0), ("duplicate lines at 0.1", 0.1, 1)):
        ours = reasons(texts, threshold)
        same = [(ours[i] is None) == (theirs[i][column] is None) for i in range(len(named))]
        of_english = [s for s, e in zip(same, english, strict=True) if e]
        print(f"{title}: the same decision on {sum(same)} of {len(same)} documents, {sum(same) / len(same):.2%}")
        print(
            f"    in English: {sum(of_english)} of {len(of_english)}, {sum(of_english) / max(1, len(of_english)):.2%}"
        )
        classes = defaultdict(list)
        for i, agreed in enumerate(same):
            if not agreed:
                classes[ours[i] or "kept", theirs[i][column] or "kept"].append(named[i][0])
        for (mine, other), names in sorted(classes.items(), key=lambda item: -len(item[1])):
            print(f"    {len(names):5}  {mine:32} {other:28} {' '.join(names[: asked.show])}")
    print(
        "the peer, as it ships:",
        ", ".join(f"{n} {why or 'kept'}" for why, n in Counter(r[0] for r in theirs).most_common()),
    )


def speed(named: list[tuple[str, str]], asked: argparse.Namespace, path: Path) -> None:
    """Print both speeds on documents spread over all of them."""
    from bench.peers import ask
    from pipeline.filters.language import model_path

    size = sum(len(text.encode()) for _, text in named) / 1e6
    every = max(1, round(size / asked.timed))
    timed = named[::every]
    write(path, timed)
    texts = [text for _, text in timed]
    size = sum(len(text.encode()) for text in texts) / 1e6
    for title, model in (("filters alone", None), ("with language identification", model_path())):
        seconds(texts, model is not None)
        ours, theirs = [], []
        for _ in range(asked.rounds):
            ours.append(size / seconds(texts, model is not None))
            theirs.append(size / ask(asked.python, __file__, path, *([model] if model else []))["seconds"])
        a, b = median(ours), median(theirs)
        print(f"{title}, {size:.1f} MB: ours {a:.1f} MB/s, datatrove {b:.2f} MB/s, {a / b:.0f} times")


def write(path: Path, named: list[tuple[str, str]]) -> None:
    path.write_text("".join(json.dumps(text) + "\n" for _, text in named))


# ours


def batches(texts: list[str]) -> Iterator[Any]:
    import pyarrow as pa

    start = size = 0
    for stop, text in enumerate(texts, 1):
        size += len(text)
        if size > SLICE or stop == len(texts):
            yield pa.RecordBatch.from_arrays([pa.array(texts[start:stop], pa.large_string())], names=["text"])
            start, size = stop, 0


def judge(batch: Any, filters: Any, language: bool) -> tuple[Any, list[str | None]]:
    """(what was measured, why each text is dropped); every text counts as English where `language` is not asked."""
    import numpy as np

    from pipeline.filters import kinds, web
    from pipeline.filters.measures import stored
    from pipeline.filters.rules import first_failed

    if language:
        measured = kinds.measure(batch, filters)
    else:
        measured = web.measure(batch, np.ones(batch.num_rows, np.bool_), filters)
    rules = [rule for rule in web.rules(filters) if rule.column in measured.columns]
    failed = first_failed(stored(measured.columns), rules, batch.num_rows)
    return measured, [rules[number].reason if number >= 0 else None for number in failed]


def reasons(texts: list[str], duplicate_lines: float) -> list[str | None]:
    from pipeline.filters.settings import FineWeb, WebFilters

    filters = WebFilters(fineweb=FineWeb(max_duplicate_line_characters=duplicate_lines))
    return [reason for batch in batches(texts) for reason in judge(batch, filters, False)[1]]


def seconds(texts: list[str], language: bool) -> float:
    """CPU seconds to measure, decide and rewrite; the Arrow arrays stand before and after."""
    from pipeline.filters.settings import WebFilters

    ready = list(batches(texts))
    began = time.process_time()
    for batch in ready:
        measured, why = judge(batch, WebFilters(), language)
        measured.texts.take([place for place, reason in enumerate(why) if reason is None])
    return time.process_time() - began


def identify(texts: list[str]) -> list[str | None]:
    from pipeline.filters import languages

    return [code for batch in batches(texts) for code in languages.measure(batch, believe=False)["language"]]


# the peer


def peer(path: str, model: str | None = None) -> dict[str, Any]:
    """In datatrove's own environment: why it drops each text, with duplicate lines at 0.01 and at 0.1; CPU seconds."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    first = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False)]
    if model:
        first = [language_filter(model), *first]
    last, paper = FineWebQualityFilter(), FineWebQualityFilter(char_duplicates_ratio=0.1)
    with open(path) as lines:
        texts = [json.loads(line) for line in lines]

    def why(filters: list[Any], document: Document) -> str | None:
        for one in filters:
            verdict = one.filter(document)
            if verdict is not True:
                return verdict[1] if isinstance(verdict, tuple) else type(one).__name__
        return None

    why([*first, last], Document(text="Load the tokenizer. " * 100, id=""))
    taken, told = 0.0, []
    for text in texts:
        document = Document(text=text, id="")
        began = time.process_time()
        reason = why([*first, last], document)
        taken += time.process_time() - began
        told.append((reason, why([paper], document) if reason == "char_dup_ratio" else reason))
    return {"reasons": told, "seconds": taken}


def language_filter(model: str) -> Any:
    from datatrove.pipeline.filters import LanguageFilter
    from fasttext.FastText import _FastText

    one = LanguageFilter(languages=["en"])
    one.model._model = _FastText(model)  # its own would be downloaded
    return one


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
