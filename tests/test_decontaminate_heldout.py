"""No training document resembles a held-out one; the oracle compares all pairs in plain Python."""

from __future__ import annotations

import random
import re
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.documents import id_words
from pipeline.engines.run import Engine, run
from pipeline.holdout import held_out
from pipeline.settings import Dedup, Near
from pipeline.stage import Record, Stage, StageError
from recipes.decontamination import apart_from_held_out
from recipes.deduplication import Deduplication
from recipes.load import load, shipped
from recipes.plan import stages
from tests.toy_duplicates import Corpus, write

HOLDOUT = 0.2


def variants(draw: random.Random, families: int, each: int, words: int) -> dict[str, str]:
    """Families of texts that resemble each other more or less: a share of the words of one is drawn anew."""
    found: dict[str, str] = {}
    for family in range(families):
        base = [f"w{draw.randrange(5000)}" for _ in range(draw.randint(words // 2, words))]
        for n in range(each):
            rate = draw.choice([0.0, 0.01, 0.02, 0.03, 0.05, 0.3])
            text = [f"w{draw.randrange(5000)}" if draw.random() < rate else word for word in base]
            found[f"{family}.{n}"] = " ".join(text) + f" {n}"
    return found


def go(
    work: Path, corpus: Corpus, near: Near, *, dedup: Dedup | None = None, engine: Engine | None = None, **how: Any
) -> list[dict[str, Any]]:
    """The documents that are left, as rows."""
    clean = write(work, corpus, **how)
    through: list[Stage] = []
    if dedup:
        through, clean = Deduplication(dedup, clean).stages()
    more, clean = apart_from_held_out(HOLDOUT, near, clean)
    for stage in [*through, *more]:
        run(stage, work, engine or Engine())
    return [
        row
        for source in corpus
        for file in sorted((work / "apart" / source).glob("0*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]


def shingles(text: str, ngram: int) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + ngram]) for i in range(len(words) - ngram + 1)}


def split(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(training, held out)."""
    held = held_out(id_words(pa.array([row["id"] for row in rows]))[1], HOLDOUT)
    return [r for r, h in zip(rows, held, strict=True) if not h], [r for r, h in zip(rows, held, strict=True) if h]


def near_pairs(rows: list[dict[str, Any]], near: Near) -> set[tuple[str, str]]:
    """(training document, held-out document) of at least the threshold."""
    sets = {row["id"]: shingles(row["text"], near.ngram) for row in rows}
    return {
        (one["id"], other["id"])
        for one, other in product(*split(rows))
        if (a := sets[one["id"]]) and (b := sets[other["id"]]) and len(a & b) / len(a | b) >= near.threshold
    }


@pytest.mark.parametrize("dedup", [None, Dedup(), Dedup(exact=False, near=Near(bands=2))])
@pytest.mark.parametrize("near", [Near(), Near(threshold=0.6, ngram=3)])
def test_no_training_document_resembles_a_held_out_one_and_none_else_goes(
    tmp_path: Path, dedup: Dedup | None, near: Near
) -> None:
    draw = random.Random(1)
    corpus = {"books": variants(draw, 12, 8, 60), "web": variants(draw, 12, 8, 300) | {"short": "four words and no"}}
    corpus["web"] |= {f"copy {name}": text.replace("w1", "v1") for name, text in corpus["books"].items()}
    before = go(tmp_path / "all", corpus, replace(near, threshold=1.0, ngram=400), dedup=dedup)
    after = go(tmp_path / "work", corpus, near, dedup=dedup)
    pairs = near_pairs(before, near)
    assert near_pairs(after, near) == set()
    assert {row["id"] for row in before} - {row["id"] for row in after} == {one for one, _ in pairs}
    assert len(pairs) > (20 if dedup is None else 2 if dedup.near != Near() else -1)


def test_the_result_is_the_same_for_any_files_and_workers(tmp_path: Path) -> None:
    corpus = {"a": variants(random.Random(2), 10, 10, 100), "b": variants(random.Random(2), 10, 5, 100)}
    wanted = {row["id"] for row in go(tmp_path / "one", corpus, Near())}
    index = (tmp_path / "one" / "reserved" / "index.arrow").read_bytes()
    others: list[dict[str, Any]] = [{"files": 3}, {"files": 5, "seed": 4, "engine": Engine(workers=2, tasks=3)}]
    for number, how in enumerate(others):
        assert {row["id"] for row in go(tmp_path / f"{number}", corpus, Near(), **how)} == wanted
        assert (tmp_path / f"{number}" / "reserved" / "index.arrow").read_bytes() == index


def test_dropped_documents_tell_the_held_out_one_and_the_similarity(tmp_path: Path) -> None:
    corpus = {"a": variants(random.Random(3), 10, 10, 100)}
    rows = go(tmp_path, corpus, Near())
    told = pq.read_table(tmp_path / "apart" / "a" / "dropped" / "00000.parquet").to_pylist()
    texts = {row["id"]: row["text"] for row in rows} | {row["id"]: row["text"] for row in told}
    assert told
    for row in told:
        similarity, other = row["value"].split(" of ")
        a, b = (shingles(texts[id], 5) for id in (row["id"], other))
        assert row["reason"] == "near_heldout"
        assert float(similarity) == pytest.approx(len(a & b) / len(a | b), rel=1e-3)


def test_pages_of_one_template_cost_no_more_than_they_are(tmp_path: Path) -> None:
    draw = random.Random(4)
    template = [f"w{draw.randrange(5000)}" for _ in range(120)]
    corpus = {"a": {f"{n}": " ".join([*template, *(f"x{draw.randrange(9)}" for _ in range(60))]) for n in range(3000)}}
    rows = go(tmp_path, corpus, Near())
    training, held = split(rows)
    assert len(held) > 500
    assert near_pairs([*training[:20], *held], Near()) == set()


def test_documents_that_are_other_ones_than_the_index_was_made_of_are_refused(tmp_path: Path) -> None:
    go(tmp_path, {"a": variants(random.Random(5), 3, 5, 50)}, Near())
    path = tmp_path / "reserved" / "index.arrow"
    path.write_bytes(path.read_bytes()[:-8])
    shutil.rmtree(tmp_path / "apart")
    with pytest.raises(StageError, match=r"index\.arrow"):
        go(tmp_path, {"a": variants(random.Random(5), 3, 5, 50)}, Near())


def test_it_is_on_unless_the_recipe_turns_it_off_or_nothing_is_held_out() -> None:
    recipe = load(shipped()["quickstart"])
    names = [stage.name for stage in stages(recipe)]
    assert names.index("reserved") < names.index("apart/web") < names.index("tokenizer")
    for packing in (replace(recipe.packing, holdout=0.0), replace(recipe.packing, holdout_apart=False)):
        left = {stage.name.partition("/")[0] for stage in stages(replace(recipe, packing=packing))}
        assert not left & {"reserved", "apart"}


def test_nothing_held_out_by_chance_keeps_all(tmp_path: Path) -> None:
    corpus = {"a": {"one": "a b c d e f g", "two": "a b c d e f g"}}
    rows = go(tmp_path, corpus, Near())
    assert len(rows) == 2 - len(near_pairs(rows, Near()))
    assert Record.read(tmp_path / "reserved") is not None
