"""What deduplication refuses, each in one line that says where and what to do."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.documents import Document, DocumentWriter, record
from pipeline.settings import Dedup
from pipeline.stage import StageError
from tests.toy_duplicates import find, keep, planted, sign, sign_folder, write


def test_an_unfinished_or_missing_folder_of_signatures_is_refused(tmp_path: Path) -> None:
    write(tmp_path, planted(10), files=2)
    sign(tmp_path, Dedup())
    sign_folder(tmp_path / "signatures" / "web", 2, finished=False)
    with pytest.raises(StageError, match=r"signatures/web is not finished"):
        find(tmp_path, Dedup())
    (tmp_path / "signatures" / "web" / "stage.json").unlink()
    with pytest.raises(StageError, match=r"signatures/web is not finished"):
        find(tmp_path, Dedup())


def test_a_missing_file_of_signatures_or_documents_is_named(tmp_path: Path) -> None:
    write(tmp_path, planted(), files=2)
    sign(tmp_path, Dedup())
    documents, signatures = (tmp_path / stage / "web" / "00001.parquet" for stage in ("filter", "signatures"))
    held = documents.read_bytes()
    documents.unlink()
    with pytest.raises(StageError, match=r"filter/web/00001\.parquet is missing"):
        find(tmp_path, Dedup())
    documents.write_bytes(held[:-9])
    with pytest.raises(StageError, match=r"filter/web/00001\.parquet is no whole file"):
        find(tmp_path, Dedup())
    documents.write_bytes(held)
    signatures.unlink()
    with pytest.raises(StageError, match=r"signatures/web/00001\.parquet is missing"):
        find(tmp_path, Dedup())


@pytest.mark.parametrize("column", [0, 4, 17])
def test_one_wrong_bit_in_signatures_is_noticed(tmp_path: Path, column: int) -> None:
    write(tmp_path, planted(40))
    sign(tmp_path, Dedup())
    path = tmp_path / "signatures" / "web" / "00000.parquet"
    chunk = pq.read_metadata(path).row_group(0).column(column)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size - 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"signatures/web/00000\.parquet"):
        find(tmp_path, Dedup())


def test_ids_that_are_no_ids_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"web": {}})
    path = tmp_path / "filter" / "web" / "00000.parquet"
    for id in ("short", "G" * 32, "é" * 16):
        with DocumentWriter(path) as writer:
            writer.write_row({**record(Document(at="a", text="b"), "web", "text", "file"), "id": id})
        sign(tmp_path, Dedup())
        with pytest.raises(StageError, match=r"00000\.parquet: holds an id that is not 32 hex digits"):
            find(tmp_path, Dedup())


def test_documents_that_changed_since_are_refused(tmp_path: Path) -> None:
    text = " ".join(f"word{n}" for n in range(200))
    write(tmp_path, {"web": {"a": text}, "xml": {"b": text + " end"}})
    sign(tmp_path, Dedup())
    find(tmp_path, Dedup())
    path = tmp_path / "filter" / "xml" / "00000.parquet"
    with DocumentWriter(path) as writer:
        writer.write_row(record(Document(at="another", text=text), "xml", "text", "file"))
    with pytest.raises(StageError, match=r"when duplicates were looked for.*--redo duplicates"):
        keep(tmp_path)
    with DocumentWriter(path) as writer:
        for name in "bc":
            writer.write_row(record(Document(at=name, text=text), "xml", "text", "file"))
    with pytest.raises(StageError, match=r"holds 2 documents and its signatures 1"):
        find(tmp_path, Dedup())


def test_a_preferred_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    write(tmp_path, planted(5))
    sign(tmp_path, Dedup())
    with pytest.raises(StageError, match=r"dedup.prefer names books; the sources are code, science, web"):
        find(tmp_path, Dedup(prefer=("books",)))


def test_a_missing_list_of_duplicates_keeps_nothing_but_fails(tmp_path: Path) -> None:
    write(tmp_path, planted(5))
    with pytest.raises(StageError, match=r"duplicates/00000\.parquet.*--redo duplicates"):
        keep(tmp_path)
