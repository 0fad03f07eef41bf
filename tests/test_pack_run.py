"""Packing as a stage: the same rows for any tasks, after any stop, and contexts that share documents out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from commands import packed as packings
from commands.look import LookError
from packing.shards import Shards
from packing.stage import full_units
from pipeline.documents import Document, DocumentWriter, record
from pipeline.engines.run import Engine, run
from pipeline.stage import Record, Stage, StageError
from pipeline.tally import Tally
from pipeline.units import Piece, Unit, find, group
from recipes.dump import dump
from recipes.load import load
from recipes.recipe import Recipe
from recipes.rows import document_parts, packed
from tests.toy_training import document, tokenizer_at

ROOT = Path(__file__).parents[1]

RECIPE = """\
name: rows
sources:
  s: {{kind: text, read: {folder}/*.txt}}
tokenizer: {{from: {folder}/tokenizer.json}}
packing: {{unit: 8K, holdout: 0.1, shortest: 8, partition: {partition}}}
model: {{layers: 4, hidden: 32, heads: 2, intermediate: 48}}
train:
  phases:
    - {{name: short, tokens: 30K, context: 64, mix: {{s: 1}}}}
    - {{name: long, tokens: 10K, context: 256, mix: {{s: 1}}}}
"""


def written(unit: Unit, out: Path, tally: Tally) -> None:
    """Documents of a unit's files, one a line: the number of one."""
    with DocumentWriter(out) as writer:
        for piece in unit.pieces:
            for line in Path(piece.path).read_text().split():
                text = document("web", int(line))
                writer.write_row(record(Document(at=line, text=text), "s", "text", piece.name))
                tally.read(1, len(text))
                tally.kept(1, len(text))


def taken(unit: Unit, out: Path, tally: Tally) -> None:
    out.write_bytes(Path(unit.pieces[0].path).read_bytes())


def published(folder: Path, _: Any) -> None:
    (folder / "tokenizer.json").symlink_to("00000.json")


def stages(folder: Path, partition: str = "false", count: int = 400) -> tuple[Recipe, Stage, dict[int, Stage]]:
    """(recipe, documents, pack stages by context) over files of `folder`, which are made."""
    folder.mkdir(exist_ok=True)
    for number in range(8):
        numbers = range(number * count // 8, (number + 1) * count // 8)
        (folder / f"{number}.txt").write_text("\n".join(map(str, numbers)))
    tokenizer_at(folder / "tokenizer.json")
    (folder / "rows.yaml").write_text(RECIPE.format(folder=folder, partition=partition))
    recipe = load(folder / "rows.yaml")
    clean = Stage(
        name="clean/s", work=lambda _: written, units=lambda _: group(find([f"{folder}/*.txt"]), 400)
    )  # fmt: skip
    tokenizer = Stage(
        name="tokenizer", work=lambda _: taken, units=lambda _: group(find([f"{folder}/tokenizer.json"]), 10**9),
        suffix=".json", finish=published,
    )  # fmt: skip
    return recipe, clean, {context: packed(recipe, "s", context, clean, tokenizer) for context in recipe.contexts}


def packed_in(work: Path, folder: Path, partition: str = "false", engine: Engine | None = None) -> dict[int, Record]:
    _, clean, rows = stages(folder, partition)
    run(clean, work, Engine())
    run(rows[64].reads[1], work, Engine())
    return {context: run(stage, work, engine or Engine())[0] for context, stage in rows.items()}


def contents(folder: Path) -> dict[str, bytes]:
    files = [*folder.glob("*.mds"), folder / "index.json", *folder.glob("units/*.json")]
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("engine", [Engine(tasks=3), Engine(tasks=11, workers=2)])
def test_any_number_of_tasks_and_workers_packs_the_same_bytes(tmp_path: Path, engine: Engine) -> None:
    packed_in(tmp_path / "one", tmp_path / "raw")
    packed_in(tmp_path / "many", tmp_path / "raw", engine=engine)
    for context in (64, 256):
        one = contents(tmp_path / f"one/pack/s/{context}")
        assert len(one) > 6
        assert contents(tmp_path / f"many/pack/s/{context}") == one


KILLED = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from packing import stage
    from pipeline.engines.run import Engine, run
    from tests.test_pack_run import stages

    write_shard = stage.write_shard

    def slowly(*arguments):
        time.sleep(0.2)
        return write_shard(*arguments)

    if __name__ == "__main__":
        stage.write_shard = slowly  # time to be killed in
        run(stages(Path({folder!r}))[2][64], Path({work!r}), Engine())
"""


def test_packing_that_is_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    folder, work = tmp_path / "raw", tmp_path / "work"
    packed_in(tmp_path / "whole", folder)
    whole = contents(tmp_path / "whole/pack/s/64")
    _, clean, rows = stages(folder)
    run(clean, work, Engine())
    run(rows[64].reads[1], work, Engine())
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED.format(root=str(ROOT), folder=str(folder), work=str(work))))
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    units = work / "pack/s/64/units"
    while len(list(units.glob("*.json"))) < 2:
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stood = {path.name: path.stat().st_mtime_ns for path in units.glob("*.json")}
    assert len(stood) < len(list((tmp_path / "whole/pack/s/64/units").glob("*.json")))
    assert not (work / "pack/s/64/index.json").exists()
    run(rows[64], work, Engine())
    assert contents(work / "pack/s/64") == whole
    assert {name: (units / name).stat().st_mtime_ns for name in stood} == stood


def documents_in(folder: Path) -> set[int]:
    return {int(doc) for row in Shards(folder) for doc in row.doc}


@pytest.mark.parametrize("partition", ["true", "{64: 0.75, 256: 0.25}"])
def test_with_a_partition_no_document_is_read_at_two_contexts(tmp_path: Path, partition: str) -> None:
    records = packed_in(tmp_path / "work", tmp_path / "raw", partition)
    short, long = (documents_in(tmp_path / f"work/pack/s/{context}") for context in (64, 256))
    assert not short & long
    for context, found in ((64, short), (256, long)):
        counts = records[context].counts
        assert counts["documents_out"] == len(found)
        assert counts["dropped"]["for_other_contexts"] == 400 - len(found) - counts["dropped"]["held_out"]
    assert len(short | long) == 400 - records[64].counts["dropped"]["held_out"]
    assert 0.15 < len(long) / len(short | long) < 0.35
    recipe, _, _ = stages(tmp_path / "raw", partition)
    assert document_parts(recipe, "s") == {64: (0.0, 0.75), 256: (0.75, 1.0)}


def test_without_a_partition_each_context_has_all_documents(tmp_path: Path) -> None:
    records = packed_in(tmp_path / "work", tmp_path / "raw")
    assert documents_in(tmp_path / "work/pack/s/64") == documents_in(tmp_path / "work/pack/s/256")
    assert "for_other_contexts" not in records[64].counts["dropped"]
    assert document_parts(stages(tmp_path / "raw")[0], "s") == {64: (0.0, 1.0), 256: (0.0, 1.0)}


def test_rows_of_another_partition_are_refused_by_name(tmp_path: Path) -> None:
    packed_in(tmp_path / "work", tmp_path / "raw")
    with pytest.raises(StageError, match=r"part: \[0.0, 1.0\] -> \[0.0, 0.75\].*--redo pack/s/64"):
        packed_in(tmp_path / "work", tmp_path / "raw", "true")


def test_a_partition_that_forgets_a_context_is_told_with_the_recipes_line(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"rows.yaml:5: packing.partition: context 256 of phase 'long' has no share"):
        stages(tmp_path / "raw", "{64: 1.0}")


@pytest.mark.parametrize("partition", ["true", "{64: 0.75, 256: 0.25}"])
def test_a_recipe_with_a_partition_survives_being_written_out(tmp_path: Path, partition: str) -> None:
    recipe, _, _ = stages(tmp_path / "raw", partition)
    (tmp_path / "again.yaml").write_text(dump(recipe))
    assert load(tmp_path / "again.yaml").packing == recipe.packing


def test_what_was_packed_is_reported_by_source_and_context(tmp_path: Path) -> None:
    records = packed_in(tmp_path / "work", tmp_path / "raw")
    found = {one["stage"]: one for one in packings.packed(tmp_path / "work")}
    assert sorted(found) == ["pack/s/256", "pack/s/64"]
    for context, record_ in records.items():
        one = found[f"pack/s/{context}"]
        assert one["fill"] == record_.counts["tokens"] / (record_.counts["rows"] * context)
        assert (one["documents"], one["fitting_documents_cut"]) == (record_.counts["documents_out"], 0)
        assert json.loads(json.dumps(one)) == one
        assert f"{one['fill']:.3%} full" in packings.told(one)
    assert [one["stage"] for one in packings.packed(tmp_path / "work/pack/s/64")] == ["pack/s/64"]
    assert (
        len(list(packings.packed(tmp_path / "work/pack"))) == len(list(packings.packed(tmp_path / "work/pack/s"))) == 2
    )
    with pytest.raises(LookError, match="holds no packed source"):
        list(packings.packed(tmp_path / "work/clean"))


def sizes(units: list[Unit]) -> list[int]:
    return [sum(piece.size for piece in unit.pieces) for unit in units]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([1] * 1000, [100] * 10),
        ([10] * 15, [100, 50]),
        ([10] * 14, [140]),
        ([149], [149]),
        ([67, 6, 67, 6, 67, 6], [140, 79]),
        ([64, 64, 64, 1], [128, 65]),
        ([300, 1, 1], [302]),
        ([0, 0], [0]),
        ([], []),
    ],
)
def test_no_unit_is_small_but_the_only_one(pieces: list[int], expected: list[int]) -> None:
    given = [Piece(path=str(n), name=str(n), size=size) for n, size in enumerate(pieces)]
    units = full_units(given, 100)
    assert [piece for unit in units for piece in unit.pieces] == given
    assert [unit.number for unit in units] == list(range(len(units)))
    assert sizes(units) == expected
