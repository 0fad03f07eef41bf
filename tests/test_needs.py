"""What `plan` tells of a training without walking through it is what a walk through all of its steps finds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from commands import report, schedule
from model.bert import Bert
from model.settings import BASE, LARGE
from recipes import needs
from recipes.load import load, shipped
from recipes.mixture import proposal
from recipes.recipe import Recipe
from recipes.supply import Known, Outlook
from tests.conftest import bertmill
from train.order import order_of
from train.phase import Phase
from train.rate import Decay
from train.retention import kept_as
from train.schedule import Schedule
from train.settings import Average, Batch, BatchWarmup, Evaluate, Train


def phase(**changes: object) -> Phase:
    given: dict[str, object] = {"name": "p", "tokens": 1000, "context": 10, "mix": {"web": 1.0}}
    return Phase(**{**given, **changes})  # type: ignore[arg-type]


def trainings(every: int) -> list[Train]:
    """Phases that decay from their first token, later on, late, or not at all; short last steps; a batch warm-up."""
    whole = (
        phase(name="a", tokens=1234, warmup=100, decay=Decay(over=350)),
        phase(name="b", tokens=990, context=20, decay="linear"),
        phase(name="c", tokens=505, batch=7),
        phase(name="d", tokens=760, warmup=120, decay="cosine"),
        phase(name="e", tokens=600, decay=Decay(over=3)),
        phase(name="f", tokens=600, decay=Decay(over=599)),
    )
    batch = Batch(rows=8, warmup=BatchWarmup(from_=2, over=450))
    evaluate = Evaluate(every=every)
    return [
        Train(batch=batch, save_every=every, evaluate=evaluate, phases=whole),
        Train(batch=Batch(rows=4), save_every=every, evaluate=evaluate, phases=whole[3:]),
        *(
            Train(batch=Batch(rows=6), save_every=every, evaluate=evaluate, phases=(one,))
            for one in whole
            if not one.batch
        ),
    ]


@pytest.mark.parametrize("every", [1, 15, 20, 37, 80, 100, 333, 1000, 10_000])
def test_the_checkpoints_are_those_that_a_walk_through_all_steps_finds(every: int) -> None:
    for settings in trainings(every):
        steps = Schedule(settings)
        found = ["product" if steps.before_a_decay(step) else kept_as(steps, step, settings) for step in steps.steps()]
        assert needs.saves(settings) == (found.count("product"), found.count("decay")), settings.phases[0].name


@pytest.mark.parametrize("every", [1, 15, 20, 37, 80, 100, 333, 1000, 10_000])
def test_the_evaluations_are_those_that_a_walk_through_all_steps_finds(every: int) -> None:
    for settings in trainings(every):
        steps = Schedule(settings)
        due = [steps.passes(step, every) or step.g + step.rows == steps.total for step in steps.steps()]
        assert needs.evaluations(settings) == sum(due)
        at_saves = replace(settings, evaluate=Evaluate())
        assert needs.evaluations(at_saves) == sum(needs.saves(settings))


def test_what_stands_on_the_disk_at_the_same_time() -> None:
    settings = trainings(40)[1]
    products, falling = needs.saves(settings)
    assert falling > 5
    assert needs.kept(replace(settings, keep=None)) == products + falling + 1
    assert needs.kept(replace(settings, keep=2)) == products + 2 + 1
    assert needs.kept(replace(settings, keep=2, resume_every=20)) == products + 2 + 1 + 1


def base(**changes: object) -> Recipe:
    recipe = load(shipped()["modernbert-base"])
    return replace(recipe, train=replace(recipe.train, **changes))  # type: ignore[arg-type]


def test_parameters_of_the_published_sizes_by_whether_they_decay() -> None:
    for shape, whole, norms in ((BASE, 149_655_232, 46), (LARGE, 395_881_664, 58)):
        found = needs.parameter_groups(replace(base(), model=shape))
        assert sum(group.parameters for group in found) == whole
        assert [(group.name, group.decays) for group in found] == [
            ("embedding", True), ("matrices", True), ("norms", False), ("biases", False),
        ]  # fmt: skip
        assert [group.tensors for group in found] == [1, 4 * shape.layers + 1, norms, 1]


def test_the_groups_are_those_of_the_models_own_parameters() -> None:
    recipe = load(shipped()["quickstart"])
    model = dict(Bert(recipe.model, recipe.tokenizer.vocab).named_parameters())
    decayed = sum(p.numel() for p in model.values() if p.dim() > 1)
    found = needs.parameter_groups(recipe)
    assert sum(group.parameters for group in found if group.decays) == decayed
    assert sum(group.parameters for group in found) == sum(p.numel() for p in model.values())
    assert sum(group.tensors for group in found) == len(model)


def test_memory_and_checkpoints_in_bytes() -> None:
    recipe = base()
    assert (needs.memory(recipe), needs.checkpoint(recipe)) == (16 * 149_655_232, 12 * 149_655_232)
    averaged = base(average=Average(half_life=10**9))
    assert (needs.memory(averaged), needs.checkpoint(averaged)) == (20 * 149_655_232, 16 * 149_655_232)


def test_hours_are_near_those_that_modernbert_took() -> None:
    """Base: 1,529 + 290 + 60 hours on one H100; rows of one document each attend to a little more."""
    assert needs.hours(base(), 1) == pytest.approx(1_879, rel=0.1)
    assert needs.hours(base(), 8) * 8 == pytest.approx(needs.hours(base(), 1))


def outlook(recipe: Recipe) -> Outlook:
    known = Known(files=1, raw_bytes=1, text_bytes=1, tokens=10**12, basis="files", packed={})
    return Outlook(recipe=recipe, known=dict.fromkeys(sorted(recipe.sources), known))


def test_plan_shows_the_schedule_of_each_phase() -> None:
    lines = report.table(schedule.phases(base()))
    assert [" ".join(line.split()) for line in lines] == [
        "phase tokens context rows steps batch warm-up peak constant decay end weight decay mask rope local",
        "learn 1.7T 1024 1.66B 371K 4608 3B 0.0008 1.7T - 0.0008 1e-05 0.3 10000 10000",
        "lengthen 250B 8192 30.5M 53K 576 - 0.0003 250B - 0.0003 1e-05 0.3 160000 10000",
        "settle 50B 8192 6.1M 10.6K 576 - 0.0003 - 1-sqrt 50B 3e-07 1e-05 0.3 160000 10000",
    ]
    said = "\n".join(schedule.lines(outlook(base())))
    assert "768 rows, then 768 more after each 4239 steps, up to 4608 from step 21195 on (50B tokens)" in said
    assert "embedding 38.7M in 1, matrices 111M in 89; not: norms 35.3K in 46, biases 50.4K in 1" in said
    assert "2.39GB for weights, gradients and moments" in said
    assert "99 that stay, 2 more while the rate falls: 1.8GB each" in said
    kept = "\n".join(schedule.lines(outlook(base(save_every=10**9, keep=3, resume_every=10**8))))
    assert (
        "1951 that stay, 49 more while the rate falls, of which the newest 3 stay, one to go on from every 100M" in kept
    )


def test_plan_gives_the_rate_as_segments_for_plotting() -> None:
    ettin = load(shipped()["ettin-150m"])
    learn, lengthen, settle = schedule.in_numbers(ettin)
    assert [(one["kind"], one["shape"], one["lr"]) for one in (*learn["rate"], *lengthen["rate"], *settle["rate"])] == [
        ("warm-up", "linear", [pytest.approx(8e-14), 8e-4]),
        ("constant", "linear", [8e-4, 8e-4]),
        ("decay", "1-sqrt", [8e-4, 4e-4]),
        ("decay", "1-sqrt", [4e-4, pytest.approx(1.6e-5)]),
    ]
    assert learn["rate"][1]["tokens"] == [3 * 10**9, 1_704_700_000_000]
    assert (learn["begins"], settle["weight_decay"]) == (0, 1e-5)
    assert [level["rows"] for level in learn["batches"]] == [768, 1536, 2304, 3072, 3840, 4608]
    assert all(sum(level["steps"] for level in one["batches"]) == one["steps"] for one in (learn, lengthen, settle))


def test_the_command_tells_it_to_people_and_to_programs(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "Some leaves are green."}) + "\n")
    path = tmp_path / "table.yaml"
    path.write_text(
        f"name: table\nsources: {{notes: {{kind: text, read: {tmp_path}/*.jsonl}}}}\n"
        "packing: {max_epochs: 1e9}\nmodel: {layers: 4, hidden: 32, heads: 2, intermediate: 48}\n"
        "train:\n  batch: {rows: 8}\n  phases: [{name: learn, tokens: 8K, context: 128, mix: {notes: 1}, warmup: 1K}]\n"
    )
    shown = bertmill("plan", path, "--work", tmp_path / "work")
    assert "weight decay" in shown.stdout, shown.stderr
    told = json.loads(bertmill("plan", path, "--work", tmp_path / "work", "--json").stdout)
    assert {"groups", "memory_bytes", "flops", "saves", "evaluations"} <= told.keys()
    assert told["phases"][0]["rate"][0]["kind"] == "warm-up"


@pytest.mark.parametrize("ends", [60_000, 100_000, 250_000])
def test_a_phase_that_ends_elsewhere_is_counted_and_mended_as_it_will_be_read(ends: int) -> None:
    """Epochs are those of the order of rows, and the nearest mixture that can be given is within the limit."""
    first = Phase(name="a", tokens=100_000, ends=ends, context=128, mix={"web": 0.7, "code": 0.2, "science": 0.1})
    recipe = base(batch=Batch(rows=8), phases=(first, replace(first, name="b", ends=None)))
    counts = {"web": 900, "code": 900, "science": 7}
    found = Outlook(
        recipe=recipe,
        known={
            name: Known(
                files=1, raw_bytes=1, text_bytes=1, tokens=count * 128, basis="rows",
                packed={128: ((0.0, 1.0), count, count * 128)},
            )
            for name, count in sorted(counts.items())
        },
    )  # fmt: skip
    order = order_of(recipe.train, {(name, 128): count for name, count in counts.items()}, 17)
    assert {name: supply.epochs for name, supply in found.supplies.items()} == order.epochs()
    assert order.total == -(-ends // 128) + 782
    nearer = proposal(found)
    assert nearer
    assert nearer.recipe.train.phases[0].ends == ends
    assert Outlook(recipe=nearer.recipe, known=found.known).supplies["science"].epochs <= recipe.packing.max_epochs
