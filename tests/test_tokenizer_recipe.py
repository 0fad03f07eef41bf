"""The tokenizer's stages in a recipe: trained, taken over or extended, the same however the work is cut."""

import json
from pathlib import Path

import pytest

from commands.run import prepare
from pipeline.engines.run import Engine
from pipeline.extension import read_parts
from pipeline.stage import Record
from pipeline.tokenizer import check_tokenizer
from recipes.dump import dump
from recipes.estimate import vocabulary
from recipes.load import RecipeError, load
from recipes.plan import stages
from tests.test_extension import old_tokenizer
from tests.toy_recipe import toy_recipe


def changed(recipe: Path, name: str, *changes: tuple[str, str]) -> Path:
    text = recipe.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = recipe.with_name(name)
    path.write_text(text)
    return path


def test_the_same_tokenizer_comes_of_any_number_of_units_and_tasks_and_is_extended(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    made = []
    for name, unit, tasks in (("a", "unit: 20K", 3), ("b", "unit: 1M", 1)):
        path = changed(recipe, f"{name}.yaml", ("unit: 20K", unit))
        prepare(load(path), tmp_path / name, Engine(tasks=tasks), until="tokenizer")
        made.append((tmp_path / name / "tokenizer" / "tokenizer.json").read_bytes())
    units = [Record.read(tmp_path / name / "words" / "t") for name in ("a", "b")]
    assert [record.units for record in units if record] == [3, 1]
    assert made[0] == made[1]

    (tmp_path / "old").mkdir()
    old = old_tokenizer(tmp_path / "old", vocab=576)
    asked = load(changed(recipe, "more.yaml", ("{vocab: 512}", f"{{from: {old}, extend: 20, sample: 1M}}")))
    assert vocabulary(asked) == 640
    prepare(asked, tmp_path / "more", Engine(), until="tokenizer")
    folder = tmp_path / "more" / "tokenizer"
    assert check_tokenizer(folder / "tokenizer.json") == 640
    ids, parts = read_parts(folder / "parts.json")
    assert ids == 640
    assert sorted(parts) == list(range(576, 596))
    record = Record.read(folder)
    assert record
    assert record.counts["new_pieces"] == 20
    assert "parts.json" in record.files


def test_words_are_counted_of_the_sources_that_are_mixed_alone_and_of_none_for_a_given_tokenizer(
    tmp_path: Path,
) -> None:
    recipe = toy_recipe(tmp_path)
    two = changed(recipe, "two.yaml", ("tokenizer:", f"  u: {{kind: text, read: {tmp_path}/in/0.jsonl}}\ntokenizer:"))
    names = [stage.name for stage in stages(load(two))]
    assert "words/t" in names
    assert "words/u" not in names
    given = changed(recipe, "given.yaml", ("{vocab: 512}", "{from: a.json}"))
    assert not [stage.name for stage in stages(load(given)) if stage.name.startswith("words/")]


def test_an_extension_survives_being_written_out(tmp_path: Path) -> None:
    path = changed(toy_recipe(tmp_path), "x.yaml", ("{vocab: 512}", "{from: a.json, extend: 20, sample: 1M}"))
    (tmp_path / "again.yaml").write_text(dump(load(path)))
    again = load(tmp_path / "again.yaml").tokenizer
    assert (again.extend, again.sample, again.from_) == (20, 1_000_000, str(Path("a.json").absolute()))


@pytest.mark.parametrize(
    ("tokenizer", "said"),
    [
        ("{extend: 20}", "extend 20 needs a number of pieces above 0, and `from`"),
        ("{from: a.json, extend: -1}", "extend -1 needs a number of pieces above 0"),
        ("{from: a.json, extend: 20, vocab: 512}", "has no effect beside 'from'"),
        ("{from: a.json, sample: 1M}", "has no effect beside 'from'"),
        ("{sample: 0}", "sample 0 bytes hold nothing"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, tokenizer: str, said: str) -> None:
    path = changed(toy_recipe(tmp_path), "bad.yaml", ("{vocab: 512}", tokenizer))
    with pytest.raises(RecipeError, match=said):
        load(path)


def test_the_tokenizers_settings_are_its_fingerprint(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    declared = {stage.name: stage for stage in stages(load(recipe))}
    assert declared["tokenizer"].settings == {"vocab": 512}
    assert json.dumps(declared["words/t"].settings)
    assert [stage.name for stage in declared["tokenizer"].reads] == ["words/t"]
