"""Shares change, sources join and rows are left out in mid-run: what was read stands, nothing is lost or repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packing.mixture import MixtureError, Order
from packing.quarantine import Quarantine
from packing.shards import Shards
from recipes.dump import signed
from recipes.load import RecipeError, load
from recipes.plan import stages
from tests.conftest import RECIPE
from tests.toy_training import job, packed, settings, shards_at
from train.audit import Audit, AuditError, Counts
from train.checkpoint import CheckpointError, newest, open_checkpoint
from train.job import Job
from train.loop import train
from train.metrics import read_metrics
from train.order import order_of
from train.phase import Phase, Remix
from train.schedule import Schedule
from train.settings import Train

STOP = 5
"""Steps before the change, of 8 rows of 64 tokens: within the first phase of 71 rows."""

AT = STOP * 8 * 64


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("data")
    tokenizer, _, _ = packed(base)
    for context in (64, 128):
        shards_at(base / "pack" / "wiki" / str(context), tokenizer, "wiki", context, range(40))
    return base


@pytest.fixture
def stopped(data: Path, tmp_path: Path) -> Job:
    run = job(tmp_path, data)
    train(run, device="cpu", until=STOP)
    return run


def remixed(at: int, mix: Mapping[str, float], **changes: Any) -> Train:
    learn, turn, settle = settings().phases
    return settings(phases=(replace(learn, remix=(Remix(at=at, mix=mix),)), turn, settle), **changes)


def order(run: Job) -> Order:
    return order_of(run.settings, {key: len(Shards(folder)) for key, folder in run.shards.items()}, run.seed)


def rows(run: Job) -> list[tuple[str, int, int, int]]:
    """(source, context, epoch, index) of each row of the run."""
    planned = order(run)
    contexts = [phase.context for phase in planned.phases]
    return [
        (planned.names[place["source"]], contexts[place["phase"]], int(place["epoch"]), int(place["index"]))
        for place in planned.rows(0, planned.total)
    ]


def losses(run: Job) -> list[tuple[int, float, list[int]]]:
    return [(r["step"], r["loss"], r["rows"]) for r in read_metrics(run.metrics) if r["kind"] == "step"]


def assert_first_draws(read: list[tuple[str, int, int, int]], run: Job) -> None:
    """Each source at each context: epoch after epoch, every row once in each, none left out before the last."""
    for key, folder in run.shards.items():
        drawn = [(epoch, index) for *which, epoch, index in read if tuple(which) == key]
        many = len(Shards(folder))
        assert [epoch for epoch, _ in drawn] == [k // many for k in range(len(drawn))]
        assert len(set(drawn)) == len(drawn)


def test_new_shares_from_the_row_on_where_a_run_was_stopped(stopped: Job, data: Path, tmp_path: Path) -> None:
    """Before and after together are each source's first draws; the weights are those of a run planned so at first."""
    before = rows(stopped)[: STOP * 8]
    turned = replace(stopped, settings=remixed(AT, {"web": 0.1, "code": 0.9}))
    result = train(turned, device="cpu")
    after = rows(turned)
    assert after[: STOP * 8] == before
    assert_first_draws(after, turned)
    assert [source for source, *_ in after[STOP * 8 : 71]].count("web") == 3
    assert result.finished
    assert result.g == len(after) == 71 + 40 + 16
    planned = job(tmp_path / "planned", data, settings=turned.settings)
    expected = train(planned, device="cpu")
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (result.checkpoint / name).read_bytes() == (expected.checkpoint / name).read_bytes()
    assert losses(turned) == losses(planned)


@pytest.mark.parametrize("later", [1, 100, 64 * 20])
def test_the_change_may_come_within_a_later_step(later: int, stopped: Job) -> None:
    turned = replace(stopped, settings=remixed(AT + later, {"code": 1.0}))
    train(turned, device="cpu")
    first = STOP * 8 + -(-later // 64)
    assert rows(turned)[:first] == rows(stopped)[:first]
    assert {source for source, *_ in rows(turned)[first:71]} == {"code"}
    assert_first_draws(rows(turned), turned)


def test_a_source_joins_in_mid_run(stopped: Job, data: Path) -> None:
    more = {**stopped.shards, **{("wiki", context): data / "pack" / "wiki" / str(context) for context in (64, 128)}}
    turned = replace(stopped, settings=remixed(AT, {"web": 0.5, "wiki": 0.5}), shards=more)
    result = train(turned, device="cpu")
    assert rows(turned)[: STOP * 8] == rows(stopped)[: STOP * 8]
    assert_first_draws(rows(turned), turned)
    state = newest(turned.checkpoints)
    assert result.finished
    assert state
    assert state.state.read["learn"]["wiki"]["rows"] == 15
    assert "wiki" not in state.state.read["turn"]


def test_a_source_that_joins_is_read_no_more_often_than_its_cap(stopped: Job, data: Path) -> None:
    more = {**stopped.shards, ("wiki", 64): data / "pack" / "wiki" / "64"}
    many = len(Shards(more["wiki", 64]))
    turned = replace(stopped, settings=remixed(AT, {"wiki": 1.0}), shards=more)
    with pytest.raises(MixtureError, match=rf"wiki is read {31 / many:.2f} times, its cap is {30 / many:g}\. Add data"):
        train(replace(turned, max_epochs=30 / many), device="cpu")
    with pytest.raises(MixtureError, match="phase 'learn' mixes 'wiki', which has no rows of 64 tokens"):
        train(replace(turned, shards=stopped.shards), device="cpu")


def test_a_finished_run_goes_on_with_a_phase_that_is_appended(data: Path, tmp_path: Path) -> None:
    phases = settings().phases
    first = job(tmp_path, data, settings=settings(phases=phases[:2]))
    assert train(first, device="cpu").finished
    longer = replace(first, settings=settings())
    result = train(longer, device="cpu")
    assert (result.finished, result.g) == (True, 127)
    assert_first_draws(rows(longer), longer)
    with pytest.raises(CheckpointError, match=r"has read 127 rows, more than the 111 of the recipe's phases"):
        train(first, device="cpu")


def test_a_phase_that_has_not_begun_may_change_or_go(stopped: Job) -> None:
    learn, turn, _ = settings().phases
    other = replace(turn, mix={"web": 0.5, "code": 0.5}, peak=1e-3)
    turned = replace(stopped, settings=settings(phases=(learn, other)))
    assert train(turned, device="cpu").g == 111
    short = replace(turned, settings=settings(phases=(learn, replace(turn, name="other", mix={"web": 1.0}))))
    with pytest.raises(CheckpointError, match=r"train\.phases\.1\.mix\.code: 0\.5 -> none"):
        train(short, device="cpu")


def test_shares_that_would_have_ordered_other_rows_are_refused_with_the_words_that_do_not(stopped: Job) -> None:
    learn, *others = settings().phases
    mend = r"phase 'learn' remix: \[\{at: 2560, mix: \{\.\.\.\}\}\]. A quarantine can begin here with since: 40"
    for phase in (
        replace(learn, mix={"web": 0.1, "code": 0.9}),
        replace(learn, remix=(Remix(at=AT - 64, mix={"web": 0.1, "code": 0.9}),)),
        replace(learn, tokens=learn.tokens + 6400),
    ):
        with pytest.raises(CheckpointError, match=mend):
            train(replace(stopped, settings=settings(phases=(phase, *others))), device="cpu")
    again = replace(stopped, settings=remixed(AT, {"web": 0.1, "code": 0.9}))
    train(again, device="cpu", until=STOP + 2)
    twice = replace(learn, remix=(Remix(at=AT, mix={"web": 0.1, "code": 0.9}), Remix(at=AT + 1024, mix={"web": 1.0})))
    with pytest.raises(CheckpointError, match="order: "):
        train(stopped, device="cpu")
    result = train(replace(stopped, settings=settings(phases=(twice, *others))), device="cpu")
    assert result.finished


@pytest.mark.parametrize(
    ("remix", "said"),
    [
        ((Remix(at=4_500, mix={"web": 1.0}),), "remix holds from 4500 of 4500 tokens"),
        ((Remix(at=900, mix={"web": 1.0}), Remix(at=900, mix={"code": 1.0})), "remix holds from 900, 900 of 4500"),
        ((Remix(at=900, mix={"web": 1.0}), Remix(at=64, mix={"code": 1.0})), "give the earliest first"),
    ],
)
def test_changes_that_do_not_follow_each_other_are_refused(remix: tuple[Remix, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Phase(name="learn", tokens=4_500, context=64, mix={"web": 1.0}, remix=remix)


@pytest.mark.parametrize(
    ("at", "mix", "said"),
    [
        (0, {"web": 1.0}, "at least 1 token, not 0"),
        (1, {"web": 0.5}, "sum to 0.5, not 1"),
        (1, {"web": 1.5, "code": -0.5}, "the share of 'code' is -0.5"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(at: int, mix: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Remix(at=at, mix=mix)


def test_the_shares_of_a_phase_are_those_of_its_mixtures_by_their_rows() -> None:
    phase = Phase(name="p", tokens=1000, context=10, mix={"a": 1.0}, remix=(Remix(at=250, mix={"a": 0.2, "b": 0.8}),))
    assert phase.sources == ["a", "b"]
    assert phase.shares == pytest.approx({"a": 0.4, "b": 0.6})


def test_rows_in_quarantine_are_not_learned_from_and_are_told(stopped: Job) -> None:
    """Two rows that come after the stop, one that was read before it; all are told from, none moves another."""
    read = rows(stopped)
    bad = [next(index for s, c, _, index in read[at:] if (s, c) == ("web", 64)) for at in (0, 50, 80)]
    entries = (Quarantine(source="web", context=64, rows=tuple(sorted(set(bad))), since=STOP * 8),)
    guarded = replace(stopped, settings=settings(quarantine=entries))
    result = train(guarded, device="cpu")
    assert rows(guarded) == read
    state = newest(guarded.checkpoints)
    assert state
    left = {phase: sources["web"]["left_out"] for phase, sources in state.state.read.items()}
    planned = order(guarded)
    assert sum(left.values()) == planned.rows(0, planned.total)["left_out"].sum() >= 2
    assert result.g == 127
    careless = (Quarantine(source="web", context=64, rows=tuple(bad[1:])),)
    with pytest.raises(CheckpointError, match="A quarantine can begin here with since: 127"):
        train(replace(stopped, settings=settings(quarantine=careless)), device="cpu")


def test_the_audit_of_every_checkpoint_counts_the_orders_rows_and_tokens(data: Path, tmp_path: Path) -> None:
    run = job(tmp_path, data)
    for until in (3, 7, None):  # and it goes on where a run was stopped
        train(run, device="cpu", until=until)
    planned, found = order(run), 0
    shards = {key: Shards(folder) for key, folder in run.shards.items()}
    audits = {r["step"]: r for r in read_metrics(run.metrics) if r["kind"] == "audit"}
    for folder in sorted(run.checkpoints.iterdir()):
        state = open_checkpoint(folder)
        expected: dict[str, dict[str, list[int]]] = {}
        for place in planned.rows(0, state.state.g):
            phase, name = planned.phases[place["phase"]], planned.names[place["source"]]
            counts = expected.setdefault(phase.name, {}).setdefault(name, [0, 0])
            counts[0] += 1
            counts[1] += len(shards[name, phase.context][place["index"]].input_ids)
        told = {
            phase: {name: [counts["rows"], counts["tokens"]] for name, counts in sources.items()}
            for phase, sources in state.state.read.items()
        }
        assert told == expected
        assert audits[state.state.step]["read"] == state.state.read
        found += 1
    assert (found, len(audits)) == (6, 8)  # the two that were saved to stop are not kept


def test_an_audit_that_does_not_fit_the_order_is_told(data: Path, tmp_path: Path) -> None:
    run = job(tmp_path, data)
    audit = Audit()
    taken = order(run).consumed(71)
    for source in ("web", "code"):
        audit.add("learn", {source: Counts(taken[source, 64] - 1, 1, 1)})
    audit.check(run.settings, order(run), 71)
    audit.add("learn", {"web": Counts(1, 64, 0)})
    with pytest.raises(AuditError, match=r"after row 71: 51 rows of web at 64 tokens were counted, the order gives 50"):
        audit.check(run.settings, order(run), 71)


def test_a_step_after_a_change_has_the_rate_that_it_would_have_had(stopped: Job) -> None:
    turned = remixed(AT, {"code": 1.0})
    assert list(Schedule(turned).steps()) == list(Schedule(stopped.settings).steps())
    assert np.unique([step.rows for step in Schedule(turned).steps()]).tolist() == [4, 7, 8]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe whose first phase changes its mixture, with rows in quarantine."""
    text = RECIPE.format(raw=tmp_path, unit="25K")
    text = text.replace("warmup: 1K}", "warmup: 1K, remix: [{at: 5K, mix: {web: 0.5, code: 0.5}}]}")
    (tmp_path / "small.yaml").write_text(
        f"{text}  quarantine: [{{source: web, context: 128, rows: [1, 2], since: 12}}]\n"
    )
    return tmp_path / "small.yaml"


def test_a_recipe_says_it_in_words_that_come_back(recipe: Path, tmp_path: Path) -> None:
    asked = load(recipe)
    assert asked.train.phases[0].remix == (Remix(at=5_000, mix={"web": 0.5, "code": 0.5}),)
    assert asked.train.quarantine == (Quarantine(source="web", context=128, rows=(1, 2), since=12),)
    (tmp_path / "resolved.yaml").write_bytes(signed(asked))
    assert load(tmp_path / "resolved.yaml") == asked


def test_a_change_of_the_mixture_makes_no_stage_anew(recipe: Path) -> None:
    asked = load(recipe)
    learn, *others = asked.train.phases
    before = replace(asked, train=replace(asked.train, phases=(replace(learn, remix=()), *others), quarantine=()))
    assert [(stage.name, stage.settings) for stage in stages(asked)] == [
        (stage.name, stage.settings) for stage in stages(before)
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("mix: {web: 0.5, code: 0.5}}]", "mix: {web: 0.5, codes: 0.5}}]", r"remix\.0\.mix\.codes: phase 'learn' mixes"),
        ("at: 5K", "at: 50K", r"phases\.0: remix holds from 50000 of 10000 tokens"),
        ("at: 5K, ", "", r"remix\.0: 'at' is missing"),
        ("at: 5K", "att: 5K", r"remix\.0\.att: no such setting; did you mean 'at'\?"),
        ("rows: [1, 2]", "rows: [1, 1]", r"quarantine\.0: row 1 stands twice"),
        ("context: 128, rows", "context: 64, rows", r"quarantine\.0: no phase reads 'web' at a context of 64"),
        ("source: web, context", "source: wiki, context", r"quarantine\.0: no phase reads 'wiki' at a context of 128"),
    ],
)
def test_a_recipe_that_is_wrong_about_it_is_told_where(right: str, wrong: str, said: str, recipe: Path) -> None:
    text = recipe.read_text()
    assert right in text
    recipe.write_text(text.replace(right, wrong))
    with pytest.raises(RecipeError, match=rf"small\.yaml:\d+: train\.\S*{said}"):
        load(recipe)
