"""What happens at which row is known before any row is read."""

from __future__ import annotations

import math

import pytest

from packing.mixture import MixtureError
from train.order import order_of
from train.phase import Phase
from train.schedule import Schedule, lr_factor
from train.settings import Batch, BatchWarmup, Evaluate, Optimizer, Train

BASE = Train(
    optimizer=Optimizer(peak=8e-4),
    batch=Batch(rows=4608, warmup=BatchWarmup(from_=768, over=50_000_000_000)),
    phases=(
        Phase(name="learn", tokens=1_719_000_000_000, context=1024, mix={"web": 1.0}, warmup=3_000_000_000),
        Phase(name="lengthen", tokens=250_000_000_000, context=8192, mix={"web": 1.0}, peak=3e-4, rope=160_000.0),
        Phase(
            name="settle",
            tokens=50_000_000_000,
            context=8192,
            mix={"web": 1.0},
            peak=3e-4,
            rope=160_000.0,
            decay="1-sqrt",
        ),
    ),
)
"""ModernBERT-base as it was trained."""


def phase(**changes: object) -> Phase:
    given: dict[str, object] = {"name": "p", "tokens": 1000, "context": 10, "mix": {"web": 1.0}}
    return Phase(**{**given, **changes})  # type: ignore[arg-type]


def test_modernberts_own_run_has_the_steps_that_its_checkpoints_are_named_after() -> None:
    """Its files say 52,988 and 10,598 steps for the phases at 8,192, counting tokens without padding (99.98 % fill)."""
    schedule = Schedule(BASE)
    steps = [0, 0, 0]
    rows = [math.ceil(p.tokens / p.context) for p in BASE.phases]
    for number, count in enumerate(rows[1:], start=1):
        steps[number] = math.ceil(count / 576)
    assert schedule.starts == (0, rows[0], rows[0] + rows[1], sum(rows))
    assert abs(steps[1] - 52_988) < 20
    assert abs(steps[2] - 10_598) < 5
    assert [BASE.batch_rows(p) for p in BASE.phases] == [4608, 576, 576]


def test_the_batch_warms_up_by_levels_of_4239_steps() -> None:
    """The levels of ModernBERT-base end at 3.33, 10, 20, 33.3 and 50 B tokens."""
    schedule = Schedule(BASE)
    assert schedule.steps_of_a_level == 4239
    g, ends = 0, []
    for level in range(1, 6):
        for _ in range(4239):
            assert schedule.rows(g) == level * 768
            g += schedule.rows(g)
        ends.append(schedule.tokens(g) / 1e9)
    assert schedule.rows(g) == 4608
    assert ends == pytest.approx([3.33, 10, 20, 33.3, 50], rel=2e-3)


def test_the_rate_rises_stays_and_falls() -> None:
    learn, lengthen, settle = BASE.phases
    assert lr_factor(learn, 0) == 1e-10
    assert lr_factor(learn, 1_500_000_000) == pytest.approx(0.5)
    assert lr_factor(learn, 3_000_000_000) == lr_factor(learn, learn.tokens) == 1.0
    assert lr_factor(lengthen, 0) == lr_factor(lengthen, lengthen.tokens) == 1.0
    assert lr_factor(settle, 0) == 1.0
    for share in (0.01, 0.25, 0.5, 0.9):
        expected = 0.001 + 0.999 * (1 - math.sqrt(share))
        assert lr_factor(settle, int(share * settle.tokens)) == pytest.approx(expected)
    assert lr_factor(settle, settle.tokens) == pytest.approx(0.001)
    assert lr_factor(settle, settle.tokens + 8191) == pytest.approx(0.001)


def test_a_phase_may_warm_up_before_it_decays() -> None:
    both = phase(warmup=200, decay="1-sqrt")
    assert lr_factor(both, 100) == pytest.approx(0.5)
    assert lr_factor(both, 200) == 1.0
    assert lr_factor(both, 400) == pytest.approx(0.001 + 0.999 * 0.5)


def test_each_phase_has_its_own_peak() -> None:
    schedule = Schedule(BASE)
    steps = [schedule.step(0, g) for g in (schedule.starts[0] + 4_000_000, *schedule.starts[1:3])]
    assert [(step.lr, step.peak, step.phase) for step in steps] == [(8e-4, 8e-4, 0), (3e-4, 3e-4, 1), (3e-4, 3e-4, 2)]


def test_steps_cover_all_rows_once_and_cross_no_border() -> None:
    small = Train(
        batch=Batch(rows=8, warmup=BatchWarmup(from_=2, over=300)),
        phases=(
            phase(name="a", tokens=1234, context=10),
            phase(name="b", tokens=999, context=40),
            phase(name="c", tokens=77, context=10),
        ),
    )
    schedule = Schedule(small)
    assert schedule.starts == (0, 124, 149, 157)
    steps = list(schedule.steps())
    g = tokens = 0
    for number, step in enumerate(steps):
        assert (step.number, step.g, step.tokens) == (number, g, tokens)
        assert schedule.phase_of(g) == schedule.phase_of(g + step.rows - 1) == step.phase
        g += step.rows
        tokens += step.rows * small.phases[step.phase].context
        assert schedule.tokens(g) == tokens
    assert g == schedule.total
    assert [schedule.ends_a_phase(step) for step in steps].count(True) == 3
    assert {step.rows for step in steps if step.phase == 1} == {2, 1}  # 8 rows of 10 tokens are 2 of 40


@pytest.mark.parametrize("at", [0, 1, 5, 13])
def test_a_run_that_goes_on_has_the_same_steps_left(at: int) -> None:
    schedule = Schedule(Train(batch=Batch(rows=4), phases=(phase(tokens=300), phase(name="q", tokens=205))))
    steps = list(schedule.steps())
    assert list(schedule.steps(steps[at].number, steps[at].g)) == steps[at:]


def test_the_clock_passes_each_multiple_in_exactly_one_step() -> None:
    schedule = Schedule(Train(batch=Batch(rows=4), phases=(phase(tokens=300), phase(name="q", tokens=205))))
    for every in (40, 70, 110):
        assert (
            sum(schedule.passes(step, every) for step in schedule.steps()) == schedule.tokens(schedule.total) // every
        )


def test_the_order_of_a_run_has_its_rows_and_its_shares() -> None:
    settings = Train(
        batch=Batch(rows=8),
        phases=(
            phase(name="a", tokens=1000, mix={"web": 0.75, "code": 0.25}),
            phase(name="b", tokens=800, context=20, mix={"code": 1.0}),
        ),
    )
    order = order_of(settings, {("web", 10): 50, ("code", 10): 50, ("code", 20): 9}, seed=1)
    assert order.total == Schedule(settings).total == 140
    first = order.rows(0, 100)
    assert [order.names[n] for n in first["source"]].count("web") == 75
    assert {order.names[n] for n in order.rows(100, 140)["source"]} == {"code"}
    with pytest.raises(MixtureError, match="'web', which has no rows of 10 tokens"):
        order_of(settings, {("code", 10): 50, ("code", 20): 9}, seed=1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: phase(mix={"web": 0.7, "code": 0.4}), "the shares of the mix sum to 1.1, not 1"),
        (lambda: phase(mix={"web": 1.5, "code": -0.5}), "the share of 'code' is -0.5; shares are 0 or more"),
        (lambda: phase(tokens=0), "tokens is at least 1, not 0"),
        (lambda: phase(warmup=1001), "warmup 1001 is longer than the phase, 1000 tokens"),
        (lambda: phase(mask=1.0), "mask is a share between 0 and 1, not 1"),
        (lambda: phase(rope=-1.0), "rope is a base above 1, such as 10000, not -1"),
        (lambda: Optimizer(peak=0.0), "peak is a learning rate above 0, such as 8e-4, not 0"),
        (lambda: Optimizer(betas=(0.9, 1.0)), r"betas are shares from 0 to below 1, not \[0.9, 1.0\]"),
        (
            lambda: Batch(rows=10, warmup=BatchWarmup(from_=4, over=9)),
            "rows 10 is not a multiple of the warm-up's from, 4",
        ),
        (lambda: Evaluate(rows=0), "rows is at least 1, not 0"),
        (lambda: Train(phases=()), "phases names no phase"),
        (lambda: Train(phases=(phase(), phase())), "two phases are named 'p'"),
        (
            lambda: Train(batch=Batch(rows=3), phases=(phase(), phase(name="q", context=40))),
            "a batch of 3 rows of 10 tokens is no whole number of the rows of phase 'q'",
        ),
        (
            lambda: Train(batch=Batch(rows=4), microbatch=50, phases=(phase(), phase(name="q", context=40))),
            "microbatch 50 is not a multiple of 40, the context of phase 'q'",
        ),
        (
            lambda: Train(batch=Batch(rows=4, warmup=BatchWarmup(from_=2, over=1001)), phases=(phase(),)),
            "the batch warms up over 1001 tokens, more than the first phase has",
        ),
    ],
)
def test_settings_that_make_no_training_are_refused_with_a_mend(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()  # type: ignore[operator]
