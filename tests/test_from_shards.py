"""A recipe whose source is somebody's shards of token ids: its stages, and its rows against the chunks."""

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer

from commands.look import look, told
from commands.run import prepare
from commands.trace import traced
from commands.train import job_of
from packing.shards import Shards
from pipeline.engines.run import Engine
from pipeline.settings import ShardsSource
from pipeline.shard_files import find_shards
from pipeline.stage import Record, StageError
from pipeline.units import InputError
from recipes import ready
from recipes.load import RecipeError, load
from recipes.plan import stages
from recipes.shards import about_tokens
from tests.conftest import BERTMILL, bertmill
from tests.toy_recipe import outputs
from tests.toy_shards import merge, write_shards
from tests.toy_training import document, tokenizer_at

COLUMNS = {"id": "str", "input_ids": "ndarray:uint32"}

RECIPE = """\
name: chunks
sources:
  open: {{kind: shards, read: {folder}/data/**/index.json, tokenizer: {folder}/theirs.json{more}}}
tokenizer: {{from: {folder}/tokenizer.json}}
packing: {{unit: {unit}, holdout: 0.1, max_epochs: 1000, shortest: 8}}
model: {{layers: 4, hidden: 32, heads: 2, intermediate: 48}}
train:
  batch: {{rows: 2}}
  phases:
    - {{name: learn, tokens: 1K, context: 64, mix: {{open: 1}}}}
    - {{name: settle, tokens: 1K, context: 128, mix: {{open: 1}}}}
"""


def chunks_of(tokenizer: Tokenizer, name: str, count: int) -> list[list[int]]:
    """Chunks in the forms that are published: whole, without [SEP], bare, of two documents, and one that is empty."""
    known = tokenizer.get_vocab()
    cls, sep, pad = known["[CLS]"], known["[SEP]"], known["[PAD]"]
    chunks: list[list[int]] = []
    for n in range(count):
        ids = tokenizer.encode(f"{name} {n} {document('web', n)}", add_special_tokens=False).ids
        whole: list[int] = [cls, *ids, sep]
        chunks.append([whole, whole[:-1], whole, ids, [*whole, cls, *ids[:9], sep, pad]][n % 5])
    chunks[7] = [cls, sep]
    return chunks


def text_of(chunk: Sequence[int], tokenizer: Tokenizer) -> list[list[int]]:
    special = {tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]", "[PAD]")}
    runs: list[list[int]] = [[]]
    for number in chunk:
        if number in special:
            runs.append([])
        else:
            runs[-1].append(number)
    return [run for run in runs if run]


class Toy:
    """A recipe, its shards in two folders under a merged index, and their chunks by (shard, number)."""

    def __init__(self, folder: Path, *, unit: str = "20K", compression: str | None = "zstd", more: str = "") -> None:
        self.folder = folder
        self.tokenizer = Tokenizer.from_file(str(tokenizer_at(folder / "tokenizer.json")))
        shutil.copy(folder / "tokenizer.json", folder / "theirs.json")
        self.chunks: dict[tuple[int, int], list[int]] = {}
        number = 0
        for name in ("a", "b"):
            shards = []
            for part in range(2):
                chunks = chunks_of(self.tokenizer, f"{name}{part}", 60)
                self.chunks |= {(number, at): chunk for at, chunk in enumerate(chunks)}
                shards.append(
                    [{"id": f"{name}{at}", "input_ids": np.array(c, np.uint32)} for at, c in enumerate(chunks)]
                )
                number += 1
            write_shards(folder / "data" / name, COLUMNS, shards, compression=compression, hashes=["xxh64"])
        merge(folder / "data")
        self.recipe = folder / "chunks.yaml"
        self.recipe.write_text(RECIPE.format(folder=folder, unit=unit, more=more))

    def pieces(self, work: Path) -> Counter[tuple[tuple[int, int], tuple[int, ...]]]:
        """Each piece of the rows of a stage: its chunk and its ids without [CLS] and [SEP]."""
        return Counter(
            ((int(doc) >> 32, int(doc) & 0xFFFFFFFF), tuple(row.input_ids[a + 1 : b - 1].tolist()))
            for row in Shards(work)
            for doc, a, b in zip(row.doc, row.cu_seqlens[:-1], row.cu_seqlens[1:], strict=True)
        )


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(tmp_path_factory.mktemp("toy"))


def made(recipe: Path, work: Path, *, until: str = "heldout", engine: Engine | None = None) -> Path:
    prepare(load(recipe), work, engine or Engine(), until=until)
    return work


@pytest.fixture(scope="module")
def work(toy: Toy) -> Path:
    return made(toy.recipe, toy.folder / "work")


def test_only_the_tokenizer_and_the_rows_are_stages_of_such_a_recipe(toy: Toy) -> None:
    names = [stage.name for stage in stages(load(toy.recipe))]
    assert names == ["tokenizer", "pack/open/64", "pack/open/128", "heldout/open"]


def test_every_id_of_every_chunk_is_in_the_rows_or_held_out_and_leads_back_to_its_chunk(toy: Toy, work: Path) -> None:
    for context in (64, 128):
        train, held = toy.pieces(work / "pack" / "open" / str(context)), toy.pieces(work / "heldout" / "open")
        assert not {chunk for chunk, _ in train} & {chunk for chunk, _ in held}
        assert 0 < len({chunk for chunk, _ in held}) < 60
        for (chunk, ids), times in (train + held).items():
            inside = list(text_of(toy.chunks[chunk], toy.tokenizer))
            assert sum(_within(ids, run) for run in inside) >= 1, (chunk, times)
        assert sizes(train + held) == {
            chunk: sum(map(len, text_of(ids, toy.tokenizer)))
            for chunk, ids in toy.chunks.items()
            if text_of(ids, toy.tokenizer)
        }


def rows(work: Path) -> dict[str, bytes]:
    """All that the stages of rows made."""
    return {name: content for name, content in outputs(work).items() if name.startswith(("pack/", "heldout/"))}


def sizes(pieces: Counter[tuple[tuple[int, int], tuple[int, ...]]]) -> dict[tuple[int, int], int]:
    """Tokens of each chunk in pieces."""
    tokens = Counter[tuple[int, int]]()
    for (chunk, ids), times in pieces.items():
        tokens[chunk] += times * len(ids)
    return dict(tokens)


def _within(part: Sequence[int], whole: Sequence[int]) -> bool:
    return any(list(part) == list(whole[at : at + len(part)]) for at in range(len(whole) - len(part) + 1))


def test_chunks_are_counted_with_what_they_lack(toy: Toy, work: Path) -> None:
    train, held = (Record.read(work / name) for name in ("pack/open/64", "heldout/open"))
    assert train
    assert held
    special = {name: toy.tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]", "[PAD]")}
    for record in (train, held):
        assert record.counts["documents_in"] == len(toy.chunks)
        assert record.counts["documents_in"] == record.counts["documents_out"] + sum(record.counts["dropped"].values())

    def both(name: str) -> int:
        return int(train.counts[name] + held.counts[name])

    assert both("chunks") == len(toy.chunks)
    assert both("chunks_without_sep") == sum(special["[SEP]"] not in chunk for chunk in toy.chunks.values())
    assert both("chunks_without_cls") == sum(special["[CLS]"] not in chunk for chunk in toy.chunks.values())
    ids = sum(len(chunk) for chunk in toy.chunks.values())
    assert both("text_tokens") + both("special_tokens") == ids
    assert train.counts["dropped"].get("no_tokens", 0) + held.counts["dropped"].get("no_tokens", 0) == 4
    (dropped, *_) = look(work / "pack" / "open" / "64", 4, dropped=True, reason="no_tokens")
    assert dropped["origin"].endswith("shard.00000.mds#7") or dropped["origin"].endswith("shard.00001.mds#7")


def test_looking_at_a_row_tells_the_shard_and_number_of_each_chunk(toy: Toy, work: Path) -> None:
    names = [file.piece.name for file in find_shards("open", load(toy.recipe).shards["open"])]
    (row, *_) = look(work / "pack" / "open" / "64", 1)
    packed = Shards(work / "pack" / "open" / "64")[0]
    assert [piece["origin"] for piece in row["pieces"]] == [
        f"{names[int(doc) >> 32]}#{int(doc) & 0xFFFFFFFF}" for doc in packed.doc
    ]
    assert row["pieces"][0]["text"].startswith("[CLS]")
    assert names[0] == "a/shard.00000.mds"
    assert "mds#" in told(row)


def test_units_of_other_sizes_pack_the_same_tokens_of_the_same_chunks_and_workers_change_no_byte(
    toy: Toy, work: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.yaml"
    whole.write_text(RECIPE.format(folder=toy.folder, unit="10M", more=""))
    made(whole, tmp_path / "one")
    made(toy.recipe, tmp_path / "two", engine=Engine(tasks=3, workers=2))
    records = [Record.read(folder / "pack" / "open" / "64") for folder in (tmp_path / "one", work)]
    assert records[0]
    assert records[1]
    assert records[0].units < records[1].units
    for name in ("pack/open/64", "pack/open/128", "heldout/open"):
        assert sizes(toy.pieces(tmp_path / "one" / name)) == sizes(toy.pieces(work / name))
    assert rows(tmp_path / "two") == rows(work)


def test_plain_shards_make_the_rows_of_packed_ones(toy: Toy, work: Path, tmp_path: Path) -> None:
    plain = Toy(tmp_path, compression=None)
    made(plain.recipe, tmp_path / "work")
    assert {n: c for n, c in rows(tmp_path / "work").items() if n.endswith(".mds")} == {
        n: c for n, c in rows(work).items() if n.endswith(".mds")
    }


def test_a_run_killed_between_its_units_goes_on_to_the_same_bytes(toy: Toy, work: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    made(toy.recipe, folder, until="tokenizer")
    command = [str(BERTMILL), "run", str(toy.recipe), "--work", str(folder), "--until", "heldout"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(folder.rglob("units/*.json"))) < 4:
        time.sleep(0.001)
    process.kill()
    process.wait()
    made(toy.recipe, folder)
    assert rows(folder) == rows(work)


def test_a_plan_says_that_such_a_source_is_not_cleaned_and_about_how_many_tokens_it_has(
    toy: Toy, tmp_path: Path
) -> None:
    done = bertmill("plan", toy.recipe, "--work", tmp_path / "none", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert any("open is shards of token ids: " in note for note in plan["notes"])
    real = sum(map(len, toy.chunks.values()))
    assert 0.9 * real < plan["sources"]["open"]["tokens"] < 1.2 * real
    assert plan["sources"]["open"]["files"] == 4


def test_a_row_of_the_run_is_traced_to_the_ids_of_its_chunks(toy: Toy, work: Path) -> None:
    names = [file.piece.name for file in find_shards("open", load(toy.recipe).shards["open"])]
    for row in (0, 3):
        for piece in traced(work, row)["pieces"]:
            name, _, number = piece["origin"].partition("#")
            assert piece["file"].endswith(f"{name}.zstd")
            assert list(map(int, piece["raw"].split())) == toy.chunks[names.index(name), int(number)]


def test_the_training_reads_and_evaluates_such_a_source_as_any_other(toy: Toy, work: Path) -> None:
    job = job_of(load(toy.recipe), work)
    assert sorted(job.shards) == [("open", 64), ("open", 128)]
    assert list(job.heldout) == ["open"]


def test_training_a_tokenizer_on_such_a_source_is_refused_with_its_line(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "trained.yaml"
    lines = toy.recipe.read_text().splitlines(keepends=True)
    path.write_text(
        "".join(line if not line.startswith("tokenizer:") else "tokenizer: {vocab: 512}\n" for line in lines)
    )
    with pytest.raises(RecipeError, match=r"trained.yaml:3: sources.open.tokenizer: .*write tokenizer: \{from: "):
        load(path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("dedup: {prefer: [open]}\n", "dedup.prefer: source 'open' is shards of token ids"),
        ("dedup: {lines: {sources: [open]}}\n", "dedup.lines.sources: source 'open' is shards of token ids"),
        ("dedup: {substrings: {}}\n", "dedup.substrings: all sources are shards of token ids"),
        ("decontaminate: {against: x.jsonl}\n", "decontaminate: all sources are shards of token ids"),
    ],
)
def test_what_would_need_the_text_of_such_a_source_is_refused(toy: Toy, tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "asked.yaml"
    path.write_text(toy.recipe.read_text().replace("packing:", f"{line}packing:"))
    with pytest.raises(RecipeError, match=told):
        load(path)


def test_filters_and_other_settings_of_text_are_none_of_such_a_source(tmp_path: Path) -> None:
    other = Toy(tmp_path, more=", filters: {}")
    with pytest.raises(RecipeError, match=r"sources.open.filters: no such setting; filters is a setting of kind"):
        load(other.recipe)


def test_ids_of_another_tokenizer_are_refused_by_plan_and_run_in_a_line(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    other = Tokenizer.from_file(str(tmp_path / "theirs.json"))
    other.add_tokens([AddedToken("one more")])
    other.save(str(tmp_path / "theirs.json"))
    done = bertmill("plan", toy.recipe, "--work", tmp_path / "work")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "sources.open.tokenizer: " in done.stderr
    assert f"id {other.token_to_id('one more')} is 'one more' there and none in the recipe's" in done.stderr
    with pytest.raises(InputError, match=r"sources.open.tokenizer: "):
        made(toy.recipe, tmp_path / "work")


def test_a_tokenizer_written_otherwise_with_the_same_vocabulary_is_the_same(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    Tokenizer.from_file(str(tmp_path / "theirs.json")).save(str(tmp_path / "theirs.json"), pretty=False)
    assert (tmp_path / "theirs.json").read_bytes() != (tmp_path / "tokenizer.json").read_bytes()
    ready.check(load(toy.recipe))


def test_an_id_outside_of_the_vocabulary_fails_its_unit_naming_the_chunk(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    bad = [{"id": str(n), "input_ids": np.array([5, 60_000 if n == 3 else 7], np.uint32)} for n in range(5)]
    write_shards(tmp_path / "data" / "c", COLUMNS, [bad])
    with pytest.raises(StageError, match=r"c/shard.00000.mds: sample 3 at offset [0-9]+: id 60000 at place 1 "):
        made(toy.recipe, tmp_path / "work", until="pack/open/64")


def test_a_shard_that_is_damaged_cut_off_or_missing_is_told_by_name(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    shard = tmp_path / "data" / "b" / "shard.00001.mds.zstd"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    with pytest.raises(StageError, match=r"b/shard.00001.mds.zstd: its [0-9]+ bytes from offset 0 have the xxh64"):
        made(toy.recipe, tmp_path / "work", until="pack/open/64")
    shard.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=f"has {len(whole) - 1} bytes, its index says {len(whole)}"):
        made(toy.recipe, tmp_path / "work", until="pack/open/64")
    shard.unlink()
    with pytest.raises(InputError, match=r"b/shard.00001.mds.zstd: is missing"):
        made(toy.recipe, tmp_path / "work", until="pack/open/64")


def test_another_shard_makes_the_rows_stale(tmp_path: Path) -> None:
    toy = Toy(tmp_path)
    made(toy.recipe, tmp_path / "work", until="pack/open/64")
    write_shards(tmp_path / "data" / "c", COLUMNS, [[{"id": "x", "input_ids": np.array([5, 6], np.uint32)}]])
    with pytest.raises(StageError, match=r"pack/open/64 was made with .*input files new: c/shard.00000.mds"):
        made(toy.recipe, tmp_path / "work", until="pack/open/64")


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    toy = Toy(tmp_path, more=", column: tokens")
    with pytest.raises(InputError, match=r"sources.open.column: .*its columns are id str, input_ids ndarray:uint32"):
        ready.check(load(toy.recipe))


def test_tokens_are_estimated_by_the_width_of_ids(tmp_path: Path) -> None:
    for dtype in ("uint16", "uint32", "int64"):
        columns: dict[str, str] = {"input_ids": f"ndarray:{dtype}"}
        chunks: list[dict[str, Any]] = [{"input_ids": np.ones(1000, dtype)} for _ in range(20)]
        folder = write_shards(tmp_path / dtype, columns, [chunks])
        found = about_tokens("s", ShardsSource(kind="shards", read=str(folder / "index.json"), tokenizer="t.json"))
        assert 20_000 <= found < 20_300
