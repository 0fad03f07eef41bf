"""Small corpora with planted duplicates, and the three stages of deduplication run on them as folders of files."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.dedup.duplicates import find_duplicates
from pipeline.dedup.keep import keep_survivors
from pipeline.dedup.signatures import Scheme, sign_documents
from pipeline.documents import Document, DocumentWriter, record
from pipeline.settings import Dedup
from pipeline.stage import Record
from pipeline.tally import Tally
from pipeline.units import Piece, Unit

Corpus = Mapping[str, Mapping[str, str]]
"""source -> name of the document -> its text"""


def unit(path: Path, number: int = 0, groups: tuple[int, int] | None = None) -> Unit:
    return Unit(number, (Piece(str(path), path.name, path.stat().st_size, groups),))


def sign_folder(folder: Path, units: int, finished: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Record(name=folder.name, fingerprint="x", settings={}, units=units, finished=finished).write(folder)


def write(work: Path, corpus: Corpus, files: int = 1, seed: int | None = None) -> None:
    """The documents of each source in `files` files, in their order or shuffled by `seed`."""
    for source, documents in corpus.items():
        names = list(documents)
        if seed is not None:
            random.Random(seed).shuffle(names)
        folder = work / "filter" / source
        folder.mkdir(parents=True)
        for number in range(files):
            with DocumentWriter(folder / f"{number:05}.parquet") as writer:
                for name in names[number::files]:
                    writer.write_row(record(Document(at=name, text=documents[name]), source, "text", "file"))


def sign(work: Path, settings: Dedup) -> None:
    for folder in (work / "filter").iterdir():
        paths = sorted(folder.glob("*.parquet"))
        out = work / "signatures" / folder.name
        sign_folder(out, len(paths))
        for n, path in enumerate(paths):
            sign_documents(unit(path, n), out / path.name, Tally(), source=folder.name, scheme=Scheme.of(settings))


def find(work: Path, settings: Dedup) -> Tally:
    sources = sorted(folder.name for folder in (work / "filter").iterdir())
    out, tally = work / "duplicates" / "00000.parquet", Tally()
    out.parent.mkdir(exist_ok=True)
    signatures, documents = ({s: work / stage / s for s in sources} for stage in ("signatures", "filter"))
    find_duplicates(Unit(0, ()), out, tally, signatures=signatures, documents=documents, settings=settings)
    tally.check("duplicates")
    return tally


def keep(work: Path, threshold: float = 0.8) -> Tally:
    tally = Tally()
    for path in sorted((work / "filter").glob("*/*.parquet")):
        source = path.parent.name
        out = work / "dedup" / source / path.name
        out.parent.mkdir(parents=True, exist_ok=True)
        keep_survivors(unit(path), out, tally, source=source, duplicates=work / "duplicates", threshold=threshold)
    tally.check("dedup")
    return tally


def deduplicate(work: Path, corpus: Corpus, settings: Dedup, files: int = 1, seed: int | None = None) -> set[str]:
    """The names of the survivors."""
    write(work, corpus, files, seed)
    sign(work, settings)
    assert find(work, settings).counts() == keep(work).counts()
    return survivors(work)


def survivors(work: Path) -> set[str]:
    origins = [o for path in (work / "dedup").glob("*/*.parquet") for o in pq.read_table(path)["origin"].to_pylist()]
    assert len(origins) == len(set(origins))
    return {origin.removeprefix("file#") for origin in origins}


def removed(work: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(work / "duplicates" / "00000.parquet").to_pylist()
    return rows


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
