"""Small corpora, the stages of repeated substrings run on them one unit after the other, and an oracle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.documents import Document, DocumentWriter, identity, record
from pipeline.handover import check_beside
from pipeline.perform import perform, sign
from pipeline.settings import Substrings
from pipeline.stage import Record, Stage, begin, standing
from pipeline.tally import Tally
from pipeline.units import Unit
from recipes.repeats import without_repeated_substrings

Corpus = Mapping[str, Mapping[str, str]]
"""source -> name of the document -> its text"""

TOKEN = re.compile(r"\w+|([^\w\s])\1*")
"""The tokens of ASCII text."""


def write_documents(unit: Unit, out: Path, tally: Tally, *, source: str, texts: list[list[tuple[str, str]]]) -> None:
    with DocumentWriter(out) as writer:
        for name, text in texts[unit.number]:
            writer.write_row(record(Document(at=name, text=text), source, "text", "file"))


def documents(source: str, texts: list[list[tuple[str, str]]]) -> Stage:
    """A stage whose files hold these texts, one list a file."""
    work = partial(write_documents, source=source, texts=texts)
    return Stage(
        name=f"dedup/{source}", work=lambda _: work, units=lambda _: [Unit(n, ()) for n in range(len(texts))]
    )  # fmt: skip


def clean(corpus: Corpus, files: int = 1, backwards: bool = False) -> dict[str, Stage]:
    """The documents of each source in `files` files."""
    out: dict[str, Stage] = {}
    for source, texts in corpus.items():
        rows = list(texts.items())[:: -1 if backwards else 1]
        out[source] = documents(source, [rows[n::files] for n in range(files)])
    return out


def bring(stage: Stage, work: Path) -> Record:
    """Do what an engine does, in this process."""
    record, folder = begin(stage, work), work / stage.name
    if record.finished:
        return record
    units = list(stage.units(work))
    record.units = len(units)
    record.write(folder)
    check_beside(work, stage, units)
    todo = stage.work(work)
    for unit in units:
        if standing(folder, unit.number, stage.suffix) is None:
            perform(todo, unit, folder, stage.suffix)
    return sign(stage, record, folder, 0.0)


def stages_of(corpus: Corpus, settings: Substrings, prefer: tuple[str, ...] = (), **how: Any) -> list[Stage]:
    raw = clean(corpus, **how)
    return [*raw.values(), *without_repeated_substrings(settings, prefer, raw)[0]]


def cut(work: Path, corpus: Corpus, settings: Substrings, prefer: tuple[str, ...] = (), **how: Any) -> Record:
    """Run all stages -> the sums of the last ones, as one record."""
    records = [bring(stage, work) for stage in stages_of(corpus, settings, prefer, **how)]
    last = [record for record in records if record.name.startswith("substrings/")]
    return Record(name="all", fingerprint="", settings={}, counts=Tally.total([one.counts for one in last]))


def rows(work: Path) -> dict[str, dict[str, Any]]:
    """What is left: name of the document -> its row."""
    paths = sorted((work / "substrings").glob("*/0*.parquet"))
    return {row["origin"].removeprefix("file#"): row for path in paths for row in pq.read_table(path).to_pylist()}


def texts(work: Path) -> dict[str, str]:
    return {name: row["text"] for name, row in rows(work).items()}


def words(text: str) -> list[str]:
    return [match.group() for match in TOKEN.finditer(text)]


def repeats(corpus: Corpus, n: int, prefer: tuple[str, ...] = ()) -> dict[str, list[bool]]:
    """By every window, in plain Python: name of the document -> which of its tokens stand in one that stood earlier."""
    order = [*prefer, *sorted(set(corpus) - set(prefer))]
    first: dict[tuple[str, ...], tuple[str, int]] = {}
    out: dict[str, list[bool]] = {}
    for source in order:
        for name in sorted(corpus[source], key=lambda name: identity(source, f"file#{name}")):
            tokens = words(corpus[source][name])
            gone = out[name] = [False] * len(tokens)
            for at in range(len(tokens) - n + 1):
                stood, place = first.setdefault(tuple(tokens[at : at + n]), (name, at))
                if (stood, place) != (name, at):
                    begin = max(at, place + n) if stood == name else at
                    gone[begin : at + n] = [True] * (at + n - begin)
    return out


def left(corpus: Corpus, n: int, prefer: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """The tokens that stay of each document."""
    gone = repeats(corpus, n, prefer)
    return {
        name: [token for token, repeat in zip(words(text), gone[name], strict=True) if not repeat]
        for source in corpus.values()
        for name, text in source.items()
    }
