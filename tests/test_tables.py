"""Tables of text: every row is read, or dropped for its reason while the rest of the file is read on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.documents import Document, Dropped
from pipeline.ingest import lines as lines_module
from pipeline.ingest import rows
from pipeline.ingest.reading import Found, UnreadableFile
from pipeline.ingest.tables import read_table
from pipeline.units import Piece

PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


def read(path: Path, column: str = "text", groups: tuple[int, int] | None = None) -> list[Found]:
    return list(read_table(Piece(str(path), path.name, path.stat().st_size, groups), column))


def told(found: list[Found]) -> list[str]:
    """Texts of what is kept, reasons of what is dropped."""
    return [what.text if isinstance(what, Document) else what.reason for _, what in found]


def jsonl(tmp_path: Path, content: bytes, packed: str = "") -> Path:
    path = tmp_path / f"a.jsonl{packed}"
    path.write_bytes(PACK[packed](content))
    return path


def parquet(tmp_path: Path, columns: dict[str, Any], group: int = 100) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=group)
    return tmp_path / "a.parquet"


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
        *before, last = told(read(path))
        assert last == f"bad_{'gzip' if packed == '.gz' else 'zstd'}"
        whole = [text for text in before if text != "bad_json"]  # some of the damage may decompress to lines of junk
        assert whole == [f"{n} {n**4}" for n in range(len(whole))]
        assert len(whole) >= len(before) - 1
        assert len(whole) > (1000 if packed == ".gz" else -1)  # a zstd block is whole or lost


def test_a_file_that_is_not_compressed_as_its_name_says_is_one_bad_record(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b'{"text": "plain"}\n')
    assert told(read(tmp_path / "a.jsonl.gz")) == ["bad_gzip"]


@pytest.mark.parametrize("packed", PACK)
def test_an_empty_file_of_lines_has_no_rows(tmp_path: Path, packed: str) -> None:
    (tmp_path / f"a.jsonl{packed}").write_bytes(b"")
    assert read(tmp_path / f"a.jsonl{packed}") == []
    assert read(jsonl(tmp_path, b"\n \n\n", packed)) == []


def test_a_line_over_the_limit_is_dropped_without_being_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "LONGEST", 2 << 20)
    monkeypatch.setattr(rows, "LONGEST", 2 << 20)
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


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all" * 9])
def test_a_file_that_is_no_parquet_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"a\.parquet: is no whole Parquet file"):
        read(tmp_path / "a.parquet")


def test_a_missing_text_column_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="has no column text; its columns are words, n"):
        read(parquet(tmp_path, {"words": ["x"], "n": [1]}))
