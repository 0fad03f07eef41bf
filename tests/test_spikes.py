"""A step that leaps out of the curve is found, honest ones are let by, and the rows at fault are named."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from statistics import fmean, stdev

import pytest
import torch

from model.bert import Bert
from model.initialise import initialise
from packing.mixture import MixtureError, Order, Phase, Source
from packing.quarantine import Quarantine
from packing.shards import Shards
from tests.toy_training import SHAPE, job, packed, reader
from train.learn import summed_loss
from train.order import order_of
from train.ranks import Ranks, spread
from train.schedule import Schedule
from train.settings import Spikes, Train
from train.skipped import Row, Skipped, SkippedError, Spike
from train.spikes import FLOOR, Detector
from train.suspects import named, offenders, row_losses


def curve(steps: int, seed: int = 1) -> list[tuple[float, float]]:
    """Loss and gradient norm of a training without a fault: they fall, the norm rises before; both are noisy."""
    draw = random.Random(seed)
    losses = (2.0 + 8.0 * math.exp(-step / 60) + draw.gauss(0, 0.05) for step in range(steps))
    norms = (min(1.0, (step + 1) / 40) * math.exp(draw.gauss(0, 0.2)) for step in range(steps))
    return list(zip(losses, norms, strict=True))


def shown(values: list[tuple[float, float]], **settings: float) -> Detector:
    detector = Detector(Spikes(**settings))  # type: ignore[arg-type]
    for loss, norm in values:
        assert detector.look(loss, norm) is None
        detector.accept(loss)
    return detector


def leaps(detector: Detector, loss: float, rows: int = 1) -> bool:
    """Whether it is a spike for sure."""
    why = detector.look(loss, 1.0, rows=rows)
    return why is not None and why.sure


def level_and_noise(values: list[float]) -> tuple[float, float]:
    """Mean of the last 4, and how far the next value usually is from it, by neighbours' differences."""
    differences = [values[n + 1] - values[n] for n in range(len(values) - 1)]
    return fmean(values[-4:]), math.sqrt(sum(d * d for d in differences) / len(differences) / 2 * 1.25)


def test_a_leap_of_the_loss_is_a_spike_and_a_fall_is_none() -> None:
    why = shown(curve(400)).look(4.0, 0.8)
    assert why
    assert (why.what, why.sure) == ("loss", True)
    assert str(why).startswith("the loss 4 lies")
    assert str(why).endswith("its mean over the steps before")
    assert shown(curve(400)).look(0.01, 0.001) is None


def test_a_gradient_norm_that_is_a_number_is_no_spike() -> None:
    """Honest steps have norms of many times the usual, and leaving rows out does not mend them."""
    for norm in (0.0, 30.0, 1e9):
        assert shown(curve(400)).look(2.0, norm) is None


def test_a_leap_is_seen_while_the_curve_still_falls_steeply() -> None:
    """At step 70 the loss has fallen by 5 within the window; ten times its noise on top of it is found all the same."""
    values = curve(70)
    mean, noise = level_and_noise([loss for loss, _ in values])
    assert noise < 0.15
    assert leaps(shown(values), mean + 10 * noise)
    assert (mean + 10 * noise - fmean(loss for loss, _ in values)) < 6 * stdev(loss for loss, _ in values)


def test_the_threshold_is_so_many_standard_deviations_above_the_level_of_the_last_steps() -> None:
    values = curve(300)
    mean, noise = level_and_noise([loss for loss, _ in values[-32:]])
    detector = shown(values, sigma=6, window=32)
    for times, found in (
        (3.999, (False, False)),
        (4.001, (True, False)),
        (5.999, (True, False)),
        (6.001, (True, True)),
    ):
        why = detector.look(mean + times * noise, 1.0)
        assert (why is not None, why is not None and why.sure) == found


def test_a_step_of_fewer_rows_than_the_one_before_may_be_noisier() -> None:
    """A quarter of the rows: twice the deviation."""
    values = curve(300)
    mean, noise = level_and_noise([loss for loss, _ in values[-128:]])
    detector = Detector(Spikes())
    for loss, _ in values:
        detector.accept(loss, rows=8)
    for share, times in ((1, 1), (4, 2), (0.25, 1)):
        edge = mean + 6 * times * noise
        assert not leaps(detector, edge - 1e-9, int(8 / share))
        assert leaps(detector, edge + 1e-9, int(8 / share))


def test_nothing_is_a_spike_before_half_a_window_was_seen() -> None:
    values = curve(64)
    assert shown(values[:63]).look(1e6, 1e6) is None
    assert shown(values).look(1e6, 1.0)


@pytest.mark.parametrize("values", [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (1.0, -math.inf)])
@pytest.mark.parametrize("settings", [Spikes(), None])
def test_what_is_no_number_is_found_at_any_step_and_with_detection_off(
    values: tuple[float, float], settings: Spikes | None
) -> None:
    detector = Detector(settings)
    why = detector.look(*values)
    assert why
    assert str(why) == f"the {why.what} is {next(v for v in values if not math.isfinite(v)):g}"
    assert detector.state() == Detector(settings).state()


def test_detection_that_is_off_finds_no_spike() -> None:
    detector = Detector(None)
    for loss, norm in [*curve(200), (1e6, 1e6)]:
        assert detector.look(loss, norm) is None


def test_a_spike_does_not_raise_the_mark_for_the_next() -> None:
    detector = shown(curve(200))
    before = detector.state()
    for _ in range(50):
        assert detector.look(50.0, 1.0)
    assert detector.state() == before


def test_a_curve_that_is_flat_to_the_last_digits_has_no_spikes_but_by_a_share_of_its_mean() -> None:
    detector = shown([(2.0 + 1e-9 * (step % 2), 1.0) for step in range(128)])
    assert not leaps(detector, 2.0 + 6.6 * FLOOR * 2.0)  # 6 * sqrt(1 + 1 / 4) = 6.71
    assert leaps(detector, 2.0 + 6.8 * FLOOR * 2.0)


def test_a_slow_drift_upwards_is_no_spike() -> None:
    shown([(2.0 + step / 300, 1.0 + step / 100) for step in range(1000)])


def test_another_mixture_begins_with_an_empty_history() -> None:
    detector = Detector(Spikes(window=16))
    for loss in (2.0, 2.1) * 8:
        detector.accept(loss, 0)
    assert detector.look(5.0, 3.0, 0)
    assert detector.look(5.0, 3.0, 1) is None
    detector.accept(5.0, 1)
    assert detector.state() == {"stretch": 1, "rows": 1, "loss": [5.0]}


@pytest.mark.parametrize("stop", [10, 64, 90, 250])
def test_a_history_that_went_through_json_says_the_same(stop: int) -> None:
    values = [*curve(260), (9.0, 1.0), (2.0, 1.0), (4.0, 1.0)]

    def said(detector: Detector, steps: list[tuple[float, float]]) -> list[str]:
        found = []
        for loss, norm in steps:
            why = detector.look(loss, norm, 3)
            found.append(str(why))
            if why is None:
                detector.accept(loss, 3)
        return found

    whole, half, resumed = (Detector(Spikes()) for _ in range(3))
    expected = said(whole, values)
    assert [step for step, why in enumerate(expected) if why != "None"] == [260, 262]
    said(half, values[:stop])
    resumed.load(json.loads(json.dumps(half.state())))
    assert said(resumed, values[stop:]) == expected[stop:]
    assert resumed.state() == whole.state()


def test_an_older_checkpoint_has_no_history_and_a_shorter_window_takes_the_newest() -> None:
    detector = Detector(Spikes())
    detector.load({})
    assert detector.state() == Detector(Spikes()).state()
    detector = Detector(Spikes(window=8))
    detector.load(shown(curve(128)).state())
    assert detector.state()["loss"] == [loss for loss, _ in curve(128)[-8:]]


def test_curves_without_a_fault_raise_no_alarm() -> None:
    """Ten runs of a thousand steps, each as long as the window eight times."""
    for seed in range(10):
        shown(curve(1000, seed))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sigma": 0.5}, "sigma"),
        ({"sigma": math.inf}, "sigma"),
        ({"window": 4}, "window"),
        ({"rewinds": -1}, "rewinds"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Spikes(**wrong)  # type: ignore[arg-type]


def test_rows_that_stand_out_are_those_at_fault_and_without_any_all_are() -> None:
    draw = random.Random(5)
    losses = {row: draw.gauss(3.0, 0.3) for row in range(100, 164)}
    assert offenders({**losses, 117: 9.0, 140: 7.0}) == [117, 140]
    assert offenders({**losses, 117: 0.1}) == sorted(losses)
    assert offenders({**losses, 117: 9.0, 150: math.nan, 151: math.inf}) == [150, 151]
    assert offenders({1: 2.0, 2: 2.0, 3: 2.0, 4: 2.5}) == [4]
    assert offenders({7: 5.0}) == [7]
    assert offenders({}) == []


def test_of_a_step_that_is_only_suspicious_rows_stand_out_by_far_or_none_does() -> None:
    draw = random.Random(5)
    losses = {row: draw.gauss(3.0, 0.3) for row in range(100, 164)}
    assert offenders({**losses, 117: 9.0, 140: 5.0}, sure=False) == [117]
    assert offenders({**losses, 140: 5.0}, sure=False) == []
    assert offenders({**losses, 140: math.inf}, sure=False) == [140]


def test_the_score_of_a_row_is_the_modified_z_score() -> None:
    """Median 3, MAD 1: the edge is 3 + 3.5 / 0.6745 = 8.189."""
    assert offenders({1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 8.18}) == [1, 2, 3, 4, 5]
    assert offenders({1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 8.20}) == [5]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("data")
    packed(base)
    return base


def test_the_losses_of_rows_are_those_of_the_step_without_dropout(data: Path, tmp_path: Path) -> None:
    """Weighted by their masked tokens they make up the loss of the whole batch; each rank finds those of its slice."""
    run = job(tmp_path, data)
    model = Bert(SHAPE, 264)
    initialise(model, 3)
    alone = spread(model, "ddp", Ranks(), torch.device("cpu"))
    step = Schedule(run.settings).step(0, 0)
    found = row_losses(alone, reader(run, dropped=77), step)
    assert sorted(found) == list(range(8))
    batch = reader(run).read(step, size=1)
    counts = dict(zip(batch.numbers.tolist(), (len(part.labels) for part in batch.microbatches), strict=True))
    whole = reader(run).read(step)
    with torch.no_grad():
        loss = sum(float(summed_loss(alone, part)) for part in whole.microbatches) / whole.guessed
    assert math.isclose(sum(found[row] * counts[row] for row in found) / whole.guessed, loss, rel_tol=1e-6)
    slices = [row_losses(alone, reader(run, rank=rank, world=3), step) for rank in range(3)]
    assert {row: loss for part in slices for row, loss in part.items()} == found
    assert [len(part) for part in slices] == [2, 3, 3]


def test_rows_are_named_by_source_and_number_and_how_they_begin(data: Path, tmp_path: Path) -> None:
    run = job(tmp_path, data)
    order, shards = reader(run).order, {key: Shards(folder) for key, folder in run.shards.items()}
    rows = named(order, shards, [3, 80], {3: 2.5, 80: 4.5}, lambda ids: " ".join(map(str, ids)))
    for row, number, loss in zip(rows, (3, 80), (2.5, 4.5), strict=True):
        place = order.rows(number, number + 1)[0]
        assert (row.row, row.source, row.index, row.loss) == (
            number,
            order.names[place["source"]],
            place["index"],
            loss,
        )
        ids = shards[row.source, order.phases[place["phase"]].context][row.index].input_ids
        assert ids.tolist()[:24] == [int(word) for word in row.text.split()]


SPIKE = Spike(
    step=12,
    since=88,
    context=64,
    why="the loss is nan",
    loss=math.inf,
    rows=(
        Row(row=91, source="web", index=4, loss=math.inf, text="[CLS] ÿ"),
        Row(row=89, source="code", index=7, loss=9.25, text="x"),
        Row(row=90, source="web", index=2, loss=0.1, text=""),
    ),
)


def test_the_list_of_skipped_rows_lasts_and_leaves_them_out(tmp_path: Path) -> None:
    assert Skipped.read(tmp_path).spikes == ()
    assert not (tmp_path / "skipped.json").exists()
    told = Skipped.read(tmp_path).plus(SPIKE)
    assert Skipped.read(tmp_path) == told
    assert told.quarantine() == (
        Quarantine(source="code", context=64, rows=(7,), since=88),
        Quarantine(source="web", context=64, rows=(2, 4), since=88),
    )
    assert len(told.plus(SPIKE).spikes) == 2
    assert Skipped.read(tmp_path).spikes == (SPIKE, SPIKE)
    text = (tmp_path / "skipped.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_a_row_that_a_step_reads_twice_is_left_out_once(tmp_path: Path) -> None:
    twice = Spike(
        step=1,
        since=0,
        context=64,
        why="",
        loss=1.0,
        rows=(
            Row(row=0, source="web", index=4, loss=1.0, text=""),
            Row(row=5, source="web", index=4, loss=1.0, text=""),
        ),
    )
    assert Skipped(tmp_path / "skipped.json", (twice,)).quarantine()[0].rows == (4,)


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "foreign", "unsealed"])
def test_a_damaged_list_is_told_in_one_line(harm: str, tmp_path: Path) -> None:
    Skipped.read(tmp_path).plus(SPIKE)
    path = tmp_path / "skipped.json"
    text = path.read_text()
    made = {
        "cut": text[:-20],
        "changed": text.replace('"index": 7', '"index": 8'),
        "empty": "",
        "foreign": '{"spikes": [{"step": 1}]}',
        "unsealed": json.dumps({"spikes": []}),
    }
    path.write_text(made[harm])
    with pytest.raises(SkippedError, match=r"skipped\.json: is damaged .*--redo train") as raised:
        Skipped.read(tmp_path)
    assert "\n" not in str(raised.value)


def order(quarantine: tuple[Quarantine, ...] = ()) -> Order:
    """Two sources in two phases, the first of them read more than once."""
    sources = [Source(name="code", context=64, rows=30), Source(name="web", context=64, rows=90)]
    phases = [Phase(name=name, context=64, rows=80, weights={"code": 0.5, "web": 0.5}) for name in ("a", "b")]
    return Order(sources, phases, seed=3, chunk=4, window=4, quarantine=quarantine)


def test_a_checkpoint_from_before_a_spike_still_belongs_to_the_run_and_one_behind_it_only_with_the_list() -> None:
    """For every step that may spike and every checkpoint: what was read before the step is the order's as it was."""
    plain = order()
    prints = [plain.fingerprint_of(g) for g in range(161)]
    for since in (8, 40, 80, 152):
        places = plain.rows(since, since + 8)
        rows = tuple(
            Row(row=since + at, source=plain.names[place["source"]], index=int(place["index"]), loss=1.0, text="")
            for at, place in enumerate(places[:3])
        )
        spike = Spike(step=since // 8 + 1, since=since, context=64, why="", loss=1.0, rows=rows)
        left = order(Skipped(Path("skipped.json"), (spike,)).quarantine())
        assert [left.fingerprint_of(g) for g in range(since + 1)] == prints[: since + 1]
        assert all(left.fingerprint_of(g) != prints[g] for g in range(since + 1, 161))
        assert not left.rows(0, since)["left_out"].any()
        assert left.rows(since, since + 8)["left_out"][:3].all()
        for name in ("phase", "source", "epoch", "index"):
            assert (left.rows(0, 160)[name] == plain.rows(0, 160)[name]).all()
        marks = {(row.source, row.index) for row in rows}
        for g, place in enumerate(left.rows(0, 160)):
            known = (left.names[place["source"]], int(place["index"])) in marks
            assert bool(place["left_out"]) == (known and g >= since)


def test_two_spikes_of_one_run_leave_the_first_ones_checkpoints_as_they_were() -> None:
    """A second list entry begins later, also where it names a row again."""
    one = Quarantine(source="web", context=64, rows=(3, 5), since=40)
    two = Quarantine(source="web", context=64, rows=(5, 8), since=96)
    first, both = order((one,)), order((one, two))
    assert [first.fingerprint_of(g) == both.fingerprint_of(g) for g in range(161)] == [g <= 96 for g in range(161)]
    assert (first.rows(0, 96) == both.rows(0, 96)).all()


def test_a_list_of_another_run_names_rows_that_are_not_there(data: Path, tmp_path: Path) -> None:
    run = job(tmp_path, data)
    beyond = Quarantine(source="web", context=64, rows=(10**6,), since=0)
    with pytest.raises(MixtureError, match="names row 1000000"):
        order_of(
            Train(phases=run.settings.phases, batch=run.settings.batch, quarantine=(beyond,)),
            {key: len(Shards(folder)) for key, folder in run.shards.items()},
            run.seed,
        )
