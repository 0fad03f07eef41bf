"""A file of signatures says in its rows, and of itself, what the documents of one file are."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from pipeline.dedup.signatures import Scheme, open_signatures, sign_documents
from pipeline.documents import Document, DocumentWriter, record
from pipeline.settings import Dedup, Near
from pipeline.stage import StageError
from pipeline.tally import Tally
from pipeline.units import Piece, Unit

MEND = "make it anew with --redo signatures/web"
SCHEME = Scheme.of(Dedup(near=Near(bands=14, rows=8)))


def signed(
    folder: Path, texts: list[str], scheme: Scheme = SCHEME, noted: dict[int, dict[str, float]] | None = None
) -> tuple[pa.Table, Tally]:
    documents, out, tally = folder / "00004.parquet", folder / "signatures.parquet", Tally()
    with DocumentWriter(documents) as writer:
        for number, text in enumerate(texts):
            writer.write_row(
                record(
                    Document(at=str(number), text=text, metadata=(noted or {}).get(number, {})), "web", "text", "file"
                )
            )
    unit = Unit(4, (Piece(str(documents), documents.name, documents.stat().st_size),))
    sign_documents(unit, out, tally, source="web", scheme=scheme)
    tally.check("signatures")
    return pq.read_table(out), tally


def test_there_is_a_row_for_every_document_in_order(tmp_path: Path) -> None:
    texts = ["one two three four five six", "", "four words are here", "日本語の本", "one  two three\nfour five six "]
    table, tally = signed(tmp_path, texts)
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == pq.read_table(tmp_path / "00004.parquet")["id"].to_pylist()
    assert [row["bytes"] for row in rows] == [len(text.encode()) for text in texts]
    assert [row["words"] for row in rows] == [6, 0, 4, 5, 6]
    assert [row["exact"] for row in rows] == [xxhash.xxh3_128_digest(" ".join(t.split()).encode()) for t in texts]
    assert [row["band_00"] is None for row in rows] == [False, True, True, False, False]
    assert [rows[0][f"band_{b:02}"] for b in range(14)] == [rows[4][f"band_{b:02}"] for b in range(14)]
    assert tally.counts()["documents_out"] == 5
    assert tally.counts()["bytes_out"] == sum(row["bytes"] for row in rows)


def test_the_score_that_the_filters_noted_goes_along(tmp_path: Path) -> None:
    table, _ = signed(tmp_path, ["a", "b", "c"], noted={0: {"quality": 0.25}, 2: {"copies": 3}})
    assert table["quality"].to_pylist() == [0.25, None, None]


def test_a_signature_is_what_it_has_always_been(tmp_path: Path) -> None:
    table, _ = signed(tmp_path, ["The quick brown fox jumps over the lazy dog."])
    (row,) = table.to_pylist()
    assert row["exact"].hex() == "d06a8295313e6a153ff8e02db829c73c"
    assert row["band_00"] == 0xCA391FC8C94A8BD7
    assert row["band_13"] == 0xB41BCE8997C2380C


def test_a_part_that_is_not_asked_for_leaves_no_column(tmp_path: Path) -> None:
    assert signed(tmp_path, ["a"], Scheme.of(Dedup(near=None)))[0].column_names == ["id", "bytes", "quality", "exact"]
    near = Near(bands=2, rows=3)
    names = signed(tmp_path, ["a"], Scheme.of(Dedup(exact=False, near=near)))[0].column_names
    assert names == ["id", "bytes", "quality", "words", "band_00", "band_01"]


def test_documents_of_one_batch_or_many_and_of_megabytes_sign_the_same(tmp_path: Path) -> None:
    texts = [f"document {n} of " + "many words " * (n % 7) for n in range(2_500)]
    texts[1_000] = " ".join(map(str, range(400_000)))
    together, _ = signed(tmp_path, texts)
    for number in (0, 999, 1_000, 1_001, 2_499):
        alone, _ = signed(tmp_path, [texts[number]])
        assert alone.drop_columns("id").to_pylist() == together.slice(number, 1).drop_columns("id").to_pylist()


def test_no_documents_are_signed_as_no_rows(tmp_path: Path) -> None:
    table, tally = signed(tmp_path, [])
    assert (table.num_rows, tally.documents_in) == (0, 0)
    assert open_signatures(tmp_path / "signatures.parquet", "web", SCHEME, MEND).rows == 0


def test_a_file_tells_which_documents_it_signs(tmp_path: Path) -> None:
    signed(tmp_path, ["a", "b"])
    file = open_signatures(tmp_path / "signatures.parquet", "web", SCHEME, MEND)
    assert (file.documents, file.rows) == ("00004.parquet", 2)


@pytest.mark.parametrize(
    ("source", "scheme", "told"),
    [
        ("code", SCHEME, "source: web, not code"),
        ("web", Scheme.of(Dedup(near=Near(ngram=3))), "ngram: 5, not 3"),
        ("web", Scheme.of(Dedup(exact=False)), "exact: True, not False"),
    ],
)
def test_foreign_signatures_are_refused_naming_what_differs(
    tmp_path: Path, source: str, scheme: Scheme, told: str
) -> None:
    signed(tmp_path, ["a"])
    with pytest.raises(StageError, match=told):
        open_signatures(tmp_path / "signatures.parquet", source, scheme, MEND)


def test_missing_cut_off_and_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    signed(tmp_path, ["a"])
    whole = (tmp_path / "signatures.parquet").read_bytes()
    (tmp_path / "short.parquet").write_bytes(whole[:-100])
    (tmp_path / "empty.parquet").touch()
    for name in ("missing.parquet", "short.parquet", "empty.parquet", "00004.parquet"):
        with pytest.raises(StageError, match=name) as fault:
            open_signatures(tmp_path / name, "web", SCHEME, MEND)
        assert "\n" not in str(fault.value)
        assert str(fault.value).endswith(MEND)
