from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import documents
from pipeline.documents import (
    SCHEMA,
    Document,
    DocumentWriter,
    clean,
    id_words,
    identity,
    read_batches,
    record,
    text_bytes,
)


def rows(count: int, size: int = 20) -> list[dict[str, object]]:
    return [record(Document(at=str(n), text=f"{n} " + "ä" * size), "s", "text", "file.jsonl") for n in range(count)]


def test_documents_come_back_as_they_were_written_in_order(tmp_path: Path) -> None:
    written = rows(3000)
    with DocumentWriter(tmp_path / "d.parquet") as writer:
        for row in written:
            writer.write_row(row)
    found = [row for batch in read_batches(tmp_path / "d.parquet") for row in batch.to_pylist()]
    assert found == written
    assert pq.read_schema(tmp_path / "d.parquet") == SCHEMA


def test_row_groups_stay_within_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "GROUP_BYTES", 100_000)
    with DocumentWriter(tmp_path / "d.parquet") as writer:
        for row in rows(200, size=2_000):
            writer.write_row(row)
    file = pq.ParquetFile(tmp_path / "d.parquet")
    assert file.num_row_groups > 5
    groups = [file.read_row_group(n) for n in range(file.num_row_groups)]
    assert all(group.nbytes <= 110_000 for group in groups)
    assert sum(group.num_rows for group in groups) == 200


def test_a_writer_without_documents_makes_a_file_that_can_be_read(tmp_path: Path) -> None:
    with DocumentWriter(tmp_path / "d.parquet"):
        pass
    assert list(read_batches(tmp_path / "d.parquet")) == []


def test_some_row_groups_can_be_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "GROUP_BYTES", 50_000)
    with DocumentWriter(tmp_path / "d.parquet") as writer:
        for row in rows(100, size=2_000):
            writer.write_row(row)
    whole = [row["id"] for batch in read_batches(tmp_path / "d.parquet") for row in batch.to_pylist()]
    count = pq.ParquetFile(tmp_path / "d.parquet").num_row_groups
    parts = [
        row["id"]
        for n in range(count)
        for batch in read_batches(tmp_path / "d.parquet", (n, n + 1))
        for row in batch.to_pylist()
    ]
    assert parts == whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [("plain", "plain"), ("a\0b", "a\ufffdb"), ("a\ud800b", "a\ufffdb"), ("\U0001f600", "\U0001f600")],
)
def test_text_that_cannot_be_written_is_mended(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_an_identity_depends_on_source_and_origin_alone() -> None:
    assert identity("web", "a#1") == identity("web", "a#1")
    assert len({identity("web", "a#1"), identity("web", "a#2"), identity("code", "a#1"), identity("weba", "#1")}) == 4
    assert len(identity("web", "a#1")) == 32


def test_the_words_of_ids_are_their_hexadecimal_digits() -> None:
    ids = [identity("s", str(n)) for n in range(100)]
    high, low = id_words(pa.array(ids))
    assert [f"{a:016x}{b:016x}" for a, b in zip(high.tolist(), low.tolist(), strict=True)] == ids
    assert high.dtype == low.dtype == np.uint64


def test_bytes_of_text_are_utf_8() -> None:
    batch = pa.RecordBatch.from_pylist(rows(10), schema=SCHEMA)
    assert text_bytes(batch) == sum(len(str(row["text"]).encode()) for row in rows(10))
    assert text_bytes(batch.slice(3, 2)) == sum(len(str(row["text"]).encode()) for row in rows(10)[3:5])
    assert text_bytes(batch.slice(0, 0)) == 0


def test_the_datasets_library_reads_what_we_write(tmp_path: Path) -> None:
    with DocumentWriter(tmp_path / "d.parquet") as writer:
        for row in rows(5):
            writer.write_row(row)
    found = datasets.Dataset.from_parquet(str(tmp_path / "d.parquet"), cache_dir=str(tmp_path / "cache"))
    assert found["id"] == [row["id"] for row in rows(5)]
