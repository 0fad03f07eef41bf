"""A run under way ends a phase elsewhere, begins to decay, or gets another phase: what was learned stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.test_remix import assert_first_draws, data, losses, rows  # noqa: F401  (data is a fixture)
from tests.toy_training import job, settings
from train.checkpoint import CheckpointError
from train.job import Job
from train.loop import train
from train.metrics import read_metrics
from train.phase import Phase
from train.rate import Decay
from train.settings import Train

STOP = 5
"""Steps before the change, of 8 rows of 64 tokens: 2,560 of the 4,500 tokens of the first phase."""


def changed(**changes: Any) -> Train:
    learn, turn, _ = settings().phases
    return settings(phases=(replace(learn, **changes), turn))


@pytest.fixture
def stopped(data: Path, tmp_path: Path) -> Job:  # noqa: F811
    run = job(tmp_path, data, settings=changed(), heldout={})
    train(run, device="cpu", until=STOP)
    return run


@pytest.mark.parametrize(
    "changes",
    [
        {"ends": 9_300},
        {"ends": 3_000},
        {"ends": 2_560},
        {"decay": Decay(shape="linear", over=1_500)},
        {"ends": 6_000, "decay": Decay(shape="cosine", over=1_024, to=0.5)},
    ],
)
def test_a_phase_under_way_ends_elsewhere_or_begins_to_decay(
    changes: dict[str, Any],
    stopped: Job,
    data: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """The weights are those of a run that was planned so at first; rows are each source's first draws."""
    before = rows(stopped)[: STOP * 8]
    turned = replace(stopped, settings=changed(**changes))
    result = train(turned, device="cpu")
    assert result.finished
    assert rows(turned)[: STOP * 8] == before
    assert_first_draws(rows(turned), turned)
    planned = job(tmp_path / "planned", data, settings=turned.settings, heldout={})
    expected = train(planned, device="cpu")
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (result.checkpoint / name).read_bytes() == (expected.checkpoint / name).read_bytes()
    assert losses(turned) == losses(planned)


def test_a_phase_may_be_gone_on_with_again_and_again(stopped: Job, data: Path, tmp_path: Path) -> None:  # noqa: F811
    """Past its tokens, and past an end that it had once."""
    for ends, until in ((3_500, 6), (7_000, 12)):
        train(replace(stopped, settings=changed(ends=ends)), device="cpu", until=until)
    last = replace(stopped, settings=changed(ends=9_500))
    result = train(last, device="cpu")
    planned = job(tmp_path / "planned", data, settings=last.settings, heldout={})
    expected = train(planned, device="cpu")
    assert (result.finished, result.g) == (True, expected.g)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (result.checkpoint / name).read_bytes() == (expected.checkpoint / name).read_bytes()


REFUSED: dict[str, dict[str, Any]] = {
    r"train\.phases\.0\.tokens: 4500 -> 9000": {"tokens": 9_000},
    r"train\.phases\.0\.ends: none -> 2000": {"ends": 2_000},
    r"train\.phases\.0\.decay": {"decay": Decay(over=2_500)},
    r"train\.phases\.0\.decay: None -> 1-sqrt": {"decay": "1-sqrt"},
    r"train\.phases\.0\.mask: 0\.3 -> 0\.15": {"mask": 0.15},
    r"train\.phases\.0\.weight_decay: none -> 1e-06": {"weight_decay": 1e-6},
    r"train\.phases\.0\.local_rope: none -> 20000": {"local_rope": 2e4},
    r"train\.phases\.0\.warmup: 1500 -> 1000": {"warmup": 1_000},
}


def test_what_would_have_shaped_the_weights_otherwise_is_refused_by_name(stopped: Job) -> None:
    for said, changes in REFUSED.items():
        with pytest.raises(CheckpointError, match=said):
            train(replace(stopped, settings=changed(**changes)), device="cpu")


def test_once_the_rate_falls_the_end_of_a_phase_stands(data: Path, tmp_path: Path) -> None:  # noqa: F811
    falling = {"decay": Decay(over=2_900)}
    run = job(tmp_path, data, settings=changed(**falling), heldout={})
    train(run, device="cpu", until=3)  # 1,536 tokens; the rate would fall from 1,600 on
    later = replace(run, settings=changed(**falling, ends=4_600))
    assert train(later, device="cpu", until=STOP).step == STOP
    for words in ({"ends": 4_700}, {"ends": None}):
        with pytest.raises(CheckpointError, match=r"train\.phases\.0\.ends: 4600 -> "):
            train(replace(run, settings=changed(**falling, **words)), device="cpu")
    with pytest.raises(CheckpointError, match=r"train\.phases\.0\.decay"):
        train(replace(run, settings=changed(decay=None, ends=4_600)), device="cpu")


def test_a_phase_that_ended_with_a_smaller_step_is_not_gone_on_with(data: Path, tmp_path: Path) -> None:  # noqa: F811
    """71 rows are 8 steps of 8 rows and one of 7, which would have been one of 8. With 72 rows it goes on."""
    for tokens, whole in ((4_500, False), (4_600, True)):
        learn = replace(settings().phases[0], tokens=tokens)
        run = job(tmp_path / str(tokens), data, settings=settings(phases=(learn,)), heldout={})
        assert train(run, device="cpu").finished
        longer = replace(run, settings=settings(phases=(replace(learn, ends=5_100),)))
        if whole:
            assert train(longer, device="cpu").g == 80
        else:
            with pytest.raises(CheckpointError, match=r"train\.phases\.0\.ends: none -> 5100"):
                train(longer, device="cpu")


def test_a_finished_stable_run_is_annealed_by_a_phase_that_is_appended(data: Path, tmp_path: Path) -> None:  # noqa: F811
    """With another peak, weight decay and mask rate; what was saved before stays."""
    learn, *_ = settings().phases
    stable = job(tmp_path, data, settings=settings(phases=(learn,)), heldout={})
    first = train(stable, device="cpu")
    assert first.finished
    end = Phase(
        name="end",
        tokens=2_048,
        context=64,
        mix={"web": 1.0},
        peak=1e-3,
        weight_decay=1e-4,
        mask=0.15,
        decay=Decay(shape="linear", to=0.0),
    )
    annealed = replace(stable, settings=settings(phases=(learn, end)))
    result = train(annealed, device="cpu")
    assert result.finished
    assert first.checkpoint.is_dir()
    assert_first_draws(rows(annealed), annealed)
    steps = [record for record in read_metrics(annealed.metrics) if record["kind"] == "step"]
    assert [record["lr"] for record in steps if record["phase"] == "end"] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_shares_are_met_at_every_end_to_within_two_rows(data: Path, tmp_path: Path) -> None:  # noqa: F811
    for ends in (1_000, 4_500, 9_000, 20_000):
        run = job(tmp_path, data, settings=changed(ends=ends, warmup=0))
        learn = run.settings.phases[0]
        read = [source for source, *_ in rows(run)[: learn.rows]]
        assert learn.rows == -(-ends // 64)
        assert abs(read.count("web") - 0.7 * learn.rows) < 2 * -(-ends // 4_500)
