"""Small corpora with planted duplicates, and the stages of deduplication run on them as a recipe runs them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.documents import Document, DocumentWriter, record
from pipeline.engines.run import Engine, run
from pipeline.settings import Dedup
from pipeline.stage import Record, Stage
from pipeline.tally import Tally
from pipeline.units import Piece, Unit
from recipes.deduplication import Deduplication

Corpus = Mapping[str, Mapping[str, str]]
"""source -> name of the document -> its text"""


def write(
    work: Path, corpus: Corpus, files: int = 1, seed: int | None = None, scores: Mapping[str, float] | None = None
) -> dict[str, Stage]:
    """The documents of each source in `files` files, in their order or shuffled by `seed`, as the filters sign them."""
    return {source: _filtered(work, source, corpus[source], files, seed, scores or {}) for source in sorted(corpus)}


def _filtered(
    work: Path, source: str, documents: Mapping[str, str], files: int, seed: int | None, scores: Mapping[str, float]
) -> Stage:
    names = list(documents)
    if seed is not None:
        random.Random(seed).shuffle(names)

    def fill(unit: Unit, out: Path, tally: Tally) -> None:
        with DocumentWriter(out) as writer:
            for name in names[unit.number :: files]:
                noted = {"quality": scores[name]} if name in scores else {}
                found = Document(at=name, text=documents[name], metadata=noted)
                writer.write_row(record(found, source, "text", "file"))

    stage = Stage(
        name=f"filter/{source}",
        work=lambda _: fill,
        units=lambda _: [Unit(n, (Piece("", f"part {n}", 0),)) for n in range(files)],
    )
    run(stage, work, Engine())
    return stage


def stages(filtered: Mapping[str, Stage], settings: Dedup) -> list[Stage]:
    return Deduplication(settings, filtered).stages()[0]


def go(work: Path, declared: list[Stage], engine: Engine | None = None) -> None:
    for stage in declared:
        run(stage, work, engine or Engine())


def deduplicate(
    work: Path, corpus: Corpus, settings: Dedup, files: int = 1, seed: int | None = None, engine: Engine | None = None
) -> set[str]:
    """The names of the survivors."""
    go(work, stages(write(work, corpus, files, seed), settings), engine)
    return survivors(work)


def counts(work: Path, stage: str) -> dict[str, Any]:
    found = Record.read(work / stage)
    assert found
    assert found.finished
    return found.counts


def survivors(work: Path) -> set[str]:
    origins = [o for path in (work / "dedup").glob("*/0*.parquet") for o in pq.read_table(path)["origin"].to_pylist()]
    assert len(origins) == len(set(origins))
    return {origin.removeprefix("file#") for origin in origins}


def removed(work: Path) -> list[dict[str, Any]]:
    paths = sorted((work / "dedup").glob("*/removed/*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def name_of(corpus: Corpus) -> dict[str, str]:
    rows = [record(Document(at=n, text=t), s, "text", "file") for s, texts in corpus.items() for n, t in texts.items()]
    return {row["id"]: row["origin"].removeprefix("file#") for row in rows}


def planted(documents: int = 300) -> Corpus:
    """Originals, and copies of them with some words changed, re-spaced or re-cased, spread over three sources."""
    dice = random.Random(5)
    lexicon = ["".join(dice.choices("abcdefghij", k=dice.randint(2, 8))) for _ in range(3_000)]
    texts: list[str] = []
    for _ in range(documents):
        if texts and dice.random() < 0.5:
            words = dice.choice(texts).split()
            for at in dice.sample(range(len(words)), k=len(words) * dice.choice([0, 0, 1, 1, 2, 3, 20]) // 100):
                words[at] = dice.choice(lexicon)
            text = dice.choice([" ", "\n", " "]).join(words)
            texts.append(text.upper() if dice.random() < 0.2 else text)
        else:
            texts.append(" ".join(dice.choices(lexicon, k=dice.randint(60, 300))))
    corpus: dict[str, dict[str, str]] = {"code": {}, "science": {}, "web": {}}
    for n, text in enumerate(texts):
        corpus[dice.choice(sorted(corpus))][f"d{n}"] = text
    return corpus
