"""From captures of the web to filtered documents, beside datatrove's stock chain: megabytes of HTML a CPU second.

    python bench/web_chain.py [CAPTURE.warc.gz ...]       what `bertmill sample` makes if none is given

Ours is what a run does: the stages ingest and filter with their defaults, Parquet and measures written. The peer is
datatrove 0.10.1: WarcReader, Trafilatura, LanguageFilter (with the model that our wheel carries; its own would be
downloaded), GopherRepetitionFilter, GopherQualityFilter, C4QualityFilter (without terminal punctuation, as FineWeb runs
it), FineWebQualityFilter, JsonlWriter. CPU time of all processes; ours is the median of rounds before and after the one
of the peer.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("captures", nargs="*", type=Path)
    options.add_argument(
        "--python", type=Path, help="interpreter that has datatrove; made under work/peers if not given"
    )
    options.add_argument("--rounds", type=int, default=4)
    options.add_argument("--peer", nargs="*", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.peer:
        print(json.dumps(peer(*asked.peer)))
        return
    if not asked.python:
        from bench.peers import python

        asked.python = python("datatrove")
    with tempfile.TemporaryDirectory() as folder:
        compare(asked, Path(folder))


def compare(asked: argparse.Namespace, folder: Path) -> None:
    from bench.extraction import html_pages
    from bench.peers import ask
    from bench.samples import samples

    paths = asked.captures or samples("web/*.warc.gz")
    sizes = [len(html.encode("utf-8", "replace")) for path in paths for _, html in html_pages(path)]
    size = sum(sizes) / 1e6
    ours(paths, folder)  # compiles
    rounds = [ours(paths, folder) for _ in range(asked.rounds // 2)]
    theirs = ask(asked.python, __file__, *captures(paths, folder))
    rounds += [ours(paths, folder) for _ in range(asked.rounds - len(rounds))]
    print(f"{len(sizes)} pages, {size:.1f} MB of HTML")
    ingest, filters = (median(told[name] for told in rounds) for name in ("ingest", "filter"))
    told = f"ingest {size / ingest:.1f}, filter {size / filters:.1f}, {rounds[0]['documents']} documents"
    print(f"  bertmill           {size / (ingest + filters):7.1f} MB/s  ({told})")
    print(f"  datatrove 0.10.1   {size / theirs['seconds']:7.1f} MB/s  ({theirs['documents']} documents)")
    print(f"  {theirs['seconds'] / (ingest + filters):.1f} times as fast")


def spent() -> float:
    """CPU seconds of this process and the children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def ours(paths: Sequence[Path], folder: Path) -> dict[str, float]:
    from pipeline.filters.settings import WebFilters
    from pipeline.filters.stage import filter_documents
    from pipeline.ingest.stage import ingest
    from pipeline.settings import WebSource
    from pipeline.tally import Tally
    from pipeline.units import Piece, Unit

    out = folder / "ours"
    shutil.rmtree(out, ignore_errors=True)
    (out / "filter").mkdir(parents=True)
    source = WebSource(kind="web", read=str(paths[0]), max_bad=1.0, on_bad_file="skip")
    pieces = tuple(Piece(path=str(path), name=path.name, size=path.stat().st_size) for path in paths)
    begin = spent()
    ingest(Unit(0, pieces), out / "documents.parquet", Tally(), source=source, name="web")
    middle = spent()
    read = Piece(path=str(out / "documents.parquet"), name="documents.parquet", size=0)
    tally = Tally()
    filter_documents(Unit(0, (read,)), out / "filter" / "00000.parquet", tally, filters=WebFilters())
    return {"ingest": middle - begin, "filter": spent() - middle, "documents": tally.documents_out}


def captures(paths: Sequence[Path], folder: Path) -> tuple[Path, Path, Path]:
    """What `peer` is given: a folder of the captures alone, one to write to, the language model."""
    from pipeline.filters.language import model_path

    inputs = folder / "captures"
    inputs.mkdir(exist_ok=True)
    for path in paths:
        shutil.copy(path, inputs)
    return inputs, folder / "theirs", model_path()


def peer(inputs: str, out: str, model: str) -> dict[str, Any]:
    """In datatrove's own environment."""
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        LanguageFilter,
    )
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.writers import JsonlWriter
    from fasttext.FastText import _FastText

    language = LanguageFilter(languages=["en"])
    language.model._model = _FastText(model)
    steps = [
        WarcReader(inputs),
        Trafilatura(favour_precision=True),
        language,
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
        JsonlWriter(f"{out}/documents"),
    ]
    documents: Any = None
    begin = spent()
    for step in steps:  # as an executor runs them, but that it copies the steps, and the model cannot be copied
        documents = step(documents, 0, 1)
    kept = sum(1 for _ in documents)
    return {"seconds": spent() - begin, "documents": kept}


if __name__ == "__main__":
    main()
