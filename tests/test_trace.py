import json
from pathlib import Path

import pytest

from commands.trace import TraceError, ordered, traced
from recipes.load import load
from tests.conftest import bertmill
from train.metrics import read_metrics


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
