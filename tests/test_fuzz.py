"""The fuzzer: it tells a reader that crashes, hangs or loses a neighbour, and ours do not on a few records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from bench import fuzz
from bench.formats import Format, formats
from bench.mutations import MUTATIONS, mutated


@pytest.fixture(scope="module")
def known(raw: Path) -> dict[str, Format]:
    return {one.name: one for one in formats(raw / "0")}


def test_a_mutation_depends_on_its_seed_alone_and_changes_the_record() -> None:
    seeds = [b"<p>Chapter 12 of 40</p>" * 9, b"WARC/1.0\r\nContent-Length: 7\r\n\r\n"]
    twice = [[mutated(seeds[0], seeds, Random(n)) for n in range(200)] for _ in range(2)]
    assert twice[0] == twice[1]
    assert sum(one != seeds[0] for one in twice[0]) > 190
    for mutation in MUTATIONS:
        assert any(mutation(seeds[0], seeds, Random(n)) != seeds[0] for n in range(9))
        mutation(b"", seeds, Random(1))


@pytest.mark.parametrize("name", ["warc.gz", "arc", "html", "code jsonl.gz", "stack rows", "jats tar", "latex tar"])
def test_good_records_between_mutated_ones_are_kept(known: dict[str, Format], tmp_path: Path, name: str) -> None:
    for number in range(2):
        told = fuzz.summed(known[name], 1, number, tmp_path)
        assert (told["faults"], told["good"], told["records"]) == ([], told["expected"], fuzz.TOGETHER)


def test_a_neighbour_that_is_lost_is_told(known: dict[str, Format], tmp_path: Path) -> None:
    losing = replace(known["warc"], hold=lambda parts: b"".join(parts[1:]))
    (fault,) = fuzz.summed(losing, 1, 3, tmp_path)["faults"]
    assert fault == "file 3: 1 neighbours lost"
    assert fuzz.watched(known["warc"], 1, 20, Path("/nowhere")) is False
