"""Runs that answered the same questions stand beside each other; others are refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands.compare import CompareError, compare, told
from commands.figure import FigureError, draw
from tests.conftest import bertmill
from tests.toy_training import job, packed, settings
from train.evaluate import Score
from train.loop import train
from train.phase import Phase
from train.settings import Average, Evaluate, Start


def scores(asked: str = "a", **values: float) -> dict[str, Any]:
    """Of each source at two rates, the second one 1 bit worse."""
    return {
        name: {
            rate: asdict(
                Score(
                    bits_per_byte=value + more, loss=1.0, accuracy=0.5, guessed=9, bytes=9, asked=f"{asked}{name}{rate}"
                )
            )
            for rate, more in (("0.15", 0.0), ("0.3", 1.0))
        }
        for name, value in values.items()
    }


def run(folder: Path, *evaluations: dict[str, Any], start: Path | None = None) -> str:
    """A folder with the metrics of a run that was evaluated every 10 steps of 100 tokens."""
    folder.mkdir(parents=True)
    records = [
        {
            "kind": "evaluation",
            "step": 10 * n,
            "phase": "learn",
            "tokens": 1_000 * n,
            **(one if "sources" in one else {"sources": one}),
        }
        for n, one in enumerate(evaluations, 0 if start else 1)
    ]
    lines = [{"kind": "step", "step": 1, "loss": 3.0}, *records]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"train": {"start": {"from": str(start)} if start else None}}))
    return str(folder)


def test_each_run_is_told_with_its_last_and_best_figures_and_its_difference_to_the_first(tmp_path: Path) -> None:
    one = run(tmp_path / "one", scores(web=2.0, code=3.0), scores(web=1.0, code=2.5), scores(web=1.5, code=2.0))
    two = run(tmp_path / "two", {"sources": scores(web=1.25), "averaged": scores(web=1.2)}, scores(web=1.75))
    found = compare([one, f"other={two}"])
    assert (found["mask"], found["sources"]) == ("0.15", ["code", "web"])
    first, second = found["runs"]
    assert (first["name"], second["name"]) == (one, "other")
    assert (first["step"], first["tokens"]) == (30, 3_000)
    assert first["final"] == {"code": 2.0, "web": 1.5}
    assert first["best"] == {"code": {"bits_per_byte": 2.0, "step": 30}, "web": {"bits_per_byte": 1.0, "step": 20}}
    assert second["change"] == {"web": 0.25}
    assert first["averaged"] is None
    assert second["averaged"] == {"web": {"bits_per_byte": 1.2, "step": 10}}
    assert [point["tokens"] for point in first["curve"]] == [1_000, 2_000, 3_000]
    shown = told(found)
    for said in ("15 % of tokens hidden", "1.7500 (+0.2500)", "1.0000 at 20", "1.2000 at 10"):
        assert said in shown
    assert compare([one, two], mask=0.3)["runs"][0]["final"] == {"code": 3.0, "web": 2.5}


def test_runs_that_were_asked_different_questions_are_refused_and_shown_anyway(tmp_path: Path) -> None:
    one, two = run(tmp_path / "one", scores(web=2.0)), run(tmp_path / "two", scores("b", web=1.0))
    with pytest.raises(CompareError, match=r"two was asked other questions of web than .*one: .*--anyway shows them"):
        compare([one, two])
    assert compare([one, two], anyway=True)["runs"][1]["change"] == {"web": -1.0}
    apart = run(tmp_path / "apart", scores("b", code=1.0))
    assert compare([one, apart])["runs"][1]["change"] == {}, "no source in common, nothing to mistake"


def test_evaluations_before_the_settings_changed_are_no_part_of_the_curve(tmp_path: Path) -> None:
    one = run(tmp_path / "one", scores("old", web=0.5), scores(web=2.0), scores(web=1.0))
    (found,) = compare([one])["runs"]
    assert [point["step"] for point in found["curve"]] == [20, 30]
    assert found["best"]["web"]["bits_per_byte"] == 1.0


def test_what_is_no_run_and_what_was_never_asked_is_refused_in_one_line(tmp_path: Path) -> None:
    one = run(tmp_path / "one", scores(web=2.0))
    with pytest.raises(CompareError, match=r"is no run and no checkpoint"):
        compare([str(tmp_path / "nowhere")])
    with pytest.raises(CompareError, match=r"is no run and no checkpoint"):
        compare([run(tmp_path / "silent")])
    with pytest.raises(CompareError, match=r"^not all runs were asked at 0\.2; all were at 0\.15, 0\.3$"):
        compare([one], mask=0.2)
    with pytest.raises(CompareError, match=r"^two runs are called '.*one'; give one a name: NAME="):
        compare([one, one])
    assert len(compare([one, f"again={one}"])["runs"]) == 2
    refused = bertmill("compare", one, tmp_path / "nowhere")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_a_parent_stands_before_its_children_as_they_asked_it(tmp_path: Path) -> None:
    parent = tmp_path / "base" / "checkpoints" / "step-00000020"
    one = run(tmp_path / "one", scores(web=2.0), scores(web=1.5), start=parent)
    two = run(tmp_path / "two", scores(web=2.0), scores(web=1.25), start=parent)
    found = compare([one, two])
    assert [row["name"] for row in found["runs"]] == ["base/step-00000020", one, two]
    before, first, second = found["runs"]
    assert before["final"] == {"web": 2.0}
    assert before["change"] == {"web": 0.5}, "differences are to the first run that was named"
    assert first["parent"] == second["parent"] == before["name"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of a run with averaged weights and of an anneal of it."""
    base = tmp_path_factory.mktemp("runs")
    packed(base)
    phases = (Phase(name="learn", tokens=4_000, context=64, mix={"web": 0.5, "code": 0.5}, warmup=1_000),)
    steady = settings(phases=phases, save_every=2_000, average=Average(half_life=1_000), evaluate=Evaluate(rows=4))
    parent = train(job(base / "base", base, settings=steady), device="cpu").checkpoint
    last = (Phase(name="settle", tokens=2_000, context=64, mix={"web": 1.0}, decay="1-sqrt"),)
    domain = settings(phases=last, start=Start(from_=str(parent)), evaluate=Evaluate(rows=4))
    child = job(base / "domain", base, settings=domain)
    train(child, device="cpu")
    (child.folder / "recipe.yaml").write_text(yaml.safe_dump({"train": {"start": str(parent)}}))
    return parent, child.folder


def test_an_anneal_is_compared_with_its_parent_and_a_checkpoint_with_its_run(trained: tuple[Path, Path]) -> None:
    parent, child = trained
    found = compare([str(child)])
    assert [row["name"] for row in found["runs"]] == [f"run/{parent.name}", str(child)]
    state = json.loads((parent / "state.json").read_bytes())
    for source, values in state["evaluation"].items():
        assert found["runs"][0]["final"][source] == values["0.15"]["bits_per_byte"]
    assert found["runs"][0]["tokens"] == state["tokens"]
    assert set(found["runs"][0]["averaged"]) == {"code", "web"}
    again = compare([str(parent), str(child)])
    assert [row["name"] for row in again["runs"]] == [str(parent), str(child)], "a parent that was named comes once"
    assert again["runs"][1]["parent"] == str(parent)
    assert again["runs"][0]["final"] == found["runs"][0]["final"]
    earlier = sorted(parent.parent.iterdir())[0]
    assert compare([str(earlier)])["runs"][0]["step"] == int(earlier.name[5:]) < state["step"]


def test_the_figure_is_drawn_twice_with_the_same_bytes(trained: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = compare([str(one) for one in trained])
    for name in ("a.svg", "b.svg", "a.png"):
        draw(found, tmp_path / "new" / name)
    drawn = (tmp_path / "new" / "a.svg").read_text()
    assert drawn == (tmp_path / "new" / "b.svg").read_text()
    assert drawn.startswith("<?xml")
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FigureError, match=r"a\.gif: figures are \.svg, \.png, \.pdf; give the file one of these"):
        draw(found, tmp_path / "a.gif")
