"""What happens at which row is known before any row is read."""

from __future__ import annotations

import math

import pytest

from packing.mixture import MixtureError
from recipes.load import load, shipped
from train.order import order_of
from train.phase import Phase, Remix
from train.rate import Decay, Warmup
from train.schedule import Schedule, Step
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


LARGE = Train(
    optimizer=Optimizer(peak=5e-4),
    batch=Batch(rows=4928, warmup=BatchWarmup(from_=448, over=10_000_000_000)),
    phases=(
        Phase(name="learn", tokens=900_000_000_000, context=1024, mix={"web": 1.0}, warmup=2_000_000_000),
        Phase(
            name="calm", tokens=819_000_000_000, context=1024, mix={"web": 1.0}, peak=5e-5, weight_decay=1e-6
        ),
        Phase(
            name="lengthen", tokens=250_000_000_000, context=8192, mix={"web": 1.0}, peak=5e-5, weight_decay=1e-6,
            rope=160_000.0,
        ),
        Phase(
            name="settle", tokens=50_000_000_000, context=8192, mix={"web": 1.0}, peak=5e-5, weight_decay=1e-6,
            rope=160_000.0, batch=624, decay="1-sqrt",
        ),
    ),
)  # fmt: skip
"""ModernBERT-large: its rate was too high after 900B tokens, so it went on with a tenth of peak and weight decay."""

BILLION = 10**9


def at(schedule: Schedule, tokens: float) -> Step:
    """The step that reads the row at which the clock has so many tokens."""
    g = 0
    for phase in schedule.settings.phases:
        if tokens < phase.rows * phase.context:
            return schedule.step_with(g + int(tokens) // phase.context)
        g, tokens = g + phase.rows, tokens - phase.rows * phase.context
    return schedule.step_with(schedule.total - 1)


def near(rate: float) -> object:
    return pytest.approx(rate, rel=5e-3)


def test_the_schedule_of_modernbert_base_at_chosen_tokens() -> None:
    """From the recipe that is shipped. Its paper: 8e-4 after 3B, 3e-4 from 1.7T on, 1-sqrt over the last 50B."""
    schedule = Schedule(load(shipped()["modernbert-base"]).train)
    for billions, lr, rows in (
        (0, 8e-14, 768),
        (1.5, 4e-4, 768),
        (3, 8e-4, 768),
        (5, 8e-4, 1536),
        (15, 8e-4, 2304),
        (40, 8e-4, 3840),
        (51, 8e-4, 4608),
        (1699, 8e-4, 4608),
        (1701, 3e-4, 576),
        (1949, 3e-4, 576),
        (1950 + 12.5, 3e-4 * (0.001 + 0.999 * 0.5), 576),
        (1950 + 40.5, 3e-4 * (0.001 + 0.999 * 0.1), 576),
    ):
        step = at(schedule, billions * BILLION)
        assert (step.lr, step.rows) == (near(lr), rows), billions
        assert (step.weight_decay, step.mask) == (1e-5, 0.3)
    assert at(schedule, 1e14).lr == pytest.approx(3e-7, rel=0.05)


def test_the_schedule_of_modernbert_large_at_chosen_tokens() -> None:
    schedule = Schedule(LARGE)
    assert schedule.steps_of_a_level == 396
    for billions, lr, decay, rows in (
        (1, 2.5e-4, 1e-5, 1344),
        (2, 5e-4, 1e-5, 2240),
        (11, 5e-4, 1e-5, 4928),
        (899, 5e-4, 1e-5, 4928),
        (901, 5e-5, 1e-6, 4928),
        (1800, 5e-5, 1e-6, 616),
        (1969 + 12.5, 5e-5 * 0.5005, 1e-6, 624),
    ):
        step = at(schedule, billions * BILLION)
        assert (step.lr, step.weight_decay, step.rows) == (near(lr), decay, rows), billions
        assert step.peak == (5e-4 if billions < 900 else 5e-5)
    assert schedule.steps_of(2) == pytest.approx(49_552, abs=15)
    assert schedule.steps_of(3) == pytest.approx(9_780, abs=5)


def test_the_schedule_of_ettin_at_chosen_tokens() -> None:
    """Half of the peak at the end of the second phase, where the third begins, and 0.02 of it at the end."""
    train = load(shipped()["ettin-150m"]).train
    schedule = Schedule(train)
    first, second, third = (phase.rows * phase.context for phase in train.phases)
    for tokens, lr, mask in (
        (1.5 * BILLION, 4e-4, 0.3),
        (first - BILLION, 8e-4, 0.3),
        (first, 8e-4, 0.3),
        (first + second / 4, 8e-4 * 0.75, 0.3),
        (first + second, 4e-4, 0.15),
        (first + second + third / 4, 4e-4 * (0.04 + 0.96 * 0.5), 0.15),
    ):
        step = at(schedule, tokens)
        assert (step.lr, step.mask) == (near(lr), mask), tokens
    last = schedule.step_with(schedule.total - 1)
    assert last.lr == pytest.approx(0.02 * 8e-4, rel=0.02)
    ends = [phase.rate.at(phase.length) * (phase.peak or 8e-4) for phase in train.phases]
    assert ends == pytest.approx([8e-4, 4e-4, 1.6e-5])
    assert [train.batch_rows(phase) for phase in train.phases] == [4608] * 3
    assert [phase.local_rope for phase in train.phases] == [1e4, 1e4, 1.6e5]


def test_the_rate_rises_stays_and_falls() -> None:
    learn, lengthen, settle = BASE.phases
    assert learn.rate.at(0) == 1e-10
    assert learn.rate.at(1_500_000_000) == pytest.approx(0.5)
    assert learn.rate.at(3_000_000_000) == learn.rate.at(learn.tokens) == 1.0
    assert lengthen.rate.at(0) == lengthen.rate.at(lengthen.tokens) == 1.0
    assert settle.rate.at(0) == 1.0
    for share in (0.01, 0.25, 0.5, 0.9):
        expected = 0.001 + 0.999 * (1 - math.sqrt(share))
        assert settle.rate.at(int(share * settle.tokens)) == pytest.approx(expected)
    assert settle.rate.at(settle.tokens) == pytest.approx(0.001)
    assert settle.rate.at(settle.tokens + 8191) == pytest.approx(0.001)


def test_a_phase_may_warm_up_before_it_decays() -> None:
    both = phase(warmup=200, decay="1-sqrt")
    assert both.rate.at(100) == pytest.approx(0.5)
    assert both.rate.at(200) == 1.0
    assert both.rate.at(400) == pytest.approx(0.001 + 0.999 * 0.5)


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


@pytest.mark.parametrize("place", [0, 1, 5, 13])
def test_a_run_that_goes_on_has_the_same_steps_left(place: int) -> None:
    schedule = Schedule(Train(batch=Batch(rows=4), phases=(phase(tokens=300), phase(name="q", tokens=205))))
    steps = list(schedule.steps())
    assert list(schedule.steps(steps[place].number, steps[place].g)) == steps[place:]


@pytest.mark.parametrize("over", [1, 100, 450, 900, 1230])
@pytest.mark.parametrize("rows", [2, 6, 8])
def test_the_step_of_any_row_and_the_sizes_of_steps_are_those_that_are_walked_through(over: int, rows: int) -> None:
    schedule = Schedule(
        Train(
            batch=Batch(rows=rows, warmup=BatchWarmup(from_=2, over=over)),
            phases=(phase(name="a", tokens=1234), phase(name="b", tokens=990, context=20, batch=3)),
        )
    )
    steps = list(schedule.steps())
    for step in steps:
        for g in range(step.g, step.g + step.rows):
            assert schedule.step_with(g) == step
    for number in (0, 1):
        mine = [step.rows for step in steps if step.phase == number]
        told = [level.rows for level in schedule.levels(number) for _ in range(level.steps)]
        assert told[:-1] == mine[:-1]
        assert mine[-1] <= told[-1]
        assert schedule.steps_of(number) == len(mine)


def test_a_phase_may_have_a_batch_and_a_weight_decay_of_its_own() -> None:
    """At a peak of 4e-4 a step takes away what it is asked to, whatever the first phase's peak was."""
    schedule = Schedule(
        Train(
            batch=Batch(rows=8),
            phases=(phase(), phase(name="b", peak=4e-4, weight_decay=0.0), phase(name="c", context=40, batch=5)),
        )
    )
    found = [(step.rows, step.weight_decay, step.peak) for step in map(schedule.step_with, schedule.starts[:3])]
    assert found == [(8, 1e-5, 8e-4), (8, 0.0, 4e-4), (5, 1e-5, 8e-4)]


def test_what_is_stable_and_the_last_step_before_the_rate_falls() -> None:
    """Steps of 40 tokens; the decay begins at token 650 of the phase, within the step from 640 on."""
    schedule = Schedule(
        Train(
            batch=Batch(rows=4),
            phases=(
                phase(name="a", warmup=100, decay=Decay(over=350)),
                phase(name="b", decay="linear"),
                phase(name="c"),
                phase(name="d", warmup=100, decay="cosine"),
            ),
        )
    )
    steps = list(schedule.steps())
    last = [step for step in steps if schedule.before_a_decay(step)]
    assert [(step.phase, (step.g - schedule.starts[step.phase]) * 10) for step in last] == [(0, 640), (3, 80)]
    for step in steps:
        warm = (step.g - schedule.starts[step.phase]) * 10 >= schedule.settings.phases[step.phase].rate.warmup.over
        assert schedule.stable(step) == (step.lr == step.peak or not warm), step
    assert [schedule.stable(step) for step in steps if step.phase == 1][:2] == [True, False]


RUN = Train(
    batch=Batch(rows=4),
    phases=(
        phase(name="a", warmup=100, decay=Decay(shape="linear", over=300)),
        phase(name="b", peak=1e-4, mask=0.15),
        phase(name="c", decay="1-sqrt"),
    ),
)
"""Each phase has 25 steps of 4 rows."""


def test_a_run_is_known_by_what_has_shaped_it_so_far() -> None:
    """Of the phase under way neither where it will end nor a decay that has not begun."""

    def shaped(g: int, at: int = 0, **changes: object) -> object:
        phases = [*RUN.phases]
        phases[at] = phase(**{"name": "a", "warmup": 100, "decay": Decay(shape="linear", over=300), **changes}
                           if at == 0 else {"name": "b", "peak": 1e-4, "mask": 0.15, **changes})  # fmt: skip
        return Schedule(Train(batch=RUN.batch, phases=tuple(phases))).shaped(g)

    early, falling, done = 60, 80, 100
    for g in (early, falling, done):
        assert shaped(g) == Schedule(RUN).shaped(g)
    for words in ({"ends": 900}, {"ends": 5000}, {"decay": None}, {"decay": Decay(over=350)}):
        assert shaped(early, **words) == shaped(early)
        assert shaped(falling, **words) != shaped(falling)
        assert shaped(done, **words) != shaped(done)
    assert shaped(early, remix=(Remix(at=700, mix={"web": 1.0}),)) == shaped(early)
    for changes in (
        {"mask": 0.2}, {"weight_decay": 1e-6}, {"peak": 1e-4}, {"rope": 2e4}, {"local_rope": 2e4}, {"warmup": 90},
        {"warmup": Warmup(over=100, from_=0.1)}, {"tokens": 1100}, {"decay": Decay(over=450)}, {"ends": 700},
    ):  # fmt: skip
        assert shaped(early, **changes) != shaped(early), changes
        assert shaped(0, **changes) == []
    assert shaped(done, at=1, mask=0.05) == shaped(done)  # what has not begun may change
    assert shaped(done + 4, at=1, mask=0.05) != shaped(done + 4)
    assert shaped(done + 4, at=1, ends=1500) == shaped(done + 4)


def test_a_run_from_before_a_setting_came_to_be_is_known_again() -> None:
    """What runs of the first release say of their phases, word by word."""
    old = [
        {"name": "learn", "tokens": 1000, "context": 10, "mix": {"web": 1.0}, "temperature": None, "warmup": 100,
         "peak": None, "rope": 10000.0, "decay": None, "mask": 0.3},
        {"name": "settle", "tokens": 500, "context": 10, "mix": {"web": 1.0}, "temperature": None, "warmup": 0,
         "peak": 3e-4, "rope": 160000.0, "decay": "1-sqrt", "mask": 0.3},
    ]  # fmt: skip
    phases = (
        phase(name="learn", warmup=100),
        phase(name="settle", tokens=500, peak=3e-4, rope=160_000.0, decay="1-sqrt"),
    )
    schedule = Schedule(Train(batch=Batch(rows=4), phases=phases))
    for g in (4, 60, 100, 104, 120, 150):
        assert schedule.shaped(g) == old[: 1 if g <= 100 else 2]


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
