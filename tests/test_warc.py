"""Records of a WARC file: all that are whole are found, all that are broken are counted."""

from __future__ import annotations

import gzip
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import lz4.frame
import pytest
import zstandard
from fastwarc.warc import ArchiveIterator

from pipeline.ingest import capture
from pipeline.ingest.capture import Record, record_at, records
from pipeline.ingest.reading import DamagedFile, UnreadableFile
from tests.captures import gzipped, record, response

ONES = [record(response(b"<p>%d" % n * (n * 40 + 1)), target_uri=f"http://a.example/{n}") for n in range(6)]


def written(tmp_path: Path, content: bytes, name: str = "a.warc") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def told(path: Path) -> tuple[list[str], list[str | None]]:
    """(ends of the URLs of whole records, reasons of what was dropped; `cut off` if the file breaks off)."""
    kept: list[str] = []
    faults: list[str | None] = []
    try:
        for one in records(path):
            if isinstance(one, Record):
                kept.append(one.headers.get("warc-target-uri", "?")[-1:])
            else:
                faults.append(one.reason)
    except DamagedFile as fault:
        faults.append("cut off" if str(fault).startswith(f"{path}: breaks off at byte ") else str(fault))
    return kept, faults


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


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
}
OPENERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "lz4": lz4.frame.LZ4FrameDecompressor,
}


@pytest.mark.parametrize("pack", PACK)
def test_a_packed_file_is_told_by_its_bytes_whatever_its_name_and_members(tmp_path: Path, pack: str) -> None:
    for content in (b"".join(map(PACK[pack], ONES)), PACK[pack](b"".join(ONES))):
        path = written(tmp_path, content, "a.warc")
        ours = [one for one in records(path) if isinstance(one, Record)]
        assert [record_at(path, one.at) for one in ours] == [one[:-4] for one in ONES]
        assert len({one.at for one in ours}) == len(ONES)


@pytest.mark.parametrize("compressed", [True, False])
def test_zstd_frames_with_a_dictionary_in_front_are_read(tmp_path: Path, compressed: bool) -> None:
    trained = zstandard.train_dictionary(2000, [one[n : n + 300] for one in ONES for n in range(0, 200, 9)])
    packer = zstandard.ZstdCompressor(dict_data=trained)
    dictionary = zstandard.compress(trained.as_bytes()) if compressed else trained.as_bytes()
    first = b"\x5d\x2a\x4d\x18" + len(dictionary).to_bytes(4, "little") + dictionary
    path = written(tmp_path, first + b"".join(map(packer.compress, ONES)), "a.warc.zst")
    assert told(path) == (list("012345"), [])
    places = [one.at for one in records(path) if isinstance(one, Record)]
    assert [record_at(path, at) for at in places] == [one[:-4] for one in ONES]
    spoiled = bytearray(path.read_bytes())
    spoiled[int(places[3]) + 30] ^= 0xFF
    kept, faults = told(written(tmp_path, bytes(spoiled)))
    assert (kept, faults) == (list("01245"), ["bad_zstd"])


@pytest.mark.parametrize("cut", [1, 30, 200, 700])
def test_a_file_cut_off_anywhere_keeps_what_stands_before_and_is_told(tmp_path: Path, cut: int) -> None:
    plain = b"".join(ONES[:3])
    path = written(tmp_path, plain[: len(plain) - 4 - min(cut, len(ONES[2]) - 5)])
    assert told(path) == (["0", "1"], ["cut off"])


@pytest.mark.parametrize("pack", PACK)
def test_a_packed_file_cut_off_anywhere_is_told_unless_the_cut_is_between_members(tmp_path: Path, pack: str) -> None:
    members = [PACK[pack](one) for one in ONES[:3]]
    before, whole = len(b"".join(members[:2])), b"".join(members)
    for cut in range(before + 1, len(whole)):
        kept, faults = told(written(tmp_path, whole[:cut]))
        assert kept[:2] == ["0", "1"], cut
        assert faults == ["cut off"], cut
    assert told(written(tmp_path, whole[:before])) == (["0", "1"], [])
    with pytest.raises(UnreadableFile):
        list(records(written(tmp_path, PACK[pack](b"".join(ONES[:3]))[:-1])))


@pytest.mark.parametrize("pack", ["gzip", "zstd", "lz4"])
def test_every_flipped_byte_of_a_packed_file_spoils_at_most_its_own_member(tmp_path: Path, pack: str) -> None:
    members = [PACK[pack](one) for one in ONES[:3]]
    packed = b"".join(members)
    begin, end = len(members[0]), len(members[0] + members[1])
    told_of = 0
    for at in range(begin, end):
        spoiled = bytearray(packed)
        spoiled[at] ^= 0x55
        kept, faults = told(written(tmp_path, bytes(spoiled)))
        assert kept[0] == "0", at
        assert kept[-1] == "2", at
        assert set(faults) <= {f"bad_{pack}", "bad_record"}, at
        told_of += bool(faults)
    assert told_of > (end - begin) * (0.9 if pack == "gzip" else 0.3)  # not all zstd and lz4 data have a checksum


@pytest.mark.parametrize("pack", PACK)
def test_in_a_member_of_many_records_all_that_come_before_the_damage_are_kept(tmp_path: Path, pack: str) -> None:
    many = [record(response(Random(n).randbytes(n * 9).hex().encode()), target_uri=f"http://a.example/{n % 10}")
            for n in range(90)]  # fmt: skip
    member = PACK[pack](b"".join(many))
    for at in range(700, len(member) - 8, len(member) // 7):
        spoiled = bytearray(member)
        spoiled[at : at + 5] = bytes(255 - byte for byte in spoiled[at : at + 5])
        before = OPENERS[pack]().decompress(member[:at])
        certain = sum(one in before for one in many[:-1])
        kept, faults = told(written(tmp_path, bytes(spoiled) + PACK[pack](ONES[3]) + PACK[pack](ONES[4])))
        assert kept[:certain] == [str(n % 10) for n in range(certain)], at
        assert kept[-2:] == ["3", "4"], at
        assert faults or pack != "gzip", at  # these zstd and lz4 data have no checksum


def test_a_record_alone_in_a_member_whose_checksum_is_wrong_is_none(tmp_path: Path) -> None:
    spoiled = bytearray(gzipped(ONES[1]))
    spoiled[-6] ^= 1
    assert told(written(tmp_path, gzipped(ONES[0]) + spoiled + gzipped(ONES[2]))) == (["0", "2"], ["bad_gzip"])
    spoiled = bytearray(gzip.compress(ONES[1] + ONES[2]))
    spoiled[-6] ^= 1
    assert told(written(tmp_path, bytes(spoiled) + gzipped(ONES[3]))) == (["1", "2", "3"], ["bad_gzip"])


@pytest.mark.parametrize("pack", PACK)
def test_a_member_that_breaks_off_swallows_none_of_the_next(tmp_path: Path, pack: str) -> None:
    first, broken, *others = (PACK[pack](one) for one in ONES)
    for cut in range(8, len(broken), 3):
        kept, faults = told(written(tmp_path, first + broken[:cut] + b"".join(others)))
        assert (kept[0], kept[-4:]) == ("0", ["2", "3", "4", "5"]), cut
        assert faults, cut


@pytest.mark.parametrize("pack", PACK)
def test_damage_at_the_beginning_of_a_packed_file_hides_only_its_first_member(tmp_path: Path, pack: str) -> None:
    first, *others = (PACK[pack](one) for one in ONES)
    name = f"a.warc.{ {'gzip': 'gz', 'zstd': 'zst', 'lz4': 'LZ4'}[pack] }"
    path = written(tmp_path, b"\xff" + first[1:] + b"".join(others), name)
    assert told(path) == (list("12345"), [f"bad_{pack}"])
    ours = [one for one in records(path) if isinstance(one, Record)]
    assert [record_at(path, one.at) for one in ours] == [one[:-4] for one in ONES[1:]]
    assert told(written(tmp_path, b"lost" * 999 + b"".join(others), name))[0] == list("12345")
    for plain in (b"".join(ONES), b"\n" + b"".join(ONES)):
        assert told(written(tmp_path, plain, name)) == (list("012345"), [])
    assert told(written(tmp_path, b"lost\n" + b"".join(ONES), name)) == (list("012345"), ["bad_record"])


def test_zeros_between_members_are_damage_however_many(tmp_path: Path) -> None:
    path = written(tmp_path, gzipped(ONES[0]) + bytes(3 << 20) + gzipped(ONES[1]))
    assert told(path) == (["0", "1"], ["bad_gzip"])


def test_a_wrong_length_costs_its_record_and_not_those_it_swallowed(tmp_path: Path) -> None:
    for length in (0, 10, len(ONES[0]), 100_000, 40_000_000, 9 * 10**14):
        wrong = record(response(), length=length)
        for content in (
            ONES[1] + wrong + ONES[2],
            gzipped(ONES[1], wrong, ONES[2]),
            gzip.compress(ONES[1] + wrong + ONES[2]),
        ):
            assert told(written(tmp_path, content)) == (["1", "2"], ["bad_record"]), length


def test_a_wrong_length_that_ends_at_an_empty_line_by_chance_swallows_nothing(tmp_path: Path) -> None:
    block = response(b"<p>a\r\n\r\nb</p>")
    short = record(block, length=len(block) - 9)
    swallows = record(response(), length=len(response()) + 4 + len(ONES[3]) - 4)
    for wrong in (short, swallows + ONES[3]):
        kept, faults = told(written(tmp_path, ONES[1] + wrong + ONES[2]))
        assert (kept[0], kept[-1]) == ("1", "2")
        assert faults in ([], ["bad_record"])
        assert wrong is short or kept == ["1", "3", "2"] or faults == []


def test_a_wrong_length_that_ends_at_the_end_of_a_later_record_by_chance_swallows_nothing(tmp_path: Path) -> None:
    cut = record(response(), length=len(response()[:-100]) + 4 + len(ONES[3]) + len(ONES[4]) - 4)
    content = cut.replace(response(), response()[:-100]) + ONES[3] + ONES[4]
    assert told(written(tmp_path, ONES[1] + content + ONES[2])) == (["1", "3", "4", "2"], ["bad_record"])
    quoting = record(response(b"<pre>" + ONES[3][:150] + b"</pre>" + ONES[4][:-40]), target_uri="http://a.example/9")
    assert told(written(tmp_path, ONES[1] + quoting + ONES[2])) == (["1", "9", "2"], [])


@pytest.mark.parametrize("length", ["", "12a", "-5", "²", "9" * 5000])
def test_a_length_that_is_no_number_is_a_bad_record(tmp_path: Path, length: str) -> None:
    bad = re.sub(rb"Content-Length: \d+", b"Content-Length: " + length.encode(), ONES[0])
    assert told(written(tmp_path, bad + ONES[1])) == (["1"], ["bad_record"])


def test_garbage_between_records_is_one_bad_record_and_behind_them_a_broken_file(tmp_path: Path) -> None:
    assert told(written(tmp_path, ONES[0] + b"garbage\r\n" * 9 + ONES[1])) == (["0", "1"], ["bad_record"])
    path = written(tmp_path, gzipped(ONES[0]) + b"garbage" * 9 + gzipped(ONES[1]))
    assert told(path) == (["0", "1"], ["bad_gzip"])
    assert told(written(tmp_path, ONES[0] + b"garbage" * 9)) == (["0"], ["cut off"])


def test_a_file_that_is_no_capture_is_unreadable(tmp_path: Path) -> None:
    for content in (b"%PDF-1.4\n" * 500, gzip.compress(b"%PDF-1.4\n" * 500), gzipped(*ONES)[5:200], b"WARC/1.0\r\n"):
        with pytest.raises(UnreadableFile, match="has no whole WARC or ARC record"):
            list(records(written(tmp_path, content)))
    assert list(records(written(tmp_path, gzip.compress(b"")))) == []
    for content in (b"\r\n\r\n", gzip.compress(b"\n" * 99_999)):
        with pytest.raises(UnreadableFile, match=r"a\.warc: holds nothing but empty lines"):
            list(records(written(tmp_path, content)))


def test_zeros_behind_a_gzip_file_are_padding(tmp_path: Path) -> None:
    assert told(written(tmp_path, gzipped(*ONES) + bytes(5000))) == (list("012345"), [])


def test_a_record_may_go_on_in_the_next_gzip_member(tmp_path: Path) -> None:
    first, rest = ONES[2][:250], ONES[2][250:]
    assert told(written(tmp_path, gzipped(ONES[1], first, rest, ONES[3]))) == (["1", "2", "3"], [])


def test_an_oversize_record_is_passed_over_without_being_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "LARGEST", 5000)
    large = record(response(b"<p>" * 4000))
    for content in (ONES[0] + large + ONES[1], gzipped(ONES[0], large, ONES[1])):
        assert told(written(tmp_path, content)) == (["0", "1"], ["too_large"])
    assert told(written(tmp_path, gzipped(ONES[0], large))) == (["0"], ["too_large"])
    assert told(written(tmp_path, (ONES[0] + large)[:-900])) == (["0"], ["cut off"])


def test_a_file_of_records_that_all_lie_about_their_length_costs_bounded_time(tmp_path: Path) -> None:
    lying = record(b"x", length=20_000_000)
    content = lying * 30_000 + ONES[1]
    began = time.process_time()
    kept, _ = told(written(tmp_path, content))
    assert time.process_time() - began < 5
    assert kept == ["1"]


def test_folded_fields_and_bare_line_feeds_are_read(tmp_path: Path) -> None:
    block = response()
    head = f"WARC/1.1\nWARC-Type: response\nWARC-Target-URI:\n http://a.example/7\nContent-Length: {len(block)}\n\n"
    assert told(written(tmp_path, head.encode() + block + b"\n\n" + ONES[1])) == (["7", "1"], [])
