"""Columns of every type and form are found by their names; a damaged part of a table costs itself alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from pipeline.documents import Document, Dropped
from pipeline.ingest.raw import record_at
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile
from pipeline.ingest.tables import read_table
from pipeline.settings import Columns
from pipeline.units import Piece
from tests.toy_tables import jsonl, parquet, read, told


def test_rows_of_parquet_are_numbered_through_the_file_whatever_part_is_read(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"text": [f"row {n}" for n in range(10)]}, group=3)
    parts = [read(path, groups=(first, first + 2)) for first in (0, 2)]
    assert [(what.at, what.text) for part in parts for _, what in part] == [(str(n), f"row {n}") for n in range(10)]
    assert parts[0] + parts[1] == read(path)


def test_null_empty_and_undecodable_rows_of_parquet_are_dropped_alone(tmp_path: Path) -> None:
    values = pa.array([b"a", None, b"", b"\xff\xfe", b"b"], pa.binary()).view(pa.string())
    path = parquet(tmp_path, {"text": values})
    assert told(read(path)) == ["a", "bad_row", "empty_text", "bad_utf8", "b"]


def test_a_damaged_row_group_costs_its_rows_alone(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"text": [f"{n} {n**9}" * 50 for n in range(9)]}, group=3)
    content = bytearray(path.read_bytes())
    begin = pq.ParquetFile(path).metadata.row_group(1).column(0).dictionary_page_offset
    content[begin : begin + 40] = bytes(40)
    path.write_bytes(content)
    found = read(path)
    assert [what.at for _, what in found] == [str(n) for n in range(9)]
    assert [isinstance(what, Dropped) and what.reason for _, what in found] == [
        *[False] * 3,
        *["bad_record"] * 3,
        *[False] * 3,
    ]


def test_what_is_told_of_a_damaged_footer_is_one_line(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"text": ["a"]})
    content = path.read_bytes()
    size = int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[: -8 - size] + b"\x0f" * size + content[-8:])
    with pytest.raises(UnreadableFile, match="is no whole Parquet file") as fault:
        read(path)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all" * 9])
def test_a_file_that_is_no_parquet_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"a\.parquet: is no whole Parquet file"):
        read(tmp_path / "a.parquet")


def test_a_missing_text_column_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"has no column text; its columns are words, n$"):
        read(parquet(tmp_path, {"words": ["x"], "n": [1]}))
    with pytest.raises(UnreadableFile, match="has no column contents; its columns are content; did you mean 'content'"):
        read(parquet(tmp_path, {"content": ["x"]}), "contents")
    with pytest.raises(UnreadableFile, match=r"no column a\.c; its columns are a\.b; did you mean 'a\.b'"):
        read(parquet(tmp_path, {"a": [{"b": "x"}]}), "a.c")


def test_a_missing_column_of_lines_is_told_before_any_row_is_taken(tmp_path: Path) -> None:
    rows = b'{"body": "x", "n": 1}\n' * 50 + b'{"text": "late"}\n'
    assert told(read(jsonl(tmp_path, rows))) == ["bad_row"] * 50 + ["late"]
    for content, words in (
        (rows[:-17] * 3, r"has no column text; its columns are body, n \(in its first 100 rows\)"),
        (b'{"txt": "x"}\n', "did you mean 'txt'"),
    ):
        with pytest.raises(UnreadableFile, match=words):
            next(read_table(Piece(str(jsonl(tmp_path, content)), "a", 1), Columns()))


@pytest.mark.parametrize("values", [[1, 2], [0.5], [{"b": 1}], [[1]], [date(2026, 1, 1)]])
def test_a_text_column_of_another_type_is_told_with_its_type(tmp_path: Path, values: list[Any]) -> None:
    with pytest.raises(UnreadableFile, match=r"column text holds .*, not text; its columns are text \("):
        read(parquet(tmp_path, {"text": values}))


def test_a_column_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"text": ["x"], "headline": ["h"], "body": ["b"]})
    for columns, keep in (
        (Columns(title="headlin"), ()),
        (Columns(), ("headlin",)),
        (Columns(text=("body", "headlin")), ()),
    ):
        with pytest.raises(UnreadableFile, match=r"no column headlin; .*did you mean 'headline'"):
            list(read_table(Piece(str(path), "a", 1), columns, keep))


def test_columns_are_taken_by_the_names_the_recipe_gives(tmp_path: Path) -> None:
    row = {
        "content": {"head": "H", "paragraphs": ["one", None, " ", "two"]},
        "link": "http://a.example",
        "when": datetime(2026, 1, 2, 3, 4),
        "lang": "de",
        "terms": "MIT",
        "key": 7,
        "score": 0.5,
        "tags": ["x", "y"],
        "url": "not this one",
        "extra": "left",
    }
    columns = Columns(
        text=("content.head", "content.paragraphs"), url="link", title="content.head", date="when", language="lang",
        license="terms", id="key",
    )  # fmt: skip
    expected = Document(
        at="0", text="H\n\none\n\ntwo", url="http://a.example", title="H", date="2026-01-02T03:04:00", language="de",
        license="MIT", metadata={"id": "7", "score": 0.5, "tags": ["x", "y"]},
    )  # fmt: skip
    path = parquet(tmp_path, {name: [value] for name, value in row.items()})
    ((_, document),) = read_table(Piece(str(path), "a", 1), columns, ("score", "tags"))
    assert document == expected
    plain = row | {"when": "2026-01-02T03:04:00"}
    path = jsonl(tmp_path, json.dumps(plain).encode())
    ((_, document),) = read_table(Piece(str(path), "a", 1), columns, ("score", "tags"))
    assert document == replace(expected, at="1")


def test_turns_of_a_dialogue_are_paragraphs(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    for path in (parquet(tmp_path, {"turns": [turns]}), jsonl(tmp_path, json.dumps({"turns": turns}).encode())):
        assert told(read(path, "turns.content")) == ["Why?\n\nSo."]


def test_a_column_whose_name_has_a_point_is_itself(tmp_path: Path) -> None:
    assert told(read(parquet(tmp_path, {"a.b": ["point"], "a": [{"b": "inner"}]}), "a.b")) == ["point"]
    assert told(read(jsonl(tmp_path, b'{"a.b": "point", "a": {"b": "inner"}}'), "a.b")) == ["point"]


def test_missing_parts_of_a_text_of_several_columns_are_left_out(tmp_path: Path) -> None:
    path = jsonl(tmp_path, b'{"a": "A", "b": "B"}\n{"a": "A"}\n{"b": "B", "a": ""}\n{"c": 1}\n{"a": "A", "b": 5}')
    found = list(read_table(Piece(str(path), "a", 1), Columns(text=("a", "b"))))
    assert told(found) == ["A\n\nB", "A", "B", "bad_row", "bad_row"]


TYPES = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "binary": pa.binary(),
    "view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "list": pa.list_(pa.string()),
    "large_list": pa.large_list(pa.large_string()),
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("form", ["parquet", "file", "stream", "feather"])
def test_text_is_read_from_every_type_that_holds_it_and_every_form(tmp_path: Path, kind: str, form: str) -> None:
    words = ["a", None, "é\u2028語"]
    values: list[Any] = [value and [value] for value in words] if "list" in kind else list(words)
    values = [value and str(value).encode() for value in words] if kind == "binary" else values
    column = pa.array(words).dictionary_encode() if kind == "dictionary" else pa.array(values, TYPES[kind])
    table = pa.table({"text": column})
    path = tmp_path / {"parquet": "a.parquet", "feather": "a.feather"}.get(form, "a.arrow")
    if form == "parquet":
        pq.write_table(table, path)
    elif form == "feather":
        pyarrow.feather.write_feather(table, str(path), compression="zstd")
    else:
        new = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
        with new(str(path), table.schema) as writer:
            writer.write_table(table)
    found = read(path)
    assert told(found) == ["a", "bad_row", "é\u2028語"]
    assert [what.at for _, what in found] == [("" if form == "parquet" else "0.") + str(n) for n in range(3)]
    assert [json.loads(record_at(path, what.at)) != {} for _, what in found] == [True] * 3


def test_times_that_python_cannot_hold_are_told_in_words(tmp_path: Path) -> None:
    times = pa.array(np.array(["2262-01-01T00:00:00.123456789"], "M8[ns]"))
    far = pa.array([10**15], pa.timestamp("s"))
    path = parquet(tmp_path, {"text": ["x"], "date": times, "far": far})
    ((_, document),) = read_table(Piece(str(path), "a", 1), Columns(), ("far",))
    assert isinstance(document, Document)
    assert document.date is not None
    assert document.date.startswith("2262-01-01")
    assert isinstance(document.metadata["far"], str)


def arrow(tmp_path: Path, new: Any) -> tuple[Path, list[int]]:
    """Three batches of three rows, and where each begins."""
    path = tmp_path / "a.arrow"
    schema = pa.schema([("text", pa.string())])
    with path.open("wb") as file, new(file, schema) as writer:
        ends = []
        for n in range(3):
            ends.append(file.tell())
            writer.write_batch(pa.record_batch([pa.array([f"{n} {m} words" for m in range(3)])], schema=schema))
    return path, ends


def test_a_damaged_batch_of_an_arrow_file_costs_its_rows_alone(tmp_path: Path) -> None:
    path, ends = arrow(tmp_path, pa.ipc.new_file)
    content = bytearray(path.read_bytes())
    content[ends[1] : ends[1] + 40] = bytes(40)
    path.write_bytes(content)
    found = read(path)
    assert told(found) == [*(f"0 {n} words" for n in range(3)), "bad_record", *(f"2 {n} words" for n in range(3))]
    assert json.loads(record_at(path, "2.1")) == {"text": "2 1 words"}


def test_places_in_an_arrow_file_are_checked_before_they_are_followed(tmp_path: Path) -> None:
    path, _ = arrow(tmp_path, pa.ipc.new_file)
    content = path.read_bytes()
    places = np.array([0, 9, 18, 27], np.int32).tobytes()
    assert content.count(places) == 3
    path.write_bytes(content.replace(places, np.array([0, 9, 18, 1 << 30], np.int32).tobytes(), 1))
    assert told(read(path)) == [
        "0 0 words",
        "0 1 words",
        "bad_record",
        *(f"{n} {m} words" for n in (1, 2) for m in range(3)),
    ]
    path.write_bytes(content.replace(b"1 1 words", b"1 1 w\xffrds"))
    assert told(read(path)).count("bad_record") == 1


def test_of_an_arrow_stream_that_breaks_off_the_batches_before_are_kept(tmp_path: Path) -> None:
    path, ends = arrow(tmp_path, pa.ipc.new_stream)
    path.write_bytes(path.read_bytes()[: ends[2] + 50])
    found: list[Found] = []
    with pytest.raises(DamagedFile, match="breaks off at batch 2"):
        for each in read_table(Piece(str(path), "a", 1), Columns()):
            found.append(each)  # noqa: PERF402  # what came before the fault
    assert told(found) == [f"{n} {m} words" for n in (0, 1) for m in range(3)]


@pytest.mark.parametrize("content", [b"ARROW1", b"no arrow at all" * 9, b"\xff\xff\xff\xff" + bytes(9)])
def test_a_file_that_is_no_arrow_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.arrow").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"a\.arrow: is no whole Arrow file"):
        read(tmp_path / "a.arrow")


def test_names_of_columns_that_are_no_words_are_told(tmp_path: Path) -> None:
    path, _ = arrow(tmp_path, pa.ipc.new_file)
    path.write_bytes(path.read_bytes().replace(b"\x04\0\0\0text", b"\x04\0\0\0te\xfft"))
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "a.parquet", store_schema=False)
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content.replace(b"text", b"te\xfft"))
    for damaged in (path, tmp_path / "a.parquet"):
        with pytest.raises(UnreadableFile, match="can't decode byte 0xff"):
            read(damaged)


def test_pages_of_parquet_whose_checksum_is_wrong_are_damage(tmp_path: Path) -> None:
    table = pa.table({"text": [f"{n} {'x' * 40}" for n in range(9)]})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=3, compression="none", use_dictionary=False, write_page_checksum=True)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"4 " + b"x" * 40, b"4 " + b"y" * 40, 1))
    assert told(read(path)) == [*table["text"].to_pylist()[:3], *["bad_record"] * 3, *table["text"].to_pylist()[6:]]


def test_parquet_cut_off_before_its_footer_cannot_be_read(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"text": ["x" * 100] * 100})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableFile, match="is no whole Parquet file"):
        read(path)


def test_files_of_one_source_may_differ_in_their_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"text": pa.array(["y"]).dictionary_encode(), "n": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"text": [5]}), tmp_path / "2.parquet")
    assert [told(read(tmp_path / f"{n}.parquet")) for n in (0, 1)] == [["x"], ["y"]]
    with pytest.raises(UnreadableFile, match="holds int64, not text"):
        read(tmp_path / "2.parquet")
