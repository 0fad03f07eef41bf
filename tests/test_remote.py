"""Files in a store are read by every reader, as if they stood on disk."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.ingest.reading import DamagedFile, UnreadableFile
from pipeline.ingest.remote import fetched
from pipeline.ingest.stage import ingest, raw_record
from pipeline.settings import TextSource
from pipeline.tally import Tally
from pipeline.units import Piece, Unit, find, group

SOURCE = TextSource(kind="text", read="memory://bucket/*")


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/bucket", recursive=True)


def test_documents_of_a_store_are_those_of_the_same_files_on_disk(
    tmp_path: Path, store: fsspec.AbstractFileSystem
) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "in" / "a.parquet")
    (tmp_path / "in" / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "three"}\n5\n'))
    store.put(str(tmp_path / "in"), "/bucket", recursive=True)
    tables = []
    for pattern in ("memory://bucket/*", f"{tmp_path}/in/*"):
        (unit,) = group(find([pattern]), 1 << 20)
        ingest(unit, tmp_path / "out.parquet", Tally(), source=SOURCE, name="here")
        tables.append(pq.read_table(tmp_path / "out.parquet").to_pylist())
    assert tables[0] == tables[1]
    assert [row["origin"] for row in tables[0]] == ["a.parquet#0", "a.parquet#1", "b.jsonl.gz#1"]
    assert raw_record(SOURCE, "memory://bucket/b.jsonl.gz", "1") == b'{"text": "three"}'


def test_faults_name_the_address_and_keep_their_kind(store: fsspec.AbstractFileSystem) -> None:
    address = "memory://bucket/a.jsonl.gz"
    with pytest.raises(UnreadableFile, match=f"{address}: cannot be fetched"), fetched(Piece(address, "a", 1)):
        pass
    with pytest.raises(DamagedFile, match=f"^{address}: breaks off at line 3"):
        store.pipe("/bucket/a.jsonl.gz", b"x")
        with fetched(Piece(address, "a", 1)) as local:
            raise DamagedFile.told(Path(local.path), "line 3", "no end")


def test_a_broken_file_of_a_store_is_dropped_by_its_address(tmp_path: Path, store: fsspec.AbstractFileSystem) -> None:
    store.pipe("/bucket/a.parquet", b"nothing")
    source = TextSource(kind="text", read="x", on_bad_file="skip")
    tally = Tally()
    ingest(Unit(0, tuple(find(["memory://bucket/*"]))), tmp_path / "out.parquet", tally, source=source, name="here")
    assert dict(tally.dropped) == {"bad_file": 1}
    tally.write_samples(tmp_path / "dropped.parquet")
    (sample,) = pq.read_table(tmp_path / "dropped.parquet").to_pylist()
    assert sample["value"].startswith("memory:///bucket/a.parquet: is no whole Parquet file")
