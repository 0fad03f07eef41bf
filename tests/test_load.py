from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.filters.settings import WebFilters
from recipes.dump import dump
from recipes.load import RecipeError, RecipeWarning, load, shipped
from train.schedule import Schedule
from train.settings import Start

GOOD = """\
name: tiny
seed: 21
sources:
  web: {kind: web, read: data/web/*.warc.gz, filters: {languages: [en, "no"]}}
  code:
    kind: code
    read: [data/a/*.parquet, data/b/*.parquet]
dedup: {near: {threshold: 0.7}, prefer: [code]}
tokenizer: {vocab: 4096, sample: 1.5M}
model: {layers: 4, hidden: 256, heads: 4, intermediate: 384}
train:
  optimizer: {peak: 8e-4}
  batch: {rows: 32, warmup: {from: 8, over: 100K}}
  phases:
    - {name: learn, tokens: 1.7T, context: 1024, mix: {web: 0.7, code: 0.3}}
    - name: settle
      tokens: 50B
      context: 8192
      mix: {web: 0.4, code: 0.6}
"""


@pytest.fixture
def told(tmp_path: Path) -> Callable[[str], list[str]]:
    """Recipe text -> the lines of its fault, without the file's name."""

    def faults(text: str) -> list[str]:
        path = tmp_path / "tiny.yaml"
        path.write_text(text)
        with pytest.raises(RecipeError) as fault:
            load(path)
        lines = str(fault.value).splitlines()
        assert all(line.startswith(f"{path}:") for line in lines)
        return [line.removeprefix(f"{path}:") for line in lines]

    return faults


def test_numbers_are_read_exactly_and_words_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(GOOD.replace('"no"', "no"))  # Norwegian, not false
    recipe = load(path)
    assert [phase.tokens for phase in recipe.train.phases] == [1_700_000_000_000, 50_000_000_000]
    assert recipe.tokenizer.sample == 1_500_000
    assert recipe.train.optimizer.peak == 8e-4
    assert recipe.train.batch.warmup
    assert recipe.train.batch.warmup.from_ == 8
    assert getattr(recipe.texts["web"].filters, "languages", None) == ("en", "no")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("languages:", "langages:", "4: sources.web.filters.langages: no such setting; did you mean 'languages'?"),
        ("kind: code\n", "kind: cod\n", "5: sources.code: there is no kind 'cod'; the kinds are"),
        ("    kind: code\n", "", "5: sources.code: 'kind' is missing"),
        ("    read: [data/a/*.parquet, data/b/*.parquet]\n", "", "5: sources.code: 'read' is missing"),
        ("heads: 4", "heads: 7", "10: model: hidden 256 is not a multiple of heads 7"),
        ("layers: 4", "layers: 5", "10: model: the last layer must be global"),
        ("code: 0.6", "code: 0.5", "16: train.phases.1: the shares of the mix sum to 0.9, not 1"),
        (
            "code: 0.6",
            "cod: 0.6",
            "19: train.phases.1.mix.cod: phase 'settle' mixes 'cod'; the sources are ['code', 'web']",
        ),
        (
            'languages: [en, "no"]',
            "starcoder: null",
            "4: sources.web.filters.starcoder: no such setting; starcoder is a setting of kind code",
        ),
        (
            "    kind: code\n",
            "    kind: code\n    extract: trafilatura\n",
            "7: sources.code.extract: no such setting; extract is a setting of kind web",
        ),
        (
            "    kind: code\n",
            "    kind: code\n    filters: {gopher: null}\n",
            "7: sources.code.filters.gopher: no such setting; gopher is a setting of kind web",
        ),
        (
            'languages: [en, "no"]',
            'languages: [en, "no"], max_words: 5',
            "4: sources.web.filters.max_words: no such setting; max_words is a setting of filters.gopher",
        ),
        (
            'languages: [en, "no"]',
            "min_wrds: 5",
            "4: sources.web.filters.min_wrds: no such setting; did you mean 'filters.gopher.min_words'?",
        ),
        ("seed: 21", "vocab: 512", "2: vocab: no such setting; vocab is a setting of tokenizer"),
        (
            "context: 8192",
            "context: 8192\n      seed: 1",
            "19: train.phases.1.seed: no such setting; seed is a setting of the top",
        ),
        ("seed: 21", "name: again", "2: name: is given twice; line 1 has it already"),
        ("vocab: 4096", "vocab: 4096, vocab: 512", "9: tokenizer.vocab: is given twice"),
        (
            "tokens: 50B",
            "tokens: many",
            "17: train.phases.1.tokens: is a whole number such as 4608 or 1.7T, not 'many'",
        ),
        ("vocab: 4096", "vocab: 4100", "9: tokenizer: vocab 4100 is not a multiple of 64; take 4160"),
        ("from: 8", "from: 7", "13: train.batch: rows 32 is not a multiple"),
        ("prefer: [code]", "prefer: [coed]", "8: dedup.prefer: there is no source 'coed'"),
        ("model: {", "model: huge #{", "10: model: there is no shape 'huge'; name one of base, large"),
        ("name: settle", "name: learn", "11: train: two phases are named 'learn'"),
        ("name: tiny", "name: a/b", "1: name: 'a/b' cannot name a folder"),
        ("threshold: 0.7", "threshold: 7", "8: dedup.near: threshold is a similarity above 0 and up to 1, not 7"),
        ("seed: 21", "seed: -1", "2: seed: -1 is no seed"),
        ("seed: 21", "seed: 18446744073709551616", "2: seed: 18446744073709551616 is no seed"),
        ("context: 8192", "context: 16", "18: train.phases.1.context: 16 is too short"),
    ],
)
def test_a_fault_is_told_with_its_line_and_mend(
    told: Callable[[str], list[str]], old: str, new: str, expected: str
) -> None:
    assert GOOD.count(old) >= 1, old
    (line,) = told(GOOD.replace(old, new, 1))
    assert line.startswith(expected)


def test_all_faults_are_told_at_once_in_the_order_of_their_lines(told: Callable[[str], list[str]]) -> None:
    lines = told(GOOD.replace("seed", "sed").replace("heads: 4", "heads: 7").replace("code: 0.6", "code: 0.5"))
    assert [line.split(":")[0] for line in lines] == ["2", "10", "16"]


@pytest.mark.parametrize("text", ["", "- a list", "just words", "name: {unclosed", "\0\1\2"])
def test_what_is_no_recipe_is_told_so(told: Callable[[str], list[str]], text: str) -> None:
    (line,) = told(text)
    assert line.split(":")[0].isdigit()


def test_a_missing_file_names_the_shipped_recipes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"there is no such file; shipped recipes: .*quickstart"):
        load(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("path", shipped().values(), ids=shipped())
def test_every_recipe_we_ship_loads_and_survives_being_written_out(path: Path, tmp_path: Path) -> None:
    recipe = load(path)
    written = tmp_path / "again.yaml"
    written.write_text(dump(recipe))
    again = load(written)
    for part in ("name", "seed", "unit", "dedup", "packing", "model"):
        assert getattr(again, part) == getattr(recipe, part)
    assert replace(again.train, start=recipe.train.start) == recipe.train  # whose path is made absolute, too
    assert replace(again.tokenizer, from_=recipe.tokenizer.from_) == recipe.tokenizer  # whose path is made absolute
    written.write_text(dump(again))
    assert load(written) == again


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed: 21", "seed: true", "2: seed: is a number, not true or false"),
        ("tokens: 50B", "tokens: true", "17: train.phases.1.tokens: is a number, not true or false"),
        ("web: 0.7, code: 0.3", "web: true, code: 0", "15: train.phases.0.mix.web: is a number, not true or false"),
        ("peak: 8e-4", "betas: [0.9]", "12: train.optimizer.betas: is too short a list"),
        ("peak: 8e-4", "betas: [0.9, 0.9, 0.9]", "12: train.optimizer.betas: is a list of 2, not 3"),
        ("tokens: 50B", "tokens: .inf", "17: train.phases.1.tokens: is a finite number such as 4608 or 1.7T"),
        ("\n    kind: code\n    read: [data/a/*.parquet, data/b/*.parquet]", " null", "5: sources.code: holds"),
        ("{vocab: 4096, sample: 1.5M}", "{from: a.json, vocab: 4096}", "9: tokenizer.vocab: has no effect beside"),
        ("languages: [en, \"no\"]", "pii: {emails: hide}", "4: sources.web.filters.pii.emails: is one of 'redact'"),
        ("languages: [en, \"no\"]", "urls: {bad_words: x}", "4: sources.web.filters.urls.bad_words: no such setting"),
        ("name: tiny", "[" * 3000, "1: is nested too deeply for a recipe"),
        ("name: tiny", "name: " + "{a: " * 3000, "1: is nested too deeply for a recipe"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_sort_is_told_in_plain_words(
    told: Callable[[str], list[str]], old: str, new: str, expected: str
) -> None:
    assert GOOD.count(old) >= 1, old
    (line,) = told(GOOD.replace(old, new, 1))
    assert line.startswith(expected)


def test_lists_of_urls_and_a_tokenizer_to_take_survive_being_written_out(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    text = GOOD.replace("{vocab: 4096, sample: 1.5M}", "{from: a/tokenizer.json}")
    path.write_text(text.replace('languages: [en, "no"]', "urls: {blocked_domains: [a/*, /b], banned_words: c}"))
    path.write_text(dump(load(path)))
    again = load(path)
    assert again.tokenizer.from_ == str(Path("a/tokenizer.json").absolute())
    filters = again.texts["web"].filters
    assert isinstance(filters, WebFilters)
    assert (urls := filters.urls)
    assert urls.blocked_domains == (str(Path("a/*").absolute()), "/b")
    assert urls.banned_words == str(Path("c").absolute())


def test_a_language_that_is_often_mistaken_is_warned_of_with_file_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(GOOD.replace('languages: [en, "no"]', "languages: [en, ms]"))
    with pytest.warns(RecipeWarning) as warned:
        load(path)
    assert [str(one.message) for one in warned] == [
        f"{path}:4: sources.web.filters.languages: ms is often taken for another language; see docs/languages.md"
    ]


def test_a_start_is_a_path_or_tells_more_and_is_written_out_absolute(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    for told, start in (
        ("runs/base/checkpoints/step-00000010", Start(from_="runs/base/checkpoints/step-00000010")),
        ("{from: a.pt, optimizer: keep, trust_pickle: true}", Start(from_="a.pt", optimizer="keep", trust_pickle=True)),
    ):
        path.write_text(GOOD.replace("train:\n", f"train:\n  start: {told}\n", 1))
        recipe = load(path)
        assert recipe.train.start == start
        path.write_text(dump(recipe))
        again = load(path).train.start
        assert again == replace(start, from_=str(Path(start.from_).absolute()))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("{optimizer: keep}", "train.start: 'from' is missing"),
        ("{from: a, optimizer: anew}", "train.start.optimizer: is one of 'fresh' or 'keep'"),
        ("{from: a, layer: by-kind}", "train.start.layer: no such setting; did you mean 'layers'?"),
        ("''", "train.start: from names a checkpoint's folder, a Hugging Face folder or a .pt file"),
        ("[a]", "train.start: holds settings of its own"),
    ],
)
def test_a_start_that_says_nothing_useful_is_refused(
    told: Callable[[str], list[str]], start: str, expected: str
) -> None:
    (line,) = told(GOOD.replace("train:\n", f"train:\n  start: {start}\n", 1))
    assert line.partition(": ")[2].startswith(expected)


@pytest.mark.parametrize(("name", "phase"), [("modernbert-large", 0), ("anneal", 1)])
def test_a_recipe_we_ship_starts_from_a_checkpoint_that_modernbert_base_will_save(name: str, phase: int) -> None:
    schedule = Schedule(load(shipped()["modernbert-base"]).train)
    start = load(shipped()[name]).train.start
    assert start
    steps = sum(schedule.steps_of(number) for number in range(phase + 1))
    assert start.from_ == f"work/modernbert-base/checkpoints/step-{steps:08d}"
