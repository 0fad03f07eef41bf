"""Long repeated substrings: what is cut is what a plain list of all windows says, however the work is shared out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.dedup.substrings import anchors, ranges, tokens, windows
from pipeline.settings import Substrings
from recipes.load import RecipeError, load
from recipes.plan import stages
from tests.toy_substrings import Corpus, cut, left, repeats, rows, texts, words


def planted(seed: int, alphabet: int, documents: int = 40) -> dict[str, dict[str, str]]:
    """Texts over few words, most of them with parts of others and of themselves."""
    dice = random.Random(seed)
    made: list[list[str]] = []
    corpus: dict[str, dict[str, str]] = {"code": {}, "science": {}, "web": {}}
    for number in range(documents):
        tokens = [dice.choice(["w", "x", "..", "="]) + str(dice.randrange(alphabet)) for _ in range(dice.randrange(40))]
        tokens = words(" ".join(tokens))
        for _ in range(dice.randrange(4)):
            parts = dice.choice([*made, tokens])
            begin, at = dice.randrange(len(parts) // 2 + 1), dice.randrange(len(tokens) + 1)
            tokens[at:at] = parts[begin : begin + dice.randrange(40)]
        made.append(tokens)
        corpus[dice.choice(sorted(corpus))][f"d{number}"] = "".join(
            t + dice.choice([" ", "\n", "\n\n"]) for t in tokens
        )
    return corpus


def passage(number: int, tokens: int = 60) -> str:
    return " ".join(f"p{number}_{n}" for n in range(tokens))


def own(name: str, tokens: int = 100) -> str:
    return " ".join(f"{name}_{n}" for n in range(tokens))


@pytest.mark.parametrize(("seed", "tokens", "alphabet"), [(2, 5, 2), (3, 8, 50), (4, 13, 400), (5, 10, 1)])
def test_what_is_left_is_what_a_list_of_all_windows_leaves(
    seed: int, tokens: int, alphabet: int, tmp_path: Path
) -> None:
    corpus = planted(seed, alphabet)
    counts = cut(tmp_path, corpus, Substrings(tokens=tokens, max_repeated=1), ("web",), files=2).counts
    wanted = left(corpus, tokens, ("web",))
    found = {name: words(text) for name, text in texts(tmp_path).items()}
    emptied = {name for name, tokens_left in wanted.items() if not tokens_left} - set(found)
    assert found == {name: tokens_left for name, tokens_left in wanted.items() if name not in emptied}
    assert counts["dropped"] == ({"only_repeated_text": len(emptied)} if emptied else {})
    assert counts["spans_removed"] >= 10


@pytest.mark.parametrize(("files", "backwards"), [(1, True), (4, False)])
def test_files_units_ranges_and_order_change_nothing(
    files: int, backwards: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, settings = planted(7, 20), Substrings(tokens=8)
    counts = cut(tmp_path / "one", corpus, settings).counts
    for module, name, size in (
        (ranges, "PART_BYTES", 5_000),
        (anchors, "ROOM", 50),
        (windows, "ROOM", 64),
        (tokens, "PIECE_BYTES", 300),
    ):
        monkeypatch.setattr(module, name, size)
    assert cut(tmp_path / "other", corpus, settings, files=files, backwards=backwards).counts == counts
    assert rows(tmp_path / "other") == rows(tmp_path / "one")
    assert len(list((tmp_path / "other" / "firsts").glob("*.arrow"))) > 1


def test_a_run_of_the_asked_length_is_found_wherever_it_stands_and_a_shorter_one_never(tmp_path: Path) -> None:
    texts_of = {f"d{n}": own(f"d{n}", n) + " " + passage(0, 50) + " " + own(f"e{n}", 70 - n) for n in range(0, 70, 7)}
    short = {f"s{n}": own(f"s{n}", n) + " " + passage(1, 49) + " " + own(f"t{n}", 70 - n) for n in range(0, 70, 7)}
    counts = cut(tmp_path, {"web": {**texts_of, **short}}, Substrings()).counts
    assert counts["spans_removed"] == len(texts_of) - 1
    assert {name: text for name, text in texts(tmp_path).items() if name in short} == short
    assert sum(passage(0, 50) in text for text in texts(tmp_path).values()) == 1


def test_the_first_of_the_preferred_source_stays(tmp_path: Path) -> None:
    corpus = {"a": {"a": own("a") + "\n" + passage(0)}, "b": {"b": own("b") + "\n" + passage(0)}}
    cut(tmp_path / "names", corpus, Substrings())
    cut(tmp_path / "told", corpus, Substrings(), ("b",))
    assert texts(tmp_path / "names") == {"a": corpus["a"]["a"], "b": own("b")}
    assert texts(tmp_path / "told") == {"a": own("a"), "b": corpus["b"]["b"]}


def test_a_text_that_repeats_itself_keeps_the_first_window(tmp_path: Path) -> None:
    corpus = {"web": {"word": "word " * 5_000, "round": "one two three\n" * 2_000, "rows": "0, 1, 2;\n" * 3_000}}
    counts = cut(tmp_path, corpus, Substrings()).counts
    assert {name: words(text) for name, text in texts(tmp_path).items()} == {
        name: words(text)[:50] for name, text in corpus["web"].items()
    }
    assert counts["spans_removed"] == 3


def test_white_space_does_not_hide_a_repeat_but_case_does(tmp_path: Path) -> None:
    wrapped, upper = passage(0).replace(" ", "\n   "), passage(0).upper()
    corpus = {"web": {"a": own("a") + " " + passage(0), "b": own("b") + " " + wrapped, "c": own("c") + " " + upper}}
    cut(tmp_path, corpus, Substrings())
    assert sum("p0_0" in text for text in texts(tmp_path).values()) == 1
    assert texts(tmp_path)["c"] == corpus["web"]["c"]


def test_a_document_without_repeats_is_not_touched(tmp_path: Path) -> None:
    corpus = {"web": {"a": own("a") + " " + passage(0), "b": passage(0) + " " + own("b"), "c": " \tc \r\n\u200b\n "}}
    cut(tmp_path, corpus, Substrings())
    before = {row["id"]: row for p in (tmp_path / "dedup").glob("*/*.parquet") for row in pq.read_table(p).to_pylist()}
    after = rows(tmp_path)
    assert sum(after[name] == before[after[name]["id"]] for name in "abc") == 2
    assert after["c"]["text"] == corpus["web"]["c"]


def test_a_mask_leaves_a_marker_and_tells_where_and_for_how_much(tmp_path: Path) -> None:
    corpus = {
        "web": {f"d{n}": f"häü{n} {own(f'd{n}')}({passage(0)}), {own('x', 9)}{passage(1)} end{n}" for n in range(3)}
    }
    counts = cut(tmp_path, corpus, Substrings(action="mask", marker="<gone>")).counts
    marked = 0
    for name, row in rows(tmp_path).items():
        old, new, at = "", row["text"], 0
        for begin, size in json.loads(row["metadata"] or "{}").get("repeats", []):
            assert new[begin : begin + 6] == "<gone>"
            old += new[at:begin]
            old += corpus["web"][name][len(old) : len(old) + size]
            at, marked = begin + 6, marked + 1
        assert old + new[at:] == corpus["web"][name]
    assert counts["spans_masked"] == marked == 2
    assert counts["bytes_masked"] == counts["bytes_in"] - counts["bytes_out"] + 2 * len("<gone>")
    assert "documents_cut" in counts
    assert "spans_removed" not in counts


def test_bytes_in_are_bytes_out_removed_and_dropped(tmp_path: Path) -> None:
    corpus = planted(11, 20)
    counts = cut(tmp_path, corpus, Substrings(tokens=6, max_repeated=0.3)).counts
    left_out = {name: text for s in corpus.values() for name, text in s.items() if name not in texts(tmp_path)}
    assert counts["dropped"] == {"only_repeated_text": len(left_out)}
    assert len(left_out) > 3
    size = sum(len(text.encode()) for text in left_out.values())
    assert counts["bytes_in"] == counts["bytes_out"] + counts["bytes_removed"] + size


def test_a_document_of_repeats_and_scraps_is_dropped_with_its_share(tmp_path: Path) -> None:
    corpus: Corpus = {
        "a": {"a": own("a") + " " + passage(0, 400) + " " + own("z", 30)},
        "b": {
            "scraps": own("s", 40) + " " + passage(0, 400) + " " + own("t", 40),
            "new": passage(0, 400) + " " + own("n", 60),
        },
    }
    counts = cut(tmp_path, corpus, Substrings()).counts
    (sample,) = pq.read_table(tmp_path / "substrings" / "b" / "dropped" / "00000.parquet").to_pylist()
    assert (sample["reason"], sample["origin"]) == ("only_repeated_text", "file#scraps")
    assert (sample["value"], sample["threshold"]) == (f"{400 / 480:.6g}", "0.8")
    assert counts["dropped"] == {"only_repeated_text": 1}
    assert texts(tmp_path)["new"] == own("n", 60)


def test_what_occurs_most_often_is_shown_with_its_first_place(tmp_path: Path) -> None:
    corpus = {
        "web": {f"d{n}": f"{own(f'd{n}')} {passage(0)} {own(f'e{n}')} {passage(1) if n < 3 else ''}" for n in range(9)}
    }
    cut(tmp_path, corpus, Substrings())
    shown = pq.read_table(tmp_path / "substrings" / "web" / "repeats" / "00000.parquet").to_pylist()
    kept = {row["id"]: name for name, row in rows(tmp_path).items()}
    assert [(row["occurrences"], row["text"], row["tokens"]) for row in shown] == [
        (9, passage(0), 60),
        (3, passage(1), 60),
    ]
    for row, text in zip(shown, (passage(0), passage(1)), strict=True):
        assert text in texts(tmp_path)[kept[row["first"]]]
        assert row["id"] != row["first"]


def test_a_passage_of_many_documents_is_one_row_a_window(tmp_path: Path) -> None:
    corpus = {"web": {f"d{n}": f"{passage(0, 80)} {n}" for n in range(3_000)}}
    cut(tmp_path, corpus, Substrings(tokens=50))
    with pa.memory_map(str(tmp_path / "windows" / "web" / "00000.arrow")) as file:
        windows = pa.ipc.open_file(file).read_all()
    assert windows.column("count").to_pylist().count(3_000) == 31
    assert windows.num_rows <= 31 + 3_000
    assert len(texts(tmp_path)) == 1


def test_the_texts_of_scripts_without_spaces_are_compared_by_character(tmp_path: Path) -> None:
    han = "".join(chr(0x4E00 + n) for n in range(60))
    corpus = {"web": {"a": own("a") + "。" + han, "b": han + "！" + own("b")}}
    cut(tmp_path, corpus, Substrings())
    assert sum(han in text for text in texts(tmp_path).values()) == 1
    assert repeats(corpus, 50)["a"].count(True) == repeats(corpus, 50)["b"].count(True) == 0  # the oracle has words


@pytest.mark.parametrize("corpus", [{"web": {}}, {"web": {"a": ""}, "code": {}}, {"web": {"a": own("a", 49)}}])
def test_nothing_to_compare_is_no_fault(corpus: Corpus, tmp_path: Path) -> None:
    cut(tmp_path, corpus, Substrings())
    assert texts(tmp_path) == {name: text for source in corpus.values() for name, text in source.items()}


RECIPE = """\
name: small
sources: {web: {kind: text, read: x.jsonl}, old: {kind: text, read: y.jsonl}}
dedup: {near: null, prefer: [web], substrings: %s}
train: {save_every: 4K, phases: [{name: learn, tokens: 10K, context: 128, mix: {web: 0.5, old: 0.5}}]}
"""


def test_a_recipe_asks_for_the_stages_and_what_follows_reads_the_last(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE % "{action: mask}")
    found = {stage.name: stage for stage in stages(load(path))}
    assert list(found["substrings/web"].settings.values()) == [50, "mask", "[...]", 0.8]
    readers = {stage.name for stage in found.values() if "dedup/web" in {read.name for read in stage.reads}}
    assert readers == {"anchors/web", "passages/web", "substrings/web"}
    assert {"anchors/old", "recurring", "passages/web", "windows/old", "firsts"} < set(found)
    path.write_text(RECIPE % "null")
    assert not {name for name in (stage.name for stage in stages(load(path))) if "substrings" in name}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("{tokens: 3}", "tokens is at least 4, not 3; 50 is usual"),
        ("{max_repeated: 0}", "max_repeated is a share above 0 and up to 1, not 0"),
        ("{action: drop}", "action"),
        ("{marker: ''}", "marker is empty"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_their_line(asked: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE % asked)
    with pytest.raises(RecipeError, match=f"small.yaml:3: dedup.substrings.*{told}"):
        load(path)
