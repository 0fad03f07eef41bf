"""From the number of a row to the raw record that it was made of."""

from __future__ import annotations

import json
import shutil
import tarfile
import zlib
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from commands.run import prepare
from commands.trace import TraceError, ordered, told, traced
from packing.quarantine import Quarantine
from pipeline.engines.run import Engine
from pipeline.ingest.reading import UnreadableFile
from recipes.load import load
from tests.conftest import bertmill
from tests.toy_recipe import toy_recipe
from train.metrics import read_metrics
from train.phase import Remix
from train.skipped import Row, Skipped, Spike


def test_a_row_leads_back_to_its_documents_and_their_raw_records(whole: Path) -> None:
    recipe = load(whole / "recipe.yaml")
    rows = list(ordered(recipe, whole, "0:60"))
    seen = set()
    for number in (0, 7, 23, 41):
        found = traced(whole, number)
        assert {key: found[key] for key in rows[number]} == rows[number]
        assert found["pieces"]
        for piece in found["pieces"]:
            assert Path(piece["file"]).exists()
            word = max(piece["text"].removeprefix("[CLS]").removesuffix("[SEP]").split(), key=len)
            assert piece["raw"]
            seen.add(found["source"])
            if found["source"] == "code":  # source files come through as they are, inside JSON
                assert word in json.loads(piece["raw"])["content"]
    assert len(seen) > 1


def test_the_order_is_that_of_the_training(whole: Path) -> None:
    recipe = load(whole / "recipe.yaml")
    steps = [record for record in read_metrics(whole / "metrics.jsonl") if record["kind"] == "step"]
    total = steps[-1]["rows"][1]
    rows = list(ordered(recipe, whole, f"0:{total}"))
    assert [row["row"] for row in rows] == list(range(total))
    for step in steps:
        assert {row["phase"] for row in rows[slice(*step["rows"])]} == {step["phase"]}
    for phase in recipe.train.phases:
        counts = [row["source"] for row in rows if row["phase"] == phase.name]
        for name, share in phase.mix.items():
            assert abs(counts.count(name) - share * len(counts)) <= 1


@pytest.mark.parametrize("stretch", ["5", "5:3", "a:b", "0:999999999", "-1:3"])
def test_a_stretch_that_is_none_is_refused(whole: Path, stretch: str) -> None:
    with pytest.raises(TraceError):
        list(ordered(load(whole / "recipe.yaml"), whole, stretch))


def test_order_prints_one_json_object_a_row(whole: Path) -> None:
    shown = bertmill("order", whole / "recipe.yaml", "3:6", "--work", whole)
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [row["row"] for row in rows] == [3, 4, 5]
    assert set(rows[0]) == {"row", "phase", "source", "epoch", "index"}


def test_a_raw_file_that_has_gone_is_named(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "work"
    copy.mkdir()
    with pytest.raises(TraceError, match=r"is no run's folder"):
        traced(copy, 0)


def raw_by_hand(file: Path, at: str) -> bytes:
    """The record at this place of a raw file, found without our readers."""
    if file.name.endswith(".warc.gz"):  # the byte at which a gzip member of its own begins
        return zlib.decompressobj(wbits=31).decompress(file.read_bytes()[int(at) :]).removesuffix(b"\r\n\r\n")
    if file.suffix == ".parquet":
        return json.dumps(pq.read_table(file).to_pylist()[int(at)]).encode()
    if file.suffix == ".jsonl":  # the number of the line, the first is 1
        return file.read_bytes().splitlines()[int(at) - 1]
    with tarfile.open(file) as archive:
        member = archive.extractfile(at)
        assert member
        return member.read()


def assert_raw_records_are_told(work: Path, source: str, count: int = 3) -> set[str]:
    """Some rows of a source: each piece names a file and a place, and shows what stands there. -> endings of files."""
    rows = [row["row"] for row in ordered(load(work / "recipe.yaml"), work, "0:60") if row["source"] == source]
    kinds = set()
    for number in rows[:count]:
        found = traced(work, number)
        assert found["source"] == source
        assert found["pieces"][0]["start"] == 0
        for piece in found["pieces"]:
            file = Path(piece["file"])
            raw = raw_by_hand(file, piece["at"])
            if file.suffix == ".parquet":
                assert json.loads(piece["raw"]) == json.loads(raw)
            else:
                assert piece["raw"] == raw.decode("utf-8", "replace")
            assert piece["origin"].endswith(f"#{piece['at']}")
            kinds.add(file.name.split(".", 1)[1])
    return kinds


@pytest.mark.parametrize("source", ["web", "code", "science"])
def test_the_place_told_is_where_the_raw_record_stands(source: str, whole: Path) -> None:
    """A byte of a capture, a row of a table, a member of an archive."""
    kinds = assert_raw_records_are_told(whole, source, 8 if source == "science" else 3)
    assert kinds <= {"warc.gz", "parquet", "tar", "tar.gz"}
    assert kinds


def test_a_row_of_text_leads_back_to_its_line(tmp_path: Path) -> None:
    path = toy_recipe(tmp_path)
    path.write_text(path.read_text().replace("tokenizer:", "dedup: {exact: false, near: null}\ntokenizer:"))
    text = (
        path.read_text().replace("packing: {", "packing: {holdout_apart: false, ").replace("tokens: 1K", "tokens: 8K")
    )
    path.write_text(text)
    prepare(load(path), tmp_path / "work", Engine(tasks=1))
    assert assert_raw_records_are_told(tmp_path / "work", "t", 4) == {"jsonl"}
    shown = bertmill("trace", tmp_path / "work", 3)
    told = json.loads(bertmill("trace", tmp_path / "work", 3, "--json").stdout)
    assert told == traced(tmp_path / "work", 3)
    assert f"{told['pieces'][0]['file']} at {told['pieces'][0]['at']}" in shown.stdout
    (tmp_path / "in" / "0.jsonl").write_text("\n")
    with pytest.raises(UnreadableFile, match=r"0\.jsonl: has no record at"):
        for number in range(20):
            traced(tmp_path / "work", number)


def test_rows_in_quarantine_are_marked_and_changed_mixtures_keep_the_name_of_their_phase(
    whole: Path, tmp_path: Path
) -> None:
    recipe = load(whole / "recipe.yaml")
    rows = list(ordered(recipe, whole, "0:60"))
    bad = rows[50]
    learn, *others = recipe.train.phases
    phase = replace(learn, remix=(Remix(at=30 * 128, mix={"code": 1.0}),))
    entry = Quarantine(source=bad["source"], context=128, rows=(bad["index"],))
    turned = replace(recipe, train=replace(recipe.train, phases=(phase, *others), quarantine=(entry,)))
    again = list(ordered(turned, whole, "0:60"))
    assert [{key: row[key] for key in rows[0]} for row in again[:30]] == rows[:30]
    assert {row["source"] for row in again[30:]} == {"code"}
    assert {row["phase"] for row in again} == {"learn"}
    marked = replace(recipe, train=replace(recipe.train, quarantine=(entry,)))
    assert [row["row"] for row in ordered(marked, whole, "0:60") if row.get("left_out")] == [
        row["row"] for row in rows if (row["source"], row["index"]) == (bad["source"], bad["index"])
    ]


def test_a_row_that_was_left_out_after_a_spike_says_so(whole: Path, tmp_path: Path) -> None:
    """By `order` and by `trace`, with the spike's own words; rows beside it and before it are as they were."""
    recipe = load(whole / "recipe.yaml")
    work = tmp_path / "work"
    shutil.copytree(whole, work, symlinks=True)
    before = list(ordered(recipe, work, "0:60"))
    row = Row(row=40, source=before[40]["source"], index=before[40]["index"], loss=11.5, text="")
    Skipped.read(work).plus(
        Spike(step=6, since=38, context=traced(work, 40)["context"], why="the loss is nan", loss=1.0, rows=(row,))
    )
    after = list(ordered(recipe, work, "0:60"))
    assert after[40] == {**before[40], "left_out": True}
    assert after[:40] == before[:40]
    shown = told(traced(work, 40))
    assert "not learned from: step 6: the loss is nan; its own loss was 11.5" in shown
    assert "not learned from" not in told(traced(work, 41))
