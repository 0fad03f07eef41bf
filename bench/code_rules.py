"""How well the rules for source files find what a data set marks, by language, and how fast they are.

    python bench/code_rules.py [PATH ...]

The paths are tables in the columns of The Stack v1 or v2, or StarCoder data; what `bertmill sample` makes, which marks
nothing, if none is given.

A file is *marked* if its columns say GPL-like licence, is_vendor or is_generated; the table compares the reasons of our
rules with these marks, once without looking at the flags and once with them. Peer: the data set's own flags.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from bench.samples import samples
from pipeline.documents import SCHEMA, Document, record
from pipeline.filters.code.licenses import accepted
from pipeline.filters.code.measure import measure
from pipeline.filters.code.rules import rules
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.rules import first_failed
from pipeline.ingest.code.rows import read_code
from pipeline.units import Piece

FLAGS = ("is_vendor", "is_generated")
MARKS = {
    "license": ("license", "no_license"),
    "vendored": ("vendored", "minified"),
    "generated": ("generated", "minified"),
}
BATCH = 512


def documents(paths: list[Path]) -> list[dict[str, object]]:
    """The rows of all tables as documents."""
    found = []
    for path in paths:
        for outcome in read_code(Piece(str(path), path.name, path.stat().st_size)):
            if isinstance(outcome.what, Document):
                found.append(record(outcome.what, "code", "code", path.name))  # noqa: PERF401
    return found


def judged(rows: list[dict[str, object]], filters: CodeFilters) -> tuple[list[set[str]], list[str | None], float]:
    """(every reason, the first reason, CPU seconds) of each document."""
    every: list[set[str]] = []
    first: list[str | None] = []
    asked = rules(filters)
    seconds = 0.0
    for start in range(0, len(rows), BATCH):
        batch = pa.RecordBatch.from_pylist(rows[start : start + BATCH], schema=SCHEMA)
        begin = time.process_time()
        columns = measure(batch, filters).columns
        numbers = first_failed(columns, asked, batch.num_rows)
        seconds += time.process_time() - begin
        fails = [(rule.reason, rule.fails(columns[rule.column])) for rule in asked]
        every += [{reason for reason, failed in fails if failed[d]} for d in range(batch.num_rows)]
        first += [asked[number].reason if number >= 0 else None for number in numbers]
    return every, first, seconds


def main(paths: list[Path]) -> None:
    rows = documents(paths)
    facts = [orjson.loads(str(row["metadata"] or "{}")) for row in rows]
    marks = [
        {
            "license": not accepted(str(row["license"] or "none"), "permissive"),
            "vendored": fact.get("is_vendor"),
            "generated": fact.get("is_generated"),
        }
        for row, fact in zip(rows, facts, strict=True)
    ]
    blind = [
        row | {"metadata": orjson.dumps({k: v for k, v in fact.items() if k not in FLAGS}).decode()}
        for row, fact in zip(rows, facts, strict=True)
    ]
    size = sum(len(str(row["text"]).encode()) for row in rows)
    for told, given in (("flags not looked at", blind), ("with the flags", rows)):
        judged(given[:BATCH], CodeFilters())
        runs = [judged(given, CodeFilters()) for _ in range(3)]
        every, first, _ = runs[0]
        _table(told, rows, marks, every)
        speed = size / 1e6 / statistics.median(seconds for _, _, seconds in runs)
        print(f"{len(rows)} files, {size / 1e6:.1f} MB, {speed:.0f} MB per CPU second, {first.count(None)} kept")
        print(", ".join(f"{reason} {n}" for reason, n in Counter(first).most_common() if reason), "\n")


def _table(told: str, rows: list[dict[str, object]], marks: list[dict[str, Any]], every: list[set[str]]) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row, mark, reasons in zip(rows, marks, every, strict=True):
        for language in (str(row["language"]), "all"):
            counts[language]["files"] += 1
            for name, own in MARKS.items():
                marked, found = mark[name], bool(reasons & set(own))
                if marked is None:  # the table does not tell
                    continue
                counts[language] += Counter({f"{name} {'hit' if found else 'missed'}": 1} if marked else {})
                counts[language] += Counter({f"{name} extra": 1} if found and not marked else {})
    print(
        f"{told}\n{'language':18}{'files':>6}" + "".join(f"{name:>12}{'recall':>8}{'precision':>10}" for name in MARKS)
    )
    for language, count in sorted(counts.items(), key=lambda pair: -pair[1]["files"]):
        cells = f"{language:18}{count['files']:6}"
        for name in MARKS:
            hit, missed, extra = (count[f"{name} {end}"] for end in ("hit", "missed", "extra"))
            recall = f"{hit / (hit + missed):.3f}" if hit + missed else "-"
            precision = f"{hit / (hit + extra):.3f}" if hit + extra else "-"
            cells += f"{hit + missed:12}{recall:>8}{precision:>10}"
        print(cells)


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]] or samples("code/*.parquet"))
