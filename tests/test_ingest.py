"""The ingest stage: units of raw files become documents, every record is accounted for and can be found again."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import lz4.frame
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.documents import SCHEMA
from pipeline.ingest.reading import UnreadableFile
from pipeline.ingest.stage import READERS, ingest, raw_record
from pipeline.settings import CodeSource, ScienceSource, Source, TextSource, WebSource
from pipeline.tally import Tally
from pipeline.units import Piece, Unit, find, group
from tests.captures import gzipped, record, response

WEB = WebSource(kind="web", read="x")
TEXT = TextSource(kind="text", read="x")
SOURCES: dict[str, Source] = {
    "web": WEB,
    "code": CodeSource(kind="code", read="x"),
    "science": ScienceSource(kind="science", read="x"),
    "text": TEXT,
}


def run(tmp_path: Path, source: Source, *files: Path) -> tuple[list[dict[str, Any]], Tally]:
    """(rows, counts) of one unit made of the files."""
    pieces = tuple(Piece(str(path), path.name, path.stat().st_size) for path in files)
    tally = Tally()
    ingest(Unit(0, pieces), tmp_path / "out.parquet", tally, source=source, name="here")
    tally.check("test")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema == SCHEMA
    assert tally.documents_out == table.num_rows
    assert tally.bytes_out == sum(len(text.encode()) for text in table["text"].to_pylist())
    return table.to_pylist(), tally


def jsonl(tmp_path: Path, name: str, *rows: Any) -> Path:
    (tmp_path / name).write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    return tmp_path / name


def test_a_unit_of_several_files_is_one_file_and_its_counts_add_up(tmp_path: Path) -> None:
    pages = tmp_path / "a.warc.gz"
    pages.write_bytes(gzipped(record(b"x", "request"), record(response()), record(response(status="500 X"))))
    more = tmp_path / "b.warc"
    more.write_bytes(record(response()) + b"junk" + record(response()))
    rows, tally = run(tmp_path, WEB, pages, more)
    assert [row["origin"].partition("#")[0] for row in rows] == ["a.warc.gz", "b.warc", "b.warc"]
    assert dict(tally.dropped) == {"not_a_page": 1, "http_status": 1, "bad_record": 1}
    assert (tally.documents_in, len({row["id"] for row in rows})) == (6, 3)
    assert {(row["source"], row["kind"]) for row in rows} == {("here", "web")}
    assert (
        tally.bytes_in
        == sum(len(part) for part in (*(gzip.decompress(pages.read_bytes()), more.read_bytes()),)) - 5 * 4
    )


def test_the_result_is_the_same_each_time_and_wherever_the_files_lie(tmp_path: Path) -> None:
    outputs = []
    for folder in (tmp_path / "one", tmp_path / "two" / "deeper"):
        folder.mkdir(parents=True)
        path = jsonl(folder, "a.jsonl", *({"text": f"text {n}", "id": n} for n in range(2000)))
        run(folder, TEXT, path)
        outputs.append((folder / "out.parquet").read_bytes())
    assert outputs[0] == outputs[1]


def test_a_unit_without_documents_is_a_file_without_rows(tmp_path: Path) -> None:
    empty = tmp_path / "a.jsonl"
    empty.write_bytes(b"\n")
    assert run(tmp_path, TEXT, empty)[0] == []
    bad = jsonl(tmp_path, "b.jsonl", ["no", "row"], {"text": ""})
    rows, tally = run(tmp_path, TEXT, bad)
    assert (rows, dict(tally.dropped)) == ([], {"bad_row": 1, "empty_text": 1})


def test_what_was_dropped_is_sampled_with_its_place_and_text(tmp_path: Path) -> None:
    _, tally = run(tmp_path, TEXT, jsonl(tmp_path, "a.jsonl", {"text": "x"}, ["no", "row"]))
    tally.write_samples(tmp_path / "dropped.parquet")
    (sample,) = pq.read_table(tmp_path / "dropped.parquet").to_pylist()
    assert (sample["origin"], sample["reason"], sample["value"]) == ("a.jsonl#2", "bad_row", "a JSON list is no row")
    assert sample["text"] == '["no", "row"]'


def test_surrogates_and_nulls_do_not_stop_a_unit(tmp_path: Path) -> None:
    odd = "a\0\ud800"
    path = jsonl(
        tmp_path, "a.jsonl", {"text": odd, **dict.fromkeys(("title", "url", "language", "license", "date", "id"), odd)}
    )
    ((row,), _) = run(tmp_path, TEXT, path)
    plain = "a\ufffd\ufffd"
    assert {row[name] for name in ("text", "title", "url", "language", "license", "date")} == {plain}
    assert json.loads(row["metadata"]) == {"id": plain}


@pytest.mark.parametrize("kind", [kind for kind, readers in READERS.items() if ("",) not in readers])
def test_a_file_of_an_unknown_kind_fails_its_unit_and_says_what_is_read(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(UnreadableFile, match=rf"a\.docx: a source of kind {kind} reads \.\w+.*; narrow its pattern"):
        run(tmp_path, SOURCES[kind], tmp_path / "a.docx")


def test_a_file_that_cannot_be_read_fails_its_unit_or_is_skipped_and_counted(tmp_path: Path) -> None:
    broken = tmp_path / "b.parquet"
    broken.write_bytes(b"nothing")
    good = [jsonl(tmp_path, name, {"text": "x"}) for name in ("a.jsonl", "c.jsonl")]
    with pytest.raises(UnreadableFile, match=r"b\.parquet"):
        run(tmp_path, TEXT, good[0], broken, good[1])
    skipping = TextSource(kind="text", read="x", on_bad_file="skip")
    rows, tally = run(tmp_path, skipping, good[0], broken, good[1])
    assert [row["origin"] for row in rows] == ["a.jsonl#1", "c.jsonl#1"]
    assert dict(tally.dropped) == {"bad_file": 1}


@pytest.mark.parametrize("ending", [".gz", ".zst", ".lz4"])
def test_a_file_that_is_cut_off_fails_its_unit_or_keeps_what_stands_before_and_is_counted(
    tmp_path: Path, ending: str
) -> None:
    packs = {".gz": gzip.compress, ".zst": zstandard.compress, ".lz4": lz4.frame.compress}
    content = b"".join(packs[ending](record(response())) for _ in range(300))
    cut = tmp_path / f"a.warc{ending}"
    cut.write_bytes(content[:-30])
    with pytest.raises(
        UnreadableFile, match=r"a\.warc\S+: breaks off at byte \S+ \(.* and the rest is missing; fetch it"
    ):
        run(tmp_path, WEB, cut)
    rows, tally = run(tmp_path, WebSource(kind="web", read="x", on_bad_file="skip"), cut)
    assert len(rows) == 299
    assert dict(tally.dropped) == {"bad_file": 1}
    assert raw_record(WEB, cut, rows[7]["origin"].partition("#")[2]) == record(response())[:-4]


def test_lines_and_archives_that_are_cut_off_are_told_too(tmp_path: Path) -> None:
    lines = b"".join(b'{"text": "%d %d"}\n' % (n, n**4) for n in range(20_000))
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for number in range(4):
            member = tarfile.TarInfo(f"{number}.txt")
            member.size = 600
            archive.addfile(member, io.BytesIO(b"x" * 600))
    tar = whole.getvalue()
    for name, kind, content in (
        ("a.jsonl.gz", "text", gzip.compress(lines)[:-100]),
        ("a.jsonl.zst", "text", zstandard.compress(lines)[:-1]),
        ("a.jsonl", "text", lines[:-7]),
        ("a.tar", "science", tar[: 3 * 1536 + 700]),
        ("b.tar", "science", tar[: 3 * 1536]),
        ("a.tar.gz", "science", gzip.compress(tar)[:-5]),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match=r"breaks off at .* and the rest is missing"):
            run(tmp_path, SOURCES[kind], path)
        rows, tally = run(tmp_path, replace(SOURCES[kind], on_bad_file="skip"), path)
        assert tally.dropped["bad_file"] == 1, name
        assert len(rows) >= (15_000 if name in ("a.jsonl.gz", "a.jsonl") else 0), name
        assert tally.dropped["not_a_paper"] == (3 if name in ("a.tar", "b.tar") else tally.dropped["not_a_paper"]), name


@pytest.mark.parametrize("kind", ["web", "science", "text"])  # repositories of code have empty files
def test_an_empty_file_is_told(tmp_path: Path, kind: str) -> None:
    for ending in {ending for endings in READERS[kind] for ending in endings}:
        path = tmp_path / f"a{ending}"
        path.write_bytes(b"")
        with pytest.raises(UnreadableFile, match=r"a\.\S+: is empty; fetch it anew or remove it"):
            run(tmp_path, SOURCES[kind], path)


def test_a_file_that_has_gone_is_told_in_one_line(tmp_path: Path) -> None:
    piece = Piece(str(tmp_path / "gone.jsonl"), "gone.jsonl", 5)
    with pytest.raises(UnreadableFile, match=r"gone\.jsonl: cannot be opened \(No such file"):
        ingest(Unit(0, (piece,)), tmp_path / "out.parquet", Tally(), source=TEXT, name="here")


@pytest.mark.parametrize(
    ("kind", "pattern"), [("web", "web/*.warc.gz"), ("code", "code/*.parquet"), ("science", "science/*")]
)
def test_every_document_of_real_files_leads_back_to_its_raw_record(
    raw: Path, tmp_path: Path, kind: str, pattern: str
) -> None:
    source = SOURCES[kind]
    pieces = [piece for piece in find([str(raw / "0" / pattern)]) if "." in piece.name]
    for unit in group(pieces, 1 << 40):
        tally = Tally()
        ingest(unit, tmp_path / "out.parquet", tally, source=source, name=kind)
        tally.check(kind)
        rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
        assert rows
        assert not [reason for reason in tally.dropped if reason.startswith("bad_")]
        assert len({row["id"] for row in rows}) == len(rows)
        for row in rows[:: max(len(rows) // 15, 1)]:
            name, _, at = row["origin"].partition("#")
            (path,) = (Path(piece.path) for piece in unit.pieces if piece.name == name)
            found = raw_record(source, path, at)
            if kind == "code":
                assert json.loads(found)["content"] == row["text"]
            elif kind == "web":
                assert row["url"].encode() in found
                assert found.startswith(b"WARC/1.")
            else:
                assert found


def test_rows_lines_and_files_are_found_again_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    path = jsonl(tmp_path, "a.jsonl", {"text": "one"}, {"text": "two"})
    assert raw_record(TEXT, path, "2") == b'{"text": "two"}'
    for at in ("3", "0", "x"):
        with pytest.raises(UnreadableFile, match="has no record at"):
            raw_record(TEXT, path, at)
    with pytest.raises(UnreadableFile, match="has no record at 5"):
        raw_record(TEXT, tmp_path / "gone.parquet", "5")
    warc = tmp_path / "a.warc"
    warc.write_bytes(record(response()))
    for at in ("7", "99999", "x", "5+y"):
        with pytest.raises(UnreadableFile, match="has no record at"):
            raw_record(WEB, warc, at)


CORPUS = os.environ.get("BERTMILL_CORPUS")


@pytest.mark.skipif(not CORPUS, reason="BERTMILL_CORPUS names no corpus")
@pytest.mark.parametrize(
    ("kind", "pattern", "most_bad"),
    [
        ("web", "web/crawl/*.warc.gz", 0),
        ("web", "web/cc-layout/*.warc.gz", 0),
        ("web", "web/upstream/**/*.*arc*", 7),
        ("code", "code/**/*.*", 0),
        ("science", "science/[jlp]*/*.[tgj]*", 0),
        ("text", "text/**/*.jsonl.gz", 0),
    ],
)
def test_the_corpus_goes_through(tmp_path: Path, kind: str, pattern: str, most_bad: int) -> None:
    known = tuple(ending for endings in READERS[kind] for ending in endings)
    pieces = [piece for piece in find([f"{CORPUS}/{pattern}"]) if piece.name.endswith(known)]
    tally = Tally()
    source = replace(SOURCES[kind], on_bad_file="skip" if most_bad else "fail")
    ingest(Unit(0, tuple(pieces)), tmp_path / "out.parquet", tally, source=source, name=kind)
    tally.check(kind)
    assert sum(count for reason, count in tally.dropped.items() if reason.startswith("bad_")) <= most_bad
    assert tally.documents_out
