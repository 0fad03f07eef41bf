"""The nearest mixture that can be given: within the limits, nearest of all, and there whenever any is."""

import itertools
import math
import random
from collections.abc import Iterator, Sequence

import pytest
from scipy.optimize import linprog

from recipes.nearest import Lack, Limit, Mix, lacking, nearest


def problems(count: int, *, sizes_differ: bool = False) -> Iterator[tuple[list[Mix], list[float], list[Limit]]]:
    """Random mixtures of up to 6 sources and 3 phases, with sources of which there is too little in about half."""
    dice = random.Random(11)
    for _ in range(count):
        names = [f"s{number}" for number in range(dice.randint(1, 6))]
        lengths = [10 ** dice.uniform(0, 2) for _ in range(dice.randint(1, 3))]
        asked: list[Mix] = []
        for _ in lengths:
            chosen = dice.sample(names, dice.randint(1, len(names)))
            parts = {name: dice.random() + 0.01 for name in chosen}
            asked.append({name: part / sum(parts.values()) for name, part in parts.items()})
        limits = []
        for name in names:
            size = sum(lengths) / len(names) / 4 * 10 ** dice.uniform(-0.7, 0.9)
            passes = {
                number: length / size * (dice.uniform(0.99, 1.01) if sizes_differ else 1)
                for number, length in enumerate(lengths)
                if name in asked[number]
            }
            limits.append(Limit(source=name, passes=passes, most=4.0))
        yield asked, lengths, limits


def read(limit: Limit, mixes: Sequence[Mix]) -> float:
    return sum(passes * mixes[number].get(limit.source, 0.0) for number, passes in limit.passes.items())


def distance(asked: Sequence[Mix], lengths: Sequence[float], mixes: Sequence[Mix]) -> float:
    """Relative entropy of the mixes to those asked for."""
    return sum(
        length * share * math.log(share / ask[name])
        for ask, length, mix in zip(asked, lengths, mixes, strict=True)
        for name, share in mix.items()
        if share > 0
    )


@pytest.mark.parametrize("sizes_differ", [False, True])
def test_a_proposal_is_within_all_limits_and_sums_to_one(sizes_differ: bool) -> None:
    proposed = 0
    for asked, lengths, limits in problems(300, sizes_differ=sizes_differ):
        mixes = nearest(asked, lengths, limits)
        if mixes is None:
            continue
        proposed += mixes != asked
        assert all(read(limit, mixes) <= limit.most * (1 + 1e-8) for limit in limits)
        for mix, ask in zip(mixes, asked, strict=True):
            assert math.isclose(sum(mix.values()), 1.0)
            assert mix.keys() == ask.keys()
            assert all(share > 0 for share in mix.values())
    assert proposed > 60


def test_what_can_be_given_is_returned_as_it_was_asked() -> None:
    for asked, lengths, limits in problems(300):
        if all(read(limit, asked) <= limit.most for limit in limits):
            assert nearest(asked, lengths, limits) == asked
            assert lacking(asked, lengths, limits) is None


def test_there_is_a_proposal_exactly_if_the_sources_suffice_together() -> None:
    """Whether they do is asked of a linear program: the least factor of all limits under which some mixture is."""
    enough = []
    for asked, lengths, limits in problems(150):
        places = [(number, name) for number, mix in enumerate(asked) for name in mix]
        within = [
            [*(limit.passes[n] if s == limit.source else 0.0 for n, s in places), -limit.most] for limit in limits
        ]
        sums = [[*(float(n == number) for n, _ in places), 0.0] for number in range(len(asked))]
        factor = linprog(
            [0.0] * len(places) + [1.0], A_ub=within, b_ub=[0.0] * len(limits), A_eq=sums, b_eq=[1.0] * len(asked)
        ).x[-1]
        enough.append(factor < 1)
        assert (nearest(asked, lengths, limits) is not None) == enough[-1]
        assert (lacking(asked, lengths, limits) is None) == enough[-1]
    assert 30 < sum(enough) < 120


def test_no_mixture_of_a_fine_grid_is_nearer() -> None:
    """Two phases of three sources: all shares in hundredths, those within the limits compared with the proposal."""
    asked: list[Mix] = [{"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 0.5, "b": 0.5}]
    lengths = [3.0, 1.0]
    limits = [
        Limit(source="a", passes={0: 3.0, 1: 1.0}, most=1.2),
        Limit(source="b", passes={0: 3.0, 1: 1.0}, most=1.75),
        Limit(source="c", passes={0: 3.0}, most=9.0),
    ]
    proposed = nearest(asked, lengths, limits)
    assert proposed
    hundredths = [n / 100 for n in range(101)]
    grid = [
        [{"a": a, "b": b, "c": 1 - a - b}, {"a": other, "b": 1 - other}]
        for a, b in itertools.product(hundredths, hundredths)
        if a + b <= 1
        for other in hundredths
        if 3 * a + other <= 1.2 and 3 * b + 1 - other <= 1.75
    ]
    best = min(distance(asked, lengths, mixes) for mixes in grid)
    assert distance(asked, lengths, proposed) <= best + 1e-9
    assert best - distance(asked, lengths, proposed) < 0.01
    assert math.isclose(read(limits[0], proposed), 1.2)


def test_no_small_step_within_the_limits_leads_nearer() -> None:
    """The proposal is a minimum: moving a little from one source to another goes over a limit or further away."""
    steps = 0
    for asked, lengths, limits in problems(200):
        mixes = nearest(asked, lengths, limits)
        if not mixes or mixes == asked:
            continue
        here = distance(asked, lengths, mixes)
        for number, mix in enumerate(mixes):
            for giver, taker in itertools.permutations(mix, 2):
                step = min(1e-4, mix[giver] / 2)
                moved = [dict(one) for one in mixes]
                moved[number][giver] -= step
                moved[number][taker] += step
                if all(read(limit, moved) <= limit.most for limit in limits):
                    steps += 1
                    assert distance(asked, lengths, moved) >= here - 1e-9
    assert steps > 100


def test_in_one_phase_the_others_keep_their_ratio() -> None:
    asked = [{"scarce": 0.5, "x": 0.3, "y": 0.2}]
    mixes = nearest(asked, [100.0], [Limit(source="scarce", passes={0: 40.0}, most=4.0)])
    assert mixes
    assert mixes[0] == pytest.approx({"scarce": 0.1, "x": 0.54, "y": 0.36})


def test_a_source_that_overflows_from_another_ones_lack_is_held_to_its_own_limit() -> None:
    asked = [{"a": 0.5, "b": 0.3, "c": 0.2}]
    limits = [Limit(source="a", passes={0: 10.0}, most=1.0), Limit(source="b", passes={0: 10.0}, most=4.0)]
    mixes = nearest(asked, [1.0], limits)
    assert mixes
    assert mixes[0] == pytest.approx({"a": 0.1, "b": 0.4, "c": 0.5})


def test_the_phases_that_lack_are_named_and_by_how_much() -> None:
    asked: list[Mix] = [{"a": 1.0}, {"a": 0.5, "b": 0.5}]
    limits = [Limit(source="a", passes={0: 5.0, 1: 5.0}, most=4.0)]
    assert lacking(asked, [10.0, 10.0], limits) == Lack(phases=(0,), asked=10.0, given=8.0)
    assert nearest(asked, [10.0, 10.0], limits) is None
    both = [*limits, Limit(source="b", passes={1: 10.0}, most=4.0)]
    lack = lacking(asked, [10.0, 10.0], both)
    assert lack == Lack(phases=(0, 1), asked=20.0, given=12.0)


def test_many_sources_take_little_time() -> None:
    """400 languages in three phases, many of them scarce."""
    dice = random.Random(2)
    names = [f"l{number}" for number in range(400)]
    sizes = {name: 10 ** dice.uniform(0, 4) for name in names}
    asked: list[Mix] = []
    for tau in (0.7, 0.5, 0.3):
        powers = {name: size**tau for name, size in sizes.items()}
        asked.append({name: power / sum(powers.values()) for name, power in powers.items()})
    total = sum(sizes.values())
    lengths = [total, total / 2, total / 4]
    limits = [
        Limit(source=name, passes={n: length / size for n, length in enumerate(lengths)}, most=4.0)
        for name, size in sizes.items()
    ]
    mixes = nearest(asked, lengths, limits)
    assert mixes
    assert all(read(limit, mixes) <= 4.0 + 1e-8 for limit in limits)
