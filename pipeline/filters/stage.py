"""Documents -> the documents that pass the rules of their kind, each of the others counted under its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from pipeline.documents import DocumentWriter, Dropped, read_batches, text_bytes
from pipeline.filters import c4, fineweb, gopher, repetition
from pipeline.filters.code.rules import unfit_code
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.language import declared, identify, wrong_language
from pipeline.filters.science import unfit_paper
from pipeline.filters.settings import Filters, ScienceFilters, TextFilters, WebFilters
from pipeline.filters.verdict import Failed
from pipeline.tally import Tally
from pipeline.units import Unit
from pipeline.words import WORD, Words, scan, scan_batch


@dataclass(slots=True)
class Judged:
    """What the rules made of a batch, document by document."""

    failed: list[Failed | None] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """As the rules rewrote them."""
    languages: list[str | None] = field(default_factory=list)


def filter_documents(unit: Unit, out: Path, tally: Tally, *, filters: Filters) -> None:
    """Write the unit's documents that pass; the file is there even if none does."""
    with DocumentWriter(out) as writer:
        for piece in unit.pieces:
            for batch in read_batches(Path(piece.path), piece.groups):
                tally.read(batch.num_rows, text_bytes(batch))
                judged = judge(batch, filters)
                _count_dropped(batch, judged, tally)
                kept = survivors(batch, judged)
                tally.kept(kept.num_rows, text_bytes(kept))
                writer.write_batch(kept)


def judge(batch: pa.RecordBatch, filters: Filters) -> Judged:
    """Put every document of a batch to the rules of its kind."""
    judged = Judged()
    for failed, text, language in _RULES[type(filters)](batch, filters):
        judged.failed.append(failed)
        judged.texts.append(text)
        judged.languages.append(language)
    return judged


def survivors(batch: pa.RecordBatch, judged: Judged) -> pa.RecordBatch:
    """The documents that passed, with their new texts and languages."""
    passed = np.array([failed is None for failed in judged.failed], np.bool_)
    places = np.flatnonzero(passed)
    texts = pa.array([judged.texts[i] for i in places], batch.schema.field("text").type)
    languages = pa.array([judged.languages[i] for i in places], batch.schema.field("language").type)
    columns = {**dict(zip(batch.schema.names, batch.filter(pa.array(passed)).columns, strict=True))}
    columns |= {"text": texts, "language": languages}
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def _count_dropped(batch: pa.RecordBatch, judged: Judged, tally: Tally) -> None:
    ids, origins, texts = (batch.column(name) for name in ("id", "origin", "text"))
    for i, failed in enumerate(judged.failed):
        if failed:
            origin = origins[i].as_py()
            dropped = Dropped(
                at=origin, reason=failed.reason, value=failed.value, threshold=failed.threshold,
                text=texts[i].as_py(),
            )  # fmt: skip
            tally.drop(dropped, origin, ids[i].as_py())


_Verdicts = Iterator[tuple[Failed | None, str, str | None]]
"""For each document: the rule it failed, its text, its language."""


def _web(batch: pa.RecordBatch, rules: WebFilters) -> _Verdicts:
    words = scan_batch(batch.column("text"))
    for i, text in enumerate(batch.column("text").to_pylist()):
        if not text.strip():
            yield Failed("empty"), text, None
            continue
        code, score = identify(text)
        failed = wrong_language(code, score, rules.languages, rules.language_score)
        result = failed or _page(text, words, i, rules, code == "en")
        yield (None, result, code) if isinstance(result, str) else (result, text, code)


def _page(text: str, words: Words, i: int, rules: WebFilters, english: bool) -> Failed | str:
    """The page's text as C4's rules leave it, or the first rule it fails."""
    if rules.gopher and (failed := gopher.low_quality(text, words, i, rules.gopher, english)):
        return failed
    if rules.repetition and (failed := repetition.repetitive(text, words, i, rules.repetition)):
        return failed
    if rules.c4:
        cleaned = c4.clean(text, rules.c4)
        if isinstance(cleaned, Failed):
            return cleaned
        text = cleaned
    if rules.fineweb and (failed := fineweb.listlike(text, _tokens(text), rules.fineweb)):
        return failed
    return text or Failed("empty")


def _tokens(text: str) -> int:
    data = np.frombuffer(text.encode(), np.uint8)
    return len(scan(data, np.array([0, len(data)])).starts)


def _code(batch: pa.RecordBatch, rules: CodeFilters) -> _Verdicts:
    columns = (batch.column(name).to_pylist() for name in ("text", "license", "language", "metadata"))
    for text, license, language, metadata in zip(*columns, strict=True):
        told: dict[str, Any] = orjson.loads(metadata) if metadata else {}
        yield unfit_code(text, license, language, told, rules), text, language


def _science(batch: pa.RecordBatch, rules: ScienceFilters) -> _Verdicts:
    dates = batch.column("date").to_pylist()
    for date, (failed, text, language) in zip(dates, _in_language(batch, rules), strict=True):
        yield failed or unfit_paper(text, date, rules), text, language


def _text(batch: pa.RecordBatch, rules: TextFilters) -> _Verdicts:
    words = scan_batch(batch.column("text"))
    for i, (failed, text, language) in enumerate(_in_language(batch, rules)):
        n = int(np.count_nonzero(words.kinds[words.bounds[i] : words.bounds[i + 1]] & WORD))
        if n < rules.min_words:
            failed = Failed("few_words", n, rules.min_words)
        yield failed, text, language


def _in_language(batch: pa.RecordBatch, rules: ScienceFilters | TextFilters) -> _Verdicts:
    """A language that the document declares is believed; otherwise it is found in the text."""
    columns = (batch.column(name).to_pylist() for name in ("text", "language"))
    for text, language in zip(*columns, strict=True):
        code = declared(language)
        code, score = (code, 1.0) if code else identify(text)
        yield wrong_language(code, score, rules.languages, rules.language_score), text, code


_RULES: dict[type, Any] = {WebFilters: _web, CodeFilters: _code, ScienceFilters: _science, TextFilters: _text}
