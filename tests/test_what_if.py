import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from commands.run import prepare
from commands.what_if import WhatIfError, told, what_if
from pipeline.engines.run import Engine
from pipeline.stage import Record
from recipes.load import load
from tests.conftest import bertmill


def record(whole: Path, source: str) -> dict[str, Any]:
    found = Record.read(whole / "filter" / source)
    assert found
    return found.counts


@pytest.mark.parametrize("source", ["web", "code", "science"])
def test_unchanged_settings_give_exactly_the_stages_counts(whole: Path, source: str) -> None:
    counts = record(whole, source)
    found = what_if(whole, [source])
    assert {reason: pair["after"] for reason, pair in found["dropped"].items()} == counts["dropped"]
    assert found["documents"] == {
        "in": counts["documents_in"], "before": counts["documents_out"], "after": counts["documents_out"]
    }  # fmt: skip
    assert found["bytes"]["before"] == found["bytes"]["after"] > 0
    assert what_if(whole / "filter" / source, []) == found


def test_other_thresholds_give_what_a_run_with_them_gives(whole: Path, recipe_path: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(
        recipe_path.read_text()
        .replace("c4: null}", "c4: null, language_score: 0.9, gopher: {min_words: 120, min_stop_words: 4}}")
        .replace("min_words: 50}", "min_words: 900, language_score: 0.9}")
    )
    prepare(load(changed), tmp_path / "work", Engine(), until="filter")
    for source, changes in (
        ("web", ["language_score=0.9", "gopher.min_words=120", "gopher.min_stop_words=4"]),
        ("science", ["min_words=900", "language_score=0.9"]),
    ):
        found = what_if(whole, [source, *changes])
        counts = record(tmp_path / "work", source)
        after = {reason: pair["after"] for reason, pair in found["dropped"].items() if pair["after"]}
        assert after == counts["dropped"] != record(whole, source)["dropped"]
        assert found["documents"]["after"] == counts["documents_out"]
        assert found["bytes"]["after"] <= found["bytes"]["before"] or source == "science"


def test_a_family_may_be_switched_off_and_a_rule_on_what_was_counted_anyway_switched_on(whole: Path) -> None:
    off = what_if(whole, ["web", "gopher=null", "repetition=null"])
    assert off["documents"]["after"] >= off["documents"]["before"]
    assert not any(pair["after"] for reason, pair in off["dropped"].items() if reason.startswith("gopher_"))
    kept = what_if(whole, ["science", "pii.emails=drop"])["dropped"]
    assert kept.get("pii_emails", {"before": 0})["before"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["web", "gopher.min_word=4"], r"gopher.min_word: no such setting; did you mean 'gopher.min_words'\?"),
        (["web", "gopher.min_words=many"], r"gopher.min_words: is a whole number .*, not 'many'"),
        (["web", "gopher.min_words=-1"], r"gopher: min_words is a number of at least 0, not -1"),
        (["web", "gopher.min_words="], "is no value"),
        (["web", "gopher.min_words=[1"], "is no value"),
        (["web", "c4.min_line_words=5"], "c4.min_line_words: .*was not measured"),
        (["web", "c4.min_sentences=5"], "c4.min_sentences: .*was not measured"),
        (["web", "fineweb.max_newlines=0.2"], "fineweb.max_newlines: .*was not measured"),
        (["science", "languages=[]"], "languages: documents in other languages than en were not measured"),
        (["science", "languages=[en, de]"], "languages: documents in other languages than en were not measured"),
        (["web", "pii.private_ips=true"], "pii.private_ips: its effect was not measured"),
        (["web", "gopher.min_words"], r"'gopher.min_words' is no change; write setting=value"),
        (["wob", "gopher.min_words=4"], "there is no filter/wob; the filtered sources are code, science, web"),
        (["gopher.min_words=4"], "name a source; the filtered sources are code, science, web"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_line(whole: Path, words: list[str], said: str) -> None:
    with pytest.raises(WhatIfError, match=said) as fault:
        what_if(whole, words)
    assert "\n" not in str(fault.value)


def test_folders_without_measures_are_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(WhatIfError, match="there is no such folder"):
        what_if(tmp_path / "none", [])
    with pytest.raises(WhatIfError, match="the filtered sources are none"):
        what_if(tmp_path, [])
    copy = tmp_path / "work"
    shutil.copytree(whole / "filter" / "web", copy / "filter" / "web")
    shutil.copy(whole / "recipe.yaml", copy)
    assert what_if(copy, []) == what_if(whole, ["web"])  # the only source need not be named
    file = copy / "filter" / "web" / "measures" / "00000.parquet"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(WhatIfError, match=r"00000.parquet: has gone or is not what filter/web signed; .*--redo"):
        what_if(copy, [])
    shutil.rmtree(copy / "filter" / "web" / "measures")
    with pytest.raises(WhatIfError, match=r"00000.parquet: has gone or is not what filter/web signed; .*--redo"):
        what_if(copy, [])


def test_the_command_prints_a_table_or_json(whole: Path) -> None:
    shown = bertmill("what-if", whole, "web", "gopher.min_words=400")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip() == told(what_if(whole, ["web", "gopher.min_words=400"])).strip()
    line = next(line for line in shown.stdout.splitlines() if line.startswith("  gopher_short_document"))
    assert int(line.split()[2]) > int(line.split()[1])
    assert "kept bytes, as read" in shown.stdout
    answer = json.loads(bertmill("what-if", whole / "filter" / "web", "gopher.min_words=400", "--json").stdout)
    assert answer["changes"] == {"gopher.min_words": 400}


def test_what_changes_the_text_or_its_measuring_is_refused_and_what_only_counts_is_not(
    recipe_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "c4.yaml"
    path.write_text(recipe_path.read_text().replace("filters: {fineweb: null, c4: null}", "filters: {languages: [en]}"))
    work = tmp_path / "work"
    prepare(load(path), work, Engine(), until="filter/web")
    counts = record(work, "web")
    found = what_if(work, ["web"])
    assert {reason: pair["after"] for reason, pair in found["dropped"].items()} == counts["dropped"]
    for change in ("c4=null", "c4.min_line_words=5", "c4.drop_citations=false", "fineweb.short_line=20"):
        with pytest.raises(WhatIfError, match=rf"^{change.partition('=')[0]}: its effect was not measured"):
            what_if(work, ["web", change])
    assert what_if(work, ["web", "c4.min_line_words=3"])["dropped"] == found["dropped"]  # as it was
    fewer = what_if(work, ["web", "c4.min_sentences=0", "fineweb=null", "repetition.top_ngrams=[[2, 0.9]]"])
    assert fewer["documents"]["after"] > fewer["documents"]["before"]
    with pytest.raises(WhatIfError, match=r"repetition.top_12_gram was not measured"):
        what_if(work, ["web", "repetition.top_ngrams=[[12, 0.5]]"])
