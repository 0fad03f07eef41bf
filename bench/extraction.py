"""Main text of web pages beside trafilatura: how much of what should be found is, what leaks, and how fast.

    python bench/extraction.py [CAPTURE.warc.gz] [--truth TRUTH.jsonl]

The capture is one of what `bertmill sample` makes if none is given. TRUTH has one object a page: `warc_target_uri`, and
either `expected_text` or `with` and `without`, segments that must and must not be in the text. Scores: F1 of the bags
of words in lower case, shares of segments found and leaked with white space flattened. The peer is trafilatura 2.3
without comments, as it is otherwise. Rounds alternate; medians, CPU time of one thread.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import mean, median
from typing import Any


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("capture", nargs="?", type=Path)
    options.add_argument("--truth", type=Path)
    options.add_argument("--python", type=Path, help="interpreter that has trafilatura; made if none is given")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--pages", type=int, default=300, help="pages at most")
    options.add_argument("--peer", type=Path, nargs=2, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.peer:
        print(json.dumps(peer(*asked.peer)))
        return
    if not asked.python:
        from bench.peers import python

        asked.python = python("trafilatura")
    with tempfile.TemporaryDirectory() as folder:
        compare(asked, Path(folder))


def compare(asked: argparse.Namespace, folder: Path) -> None:
    from bench.peers import ask
    from bench.samples import samples

    pages = html_pages(asked.capture or samples("web/*.warc.gz")[0])[: asked.pages]
    (folder / "pages.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    size = sum(len(html.encode()) for _, html in pages) / 1e6
    seconds: dict[str, list[float]] = defaultdict(list)
    texts: dict[str, dict[str, str]] = {}
    for _ in range(asked.rounds):
        spent, texts["bertmill"] = ours(pages)
        seconds["bertmill"].append(spent)
        told = ask(asked.python, __file__, folder / "pages.jsonl", folder / "theirs.json")
        seconds[told["name"]].append(told["seconds"])
        texts[told["name"]] = json.loads((folder / "theirs.json").read_text())
    print(f"{len(pages)} pages, {size:.1f} MB of HTML")
    for name, spent_all in seconds.items():
        told_scores = scores(texts[name], asked.truth) if asked.truth else ""
        print(f"  {name:18} {size / median(spent_all):7.1f} MB/s  {told_scores}")
    mine, theirs = (median(spent_all) for spent_all in seconds.values())
    print(f"  {theirs / mine:.1f} times as fast")


def html_pages(path: Path) -> list[tuple[str, str]]:
    """(address, HTML) of the pages of a capture."""
    from pipeline.ingest import capture, http
    from pipeline.ingest.charset import decode
    from pipeline.ingest.web import PAGES

    pages = []
    for record in capture.records(path):
        if isinstance(record, capture.Record) and record.headers.get("warc-type") == "response":
            response = http.parse(record.block, capture.LARGEST)
            if response.status == 200 and response.mime in PAGES:
                address = record.headers["warc-target-uri"].strip("<>")
                pages.append((address, decode(response.body, response.charset)[0]))
    return pages


def ours(pages: list[tuple[str, str]]) -> tuple[float, dict[str, str]]:
    from pipeline.ingest.page.page import read_page

    read_page(b"<p>compiles")
    begin = time.process_time()
    texts = {address: read_page(html.encode("utf-8", "replace")).text for address, html in pages}
    return time.process_time() - begin, texts


def peer(pages: Path, out: Path) -> dict[str, Any]:
    import trafilatura

    told = [json.loads(line) for line in pages.read_text().splitlines()]
    trafilatura.extract("<p>warms up</p>")
    begin = time.process_time()
    texts = {address: trafilatura.extract(html, include_comments=False) or "" for address, html in told}
    seconds = time.process_time() - begin
    out.write_text(json.dumps(texts))
    return {"name": f"trafilatura {trafilatura.__version__}", "seconds": seconds}


def scores(texts: dict[str, str], truth: Path) -> str:
    found: dict[str, list[float]] = defaultdict(list)
    for line in truth.read_text().splitlines():
        page = json.loads(line)
        got = texts.get(page["warc_target_uri"], "")
        if "expected_text" in page:
            found["F1"].append(overlap(got, page["expected_text"]))
        else:
            found["found"] += [flat(segment) in flat(got) for segment in page["with"]]
            found["leaked"] += [flat(segment) in flat(got) for segment in page["without"]]
    return "  ".join(f"{name} {mean(values):.3f} ({len(values)})" for name, values in found.items())


def overlap(got: str, wanted: str) -> float:
    a, b = (Counter(re.findall(r"\w+", text.lower())) for text in (got, wanted))
    return 2 * (a & b).total() / (a.total() + b.total()) if a and b else 0.0


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


if __name__ == "__main__":
    main()
