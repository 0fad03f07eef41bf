import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from commands.fill_mask import FillMaskError, fill
from commands.look import LookError, look
from commands.report import notes
from commands.run import home, prepare
from pipeline.engines.run import Engine
from pipeline.stage import Record, StageError
from pipeline.units import InputError
from recipes import ready
from recipes.estimate import PlanError, delivered, shared_files, underfull, vocabulary
from recipes.load import load
from recipes.plan import stages
from recipes.recipe import Recipe
from recipes.supply import outlook
from tests.conftest import bertmill
from train.metrics import read_metrics

TEXT = """\
name: table
sources:
  notes: {{kind: text, read: {folder}/*.jsonl}}
tokenizer: {{vocab: 512}}
packing: {{max_epochs: 1000, shortest: 8}}
model: {{layers: 4, hidden: 32, heads: 2, intermediate: 48}}
train:
  batch: {{rows: 8}}
  phases:
    - {{name: learn, tokens: 8K, context: 128, mix: {{notes: 1}}}}
"""


def table(folder: Path, lines: list[str], *changes: tuple[str, str]) -> Recipe:
    """A recipe over one file of lines, with parts of its text replaced."""
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    text = TEXT.format(folder=folder)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "table.yaml"
    path.write_text(text)
    return load(path)


def line(number: int) -> str:
    return json.dumps({"text": f"Note {number} says that the {number * number} leaves of tree {number} are green."})


LINES = [line(number) for number in range(50)]


def test_a_work_folder_of_another_recipe_or_a_file_is_refused_before_anything_is_written(
    whole: Path, recipe_path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(recipe_path.read_text().replace("name: small", "name: other"))
    before = (whole / "recipe.yaml").read_bytes()
    for command in ("plan", "run"):
        refused = bertmill(command, other, "--work", whole)
        assert refused.returncode == 1
        assert refused.stderr.strip() == (
            f"{whole}: is the run of recipe 'small', not of 'other'; name another folder with --work"
        )
    assert (whole / "recipe.yaml").read_bytes() == before
    with pytest.raises(StageError, match="is a file; name a folder with --work"):
        home(load(other), other)
    assert home(load(recipe_path), whole) == whole
    assert home(load(other), None) == Path("work/other")


def test_a_source_of_which_nothing_is_left_stops_the_run_at_that_stage(tmp_path: Path) -> None:
    recipe = table(tmp_path, LINES, ("jsonl}", "jsonl, filters: {min_words: 99}}"))
    told: list[str] = []
    with pytest.raises(StageError, match=r"filter/notes: nothing is left of source notes, 50 in \(50 few_words\)"):
        prepare(recipe, tmp_path / "work", Engine(), told=lambda stage, record, worked: told.append(stage.name))
    assert told == ["ingest/notes", "filter/notes"]
    assert Record.read(tmp_path / "work" / "filter" / "notes")
    assert not (tmp_path / "work" / "duplicates").exists()


def test_too_many_broken_records_are_told_with_the_first_of_them(tmp_path: Path) -> None:
    lines = [*LINES[:2], "{broken", *LINES[2:10], '{"text": 5}']
    with pytest.raises(
        StageError, match=r"ingest/notes: 2 of 12 .* first a\.jsonl#\S+ \(bad_\w+\), a\.jsonl#\S+ \(bad_"
    ):
        prepare(table(tmp_path, lines), tmp_path / "work", Engine())


@pytest.mark.parametrize(
    ("package", "name", "asked", "told"),
    [
        ("trafilatura", "a.warc.gz", "kind: web, extract: trafilatura", "extract: trafilatura is not installed; pip "
         "install 'bertmill[trafilatura]'"),
        ("lz4", "a.WARC.lz4", "kind: web", "read: {file}: lz4 is not installed; pip install 'bertmill[lz4]'"),
        ("pypdfium2", "a.pdf", "kind: science", "read: {file}: pypdfium2 is not installed; pip install "
         "'bertmill[pdf]'"),
    ],
)  # fmt: skip
def test_a_package_that_a_recipe_needs_is_asked_for_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, name: str, asked: str, told: str
) -> None:
    file = tmp_path / name
    file.write_bytes(b"x")
    recipe = table(tmp_path, LINES, ("kind: text", asked), ("*.jsonl", name))
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    for use in (ready.check, lambda recipe: prepare(recipe, tmp_path / "work", Engine())):
        with pytest.raises(InputError) as fault:
            use(recipe)
        assert str(fault.value) == f"sources.notes.{told.format(file=file)}"
    assert not (tmp_path / "work").exists()
    if package != "trafilatura":
        monkeypatch.delitem(sys.modules, package)
        ready.check(recipe)


def test_a_warning_is_one_line_on_the_console(tmp_path: Path) -> None:
    table(tmp_path, LINES, ("jsonl}", "jsonl, filters: {languages: [en]}}"))
    path = tmp_path / "table.yaml"
    path.write_text(path.read_text().replace("languages: [en]", "languages: [te]"))
    shown = bertmill("plan", path)
    assert shown.returncode == 0
    assert shown.stderr.splitlines() == [
        f"{path}:3: sources.notes.filters.languages: te is often taken for another language; see docs/languages.md"
    ]


def test_plan_notices_files_that_changed_or_vanished_since_a_stage_was_made(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(line(99) + "\n")
    recipe, work = table(tmp_path, LINES), tmp_path / "work"
    prepare(recipe, work, Engine(), until="filter")
    assert notes(outlook(recipe, work), stages(recipe), work) == []
    os.utime(tmp_path / "a.jsonl", ns=(1, 1))
    (tmp_path / "b.jsonl").unlink()
    (note,) = notes(outlook(recipe, work), stages(recipe), work)
    assert note.startswith("ingest/notes was made with other settings or files (input files vanished: b.jsonl; ")
    assert "input files changed: a.jsonl" in note
    assert "--redo ingest/notes" in note
    shown = bertmill("plan", tmp_path / "table.yaml", "--work", work)
    assert f"note: {note}" in shown.stdout
    assert json.loads(bertmill("plan", tmp_path / "table.yaml", "--work", work, "--json").stdout)["notes"] == [note]


def test_plan_tells_of_two_sources_that_read_the_same_files(tmp_path: Path) -> None:
    assert shared_files(table(tmp_path, LINES)) == []
    again = f"sources:\n  again: {{kind: text, read: {tmp_path}/a*}}"
    (told,) = shared_files(table(tmp_path, LINES, ("sources:", again)))
    assert told.startswith("sources again and notes read the same 1 files, first a.jsonl; ")
    german = again.replace("a*", "a*, filters: {languages: [de]}")
    english = ("*.jsonl}", "*.jsonl, filters: {languages: [en]}}")
    assert shared_files(table(tmp_path, LINES, english, ("sources:", german))) == []
    assert shared_files(table(tmp_path, LINES, ("sources:", german))) != []  # notes keeps all languages


def test_a_missing_list_of_urls_is_refused_before_any_work(tmp_path: Path, recipe_path: Path) -> None:
    path = tmp_path / "lists.yaml"
    path.write_text(
        recipe_path.read_text().replace("fineweb: null", "urls: {banned_words: none/at/all}, fineweb: null")
    )
    said = "sources.web.filters.urls.banned_words: none/at/all names no list"
    for command in ("plan", "run"):
        refused = bertmill(command, path, "--work", tmp_path / "work")
        assert refused.returncode == 1
        assert refused.stderr.startswith(said)
    with pytest.raises(InputError, match=said):
        prepare(load(path), tmp_path / "work", Engine())
    assert not (tmp_path / "work" / "ingest").exists()


def test_a_tokenizer_to_take_gives_the_vocabulary_and_is_refused_by_its_key_if_it_is_none(
    whole: Path, tmp_path: Path
) -> None:
    shutil.copy(whole / "tokenizer" / "tokenizer.json", tmp_path / "good.json")
    (tmp_path / "bad.json").write_text("{}")

    def taking(name: str) -> Recipe:
        return table(tmp_path, LINES, ("{vocab: 512}", f"{{from: {tmp_path}/{name}}}"))

    assert vocabulary(taking("good.json")) == 1024
    assert vocabulary(table(tmp_path, LINES)) == 512
    taking("good.json")
    assert "vocabulary 1024" in bertmill("plan", tmp_path / "table.yaml").stdout
    for name, said in (("none.json", "there is no such file"), ("bad.json", "is not a tokenizer.json")):
        recipe = taking(name)
        with pytest.raises(PlanError, match=rf"^tokenizer\.from: .*{name}: {said}"):
            prepare(recipe, tmp_path / "work", Engine())
        refused = bertmill("plan", tmp_path / "table.yaml", "--work", tmp_path / "work")
        assert refused.returncode == 1
        assert refused.stderr.startswith("tokenizer.from: ")
        assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "work" / "ingest").exists()


def test_rows_that_are_not_full_are_told_with_the_tokens_that_training_will_read(whole: Path) -> None:
    recipe = load(whole / "recipe.yaml")
    expected = delivered(recipe, whole)
    steps = [record for record in read_metrics(whole / "metrics.jsonl") if record["kind"] == "step"]
    before = 0
    for phase in recipe.train.phases:
        after = max(step["tokens"] for step in steps if step["phase"] == phase.name)
        assert abs((after - before) / expected[phase.name] - 1) < 0.05
        before = after
    short = [phase.name for phase in recipe.train.phases if expected[phase.name] < 0.99 * phase.tokens]
    assert [line.split()[1] for line in underfull(recipe, whole)] == short
    assert underfull(recipe, whole / "nothing") == []


def test_rows_that_hold_one_document_each_are_told_before_training(tmp_path: Path) -> None:
    recipe = table(tmp_path, LINES, ("context: 128", "context: 48"))
    prepare(recipe, tmp_path / "work", Engine())
    counts = (Record.read(tmp_path / "work" / "pack" / "notes" / "48") or pytest.fail("no record")).counts
    fill = counts["tokens"] / (counts["rows"] * 48)
    assert fill < 0.95
    work = tmp_path / "work"
    note = notes(outlook(recipe, work), stages(recipe), work)[-1]
    assert f"of the 8K tokens asked for: its rows of 48 are {fill:.1%} full" in note


def test_counts_below_one_and_texts_too_long_are_refused_in_a_line(whole: Path) -> None:
    with pytest.raises(LookError, match=r"^N is at least 1, not -3; write for example: bertmill look .* 5$"):
        look(whole / "filter" / "web", -3)
    with pytest.raises(FillMaskError, match=r"^'word .* has \d+ tokens, the model takes 256; shorten it$"):
        list(fill(whole / "export", ["word " * 3000 + "[MASK]"], 3))
