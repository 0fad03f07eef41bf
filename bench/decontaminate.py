"""Planted overlaps found, false alarms and speed, beside datatrove's n-gram filter and a set of n-grams in Python.

    python bench/decontaminate.py [--against PATTERN ...] [PATH ...]

PATH: documents as Parquet or JSON lines with a column `text`; what `bertmill sample` makes if none is given. Without
evaluation files, passages of every fifth document are the evaluation rows, and the other documents are searched.
`--planted` texts of evaluation rows are put into documents in each of several ways; what is flagged without any planted
is listed, for a person to say whether it is a copy or an accident. CPU time of one thread, rounds alternate, medians.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

WAYS: dict[str, Callable[[str, random.Random], str]] = {
    "verbatim": lambda text, _: text,
    "upper case": lambda text, _: text.upper(),
    "title case": lambda text, _: text.title(),
    "re-spaced": lambda text, draw: re.sub(
        r"\s+", lambda _: draw.choice(["  ", "\n", "\u00a0", " \t", "\u2003"]), text
    ),
    "line-wrapped": lambda text, draw: textwrap.fill(text, draw.randint(30, 80), break_long_words=False),
    "soft hyphens": lambda text, _: re.sub(r"([^\W\d_]{4})(?=[^\W\d_]{3})", "\\1\u00ad", text),
    "re-punctuated": lambda text, _: re.sub(r"[,.;:]", " -", text.translate(str.maketrans("'\"", "\u2019\u201d"))),
}
"""How a text is changed before it is planted."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("paths", nargs="*", type=Path)
    options.add_argument("--against", nargs="+", help="patterns of evaluation files")
    options.add_argument("--planted", type=int, default=200)
    options.add_argument(
        "--python", type=Path, help="interpreter that has datatrove; made under work/peers if not given"
    )
    options.add_argument("--timed", type=float, default=2.0, help="megabytes of text that are timed")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--peer", nargs="*", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.peer is not None:
        print(json.dumps(peer(*asked.peer)))
        return
    texts = [text for path in asked.paths or sampled() for text in read(path)]
    with tempfile.TemporaryDirectory() as folder:
        if not asked.against:
            asked.against = [str(passages(texts[::5], Path(folder) / "passages.jsonl"))]
            texts = [text for number, text in enumerate(texts) if number % 5]
        compare(texts, asked, Path(folder))


def sampled() -> list[Path]:
    from bench.samples import samples

    return samples("code/*.parquet")


def read(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    from pipeline.ingest.objects import Row, objects

    if path.suffix == ".parquet":
        names = pq.read_schema(path).names
        return [
            text for text in pq.read_table(path).column("text" if "text" in names else "content").to_pylist() if text
        ]
    return [row.fields["text"] for row in objects(path) if isinstance(row, Row) and row.fields.get("text")]


def passages(texts: Sequence[str], path: Path) -> Path:
    """Evaluation rows made of documents: up to ten passages of each, of 8 to 120 words."""
    draw = random.Random(1)
    with path.open("w") as file:
        for text in texts:
            words = text.split()
            for begin in range(0, min(len(words), 1200), 120):
                size = draw.choice([draw.randint(8, 12), draw.randint(13, 120)])
                file.write(json.dumps({"text": " ".join(words[begin : begin + size])}) + "\n")
    return path


def compare(texts: Sequence[str], asked: argparse.Namespace, folder: Path) -> None:
    from pipeline.decontaminate.evaluation import read_evaluation
    from pipeline.decontaminate.files import evaluation_files
    from pipeline.documents import Dropped
    from pipeline.settings import Decontaminate

    settings = Decontaminate(against=tuple(asked.against))
    rows = [found for piece in evaluation_files(settings) for found in read_evaluation(piece, ())]
    known = [part for row in rows if not isinstance(row, Dropped) for part in row.parts]
    table = index(known_rows=rows, settings=settings)
    print(f"{len(known):,} evaluation texts, {len(table['keys']):,} n-grams; {len(texts):,} documents")
    alarms = flagged(texts, table, settings)
    print(f"flagged with nothing planted: {len(alarms)} ({1e4 * len(alarms) / len(texts):.2f} in 10,000)")
    for number, words in list(alarms.items())[:20]:
        print(f"  {texts[number][:40]!r} holds {words[:160]!r}")
    draw = random.Random(2)
    known = elsewhere(known, texts)
    long = [text for text in known if len(re.findall(r"\w+", text)) >= settings.ngram]
    short = [text for text in known if settings.short <= len(re.findall(r"\w+", text)) < settings.ngram]
    hosts = [text for number, text in enumerate(texts) if number not in alarms]
    lines = folder / "planted.jsonl", folder / "known.jsonl", folder / "hosts.jsonl"
    planted: list[tuple[str, str]] = []
    for size, choice in (("13 words and more", long), ("8 to 12 words", short)):
        for way, change in WAYS.items():
            chosen = draw.sample(choice, min(asked.planted, len(choice)))
            planted += [(f"{size}, {way}", put(change(text, draw), draw.choice(hosts), draw)) for text in chosen]
    found = flagged([text for _, text in planted], table, settings)
    hits = set(found)
    timed = cut(hosts, asked.timed)
    for path, content in zip(lines, ([text for _, text in planted], known, timed), strict=True):
        path.write_text("".join(json.dumps(text) + "\n" for text in content))
    rivals = beside(asked, lines)
    for way in dict.fromkeys(way for way, _ in planted):
        mine = [number for number, (one, _) in enumerate(planted) if one == way]
        told = "   ".join(
            f"{name} {len(hits & set(mine)) / len(mine):.3f}"
            for name, hits in {"ours": hits, **rivals["found"]}.items()
        )
        print(f"  {way:34} {told}")
    megabytes = sum(len(text.encode()) for text in timed) / 1e6
    rounds = []
    for _ in range(asked.rounds):
        began = time.process_time()
        flagged(timed * 10, table, settings)
        rounds.append(10 * megabytes / (time.process_time() - began))
    print(f"  ours {median(rounds):.1f} MB/s")
    for name, speed in rivals["speed"].items():
        print(f"  {name} {speed:.2f} MB/s: ours is {median(rounds) / speed:.0f} times as fast")


def elsewhere(known: Sequence[str], texts: Sequence[str]) -> list[str]:
    """The evaluation texts of which nothing stands in the documents already: what is planted is told from what was."""
    grams = {gram for text in known for gram in plain(text)}
    there = {gram for text in texts for gram in plain(text) if gram in grams}
    return [text for text in known if there.isdisjoint(plain(text))]


def index(known_rows: Sequence[Any], settings: Any) -> dict[str, Any]:
    from pipeline.decontaminate.index import Gatherer
    from pipeline.documents import Dropped

    gatherer = Gatherer(ngram=settings.ngram, short=settings.short, characters=settings.characters)
    for number, texts in enumerate(row for row in known_rows if not isinstance(row, Dropped)):
        gatherer.add(texts, [number] * len(texts.parts))
    return gatherer.table()


def flagged(texts: Sequence[str], table: dict[str, Any], settings: Any) -> dict[int, str]:
    """Number of each contaminated text -> its longest overlap; in batches, as the stage does."""
    import numpy as np
    import pyarrow as pa

    from pipeline.decontaminate.evidence import held_texts
    from pipeline.decontaminate.fold import folded
    from pipeline.decontaminate.matching import find_matches
    from pipeline.decontaminate.search import longest_run
    from pipeline.words import text_of

    found: list[tuple[int, Any, Any, str]] = []
    for first in range(0, len(texts), 1024):
        data, offsets = folded(*text_of(pa.array(texts[first : first + 1024], pa.large_string())))
        wide, narrow = settings.ngram * settings.characters, settings.short * settings.characters
        matches = find_matches(data, offsets, table, wide=wide, narrow=narrow, characters=settings.characters)
        for number in np.unique(matches.documents).tolist():
            chosen = matches.documents == number
            begin, end = longest_run(matches.begins[chosen], matches.ends[chosen])
            words = data[offsets[number] + begin : offsets[number] + end].tobytes().decode()
            found.append((first + number, np.unique(matches.grams[chosen]), None, words))
    counts = np.zeros(len(table["keys"]), np.int64)
    for _, grams, _, _ in found:
        counts[grams] += 1
    frequent = counts > settings.frequent
    return {number: words for number, grams, _, words in found if len(held_texts(grams, frequent, table, settings)[0])}


def put(text: str, host: str, draw: random.Random) -> str:
    """A text between two lines of a document."""
    lines = host.splitlines()
    at = draw.randrange(len(lines) + 1)
    return "\n".join([*lines[:at], text, *lines[at:]])


def cut(texts: Sequence[str], megabytes: float) -> list[str]:
    out: list[str] = []
    for text in texts:
        if megabytes <= 0:
            break
        out.append(text)
        megabytes -= len(text.encode()) / 1e6
    return out


def beside(asked: argparse.Namespace, lines: Sequence[Path]) -> dict[str, Any]:
    """What the peers find, and their speed."""
    from bench.peers import ask, python

    told = ask(asked.python or python("datatrove"), __file__, *lines)
    planted, known, timed = ([json.loads(line) for line in path.open()] for path in lines)
    grams = {gram for text in known for gram in plain(text)}
    hits = {number for number, text in enumerate(planted) if not grams.isdisjoint(plain(text))}
    began = time.process_time()
    for text in timed:
        grams.isdisjoint(plain(text))
    speed = sum(len(text.encode()) for text in timed) / 1e6 / (time.process_time() - began)
    return {
        "found": {"datatrove": set(told["found"]), "set in Python": hits},
        "speed": {"datatrove": told["speed"], "set in Python": speed},
    }


def plain(text: str) -> list[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return [tuple(words[i : i + 13]) for i in range(len(words) - 12)]


def peer(planted: str, known: str, timed: str) -> dict[str, Any]:
    """datatrove's filter over an index made by its own functions: its indexer cannot run without lighteval."""
    import numpy as np
    from datatrove.data import Document
    from datatrove.pipeline.decont import n_grams

    folder = Path(known).with_name("index")
    folder.mkdir()
    config = n_grams.NGramsDecontConfig(n_grams=13)
    found = n_grams.NGramsDecontFilter(str(folder), config)
    texts = {
        name: [json.loads(line) for line in Path(name).read_text().splitlines()] for name in (planted, known, timed)
    }
    words = [found.tokenizer.word_tokenize(n_grams.simplify_text(text, config.norm_config)) for text in texts[known]]
    hashes = {found.hash_func(" ".join(gram)) for one in words for gram in n_grams.ngrams(one, 13)}
    np.array(sorted(hashes), config.hash_config.np_descr).tofile(folder / "all.index.hashes")
    hits = [n for n, text in enumerate(texts[planted]) if found.filter(Document(text, str(n))) is not True]
    began = time.process_time()
    for text in texts[timed]:
        found.filter(Document(text, ""))
    return {
        "found": hits,
        "speed": sum(len(text.encode()) for text in texts[timed]) / 1e6 / (time.process_time() - began),
    }


if __name__ == "__main__":
    main()
