"""A model of the user's own, or a function, scores documents; the score is kept and may be a threshold."""

from __future__ import annotations

import sys
from pathlib import Path

import fasttext
import numpy as np
import orjson
import pyarrow as pa
import pytest

from cli import plan
from commands.run import prepare
from pipeline.documents import noted
from pipeline.engines.run import Engine
from pipeline.filters import kinds, quality
from pipeline.filters.quality import QualityError, measure, notes, rules
from pipeline.filters.rules import first_failed
from pipeline.filters.settings import Quality, TextFilters
from pipeline.units import InputError
from recipes import ready
from recipes.load import load
from recipes.plan import stages

GOOD, BAD = "the theorem follows from the lemma above", "click here to win a prize now"


def batch(texts: list[str]) -> pa.RecordBatch:
    columns = {"text": pa.array(texts, pa.large_string()), "language": pa.array([None] * len(texts), pa.string())}
    return pa.RecordBatch.from_pydict(columns)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quality")
    (folder / "train.txt").write_text(f"__label__hq {GOOD}\n__label__lq {BAD}\n" * 200)
    trained = fasttext.train_supervised(
        str(folder / "train.txt"), dim=8, wordNgrams=2, bucket=500, thread=11, verbose=0
    )
    trained.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


@pytest.fixture
def scorers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_scorers.py").write_text(
        "def length(texts): return [len(text) / 100 for text in texts]\n"
        "def few(texts): return [1.0]\n"
        "def words(texts): return ['good'] * len(texts)\n"
        "def unsure(texts): return [float('nan')] * len(texts)\n"
        "number = 5\n"
    )
    installed = tmp_path / "own_scorers-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: own-scorers\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[bertmill.quality]\nby_length = own_scorers:length\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_scorers", raising=False)
    quality._scorer.cache_clear()


def test_a_model_s_score_is_the_library_s_probability_of_the_label(model: Path) -> None:
    texts = [GOOD, BAD, f"{GOOD}\n{BAD}", ""]
    library = fasttext.load_model(str(model))
    scores = measure(batch(texts), Quality(model=str(model), label="__label__hq"))["quality"]
    for text, score in zip(texts, scores, strict=True):
        known = dict(zip(*library.predict(text.replace("\n", " "), k=-1), strict=True))
        assert score == pytest.approx(min(1.0, known.get("__label__hq", 0.0)), abs=1e-4)
    assert scores[0] > 0.5 > scores[1]


def test_documents_below_the_least_score_are_dropped(model: Path) -> None:
    filters = TextFilters(quality=Quality(model=str(model), label="__label__hq", min=0.5))
    asked, columns = kinds.rules(filters), kinds.measure(batch([GOOD, BAD]), filters).columns
    failed = first_failed(columns, asked, 2)
    assert failed[0] == -1
    assert (asked[failed[1]].reason, asked[failed[1]].threshold) == ("quality", 0.5)


def test_without_a_least_score_all_are_kept_with_theirs(model: Path) -> None:
    settings = Quality(model=str(model), label="__label__hq")
    assert rules(settings) == []
    assert measure(batch([]), settings)["quality"].shape == (0,)


@pytest.mark.usefixtures("scorers")
def test_a_function_scores_by_import_path_and_by_entry_point() -> None:
    for name in ("own_scorers:length", "by_length"):
        scores = measure(batch(["a" * 10, "b" * 50]), Quality(scorer=name, min=0.3))["quality"]
        assert scores.tolist() == [0.1, 0.5]
        assert measure(batch([]), Quality(scorer=name))["quality"].shape == (0,)


@pytest.mark.usefixtures("scorers")
def test_a_text_that_was_not_scored_is_kept() -> None:
    settings = Quality(scorer="own_scorers:unsure", min=0.9)
    columns = measure(batch(["a", "b"]), settings)
    assert first_failed(columns, rules(settings), 2).tolist() == [-1, -1]


@pytest.mark.usefixtures("scorers")
@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ("own_scorers:few", r"returned scores of shape \(1,\) for 2 texts"),
        ("own_scorers:words", "not numbers"),
        ("own_scorers:number", "is no function of texts"),
        ("own_scorers:none", "cannot be imported"),
        ("no_such_package:f", "cannot be imported"),
        ("by_width", r"no installed package names a scorer by_width \(bertmill.quality: by_length\)"),
    ],
)
def test_a_scorer_that_gives_no_scores_is_told_in_one_line(scorer: str, told: str) -> None:
    with pytest.raises(QualityError, match=told) as fault:
        measure(batch(["a", "b"]), Quality(scorer=scorer))
    assert "\n" not in str(fault.value)


def test_a_label_that_the_model_does_not_have_is_told_with_those_it_has(model: Path) -> None:
    with pytest.raises(QualityError, match=r"model.bin has no label hq; it has __label__hq, __label__lq"):
        measure(batch([GOOD]), Quality(model=str(model), label="hq"))


def test_scores_go_into_the_metadata_beside_what_stands_there() -> None:
    metadata = pa.array(['{"stars":5}', None, '{"a":1}', None])
    told = noted(metadata, notes(np.array([0.25, 0.5, np.nan, np.nan])))
    assert [text and orjson.loads(text) for text in told.to_pylist()] == [
        {"stars": 5, "quality": 0.25}, {"quality": 0.5}, {"a": 1}, None,
    ]  # fmt: skip
    assert told.type == metadata.type


def test_a_recipe_is_refused_before_any_work_for_a_model_or_scorer_that_is_none(
    recipe_path: Path, model: Path, scorers: None, tmp_path: Path
) -> None:
    cut, other = tmp_path / "cut.bin", tmp_path / "other.bin"
    cut.write_bytes(model.read_bytes()[:-20])
    other.write_bytes(b"words and words")
    for asked, told in (
        (f"model: {model}, label: hq", rf"quality.label: {model} has no label hq; it has __label__hq, __label__lq"),
        (f"model: {cut}, label: __label__hq", rf"quality.model: {cut}: the fastText model is cut off"),
        (f"model: {other}, label: __label__hq", rf"quality.model: {other}: no fastText model"),
        ("scorer: own_scorers:none", r"quality.scorer: .*cannot be imported .*AttributeError: .*'none'"),
        ("scorer: own_scorers:number", r"quality.scorer: the scorer own_scorers:number is no function of texts"),
        ("scorer: by_width", r"quality.scorer: no installed package names a scorer by_width"),
        ("scorer: broken_scorer:f", r"quality.scorer: .*cannot be imported .*SyntaxError"),
    ):
        (tmp_path / "broken_scorer.py").write_text("def f(:")
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(recipe_path.read_text().replace("fineweb: null", f"fineweb: null, quality: {{{asked}}}", 1))
        with pytest.raises(InputError, match=f"^sources.web.filters.{told}") as fault:
            ready.check(load(recipe))
        assert "\n" not in str(fault.value)
        with pytest.raises(InputError, match=f"^sources.web.filters.{told}"):
            prepare(load(recipe), tmp_path / "work", Engine())
        with pytest.raises(InputError, match=f"^sources.web.filters.{told}"):
            plan(recipe, tmp_path / "work")
        assert not (tmp_path / "work").exists()


def test_settings_that_contradict_each_other_are_refused() -> None:
    for how, told in (
        ({}, "give either model"),
        ({"model": "m.bin", "label": "a", "scorer": "a:b"}, "give either model"),
        ({"model": "m.bin"}, "model and label go together"),
        ({"scorer": "a:b", "label": "a"}, "model and label go together"),
        ({"model": "m.bin", "label": "a", "min": 2.0}, "min is a share between 0 and 1, not 2"),
    ):
        with pytest.raises(ValueError, match=told):
            Quality(**how)
    assert Quality(scorer="a:b", min=3.5).min == 3.5


def test_another_model_file_makes_another_stage_and_a_missing_one_is_told(recipe_path: Path, tmp_path: Path) -> None:
    model, recipe = tmp_path / "model.bin", tmp_path / "recipe.yaml"
    asked = f"fineweb: null, quality: {{model: {model}, label: __label__hq}}"
    recipe.write_text(recipe_path.read_text().replace("fineweb: null", asked, 1))
    stage = next(stage for stage in stages(load(recipe)) if stage.name == "filter/web")
    with pytest.raises(InputError, match=r"^sources.web.filters.quality.model: .*model.bin: No such file"):
        stage.inputs()
    model.write_bytes(b"one")
    before = stage.inputs()
    assert before == stage.inputs()
    model.write_bytes(b"another")
    assert stage.inputs() != before
    assert str(tmp_path) not in str(stage.settings)
