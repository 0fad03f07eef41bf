"""Tables of papers: S2ORC in both of its layouts, peS2o's versions, and titles with abstracts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.documents import Document, Dropped, record
from pipeline.ingest.papers import read_papers
from pipeline.ingest.reading import UnreadableFile
from pipeline.units import Piece

OLD = {
    "paper_id": "77",
    "abstract": [{"section": "Abstract", "text": "We  ask.", "cite_spans": []}],
    "body_text": [
        {"section": "Introduction", "text": "Cats sleep [1]."},
        {"section": "Introduction", "text": "All of them."},
        {"section": "Results", "text": "They do."},
    ],
    "bib_entries": {"BIBREF0": {"title": "On cats", "authors": [{"first": "A", "last": "B"}], "year": 1999}},
}
WHOLE = (
    "On cats\nA. Author\nWe ask.\nIntroduction\nCats sleep [1].\nAll of\nthem.\nResults\nThey do.\nA B. On cats. 1999"
)


def place(part: str, **more: Any) -> dict[str, Any]:
    return {"start": WHOLE.rindex(part), "end": WHOLE.rindex(part) + len(part), **more}


PLACES = {
    "title": [{"start": 0, "end": 7}],
    "abstract": [place("We ask.")],
    "sectionheader": [place("Results", attributes={"n": "2"}), place("Introduction")],
    "paragraph": [place(part) for part in ("Cats sleep [1].", "They do.", "All of\nthem.", "We ask.")],
    "bibentry": [place("A B. On cats. 1999")],
    "author": None,
}
NEW = {
    "corpusid": 77,
    "externalids": {"DOI": "10.1/x", "ArXiv": None},
    "content": {
        "source": {"oainfo": {"license": "CCBY"}},
        "text": WHOLE,
        "annotations": {name: value and json.dumps(value) for name, value in PLACES.items()},
    },
}
V2 = {
    "corpusid": 77,
    "title": "On cats",
    "openaccessinfo": {"license": "CCBY", "externalids": {"DOI": "10.1/x"}},
    "body": {"text": WHOLE, "annotations": {k: v for k, v in PLACES.items() if k != "bibentry"}},
    "bibliography": {"text": "A B. On cats. 1999", "annotations": {"bibentry": [{"start": 0, "end": 18}]}},
}
TEXT = "We ask.\n\nIntroduction\n\nCats sleep [1].\n\nAll of them.\n\nResults\n\nThey do."


def read(tmp_path: Path, *rows: Any, references: bool = False) -> list[Document | Dropped]:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [what for _, what in read_papers(Piece(str(path), path.name, 1), references=references)]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (OLD, TEXT),
        ({"title": "On cats", "paper_id": "77", "pdf_parse": OLD}, f"On cats\n\n{TEXT}"),
        ({**OLD, "metadata": {"title": "On cats"}}, f"On cats\n\n{TEXT}"),
        (NEW, f"On cats\n\n{TEXT}"),
        (V2, f"On cats\n\n{TEXT}"),
    ],
)
def test_a_paper_is_read_in_either_layout(tmp_path: Path, row: dict[str, Any], text: str) -> None:
    without, with_ = (read(tmp_path, row, references=asked)[0] for asked in (False, True))
    assert isinstance(without, Document)
    assert without.text == text
    assert with_.text == f"{text}\n\nReferences\n\nA B. On cats. 1999"
    assert without.metadata["corpusid"] == "77"
    assert without.metadata["abstract"] is True


def test_what_the_newer_layout_tells_of_itself_goes_along(tmp_path: Path) -> None:
    for row in (NEW, V2):
        (document,) = read(tmp_path, row)
        assert isinstance(document, Document)
        assert (document.url, document.license, document.title) == ("https://doi.org/10.1/x", "CCBY", "On cats")


def test_a_paper_without_an_abstract_is_known_by_it(tmp_path: Path) -> None:
    (document,) = read(tmp_path, {**OLD, "abstract": []})
    assert isinstance(document, Document)
    assert document.metadata["abstract"] is False


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"body_text": [], "abstract": []}, "empty_text"),
        ({"body_text": ["x"]}, "bad_row"),
        ({"body_text": [{"section": "A"}]}, "bad_row"),
        ({"content": {"text": 5, "annotations": {}}}, "bad_row"),
        ({"content": {"text": "abc", "annotations": {"paragraph": "[{"}}}, "bad_row"),
        ({"content": {"text": "abc", "annotations": {"paragraph": [{"start": 1, "end": 9}]}}}, "bad_row"),
        ({"content": {"text": "abc", "annotations": {"paragraph": [{"start": "x", "end": 2}]}}}, "bad_row"),
        ({"content": {"annotations": None}}, "bad_row"),
        ({"content": "words"}, "bad_row"),
    ],
)
def test_a_row_of_another_form_is_dropped_alone(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    first, second = read(tmp_path, row, NEW)
    assert isinstance(first, Dropped)
    assert first.reason == reason
    assert isinstance(second, Document)


def test_parts_that_lie_over_each_other_take_no_more_than_the_text(tmp_path: Path) -> None:
    spans = [{"start": n, "end": 200_000} for n in range(100_000)]
    entries = [{"start": 199_000 + n % 900, "end": 199_900} for n in range(100_000)]
    began = time.process_time()
    content = {"text": "word " * 40_000, "annotations": {"paragraph": spans, "bibentry": entries}}
    (document,) = read(tmp_path, {"content": content})
    assert isinstance(document, Document)
    assert len(document.text) == 199_999
    assert time.process_time() - began < 4


def test_titles_with_abstracts_are_documents(tmp_path: Path) -> None:
    kept, none = read(
        tmp_path, {"id": "1", "title": "On cats", "abstract": "They sleep."}, {"title": "T", "abstract": ""}
    )
    assert isinstance(kept, Document)
    assert (kept.text, kept.metadata) == ("On cats\n\nThey sleep.", {"id": "1", "part": "abstract"})
    assert isinstance(none, Dropped)
    assert none.reason == "no_abstract"


def test_the_third_version_of_pes2o_leaves_copies_of_its_text_out(tmp_path: Path) -> None:
    metadata = {
        "year": 2020,
        "abstract": "A",
        "top_frequencies": [],
        "oa_license": "CCBY",
        "oa_url": "http://x.example",
    }
    row = {
        "id": "1",
        "text": "Words",
        "source": "s2orc",
        "created": "2020-01-01",
        "version": "v3",
        "metadata": metadata,
    }
    (document,) = read(tmp_path, row)
    assert isinstance(document, Document)
    assert (document.license, document.url) == ("CCBY", "http://x.example")
    assert document.metadata == {"year": 2020, "id": "1", "source": "s2orc", "version": "v3"}


def test_metadata_that_cannot_be_written_again_costs_no_task(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    deep = "[" * 300 + "]" * 300
    path.write_text(
        '{"text": "a", "metadata": {"\\ud800": "\\ud800"}}\n'
        f'{{"text": "b", "metadata": {{"x": {deep}}}}}\n'
        f'{{"text": "c", "metadata": {json.dumps(deep)}}}\n'
    )
    first, second, third = (what for _, what in read_papers(Piece(str(path), "a", 1), references=False))
    assert isinstance(first, Document)
    assert record(first, "s", "science", "a")["metadata"] == '{"\ufffd":"\ufffd"}'
    assert isinstance(second, Dropped)
    assert (second.reason, second.value) == ("bad_json", "more than 100 levels")
    assert isinstance(third, Document)
    assert third.metadata == {"metadata": deep}


def test_parquet_of_papers_is_read_and_a_table_of_anything_else_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([NEW]), path)
    ((size, document),) = read_papers(Piece(str(path), "a", 1), references=False)
    assert document.text == f"On cats\n\n{TEXT}"
    assert size > 0
    pq.write_table(pa.table({"words": ["x"]}), path)
    with pytest.raises(UnreadableFile, match="has no column text; its columns are words"):
        list(read_papers(Piece(str(path), "a", 1), references=False))
