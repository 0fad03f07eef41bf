"""Signatures, the list of duplicates and the survivors together, on files; the oracle compares all pairs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.dedup import copies, pairs, shingles, similar
from pipeline.engines.run import Engine
from pipeline.settings import Dedup, Near
from pipeline.tally import SAMPLES
from tests.toy_duplicates import Corpus, counts, deduplicate, go, name_of, planted, removed, stages, survivors, write

PREFER = ("science", "web")


def in_order(corpus: Corpus, prefer: Sequence[str]) -> list[tuple[str, str]]:
    """(name, text) of all documents in canonical order."""
    ranked = [*prefer, *sorted(set(corpus) - set(prefer))]
    names = name_of(corpus)
    ids = {name: id for id, name in names.items()}
    return [(n, corpus[s][n]) for s in ranked for n in sorted(corpus[s], key=lambda name: ids[name])]


def by_all_pairs(corpus: Corpus, settings: Dedup) -> dict[str, tuple[str, float]]:
    """The removed -> (the kept, similarity), every pair compared in plain Python."""
    assert settings.near
    shingles: dict[str, set[tuple[str, ...]]] = {}
    first: dict[str, str] = {}
    kept: list[str] = []
    gone: dict[str, tuple[str, float]] = {}
    for name, text in in_order(corpus, settings.prefer):
        words = re.findall(r"\w+", text.lower())
        mine = shingles[name] = {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
        original = first.setdefault(" ".join(text.split()), name)
        if original != name:
            gone[name] = gone.get(original, (original, 1.0))
            continue
        for other in kept:
            if mine and (j := len(mine & shingles[other]) / len(mine | shingles[other])) >= settings.near.threshold:
                gone[name] = (other, j)
                break
        else:
            kept.append(name)
    return gone


def test_the_removed_are_those_of_all_pairs_compared_in_plain_python(tmp_path: Path) -> None:
    # 40 bands of 4 propose a pair of similarity 0.8 with all but one chance in 10^9
    settings = Dedup(near=Near(bands=40, rows=4), prefer=PREFER)
    corpus = planted()
    wanted = by_all_pairs(corpus, settings)
    assert deduplicate(tmp_path, corpus, settings, files=2) == {n for s in corpus.values() for n in s} - set(wanted)
    names = name_of(corpus)
    assert {names[row["id"]]: (names[row["kept"]], row["jaccard"]) for row in removed(tmp_path)} == wanted
    assert {row["reason"] for row in removed(tmp_path)} == {"exact_duplicate", "near_duplicate"}
    assert 40 < len(wanted) < 200


def test_the_default_bands_remove_nothing_that_is_not_similar_and_nearly_all_that_is(tmp_path: Path) -> None:
    settings = Dedup(prefer=PREFER)
    corpus = planted()
    kept = deduplicate(tmp_path, corpus, settings)
    names = name_of(corpus)
    for row in removed(tmp_path):
        assert names[row["kept"]] in kept
        assert names[row["id"]] not in kept
        assert row["jaccard"] >= 0.8
    assert len(removed(tmp_path)) >= 0.97 * len(by_all_pairs(corpus, settings))


def test_other_files_other_units_and_another_order_give_the_same_survivors(tmp_path: Path) -> None:
    corpus, settings = planted(), Dedup(prefer=PREFER)
    first = deduplicate(tmp_path / "0", corpus, settings)
    for run, (files, seed) in enumerate([(1, 7), (4, 8), (7, 9)], 1):
        assert deduplicate(tmp_path / str(run), corpus, settings, files, seed) == first


def test_the_same_files_give_the_same_bytes_whatever_the_number_of_tasks(tmp_path: Path) -> None:
    corpus, settings = planted(80), Dedup()
    for tasks in (1, 4, 7):
        deduplicate(tmp_path / str(tasks), corpus, settings, 5, engine=Engine(tasks=tasks))
    paths = [path for path in (tmp_path / "1").rglob("0*.*") if path.suffix in (".parquet", ".arrow")]
    assert len(paths) > 50
    for path in paths:
        for other in ("4", "7"):
            assert path.read_bytes() == (tmp_path / other / path.relative_to(tmp_path / "1")).read_bytes()


def test_the_cut_of_the_work_is_no_part_of_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, settings = planted(200), Dedup(near=Near(bands=20, rows=5), prefer=PREFER)
    whole = deduplicate(tmp_path / "whole", corpus, settings, files=2)
    listed = sorted(removed(tmp_path / "whole"), key=lambda row: str(row["id"]))
    for module, name, value in [
        (copies, "PART", 40), (pairs, "KEYS", 500), (similar, "RANGE", 30), (similar, "CHUNK", 10),
        (similar, "SHINGLES", 3_000), (shingles, "TOGETHER", 2_000), (shingles, "STEP", 7),
    ]:  # fmt: skip
        monkeypatch.setattr(module, name, value)
    assert deduplicate(tmp_path / "cut", corpus, settings, files=2) == whole
    assert sorted(removed(tmp_path / "cut"), key=lambda row: str(row["id"])) == listed
    assert len(list((tmp_path / "cut" / "pairs").glob("0*.arrow"))) > 20
    assert len(list((tmp_path / "cut" / "similar").glob("0*.arrow"))) > 5


@pytest.mark.parametrize(
    ("prefer", "kept"), [((), "in code"), (("web",), "in web"), (("science", "web"), "in science")]
)
def test_of_many_copies_the_preferred_source_keeps_its_own(tmp_path: Path, prefer: tuple[str, ...], kept: str) -> None:
    text = "the same text stands in every one of the sources"
    corpus = {source: {f"in {source}": text} for source in ("web", "code", "science")}
    assert deduplicate(tmp_path, corpus, Dedup(prefer=prefer)) == {kept}


def test_removed_rows_lead_to_both_documents(tmp_path: Path) -> None:
    text = " ".join(f"word{n}" for n in range(200))
    corpus = {"code": {"a": "only here"}, "web": {"b": text, "c": "nothing else", "d": text + " end", "e": text + "\n"}}
    deduplicate(tmp_path, corpus, Dedup(), files=2)
    names, rows = name_of(corpus), removed(tmp_path)
    assert len(rows) == 2
    for row in rows:
        for id, place in ((row["id"], ""), (row["kept"], "kept_")):
            file = tmp_path / "filter" / row[f"{place}source"] / row[f"{place}file"]
            assert pq.read_table(file)["id"][row[f"{place}row"]].as_py() == id
    assert {names[row["kept"]] for row in rows}.isdisjoint({names[row["id"]] for row in rows})


def test_empty_and_short_documents_go_only_if_they_are_equal(tmp_path: Path) -> None:
    corpus = {
        "web": {"empty": "", "space": " \n", "four": "four words are here", "five": "four words are here now"},
        "xml": {"again": "four  words\nare here", "case": "Four words are here", "marks": "!!!"},
    }
    kept = deduplicate(tmp_path, corpus, Dedup())
    assert len(kept & {"empty", "space"}) == 1
    assert kept - {"empty", "space"} == {"four", "five", "case", "marks"}
    assert {row["reason"] for row in removed(tmp_path)} == {"exact_duplicate"}


def test_only_what_is_asked_for_is_done(tmp_path: Path) -> None:
    text = " ".join(f"word{n}" for n in range(200))
    corpus = {"web": {"a": text, "b": text + " end", "short": "two words", "same": "two words"}, "xml": {"c": text}}
    exact = deduplicate(tmp_path / "exact", corpus, Dedup(near=None))
    assert {"a", "b"} < exact
    assert len(exact) == 3
    near = deduplicate(tmp_path / "near", corpus, Dedup(exact=False))
    assert {"short", "same"} < near
    assert len(near) == 3
    assert {row["reason"] for row in removed(tmp_path / "near")} == {"near_duplicate"}


def test_unicode_forms_of_one_text_are_equal(tmp_path: Path) -> None:
    corpus = {"web": {"composed": "caf\u00e9 \u304c"}, "xml": {"apart": "cafe\u0301 \u304b\u3099"}}
    assert deduplicate(tmp_path, corpus, Dedup()) == {"composed"}


def test_text_without_spaces_is_compared_by_characters(tmp_path: Path) -> None:
    characters = [chr(0x4E00 + n * 7) for n in range(400)]
    changed = [*characters[:200], "変", *characters[201:]]
    corpus = {"web": {"one": "".join(characters)}, "xml": {"two": "".join(changed), "other": "".join(characters[::-1])}}
    assert deduplicate(tmp_path, corpus, Dedup()) == {"one", "other"}


def test_thousands_of_near_copies_of_one_page_leave_one(tmp_path: Path) -> None:
    page = " ".join(f"word{n}" for n in range(300))
    corpus = {"web": {f"d{n}": f"{page} {n}" for n in range(2_000)}}
    assert len(deduplicate(tmp_path, corpus, Dedup(), files=2)) == 1
    assert {row["kept"] for row in removed(tmp_path)} == {min(name_of(corpus))}


def test_counts_cover_every_document_and_samples_stay_few(tmp_path: Path) -> None:
    corpus = {"web": {f"d{n}": "always the same" for n in range(SAMPLES + 51)}}
    deduplicate(tmp_path, corpus, Dedup())
    assert counts(tmp_path, "duplicates")["documents_in"] == SAMPLES + 51
    assert counts(tmp_path, "duplicates")["dropped"] == {"exact_duplicate": SAMPLES + 50}
    assert counts(tmp_path, "duplicates") == counts(tmp_path, "dedup/web")
    samples = pq.read_table(tmp_path / "duplicates" / "dropped" / "00000.parquet").to_pylist()
    assert len(samples) == SAMPLES
    assert samples[0]["value"] == f"1 of {min(name_of(corpus))}"
    assert re.fullmatch(r"web/00000\.parquet#\d+", samples[0]["origin"])


def test_a_dropped_document_is_shown_with_its_text_and_what_it_duplicates(tmp_path: Path) -> None:
    text = " ".join(f"word{n}" for n in range(200))
    deduplicate(tmp_path, {"web": {"a": text}, "xml": {"b": text + " end"}}, Dedup())
    (sample,) = pq.read_table(tmp_path / "dedup" / "xml" / "dropped" / "00000.parquet").to_pylist()
    (row,) = removed(tmp_path)
    assert (sample["reason"], sample["threshold"]) == ("near_duplicate", "0.8")
    assert sample["value"] == f"{196 / 197:.4g} of {row['kept']}"
    assert sample["text"] == text + " end"
    assert sample["origin"] == "file#b"


def test_of_equals_the_one_with_the_best_score_stays_and_one_without_a_score_comes_last(tmp_path: Path) -> None:
    text = " ".join(f"word{n}" for n in range(200))
    corpus = {"web": {name: f"{text} {name}" for name in "abcdef"}, "xml": {"best": f"{text} x"}}
    for run, (scores, kept) in enumerate(
        [({"a": 0.1, "c": 0.7, "d": 0.3, "best": 0.9}, "c"), ({"e": -3.0}, "e"), ({}, name_of(corpus)[min(
            id for id, name in name_of(corpus).items() if name != "best")])]
    ):  # fmt: skip
        work = tmp_path / str(run)
        go(work, stages(write(work, corpus, files=2, scores=scores), Dedup()))
        assert survivors(work) == {kept}
    go(tmp_path / "p", stages(write(tmp_path / "p", corpus, scores={"c": 0.7}), Dedup(prefer=("xml",))))
    assert survivors(tmp_path / "p") == {"best"}


def test_survivors_are_the_same_rows_as_before_but_say_for_how_many_they_stand(tmp_path: Path) -> None:
    deduplicate(tmp_path, planted(60), Dedup(), files=2)
    before = {r["id"]: r for p in (tmp_path / "filter").glob("*/0*.parquet") for r in pq.read_table(p).to_pylist()}
    after = [r for p in (tmp_path / "dedup").glob("*/0*.parquet") for r in pq.read_table(p).to_pylist()]
    clusters = Counter(row["kept"] for row in removed(tmp_path))
    sizes = {row["id"]: json.loads(row["metadata"] or "{}").get("copies", 1) for row in after}
    assert sizes == {id: clusters[id] + 1 for id in sizes}
    assert max(sizes.values()) > 2
    assert sum(sizes.values()) == len(before)
    assert all({**before[row["id"]], "metadata": row["metadata"]} == row for row in after)
    assert len(after) == len(before) - len(removed(tmp_path))


def test_no_documents_at_all_are_no_fault(tmp_path: Path) -> None:
    assert deduplicate(tmp_path, {"web": {}, "xml": {}}, Dedup()) == set()
