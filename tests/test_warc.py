"""Records of a WARC file: all that are whole are found, all that are broken are counted."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator

from pipeline.ingest import warc
from pipeline.ingest.warc import Record, record_at, records
from tests.captures import gzipped, record, response

ONES = [record(response(b"<p>%d" % n * (n * 40 + 1)), target_uri=f"http://a.example/{n}") for n in range(6)]


def written(tmp_path: Path, content: bytes, name: str = "a.warc") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def kept(path: Path) -> list[str]:
    return [r.headers["warc-target-uri"][-1] for r in records(path) if isinstance(r, Record)]


def faults(path: Path) -> list[str | None]:
    return [r.reason for r in records(path) if not isinstance(r, Record)]


@pytest.mark.parametrize("content", [b"".join(ONES), gzipped(*ONES), gzip.compress(b"".join(ONES))])
def test_records_places_and_bytes_are_those_a_second_reader_finds(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, content)
    theirs = [r.reader.read() for r in ArchiveIterator(str(path), parse_http=False)]
    ours = list(records(path))
    assert [r.block for r in ours if isinstance(r, Record)] == theirs
    assert len({r.at for r in ours if isinstance(r, Record)}) == len(ONES)
    for read, raw in zip(ours, ONES, strict=True):
        assert isinstance(read, Record)
        assert record_at(path, read.at) == raw[:-4]


@pytest.mark.parametrize("cut", [1, 30, 200, 700])
def test_a_file_cut_off_anywhere_loses_the_cut_record_alone(tmp_path: Path, cut: int) -> None:
    plain = b"".join(ONES[:3])
    path = written(tmp_path, plain[: len(plain) - 4 - min(cut, len(ONES[2]) - 5)])
    assert (kept(path), faults(path)) == (["0", "1"], ["bad_record"])
    packed = gzipped(*ONES[:3])
    path = written(tmp_path, packed[: -min(cut, 100)])
    assert kept(path)[:2] == ["0", "1"]
    assert faults(path) == ["bad_gzip"]


def test_every_flipped_byte_of_a_gzip_file_spoils_at_most_its_own_member(tmp_path: Path) -> None:
    packed = gzipped(*ONES[:3])
    begin, end = len(gzipped(ONES[0])), len(gzipped(*ONES[:2]))
    for at in range(begin, end):
        if begin + 4 <= at < begin + 10:  # time and system of a gzip header mean nothing
            continue
        spoiled = bytearray(packed)
        spoiled[at] ^= 0x55
        path = written(tmp_path, bytes(spoiled))
        names = kept(path)
        assert names[0] == "0", at
        assert names[-1] == "2", at
        assert faults(path) == ["bad_gzip"], at


def test_a_wrong_length_costs_its_record_and_not_those_it_swallowed(tmp_path: Path) -> None:
    for length in (0, 10, len(ONES[0]), 100_000):
        wrong = record(response(), length=length)
        for content in (ONES[1] + wrong + ONES[2], gzipped(ONES[1], wrong, ONES[2])):
            path = written(tmp_path, content)
            assert kept(path) == ["1", "2"]
            assert set(faults(path)) == {"bad_record"}


@pytest.mark.parametrize("length", ["", "12a", "-5", "²"])
def test_a_length_that_is_no_number_is_a_bad_record(tmp_path: Path, length: str) -> None:
    bad = ONES[0].replace(b"Content-Length: ", b"Content-Length: " + length.encode() + b" x")
    path = written(tmp_path, bad + ONES[1])
    assert (kept(path), faults(path)) == (["1"], ["bad_record"])


def test_garbage_between_records_is_one_bad_record(tmp_path: Path) -> None:
    path = written(tmp_path, ONES[0] + b"garbage\r\n" * 9 + ONES[1])
    assert (kept(path), faults(path)) == (["0", "1"], ["bad_record"])
    path = written(tmp_path, gzipped(ONES[0]) + b"garbage" * 9 + gzipped(ONES[1]))
    assert (kept(path), faults(path)) == (["0", "1"], ["bad_gzip"])


def test_a_file_that_is_no_warc_is_one_bad_record_and_an_empty_one_none(tmp_path: Path) -> None:
    assert faults(written(tmp_path, b"%PDF-1.4\n" * 500)) == ["bad_record"]
    assert list(records(written(tmp_path, b""))) == []
    assert list(records(written(tmp_path, gzip.compress(b"")))) == []


def test_zeros_behind_a_gzip_file_are_padding(tmp_path: Path) -> None:
    path = written(tmp_path, gzipped(*ONES) + bytes(5000))
    assert (len(kept(path)), faults(path)) == (6, [])


def test_a_record_may_go_on_in_the_next_gzip_member(tmp_path: Path) -> None:
    first, rest = ONES[2][:250], ONES[2][250:]
    path = written(tmp_path, gzipped(ONES[1], first, rest, ONES[3]))
    assert (kept(path), faults(path)) == (["1", "2", "3"], [])


def test_an_oversize_record_is_passed_over_without_being_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warc, "LARGEST", 5000)
    large = record(response(b"<p>" * 4000))
    for content in (ONES[0] + large + ONES[1], gzipped(ONES[0], large, ONES[1])):
        path = written(tmp_path, content)
        assert (kept(path), faults(path)) == (["0", "1"], ["too_large"])


def test_folded_fields_and_bare_line_feeds_are_read(tmp_path: Path) -> None:
    block = response()
    head = f"WARC/1.1\nWARC-Type: response\nWARC-Target-URI:\n http://a.example/7\nContent-Length: {len(block)}\n\n"
    path = written(tmp_path, head.encode() + block + b"\n\n" + ONES[1])
    assert (kept(path), faults(path)) == (["7", "1"], [])
