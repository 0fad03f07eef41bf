"""The filter stage accounts for every document."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.documents import SCHEMA, Document, DocumentWriter, record
from pipeline.filters import measures
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.kinds import rules
from pipeline.filters.rules import first_failed
from pipeline.filters.settings import (
    C4,
    Filters,
    FineWeb,
    Gopher,
    ScienceFilters,
    TextFilters,
    WebFilters,
)
from pipeline.filters.stage import filter_documents
from pipeline.tally import Tally
from pipeline.units import Piece, Unit

ENGLISH = (
    "The people of the valley have always said that the river would be the end of them, and with good reason.\n"
    "Every spring it rises over its banks, takes a field or two, and leaves behind a layer of mud.\n"
    "Nobody moves away, and nobody would have it otherwise. They mend the fences and wait for summer to come.\n"
    "When it comes at last, the whole village walks down to the water to be merry with one another.\n"
)
GERMAN = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt.\n" * 3
MENU = "home\ncookie policy of this site\n"


def run(tmp_path: Path, filters: Filters, *documents: Document) -> tuple[list[dict[str, Any]], Tally]:
    """The rows that pass; the documents lie in two files of several row groups."""
    tmp_path.mkdir(exist_ok=True)
    pieces = []
    for number, part in enumerate((documents[::2], documents[1::2])):
        path = tmp_path / f"{number}.parquet"
        with DocumentWriter(path) as writer:
            for document in part:
                writer.write_row(record(document, "s", "web", path.name))
        pieces.append(Piece(path=str(path), name=path.name, size=path.stat().st_size))
    tally = Tally()
    out = tmp_path / "out.parquet"
    filter_documents(Unit(0, tuple(pieces)), out, tally, filters=filters)
    tally.check("unit 0")
    assert pq.read_schema(out).equals(SCHEMA)
    return pq.read_table(out).to_pylist(), tally


def document(text: str, at: str = "0", **fields: Any) -> Document:
    return Document(at=at, text=text, **fields)


def test_web_pages_are_filtered_rewritten_and_told_their_language(tmp_path: Path) -> None:
    documents = [
        document(MENU + ENGLISH, "a", title="Kept"),
        document(GERMAN, "b"),
        document("", "c"),
        document(MENU, "d"),
    ]
    rows, tally = run(tmp_path, WebFilters(), *documents)
    assert [(row["origin"], row["text"], row["language"], row["title"]) for row in rows] == [
        ("0.parquet#a", ENGLISH.strip(), "en", "Kept")
    ]
    assert tally.dropped == {"language": 1, "empty": 1, "gopher_short_document": 1}
    assert tally.counts()["documents_in"] == 4
    assert tally.counts()["bytes_in"] == sum(len(d.text.encode()) for d in documents)
    assert tally.counts()["bytes_out"] == len(ENGLISH.strip())


def test_the_first_rule_that_fails_names_the_reason_and_says_what_it_measured(tmp_path: Path) -> None:
    _, tally = run(tmp_path, WebFilters(), document(GERMAN, "a"), document("The short of it is that it is short.", "b"))
    assert tally.dropped == {"language": 1, "gopher_short_document": 1}
    tally.write_samples(tmp_path / "dropped.parquet")
    samples = pq.read_table(tmp_path / "dropped.parquet").to_pylist()
    assert [(x["origin"], x["reason"], x["value"], x["threshold"], x["text"]) for x in samples] == [
        ("1.parquet#b", "gopher_short_document", "9", "50", "The short of it is that it is short."),
        ("0.parquet#a", "language", "de", "en", GERMAN),
    ]
    assert all(len(x["id"]) == 32 for x in samples)


def test_families_of_rules_can_be_switched_off(tmp_path: Path) -> None:
    off = WebFilters(languages=(), language_score=0, gopher=None, repetition=None, c4=None, fineweb=None)
    rows, tally = run(tmp_path, off, document(GERMAN, "a"), document(MENU, "b"), document("\n", "c"))
    assert [row["text"] for row in rows] == [GERMAN, MENU]
    assert rows[0]["language"] == "de"
    assert tally.dropped == {"empty": 1}


def test_a_page_of_which_no_line_is_left_is_empty(tmp_path: Path) -> None:
    lines = WebFilters(
        languages=(), language_score=0, c4=C4(min_sentences=0), gopher=None, repetition=None, fineweb=None
    )
    rows, tally = run(tmp_path, lines, document("too short\n", "a"), document("just long enough\n", "b"))
    assert [row["text"] for row in rows] == ["just long enough"]
    assert tally.dropped == {"empty": 1}


def test_a_unit_of_which_nothing_is_left_has_an_empty_file(tmp_path: Path) -> None:
    rows, tally = run(tmp_path, WebFilters(), document(GERMAN))
    assert rows == []
    assert tally.counts()["documents_out"] == 0
    rows, tally = run(tmp_path, TextFilters())
    assert rows == []
    assert tally.counts()["documents_in"] == 0


def test_only_the_row_groups_of_a_piece_are_read(tmp_path: Path) -> None:
    run(tmp_path, TextFilters(), document(ENGLISH))
    whole = tmp_path / "0.parquet"
    tally = Tally()
    piece = Piece(path=str(whole), name="0.parquet", size=1, groups=(0, 0))
    filter_documents(Unit(0, (piece,)), tmp_path / "part.parquet", tally, filters=TextFilters())
    assert tally.documents_in == 0


def test_code_keeps_its_programming_language_and_needs_a_licence(tmp_path: Path) -> None:
    code = "def add(first, second):\n    return first + second\n"
    rows, tally = run(
        tmp_path,
        CodeFilters(),
        document(code, "a", language="Python", license="MIT", metadata={"path": "a.py"}),
        document(code, "b", language="Python", license="GPL-3.0-only"),
        document(code, "c", language="Python"),
        document(code, "d", language="Python", license="MIT", metadata={"is_vendor": True}),
    )
    assert [(row["language"], row["text"]) for row in rows] == [("Python", code)]
    assert tally.dropped == {"license": 1, "no_license": 1, "vendored": 1}


def test_papers_are_believed_their_language_and_asked_for_their_length(tmp_path: Path) -> None:
    rules = ScienceFilters(min_words=10, min_paragraphs=1)
    rows, tally = run(
        tmp_path,
        rules,
        document(ENGLISH, "a"),
        document(ENGLISH, "b", language="en-US"),
        document(ENGLISH, "c", language="pt"),
        document(GERMAN, "d"),
        document("Too short a paper.", "e", language="en", date="2001"),
    )
    assert [row["language"] for row in rows] == ["en", "en"]
    assert tally.dropped == {"language": 2, "pes2o_few_words": 1}


def test_finished_text_is_kept_unless_it_holds_no_word(tmp_path: Path) -> None:
    rows, tally = run(tmp_path, TextFilters(), document(GERMAN, "a"), document("?!", "b"), document("ok", "c"))
    assert [row["text"] for row in rows] == [GERMAN, "ok"]
    assert tally.dropped == {"few_words": 1}
    rows, tally = run(
        tmp_path, TextFilters(languages=("en",), min_words=5), document(GERMAN, "a"), document(ENGLISH, "b")
    )
    assert [row["language"] for row in rows] == ["en"]
    assert tally.dropped == {"language": 1}


def test_what_passes_does_not_depend_on_how_documents_are_batched(tmp_path: Path) -> None:
    documents = [document(f"{ENGLISH}Line {n} is the last of the text.", str(n)) for n in range(1500)]
    rows, _ = run(tmp_path, WebFilters(), *documents)
    alone, _ = run(tmp_path, WebFilters(), documents[1499])
    assert len(rows) == 1500
    assert {row["origin"]: row["text"] for row in rows}["1.parquet#1499"] == alone[0]["text"]


ODD = [
    "", " ", "\n", "\r\n\r\n", "\u2028", "\v\f\x85", "\u00a0", "\u200b", "\ufeff", "�", "e\u0301" * 60,
    "我" * 200, "،؟" * 60,
    "हिन्दी में " * 60, "ภาษาไทย" * 60, "👩‍👩‍👧 " * 60, "don't won't " * 60, "x" * 1001, "{", "[1]", "1 " * 60,
    "." * 100_000, "a\nb\n" * 5_000, "The cat sat. " * 10_000, "\U000e0100", "{" * 50_000, "a " * 50_000,
]  # fmt: skip


@pytest.mark.parametrize(
    "filters",
    [
        WebFilters(languages=(), language_score=0),
        CodeFilters(licenses="any"),
        ScienceFilters(languages=(), min_words=0, min_paragraphs=0),
        TextFilters(min_words=0),
    ],
)
def test_odd_texts_are_kept_or_dropped_for_a_reason(tmp_path: Path, filters: Filters) -> None:
    rows, tally = run(tmp_path, filters, *(document(text, str(n)) for n, text in enumerate(ODD)))
    assert len(rows) + tally.dropped.total() == len(ODD)
    assert isinstance(filters, WebFilters) or {row["text"] for row in rows} <= set(ODD)


ALL_KINDS: list[Filters] = [
    WebFilters(),
    WebFilters(languages=(), gopher=None, c4=C4(min_sentences=2), fineweb=FineWeb(min_punctuated_lines=0.5)),
    WebFilters(languages=(), language_score={"de": 0.999, "default": 0.2}, repetition=None, c4=None),
    CodeFilters(licenses="any"),
    ScienceFilters(min_words=10, min_paragraphs=1),
    TextFilters(min_words=40),
]


@pytest.mark.parametrize("filters", ALL_KINDS)
def test_what_is_measured_is_kept_and_gives_the_stages_own_counts_again(tmp_path: Path, filters: Filters) -> None:
    texts = [ENGLISH, GERMAN, MENU, MENU + ENGLISH, ENGLISH * 3, *ODD]
    documents = [document(text, str(n), language=None) for n, text in enumerate(texts)]
    rows, tally = run(tmp_path, filters, *documents)
    reasons, _, columns = measures.read(tmp_path, 0)
    asked = rules(filters)
    failed = first_failed(columns, asked, len(reasons))
    assert [asked[number].reason if number >= 0 else None for number in failed] == reasons
    assert Counter(filter(None, reasons)) == tally.dropped
    assert {rule.column for rule in asked} <= set(columns)

    order = [*texts[::2], *texts[1::2]]
    table = pq.read_table(tmp_path / "measures" / "00000.parquet").to_pydict()
    assert table["bytes"] == [len(text.replace("\0", "\ufffd").encode()) for text in order]
    kept = [id for id, reason in zip(table["id"], reasons, strict=True) if reason is None]
    assert kept == [row["id"] for row in rows]


def test_other_thresholds_drop_what_a_run_with_them_drops(tmp_path: Path) -> None:
    texts = [ENGLISH, MENU + ENGLISH, ENGLISH * 3, *(f"{ENGLISH}{n} " + "7 " * n for n in range(20))]
    documents = [document(text, str(n)) for n, text in enumerate(texts)]
    other = WebFilters(gopher=Gopher(min_words=79, min_alphabetic=0.85), fineweb=FineWeb(max_newlines=0.05))
    run(tmp_path / "first", WebFilters(), *documents)
    run(tmp_path / "second", other, *documents)
    columns = measures.read(tmp_path / "first", 0).columns
    asked = rules(other)
    reasons = measures.read(tmp_path / "second", 0).reasons
    failed = first_failed(columns, asked, len(texts))
    assert [asked[number].reason if number >= 0 else None for number in failed] == reasons
    assert len({*reasons}) > 3


def test_nothing_more_is_measured_of_languages_not_asked_for_and_the_same_of_the_others(tmp_path: Path) -> None:
    texts = [ENGLISH, GERMAN, MENU + ENGLISH, "", GERMAN + MENU, ENGLISH * 2]
    documents = [document(text, str(n)) for n, text in enumerate(texts)]
    columns = {}
    for name, languages in (("some", ("en",)), ("all", ())):
        run(tmp_path / name, WebFilters(languages=languages, language_score=0), *documents)
        columns[name] = measures.read(tmp_path / name, 0).columns
        assert list(columns[name]) == list(columns["some"])
    english = columns["all"]["language"] == "en"
    assert english.sum() == 3
    for name, values in columns["some"].items():
        np.testing.assert_array_equal(values[english], columns["all"][name][english])
        if name not in ("characters", "language", "language_score"):
            assert all(value is None or np.isnan(value) for value in values[~english]), name


def test_a_value_that_is_just_the_threshold_passes_in_single_precision() -> None:
    columns = measures.stored({"gopher.bullet_lines": np.array([0.9, 9 / 10 + 1e-6, np.nan])})
    asked = [rule for rule in rules(WebFilters()) if rule.column == "gopher.bullet_lines"]
    assert first_failed(columns, asked, 3).tolist() == [-1, 0, -1]


def test_the_measures_of_a_unit_of_no_documents_have_their_columns(tmp_path: Path) -> None:
    for filters in ALL_KINDS:
        run(tmp_path, filters)
        reasons, _, columns = measures.read(tmp_path, 0)
        assert reasons == []
        assert {rule.column for rule in rules(filters)} <= set(columns)


def test_a_unit_that_fails_leaves_the_measures_of_an_earlier_run_as_they_were_or_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    with DocumentWriter(broken) as writer:
        writer.write_row(record(document(ENGLISH), "s", "web", "x"))
    broken.write_bytes(broken.read_bytes()[:-200])
    piece = Piece(path=str(broken), name="x", size=1)
    with pytest.raises(Exception, match=r"[Pp]arquet"):
        filter_documents(Unit(0, (piece,)), tmp_path / "out.parquet", Tally(), filters=TextFilters())
    assert not list((tmp_path / "measures").iterdir())


HOSTILE = [
    "x" * 3_000_000, "a b " * 500_000, "line\n" * 500_000, "\n" * 2_000_000, ".,!? " * 400_000, "word " * 1_000_000,
    "我" * 1_000_000, "[1" * 1_000_000, "a\u2028\x0b\x0c" * 300_000, "\ufffd" * 500_000, "@/." * 500_000,
]  # fmt: skip


@pytest.mark.parametrize("filters", [WebFilters(languages=(), language_score=0), TextFilters()])
def test_one_hostile_document_is_measured_in_bounded_time(tmp_path: Path, filters: Filters) -> None:
    good = document(ENGLISH, "good")
    run(tmp_path, filters, good)  # compiled and loaded
    began = time.process_time()
    rows, _ = run(tmp_path, filters, *(document(text, str(n)) for n, text in enumerate(HOSTILE)), good)
    assert time.process_time() - began < 5
    assert "good" in {row["origin"].partition("#")[2] for row in rows}
