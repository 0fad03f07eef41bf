"""What a phase may say of its learning rate, its length and its settings, and what is refused."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import pytest

from recipes.dump import signed
from recipes.load import RecipeError, load
from tests.conftest import RECIPE
from train.phase import Phase, Remix
from train.rate import Decay, Rate, Warmup


def phase(**changes: object) -> Phase:
    given: dict[str, object] = {"name": "p", "tokens": 1000, "context": 10, "mix": {"web": 1.0}}
    return Phase(**{**given, **changes})  # type: ignore[arg-type]


def oracle(t: int, tokens: int, warmup: int, begin: float, shape: str | None, over: int, to: float) -> float:
    """The share of the peak after t tokens, written down once more from the words of the recipe."""
    if warmup and t < warmup:
        return begin * (1 - t / warmup) + t / warmup
    gone = max(0.0, 1 - (tokens - t) / over) if over else 0.0
    left = {"1-sqrt": 1 - math.sqrt(gone), "linear": 1 - gone, "cosine": math.cos(gone * math.pi / 2) ** 2, None: 1.0}[
        shape
    ]
    return to + (1 - to) * left


@pytest.mark.parametrize("shape", ["1-sqrt", "linear", "cosine"])
@pytest.mark.parametrize(("warmup", "begin"), [(0, 0.0), (200, 1e-10), (200, 0.1)])
@pytest.mark.parametrize(("over", "to"), [(1, 0.0), (300, 0.5), (800, 0.001)])
def test_every_rate_is_that_of_an_oracle(shape: str, warmup: int, begin: float, over: int, to: float) -> None:
    rises = Warmup(over=warmup, from_=begin) if warmup else 0
    asked = phase(warmup=rises, decay=Decay(shape=shape, over=over, to=to))  # type: ignore[arg-type]
    for t in range(1001):
        assert asked.rate.at(t) == pytest.approx(oracle(t, 1000, warmup, begin, shape, over, to), abs=1e-12), t


@pytest.mark.parametrize("shape", ["1-sqrt", "linear", "cosine"])
def test_the_rate_is_exact_at_the_borders_of_segments_and_has_no_jump(shape: str) -> None:
    rate = phase(warmup=Warmup(over=100, from_=0.25), decay=Decay(shape=shape, over=600, to=0.5)).rate  # type: ignore[arg-type]
    assert [rate.at(t) for t in (0, 100, 101, 399, 400, 1000, 1009)] == [0.25, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    rates = [rate.at(t) for t in range(1001)]
    steepest = math.sqrt(1 / 600) * 0.5  # the first token of 1-sqrt
    assert max(abs(a - b) for a, b in pairwise(rates)) < 1.001 * steepest
    assert rates[400:] == sorted(rates[400:], reverse=True)
    assert len(set(rates[400:])) == 601


def test_segments_follow_each_other_and_tell_the_rate_at_their_borders() -> None:
    rate = phase(warmup=100, decay=Decay(shape="cosine", over=300, to=0.2)).rate
    assert [(s.kind, s.shape, s.first, s.last, s.begins, s.ends) for s in rate.segments] == [
        ("warm-up", "linear", 0, 100, 1e-10, 1.0),
        ("constant", "linear", 100, 700, 1.0, 1.0),
        ("decay", "cosine", 700, 1000, 1.0, 0.2),
    ]
    for segment in rate.segments:
        assert (rate.at(segment.first), rate.at(segment.last)) == (segment.begins, segment.ends)
    assert [s.kind for s in phase().rate.segments] == ["constant"]
    assert [s.kind for s in phase(decay="linear").rate.segments] == ["decay"]
    assert [s.kind for s in phase(warmup=1000).rate.segments] == ["warm-up"]
    assert [s.kind for s in phase(warmup=400, decay=Decay(over=600)).rate.segments] == ["warm-up", "decay"]


def test_words_that_mean_the_same_are_the_same_phase() -> None:
    assert phase(decay=Decay()) == phase(decay=Decay(to=0.001)) == phase(decay="1-sqrt")
    assert phase(decay=Decay(shape="cosine")) == phase(decay="cosine")
    assert phase(warmup=Warmup(over=100)) == phase(warmup=100)
    assert asdict(phase(decay=Decay(), warmup=Warmup(over=5)))["decay"] == "1-sqrt"
    assert phase(decay=Decay(to=0.01)) != phase(decay="1-sqrt")


def test_a_phase_that_is_cut_short_reads_the_rows_that_it_was_planned_with() -> None:
    mixes = {"mix": {"web": 0.7, "code": 0.3}, "remix": (Remix(at=400, mix={"code": 1.0}),)}
    whole, short = phase(**mixes), phase(**mixes, ends=700)
    assert (short.rows, short.length, short.tokens) == (70, 700, 1000)
    assert [(part.planned, part.rows) for part in whole.parts] == [(100, 40), (60, 60)]
    assert [(part.planned, part.rows) for part in short.parts] == [(100, 40), (60, 30)]
    assert short.shares == pytest.approx({"web": 0.7 * 40 / 70, "code": (0.3 * 40 + 30) / 70})


def test_a_phase_that_goes_on_plans_its_last_mixture_over_the_same_tokens_again() -> None:
    mixes = {"mix": {"web": 0.7, "code": 0.3}, "remix": (Remix(at=400, mix={"code": 1.0}),)}
    longer = phase(**mixes, ends=2500)
    assert [(dict(part.mix), part.planned, part.rows) for part in longer.parts] == [
        ({"web": 0.7, "code": 0.3}, 100, 40),
        ({"code": 1.0}, 60, 60),
        ({"code": 1.0}, 100, 100),
        ({"code": 1.0}, 100, 50),
    ]
    later = phase(mix={"web": 1.0}, remix=(Remix(at=1500, mix={"code": 1.0}),), ends=2500)
    assert [(dict(part.mix), part.planned, part.rows) for part in later.parts] == [
        ({"web": 1.0}, 100, 100),
        ({"web": 1.0}, 100, 50),
        ({"code": 1.0}, 50, 50),
        ({"code": 1.0}, 100, 50),
    ]
    assert sum(part.rows for part in later.mixes) == later.rows == 250
    assert phase(ends=1000).parts == phase().parts


def test_the_rate_goes_by_where_the_phase_ends() -> None:
    falling = phase(decay=Decay(shape="linear", over=200, to=0.0))
    for ends in (500, 1000, 1700):
        moved = replace(falling, ends=ends).rate
        assert (moved.falls_from, moved.at(ends - 200), moved.at(ends - 100), moved.at(ends)) == (ends - 200, 1, 0.5, 0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: phase(decay=Decay(over=1001)), "decay is over 1001 tokens, longer than the phase, 1000 tokens"),
        (lambda: phase(decay=Decay(over=500), ends=400), "decay is over 500 tokens, longer than the phase, 400 tokens"),
        (
            lambda: phase(warmup=600, decay=Decay(over=500)),
            "warmup 600 and decay over 500 are 1100 tokens together, more than the phase has \\(1000\\)",
        ),
        (lambda: phase(warmup=1000, decay="linear"), "warmup 1000 and decay over 1 are 1001 tokens together"),
        (lambda: phase(warmup=500, ends=400), "warmup 500 is longer than the phase, 400 tokens"),
        (lambda: phase(warmup=-1), "over is a number of tokens, not -1"),
        (lambda: Warmup(over=10, from_=0.0), "from is a share of the peak above 0 and below 1, not 0"),
        (lambda: Warmup(over=10, from_=1.0), "from is a share of the peak above 0 and below 1, not 1"),
        (lambda: Decay(over=0), "over is at least 1 token, not 0; leave it out"),
        (lambda: Decay(to=1.0), "to is a share of the peak from 0 to below 1, not 1"),
        (lambda: Decay(to=-0.1), "to is a share of the peak from 0 to below 1, not -0.1"),
        (lambda: Decay(to=math.nan), "to is a share of the peak from 0 to below 1, not nan"),
        (lambda: phase(ends=0), r"ends is from 1 to 64 times tokens \(1000\), not 0; append a phase"),
        (lambda: phase(ends=64_001), "ends is from 1 to 64 times tokens"),
        (lambda: phase(ends=300, remix=(Remix(at=300, mix={"web": 1.0}),)), "remix holds from 300 of 300 tokens"),
        (lambda: phase(weight_decay=1.0), "weight_decay is a share from 0 to below 1, not 1"),
        (lambda: phase(weight_decay=-1e-5), "weight_decay is a share from 0 to below 1, not -1e-05"),
        (lambda: phase(batch=0), "batch is at least 1 row, not 0"),
        (lambda: phase(local_rope=-1.0), "local_rope is a base above 1, such as 10000, not -1"),
        (lambda: phase(rope=math.inf), "rope is a base above 1, such as 10000, not inf"),
        (lambda: Rate(warmup=Warmup(over=5), decay=None, tokens=4), "warmup 5 is longer than the phase, 4 tokens"),
    ],
)
def test_what_makes_no_phase_is_refused_with_a_mend(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()  # type: ignore[operator]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE.format(raw=tmp_path, unit="25K"))
    return path


def changed(recipe: Path, words: str) -> Path:
    text = recipe.read_text()
    assert "warmup: 1K}" in text
    recipe.write_text(text.replace("warmup: 1K}", f"{words}}}"))
    return recipe


def test_a_recipe_says_all_of_it_in_words_that_come_back(recipe: Path, tmp_path: Path) -> None:
    words = (
        "warmup: {over: 1K, from: 0.1}, decay: {shape: cosine, over: 2K, to: 0.5}, weight_decay: 1e-6, mask: 0.15, "
        "rope: 160000, local_rope: 20000, ends: 12K"
    )
    asked = load(changed(recipe, words))
    first = asked.train.phases[0]
    assert (first.warmup, first.decay) == (Warmup(over=1000, from_=0.1), Decay(shape="cosine", over=2000, to=0.5))
    assert (first.weight_decay, first.mask, first.rope, first.local_rope) == (1e-6, 0.15, 160_000.0, 20_000.0)
    assert (first.tokens, first.length) == (10_000, 12_000)
    (tmp_path / "resolved.yaml").write_bytes(signed(asked))
    assert load(tmp_path / "resolved.yaml") == asked


@pytest.mark.parametrize("shape", ["1-sqrt", "linear", "cosine"])
def test_a_recipe_may_name_the_shape_alone(shape: str, recipe: Path) -> None:
    asked = load(changed(recipe, f"decay: {shape}")).train.phases[0]
    assert (asked.decay, asked.rate.falls_from, asked.rate.at(10_000)) == (shape, 0, 0.001)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("decay: sqrt", r"phases\.0\.decay: is one of '1-sqrt', 'linear' or 'cosine', not 'sqrt'"),
        ("decay: {shap: linear}", r"phases\.0\.decay\.shap: no such setting; did you mean 'shape'\?"),
        ("decay: {shape: steps}", r"phases\.0\.decay\.shape: is one of '1-sqrt', 'linear' or 'cosine', not 'steps'"),
        ("decay: {over: 0}", r"phases\.0\.decay: over is at least 1 token, not 0"),
        ("decay: {over: 11K}", r"phases\.0: decay is over 11000 tokens, longer than the phase, 10000 tokens"),
        ("warmup: 9K, decay: {over: 2K}", r"phases\.0: warmup 9000 and decay over 2000 are 11000 tokens together"),
        ("warmup: {over: 1K, from: 2}", r"phases\.0\.warmup: from is a share of the peak above 0 and below 1, not 2"),
        ("warmup: {from: 0.5}", r"phases\.0\.warmup: 'over' is missing"),
        ("warmup: soon", r"phases\.0\.warmup: is a whole number such as 4608 or 1\.7T, not 'soon'"),
        ("batch: 8", r": the batch of the first phase is batch\.rows"),
        ("warmup: true", r"phases\.0\.warmup: is a number, not true or false"),
    ],
)
def test_a_recipe_that_is_wrong_about_it_is_told_where_in_one_line(words: str, said: str, recipe: Path) -> None:
    with pytest.raises(RecipeError, match=rf"small\.yaml:\d+: train\S*{said}") as fault:
        load(changed(recipe, words))
    assert len(str(fault.value).splitlines()) == 1, str(fault.value)
