"""The ways to say a mixture, how often it reads each source, and what is proposed where that is too often."""

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from commands import report
from commands.run import prepare
from commands.train import order_of as order_of_run
from packing.mixture import Order
from pipeline.engines.run import Engine
from pipeline.stage import StageError
from recipes.dump import dump
from recipes.estimate import PlanError
from recipes.load import RecipeError, load
from recipes.mixture import check, proposal, warnings
from recipes.plan import stages
from recipes.recipe import Recipe
from recipes.settle import settled
from recipes.supply import Known, Outlook, outlook
from train.mix import Temperature
from train.order import order_of

RECIPE = """\
name: mixed
sources:
  web: {kind: text, read: none/a}
  code: {kind: text, read: none/b}
  books: {kind: text, read: none/c}
packing: {max_epochs: 4}
model: {layers: 4, hidden: 32, heads: 2, intermediate: 48}
train:
  batch: {rows: 64}
  phases:
    - {name: learn, tokens: 10M, context: 128, mix: {web: 0.6, code: 0.3, books: 0.1}}
    - {name: settle, tokens: 2M, context: 512, mix: {web: 0.5, books: 0.5}}
"""

Loaded = Callable[..., Recipe]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """The recipe with parts of its text replaced."""

    def read(*changes: tuple[str, str]) -> Recipe:
        text = RECIPE
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / "mixed.yaml").write_text(text)
        return load(tmp_path / "mixed.yaml")

    return read


def rows(recipe: Recipe, sizes: Mapping[str, int]) -> Outlook:
    """The recipe where so many tokens of each source are packed, a little less full at the longer context."""
    known = {
        name: Known(
            files=1, raw_bytes=4 * size, text_bytes=4 * size, tokens=size, basis="rows",
            packed={context: ((0.0, 1.0), -(-size // context) + context // 100, size) for context in recipe.contexts},
        )
        for name, size in sizes.items()
    }  # fmt: skip
    return Outlook(recipe=recipe, known=known)


def ordered(found: Outlook) -> Order:
    """The order of rows that training would read."""
    packed = {(n, context): rows for n, one in found.known.items() for context, (_, rows, _) in one.packed.items()}
    return order_of(found.planned.train, packed, 17)


@pytest.mark.parametrize(
    "way",
    [
        "weights: {web: 6, code: 3, books: 1}",
        "weights: {web: 0.06, code: 0.03, books: 0.01}",
        "mix_tokens: {web: 6M, code: 3M, books: 1M}",
    ],
)
def test_weights_and_tokens_are_other_words_for_the_same_shares(loaded: Loaded, way: str, tmp_path: Path) -> None:
    recipe = loaded(("mix: {web: 0.6, code: 0.3, books: 0.1}", way))
    assert recipe == loaded()
    (tmp_path / "again.yaml").write_text(dump(recipe))
    assert load(tmp_path / "again.yaml").train == recipe.train


def test_a_phase_is_as_long_as_the_tokens_of_its_sources(loaded: Loaded) -> None:
    mixed = ("mix: {web: 0.6, code: 0.3, books: 0.1}", "mix_tokens: {web: 5M, code: 3333333, books: 1}")
    phase = loaded(("tokens: 10M, ", ""), mixed).train.phases[0]
    assert phase.tokens == 8_333_334
    assert phase.rows == -(-8_333_334 // 128)
    assert phase.mix == {"web": 5_000_000 / 8_333_334, "code": 3_333_333 / 8_333_334, "books": 1 / 8_333_334}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("mix: {web: 0.5, books: 0.5}", "mix: {web: 5, books: 5}",
         "12: train.phases.1: the shares of the mix sum to 10, not 1 (numbers of any sum are called weights)"),
        ("mix: {web: 0.5, books: 0.5}", "rope: 1e4",
         "12: train.phases.1: the shares of the mix sum to 0, not 1; give mix, weights or mix_tokens"),
        ("mix: {web: 0.5, books: 0.5}", "mix: {web: 1}, weights: {web: 1}",
         "12: train.phases.1: the mixture is given as mix and as weights; keep one of them"),
        ("mix: {web: 0.5, books: 0.5}", "mix_tokens: {web: 1M}, temperature: {tau: 1, over: [web]}",
         "12: train.phases.1: the mixture is given as mix_tokens and as temperature; keep one of them"),
        ("mix: {web: 0.5, books: 0.5}", "weights: {web: 1, books: 0}",
         "12: train.phases.1: the weight of 'books' is 0; weights are above 0"),
        ("mix: {web: 0.5, books: 0.5}", "weights: {web: 1, books: .inf}",
         "12: train.phases.1: the weight of 'books' is inf; weights are above 0"),
        ("mix: {web: 0.5, books: 0.5}", "weights: {}",
         "12: train.phases.1: weights names no source; write such as weights: {web: 7, code: 2}"),
        ("mix: {web: 0.5, books: 0.5}", "weights: {web: 1, boks: 1}",
         "12: train.phases.1.weights.boks: phase 'settle' mixes 'boks'; the sources are ['books', 'code', 'web']"),
        ("mix: {web: 0.5, books: 0.5}", "mix_tokens: {web: 1M, books: 2M}",
         "12: train.phases.1: mix_tokens sums to 3000000 and tokens is 2000000; mend one of them, or leave tokens out"),
        ("mix: {web: 0.5, books: 0.5}", "mix_tokens: {web: 2M, books: 0}",
         "12: train.phases.1: mix_tokens gives 'books' 0 tokens; give at least 1 or leave it out"),
        ("mix: {web: 0.5, books: 0.5}", "mix_tokens: {web: 1.5}",
         "12: train.phases.1.mix_tokens.web: is a whole number such as 4608 or 1.7T, not 1.5"),
        ("mix: {web: 0.5, books: 0.5}", "weights: {web: true}",
         "12: train.phases.1.weights.web: is a number, not true or false"),
        ("tokens: 2M, ", "", "12: train.phases.1: tokens is at least 1, not 0; say how long"),
        ("mix: {web: 0.5, books: 0.5}", "temperature: {over: [web]}",
         "12: train.phases.1.temperature: 'tau' is missing"),
        ("mix: {web: 0.5, books: 0.5}", "temperature: {tau: 3.3, over: [web]}",
         "12: train.phases.1.temperature: tau is from 0 (all alike) to 1 (by size), not 3.3; a temperature T that"),
        ("mix: {web: 0.5, books: 0.5}", "temperature: {tau: 0.5, over: []}",
         "12: train.phases.1.temperature: over names no source; list those that are shared out"),
        ("mix: {web: 0.5, books: 0.5}", "temperature: {tau: 0.5, over: [web, bok]}",
         "12: train.phases.1.temperature.over.1: phase 'settle' mixes 'bok'; the sources are"),
        ("mix: {web: 0.5, books: 0.5}", "temperature: {tau: 0.5, over: [web], beside: {cod: 0.1}}",
         "12: train.phases.1.temperature.beside.cod: phase 'settle' mixes 'cod'; the sources are"),
        ("mix: {web: 0.5, books: 0.5}", "temperature: {tau: 0.5, over: [web], beside: {code: 1}}",
         "12: train.phases.1.temperature: the shares of beside sum to 1; over needs some of the phase: keep them"),
        ("mix: {web: 0.5, books: 0.5}", "temperature: {tau: 0.5, over: [web], beside: {web: 0.1}}",
         "12: train.phases.1.temperature: 'web' stands twice in over and beside; name each source once"),
        ("mix: {web: 0.5, books: 0.5}", "temperature: {tau: 0.5, over: [web], beside: {code: -0.1}}",
         "12: train.phases.1.temperature: the share of 'code' is -0.1; shares are 0 or more"),
    ],
)  # fmt: skip
def test_a_mixture_that_is_none_is_told_with_its_line(loaded: Loaded, old: str, new: str, expected: str) -> None:
    with pytest.raises(RecipeError) as fault:
        loaded((old, new))
    (line,) = str(fault.value).splitlines()
    assert line.partition("mixed.yaml:")[2].startswith(expected)


@pytest.mark.parametrize("tau", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_a_temperature_gives_shares_by_the_power_of_sizes(tau: float) -> None:
    sizes = {"en": 1_196_600_000_000, "de": 506_700_000_000, "ja": 78_500_000, "code": 5}
    by = Temperature(tau=tau, over=("en", "ja", "de"), beside={"code": 0.25})
    powers = {name: sizes[name] ** tau for name in ("en", "de", "ja")}
    expected = {name: 0.75 * power / sum(powers.values()) for name, power in powers.items()} | {"code": 0.25}
    shares = by.shares(sizes)
    assert shares == pytest.approx(expected, abs=2e-9)
    assert sum(Fraction(str(share)) for share in shares.values()) == 1
    assert list(shares) == sorted(shares)


def test_a_temperature_of_one_is_by_size_and_of_zero_all_alike() -> None:
    sizes = {"en": 300, "de": 100}
    assert Temperature(tau=1, over=("de", "en")).shares(sizes) == {"de": 0.25, "en": 0.75}
    assert Temperature(tau=0, over=("de", "en")).shares(sizes) == {"de": 0.5, "en": 0.5}
    with pytest.raises(ValueError, match="nothing is left of 'de'"):
        Temperature(tau=0.5, over=("de", "en")).shares({"en": 300, "de": 0})


def test_phases_by_temperature_are_settled_by_what_is_left_and_others_stay(loaded: Loaded) -> None:
    by = "temperature: {tau: 0.5, over: [web, books], beside: {code: 0.1}}"
    recipe = loaded(("mix: {web: 0.6, code: 0.3, books: 0.1}", by))
    assert recipe.mixed(128) == ["books", "code", "web"]
    known = settled(recipe, {"web": 900, "books": 100, "code": 0})
    assert known.train.phases[0].mix == {"books": 0.225, "code": 0.1, "web": 0.675}
    assert known.train.phases[0].temperature is None
    assert known.train.phases[1] == recipe.train.phases[1]
    assert settled(known, {}) is known
    with pytest.raises(StageError, match="phase learn: nothing is left of 'books'"):
        settled(recipe, {"web": 900, "books": 0, "code": 0})


def test_epochs_of_packed_sources_are_those_of_the_order_that_training_reads(loaded: Loaded) -> None:
    dice = random.Random(5)
    for _ in range(10):
        shares = dice.choices(range(1, 50), k=3)
        weights = f"weights: {{web: {shares[0]}, code: {shares[1]}, books: {shares[2]}}}"
        recipe = loaded(("mix: {web: 0.6, code: 0.3, books: 0.1}", weights))
        found = rows(recipe, {name: dice.randint(10_000, 5_000_000) for name in recipe.sources})
        order = ordered(found)
        for apart in (False, True):
            read = replace(found, recipe=replace(recipe, packing=replace(recipe.packing, partition=False)))
            expected = order.epochs(apart=apart)
            supplies = {name: replace(supply, apart=apart) for name, supply in read.supplies.items()}
            assert {name: supply.epochs for name, supply in supplies.items()} == expected
        for number, phase in enumerate(recipe.train.phases):
            last = order.consumed(order.starts[number] + phase.rows)
            first = order.consumed(order.starts[number])
            for name, supply in found.supplies.items():
                taken = last.get((name, phase.context), 0) - first.get((name, phase.context), 0)
                assert supply.read.get(phase.name, 0) == Fraction(taken, supply.known.packed[phase.context][1])


def test_a_remix_is_counted_as_the_order_reads_it(loaded: Loaded) -> None:
    remix = "mix: {web: 0.6, code: 0.3, books: 0.1}, remix: [{at: 3M, mix: {code: 0.123, books: 0.877}}]"
    found = rows(
        loaded(("mix: {web: 0.6, code: 0.3, books: 0.1}", remix)), dict.fromkeys(("books", "code", "web"), 10**6)
    )
    assert {name: supply.epochs for name, supply in found.supplies.items()} == ordered(found).epochs()
    nearer = proposal(found)
    assert nearer
    assert set(nearer.mixes) <= {"learn", "learn, remix 1", "settle"}
    assert all(epochs <= 4 for epochs in ordered(replace(found, recipe=nearer.recipe)).epochs().values())


def test_a_proposal_can_be_pasted_and_then_passes(loaded: Loaded, tmp_path: Path) -> None:
    dice = random.Random(7)
    recipe, proposed, refused = loaded(), 0, 0
    for _ in range(40):
        found = rows(recipe, {name: int(10 ** dice.uniform(5.2, 6.8)) for name in sorted(recipe.sources)})
        nearer = proposal(found)
        if all(supply.epochs <= 4 for supply in found.supplies.values()):
            assert nearer is None
            check(found)
            continue
        with pytest.raises(PlanError) as fault:
            check(found)
        if nearer is None:
            assert "no mixture of the same sources can be given: " in str(fault.value)
            refused += 1
            continue
        proposed += 1
        plain = yaml.safe_load(RECIPE)
        for line in str(fault.value).splitlines():
            name, _, mix = line.strip().partition("   ")
            for phase in plain["train"]["phases"]:
                if phase["name"] == name:
                    phase["mix"] = yaml.safe_load(mix)["mix"]
                    assert sum(Fraction(str(share)) for share in phase["mix"].values()) == 1
        (tmp_path / "pasted.yaml").write_text(yaml.safe_dump(plain))
        after = replace(found, recipe=load(tmp_path / "pasted.yaml"))
        assert after.recipe != recipe
        check(after)
        assert max(ordered(after).epochs().values()) <= 4
        assert proposal(after) is None
    assert proposed > 8
    assert refused > 3


def test_a_proposal_takes_from_the_scarce_alone_and_keeps_the_ratio_of_the_others(loaded: Loaded) -> None:
    recipe = loaded()
    found = rows(recipe, {"web": 10**8, "code": 10**8, "books": 300_000})
    nearer = proposal(found)
    assert nearer
    mix = nearer.mixes["learn"]
    assert mix["web"] / mix["code"] == pytest.approx(2, abs=1e-3)
    assert float(ordered(replace(found, recipe=nearer.recipe)).epochs()["books"]) == pytest.approx(4, abs=0.01)
    # the scarce one loses the same factor in both phases, but for what makes their shares sum to 1
    factors = [
        (mix["books"] / mix["web"]) / (0.1 / 0.6),
        nearer.mixes["settle"]["books"] / nearer.mixes["settle"]["web"],
    ]
    assert factors[0] == pytest.approx(factors[1], rel=0.02)


def test_a_mixture_that_lacks_tells_which_phases_and_how_much(loaded: Loaded) -> None:
    found = rows(loaded(), {"web": 100_000, "code": 10**8, "books": 100_000})
    with pytest.raises(PlanError) as fault:
        check(found)
    told = str(fault.value).splitlines()[-1]
    assert told.startswith(
        "no mixture of the same sources can be given: settle ask for 2M tokens, and at max_epochs 4 "
    )
    assert told.endswith("or raise packing.max_epochs to 10")


def test_estimates_are_refused_only_by_a_wide_margin_and_told_before(loaded: Loaded) -> None:
    recipe = loaded()
    for basis, margin in (("files", 4), ("text", 2)):
        known = Known(files=1, raw_bytes=1, text_bytes=None, tokens=10**8, basis=basis, packed={})  # type: ignore[arg-type]
        for books, is_refused in ((5.0, False), (4 * margin * 1.1, True)):
            sizes = {"books": replace(known, tokens=int(2_000_000 / books)), "code": known, "web": known}
            found = Outlook(recipe=recipe, known=sizes)
            assert float(found.supplies["books"].epochs) == pytest.approx(books, rel=0.01)
            if is_refused:
                with pytest.raises(PlanError, match=r"^books has about \S+ tokens and would be read "):
                    check(found)
                continue
            check(found)
            repeated, estimate = warnings(found)
            assert repeated.startswith("books is read about 5.0 times over the run; up to 4 repeated text is about")
            assert estimate.startswith("if the estimate holds, books will be refused once packed (max_epochs 4). Near")


def test_more_than_four_epochs_are_warned_of_where_the_recipe_allows_them(loaded: Loaded) -> None:
    recipe = loaded(("max_epochs: 4", "max_epochs: 9"))
    found = rows(recipe, {"web": 10**8, "code": 10**8, "books": 300_000})
    check(found)
    (line,) = warnings(found)
    assert line.startswith("books is read 6.6 times over the run; up to 4 repeated text is about as good as new")
    assert warnings(rows(recipe, dict.fromkeys(recipe.sources, 10**8))) == []


def test_contexts_with_documents_of_their_own_are_held_to_the_limit_each(loaded: Loaded) -> None:
    """Three quarters of the documents at 128, the rest at 512: what is read at one does not count at the other."""
    recipe = loaded(("max_epochs: 4", "max_epochs: 4, partition: {128: 0.75, 512: 0.25}"))
    packed = {128: ((0.0, 0.75), 7_500, 960_000), 512: ((0.75, 1.0), 625, 320_000)}
    known = Known(files=1, raw_bytes=1, text_bytes=1, tokens=1_280_000, basis="rows", packed=packed)
    code = replace(known, packed={128: ((0.0, 1.0), 10_000, 1_280_000)})  # which no phase of 512 reads
    found = Outlook(recipe=recipe, known={"books": known, "code": code, "web": known})
    assert found.supplies["web"].epochs == max(found.supplies["web"].read.values())
    assert {name: supply.epochs for name, supply in found.supplies.items()} == ordered(found).epochs(apart=True)
    nearer = proposal(found)
    assert nearer
    assert set(nearer.mixes) == {"learn"}
    assert nearer.mixes["learn"]["web"] == pytest.approx(4 * 960_000 / 10_000_000, abs=1e-3)


def test_plan_shows_epochs_by_phase_and_the_proposal(loaded: Loaded, tmp_path: Path) -> None:
    recipe = loaded()
    found = rows(recipe, {"web": 10**8, "code": 10**8, "books": 300_000})
    shown = report.plan(found, stages(recipe), {}).splitlines()
    (line,) = [line.split() for line in shown if line.split()[:2] == ["books", "128"]]
    assert line == ["books", "128", "2.35K", "300K", f"{300_000 / (2345 * 128):.2%}", "3.33", "-"]
    told = json.loads(json.dumps(report.plan_json(found, stages(recipe), {}, warnings(found))))
    books = told["sources"]["books"]
    assert books["epochs"] == pytest.approx(sum(books["epochs_by_phase"].values()))
    assert books["epochs_by_phase"]["learn"] == float(found.supplies["books"].read["learn"])
    assert books["exact"] is True
    assert books["rows"]["128"]["rows"] == 2345
    assert told["proposal"].keys() == {"learn", "settle"}
    assert (
        json.loads(json.dumps(report.plan_json(rows(recipe, dict.fromkeys(recipe.sources, 10**8)), [], {}, [])))[
            "proposal"
        ]
        is None
    )


def test_a_run_by_temperature_reads_what_its_sizes_say(tmp_path: Path) -> None:
    """From files to the order: the shares that are planned at last, written down, and drawn are the same."""
    dice = random.Random(1)
    for name, count in (("en", 160), ("ja", 40)):
        texts = [f"{name} {n} " + " ".join(dice.choices(["ka", "lo", "mi", "ne"], k=40)) for n in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    path = tmp_path / "langs.yaml"
    path.write_text(
        "name: langs\nsources:\n"
        + "".join(f"  {name}: {{kind: text, read: {tmp_path}/{name}.jsonl}}\n" for name in ("en", "ja"))
        + "dedup: {exact: false, near: null}\ntokenizer: {vocab: 512}\n"
        + "packing: {holdout: 0, max_epochs: 100}\nmodel: {layers: 4, hidden: 32, heads: 2, intermediate: 48}\n"
        + "train:\n  batch: {rows: 8}\n  phases:\n"
        + "    - {name: learn, tokens: 20K, context: 128, temperature: {tau: 0.5, over: [en, ja]}}\n"
    )
    work = tmp_path / "work"
    recipe = load(path)
    prepare(recipe, work, Engine(), until="pack")
    left = {name: json.loads((work / "filter" / name / "stage.json").read_text())["counts"]["bytes_out"]
            for name in ("en", "ja")}  # fmt: skip
    expected = math.sqrt(left["en"]) / (math.sqrt(left["en"]) + math.sqrt(left["ja"]))
    written = json.loads((work / "shares" / "00000.json").read_text())["learn"]
    assert written["en"] == pytest.approx(expected, abs=2e-9)
    assert 0.6 < expected < 0.7
    found = outlook(recipe, work)
    assert dict(found.planned.train.phases[0].mix) == written
    order = order_of_run(recipe, work)
    assert order.epochs() == {name: supply.epochs for name, supply in found.supplies.items()}
    assert all(supply.exact for supply in found.supplies.values())
    assert report.plan_json(found, stages(recipe), {}, [])["phases"][0]["mix"] == written
