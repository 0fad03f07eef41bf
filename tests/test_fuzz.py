"""The fuzzer: it tells a reader that crashes, hangs or loses a neighbour, and ours do not on a few records."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench import fuzz
from bench.fuzzing.formats import Format
from bench.fuzzing.mutations import MUTATIONS, mutated
from pipeline.ingest.stage import READERS


@pytest.fixture(scope="module")
def known(raw: Path) -> dict[str, Format]:
    return {one.name: one for one in fuzz.formats(raw / "0")}


def test_a_mutation_depends_on_its_seed_alone_and_changes_the_record() -> None:
    seeds = [b"<p>Chapter 12 of 40</p>" * 9, b"WARC/1.0\r\nContent-Length: 7\r\n\r\n"]
    twice = [[mutated(seeds[0], seeds, Random(n)) for n in range(200)] for _ in range(2)]
    assert twice[0] == twice[1]
    assert sum(one != seeds[0] for one in twice[0]) > 190
    for mutation in MUTATIONS:
        assert any(mutation(seeds[0], seeds, Random(n)) != seeds[0] for n in range(9))
        mutation(b"", seeds, Random(1))


def summed(one: Format, number: int, folder: Path) -> dict[str, Any]:
    return fuzz.summed(one, 1, number, folder, fuzz.expected_text(one, folder))


SAME = {
    ".tgz": ".tar.gz", ".feather": ".arrow", ".txt": ".nbib", ".medline": ".nbib", ".nxml": ".xml", ".json": ".jsonl",
    ".wat": ".wet", "": ".py",
}  # fmt: skip
"""Endings of one form, of which one is enough."""


def test_every_form_that_a_source_reads_is_fuzzed_plain_and_packed(known: dict[str, Format]) -> None:
    def form(kind: str, ending: str) -> tuple[str, str]:
        return kind, re.sub(r"^(\.\w+|$)", lambda found: SAME.get(found[0], found[0]), ending)

    fuzzed = {form(one.kind, one.ending) for one in known.values()}
    read = {form(kind, ending) for kind, readers in READERS.items() for endings in readers for ending in endings}
    assert read - fuzzed == set()


@pytest.mark.parametrize(
    "name",
    [
        "warc.gz", "warc.zst members", "warc.lz4 file", "arc", "html", "code jsonl.gz", "text jsonl.gz file",
        "code parquet file", "text arrow stream mutated", "pubmed xml", "medline", "jats tar", "latex tar",
        "repository zip file",
    ],
)  # fmt: skip
def test_good_records_beside_mutated_ones_are_kept(known: dict[str, Format], tmp_path: Path, name: str) -> None:
    for number in range(2):
        told = summed(known[name], number, tmp_path)
        assert (told["faults"], told["good"]) == ([], told["expected"])
        assert told["records"] == (1 if known[name].intact else fuzz.TOGETHER)
        assert told["changed"] >= 0.9 * told["records"]


def test_a_neighbour_that_is_lost_or_changed_is_told(known: dict[str, Format], tmp_path: Path) -> None:
    warc = known["warc"]
    losing = replace(warc, hold=lambda parts: b"".join(parts[1:]))
    changing = replace(warc, hold=lambda parts: b"".join(parts).replace(b"x03 is", b"x03 was"))
    usual = fuzz.expected_text(warc, tmp_path)
    for spoiled in (losing, changing):
        (fault,) = fuzz.summed(spoiled, 1, 4, tmp_path, usual)["faults"]
        assert fault == "file 4: 1 neighbours lost or changed"


def test_what_stands_before_the_damage_has_to_be_kept(known: dict[str, Format]) -> None:
    expected = [len(fuzz.made(known["warc.gz file"], 1, number)[1]) for number in range(40)]
    assert 0 < sum(expected) < 40 * (fuzz.SHARED + 1)


def test_a_reader_that_dies_is_told(raw: Path, known: dict[str, Format], capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.watched(known["medline"], 1, 20, raw / "0") is True
    assert fuzz.watched(known["medline"], 1, 20, Path("/nowhere")) is False
    whole, dead, fault, *_ = capsys.readouterr().out.splitlines()
    assert whole.split()[:2] == ["medline", "20"]
    assert dead.split()[:2] == ["medline", "0"]
    assert "the reader died" in fault
