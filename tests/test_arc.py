"""ARC files, the format before WARC: the same pages come out, and the same is known of what is broken."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator

from pipeline.documents import Document
from pipeline.ingest.capture import Record, record_at, records
from pipeline.ingest.reading import DamagedFile
from pipeline.ingest.web import read_captures
from tests.captures import arc, arc_file, response

ONES = [arc(response(b"<p>%d" % n * (n * 40 + 1)), f"http://a.example/{n}") for n in range(5)]


def written(tmp_path: Path, *ones: bytes, name: str = "a.arc") -> Path:
    (tmp_path / name).write_bytes(b"".join(ones))
    return tmp_path / name


def ends(path: Path) -> list[str]:
    return [one.headers["warc-target-uri"][-1] if isinstance(one, Record) else str(one.reason) for one in records(path)]


@pytest.mark.parametrize("packed", [False, True])
def test_the_records_are_those_a_second_reader_finds(tmp_path: Path, packed: bool) -> None:
    ones = [gzip.compress(one) for one in (arc_file(), *ONES)] if packed else [arc_file(), *ONES]
    path = written(tmp_path, *ones)
    with path.open("rb") as file:
        theirs = [(one.rec_headers["uri"], one.rec_headers["archive-date"]) for one in ArchiveIterator(file)]
    ours = [one for one in records(path) if isinstance(one, Record)]
    assert [one.headers["warc-target-uri"] for one in ours] == [uri for uri, _ in theirs]
    assert {date for _, date in theirs} == {"20080430204825"}
    assert {one.headers["warc-date"] for one in ours} == {"2008-04-30T20:48:25Z"}
    assert [record_at(path, one.at) for one in ours] == [one[:-1] for one in (arc_file(), *ONES)]


def test_a_page_of_an_arc_file_becomes_a_document_and_what_is_none_says_why(tmp_path: Path) -> None:
    path = written(tmp_path, arc_file(), arc(response()), arc(b"\0\1", "dns:a.example", "text/dns"))
    filedesc, page, dns = (found.what for found in read_captures(path))
    assert isinstance(page, Document)
    assert (page.url, page.date) == ("http://a.example/", "2008-04-30T20:48:25Z")
    assert page.text.startswith("Head\n\nSome words")
    assert not isinstance(filedesc, Document)
    assert not isinstance(dns, Document)
    assert [(what.reason, what.value) for what in (filedesc, dns)] == [
        ("not_a_page", "filedesc"),
        ("not_a_page", "dns"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "http://a.example/7 192.0.2.1 20080430204825 text/html %d",
        "http://a.example/7 192.0.2.1 20080430204825 text/html 200 - - 1234 a.arc.gz %d",
        "http://a.example/a b c/7 192.0.2.1 20080430204825 text/html %d",
        "http://a.example/7 2001:db8::1 200804302048251 text/html; charset=x %d",
        "http://a.example/7 0.0.0.0 200804302048 no-type %d\r",
    ],
)
def test_headers_of_both_versions_are_read(tmp_path: Path, line: str) -> None:
    block = response()
    path = written(tmp_path, arc_file(), (line % len(block)).encode() + b"\n" + block + b"\n", ONES[1])
    found = [one for one in records(path) if isinstance(one, Record)]
    assert [one.headers["warc-target-uri"][-1] for one in found[1:]] == ["7", "1"]
    assert found[1].block == block


def test_a_broken_record_is_counted_and_the_good_ones_behind_it_are_read(tmp_path: Path) -> None:
    for length in ("-1", "abc", "5", "99999", "9" * 12):
        line, _, block = ONES[0].partition(b"\n")
        bad = line.rpartition(b" ")[0] + b" " + length.encode() + b"\n" + block
        assert ends(written(tmp_path, ONES[1], bad, ONES[2])) == ["1", "bad_record", "2"]
    assert ends(written(tmp_path, ONES[1], ONES[0][:-30], ONES[2])) == ["1", "bad_record", "2"]


def test_a_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    whole = b"".join(ONES[:3])
    with pytest.raises(DamagedFile, match=r"a\.arc: breaks off at byte \d+ \("):
        ends(written(tmp_path, whole[:-40]))


def test_a_wrong_length_that_ends_at_the_end_of_a_later_record_by_chance_swallows_nothing(tmp_path: Path) -> None:
    block = response()[:-100] + b"\n" + ONES[3][:-1]
    assert ends(written(tmp_path, ONES[1], arc(block, "http://a.example/9"), ONES[2])) == ["1", "bad_record", "3", "2"]
