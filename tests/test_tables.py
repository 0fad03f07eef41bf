"""Tables of text: every row is read, or dropped for its reason while the rest of the file is read on."""

from __future__ import annotations

import gzip
import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pipeline.documents import Document
from pipeline.ingest import lines as lines_module
from pipeline.ingest import objects
from pipeline.ingest.raw import record_at
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile
from pipeline.ingest.tables import read_table
from pipeline.settings import Columns
from pipeline.units import Piece
from tests.toy_tables import PACK, jsonl, parquet, read, told

LINES = [
    (b'\xef\xbb\xbf{"text": "first"}', "first"),
    (b'{"text": "tail", "x": NaN}', "tail"),
    (b'{"text": "a\xe2\x80\xa8b\\u2028c"}', "a\u2028b\u2028c"),
    (b'{"text": "lone \\ud800"}', "lone \ud800"),
    (b'{"text": "carriage"}\r', "carriage"),
    (b'{"text": "\xff"}', "bad_utf8"),
    (b'{"text": "cut', "bad_json"),
    (b"[" * 100_000, "bad_json"),
    (b'["text"]', "bad_row"),
    (b"5", "bad_row"),
    (b'{"text": 5}', "bad_row"),
    (b'{"text": null}', "bad_row"),
    (b'{"words": "x"}', "bad_row"),
    (b'{"text": "  \\n"}', "empty_text"),
    (b'{"text": "n", "n": 123456789012345678901234567890}', "n"),
    (b'{"text": "last"}', "last"),
]


@pytest.mark.parametrize("packed", PACK)
def test_each_line_is_a_row_or_dropped_for_its_reason(tmp_path: Path, packed: str) -> None:
    content = b"\n\n".join(line for line, _ in LINES)
    found = read(jsonl(tmp_path, content, packed))
    assert told(found) == [expected for _, expected in LINES]
    assert [what.at for _, what in found] == [str(2 * n + 1) for n in range(len(LINES))]
    assert sum(size for size, _ in found) == sum(len(line) + 1 for line, _ in LINES) - 1


def test_lines_longer_than_a_block_and_files_of_several_members_are_read(tmp_path: Path) -> None:
    texts = ["x" * size for size in (10, 3 << 20, 5, (1 << 20) - 12, 1)]
    content = [json.dumps({"text": text}).encode() + b"\n" for text in texts]
    path = tmp_path / "a.json.gz"
    path.write_bytes(b"".join(map(gzip.compress, content)) + bytes(600))
    assert told(read(path)) == texts
    path = tmp_path / "a.json.zst"
    path.write_bytes(b"".join(map(zstandard.compress, content)))
    assert told(read(path)) == texts


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_of_a_file_that_is_cut_off_or_broken_the_rows_before_are_kept(tmp_path: Path, packed: str) -> None:
    content = b"".join(b'{"text": "%d %d"}\n' % (n, n**4) for n in range(20_000))
    packed_content = PACK[packed](content)
    keep = len(packed_content) * 2 // 3
    path = tmp_path / f"a.jsonl{packed}"
    for damaged in (packed_content[:keep], packed_content[:keep] + b"\xff" * 5000):
        path.write_bytes(damaged)
        before: list[Found] = []
        with pytest.raises(DamagedFile, match="breaks off at line"):
            for each in read_table(Piece(str(path), path.name, 1), Columns()):
                before.append(each)  # noqa: PERF402  # what came before the fault
        whole = [text for text in told(before) if text != "bad_json"]  # damage may decompress to lines of junk
        assert whole == [f"{n} {n**4}" for n in range(len(whole))]
        assert len(whole) > (1000 if packed == ".gz" else -1)  # a zstd block is whole or lost


@pytest.mark.parametrize("packed", PACK)
def test_an_empty_file_of_lines_has_no_rows(tmp_path: Path, packed: str) -> None:
    (tmp_path / f"a.jsonl{packed}").write_bytes(b"")
    assert read(tmp_path / f"a.jsonl{packed}") == []
    assert read(jsonl(tmp_path, b"\n \n\n", packed)) == []


def test_a_line_over_the_limit_is_dropped_without_being_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "LONGEST", 2 << 20)
    monkeypatch.setattr(objects, "LONGEST", 2 << 20)
    path = jsonl(tmp_path, b'{"text": "a"}\n{"text": "' + b"x" * (5 << 20) + b'"}\n{"text": "b"}')
    assert told(read(path)) == ["a", "too_large", "b"]


def test_columns_of_the_documents_own_names_go_along_and_others_do_not(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        {
            "id": [7],
            "body": ["Text"],
            "title": ["T"],
            "url": ["http://a.example"],
            "date": [date(2026, 1, 2)],
            "language": [""],
            "license": [None],
            "score": [0.5],
        },
    )
    ((_, document),) = read(path, "body")
    assert document == Document(
        at="0", text="Text", url="http://a.example", title="T", date="2026-01-02", metadata={"id": "7"}
    )


@pytest.mark.parametrize("packed", PACK)
def test_a_small_json_array_is_read_element_by_element(tmp_path: Path, packed: str) -> None:
    path = tmp_path / f"a.json{packed}"
    array = [{"text": "one"}, {"text": 2}, "three", {"text": "four", "n": 10**30}, {"text": "é"}]
    path.write_bytes(PACK[packed](b"\xef\xbb\xbf \n" + json.dumps(array, indent=1).encode()))
    found = read(path)
    assert told(found) == ["one", "bad_row", "bad_row", "four", "é"]
    assert [what.at for _, what in found] == ["0", "1", "2", "3", "4"]
    assert json.loads(record_at(path, "4")) == {"text": "é"}


@pytest.mark.parametrize("packed", PACK)
def test_of_a_short_file_that_is_cut_off_the_rows_before_are_kept(tmp_path: Path, packed: str) -> None:
    cut_off = {"a.jsonl": b'{"text": "0"}\n{"text": "1"}\n{"te', "a.json": b'[{"text": "0"}, {"text": "1"}, {"te'}
    for name, content in cut_off.items():
        path = tmp_path / f"{name}{packed}"
        path.write_bytes(PACK[packed](content))
        before: list[Found] = []
        with pytest.raises(DamagedFile, match="breaks off at"):
            for each in read_table(Piece(str(path), path.name, 1), Columns()):
                before.append(each)  # noqa: PERF402  # what came before the fault
        assert told(before) == ["0", "1"]


def test_lines_of_arrays_are_no_array_and_a_cut_array_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'["a"]\n{"text": "row"}\n')
    assert told(read(tmp_path / "a.json")) == ["bad_row", "row"]
    (tmp_path / "a.json").write_bytes(b'[{"text": "one"}, {"text": "tw')
    with pytest.raises(DamagedFile, match="breaks off at element 1"):
        read(tmp_path / "a.json")


def test_of_an_array_with_more_than_a_hundred_faults_no_more_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[" + b'{"text": tru}, {"text": "x"}, ' * 200 + b"{}]")
    with pytest.raises(DamagedFile, match=r"breaks off at element 200 \(101 of its elements are no JSON\)"):
        read(tmp_path / "a.json")


def test_a_damaged_element_of_an_array_costs_itself_alone(tmp_path: Path) -> None:
    rows = [json.dumps({"text": f"{n}", "more": {"n": [n]}}).encode() for n in range(9)]
    rows[2], rows[4], rows[6] = rows[2].replace(b":", b";", 1), rows[4].replace(b'"4"', b'"\xff"'), b"[" * 5000 + b"{}"
    (tmp_path / "a.json").write_bytes(b"[" + b", \n".join(rows) + b"]")
    expected = ["0", "1", "bad_json", "3", "bad_utf8", "5", "bad_json", "7", "8"]
    assert told(read(tmp_path / "a.json")) == expected
    assert json.loads(record_at(tmp_path / "a.json", "8"))["text"] == "8"


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("packed", PACK)
def test_a_large_json_array_gives_what_a_small_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: str, indent: int | None
) -> None:
    """Packed in members, as of a few bytes each, so that numbers, words and characters are cut wherever they stand."""
    rows: list[Any] = [{"text": f"é😀 {n} ]}},{{[" * (n % 400), "more": {"n": [n, None]}} for n in range(1500)]
    rows[3:3] = [12345, "three", [{"text": "no"}], True, {"text": "\ud800"}, -1.5e9]
    content = json.dumps(rows, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    content = content.replace(b"\xed\xa0\x80", b"\\ud800")
    path = tmp_path / f"a.json{packed}"
    path.write_bytes(b"".join(PACK[packed](content[at : at + 997]) for at in range(0, len(content), 997)))
    small = read(path)
    monkeypatch.setattr(lines_module, "LONGEST", 1 << 16)
    monkeypatch.setattr(objects, "LONGEST", 1 << 16)
    assert len(content) > 20 << 16
    large = read(path)
    assert [what for _, what in large] == [what for _, what in small]
    assert record_at(path, "1400") == json.dumps(rows[1400], ensure_ascii=False, separators=(",", ":")).encode()


def test_of_a_damaged_large_array_the_rest_is_read_or_told_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "LONGEST", 1 << 16)
    monkeypatch.setattr(objects, "LONGEST", 1 << 16)
    path = tmp_path / "a.json"
    rows = [json.dumps({"text": f"{n} {n**4}" * 9}).encode() for n in range(5000)]
    rows[7], rows[3000], rows[4000] = rows[7].replace(b":", b";"), b'{"text": "\xff"}', b'{"text": "' + b"x" * (1 << 15)
    path.write_bytes(b"[" + b", ".join(rows) + b"]")
    found = told(read(path))
    assert [n for n, text in enumerate(found) if text.startswith("bad_")] == [7, 3000, 4000]
    assert len(found) >= 4999  # element 4000 has no end, and takes the next one with it
    rows[4000], rows[4500] = b'{"text": "' + b"x" * (1 << 17) + b'"}', b'{"text": "' + b"x" * (4 << 20) + b'"}'
    path.write_bytes(b"[" + b", ".join(rows) + b"]")
    before: list[Found] = []
    with pytest.raises(DamagedFile, match=r"a.json: breaks off at element 4500 \(it has no end within 0 MB\)"):
        for each in read_table(Piece(str(path), path.name, 1), Columns()):
            before.append(each)  # noqa: PERF402  # what came before the fault
    assert [each.reason for each in before if each.reason] == ["bad_json", "bad_utf8", "too_large"]
    path.write_bytes(b"[" + b", ".join(rows[8:2000]))
    with pytest.raises(DamagedFile, match=r"a.json: breaks off at element 1992 \(it has no end\)"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_file_that_is_not_in_utf_8_is_told(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / name
    for rows in ('{"text": "Ωmega"}\n' * 50, '[{"text": "one"},\n {"text": "two"}]'):
        path.write_bytes(rows.encode(encoding))
        with pytest.raises(UnreadableFile, match=rf"{name}: is not UTF-8 \(it begins as UTF-16 does\); convert it"):
            read(path)


def test_bytes_without_a_row_are_not_told_as_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(bytes(range(253, -1, -1)) * 99 + b"\xff")
    with pytest.raises(UnreadableFile, match=r"a.jsonl: is not UTF-8, and none of its lines is JSON; convert it"):
        read(path)
    path.write_bytes('{"text": "é'.encode()[:-1])
    with pytest.raises(DamagedFile, match="breaks off at line 1"):
        read(path)


def test_numbers_beyond_json_do_not_cost_a_row(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path, b'{"text": "a", "n": 123456789012345678901234567890, "x": NaN, "y": Infinity, "t": "\\ud800"}'
    )
    ((_, document),) = read_table(Piece(str(path), "a", 1), Columns(), ("n", "x", "t"))
    assert isinstance(document, Document)
    assert document.metadata["n"] == "123456789012345678901234567890"
    assert math.isnan(document.metadata["x"])
    assert document.metadata["t"] == "\ufffd"
