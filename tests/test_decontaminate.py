"""Decontamination from evaluation files to clean documents, on files; the oracle looks for words in plain Python."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commands.contamination import contamination, told
from commands.look import LookError
from pipeline.engines.run import Engine, run
from pipeline.settings import Decontaminate
from pipeline.stage import Record, Stage, StageError
from pipeline.units import InputError
from recipes.decontamination import without_evaluation_texts
from tests.toy_duplicates import Corpus, write

WORDS = [
    a + b + c for a in ("ba", "do", "ki", "lu", "me") for b in ("ran", "sto", "vel") for c in ("da", "ni", "po", "x")
]


def prose(draw: random.Random, words: int) -> str:
    """Text in which no 4 words stand twice but by rare accident."""
    found = draw.choices(WORDS, k=words)
    return " ".join(word.title() + "." if n % 11 == 10 else word for n, word in enumerate(found))


def stages(work: Path, corpus: Corpus, settings: Decontaminate, **how: Any) -> list[Stage]:
    return without_evaluation_texts(settings, write(work, corpus, **how))[0]


def go(work: Path, corpus: Corpus, settings: Decontaminate, engine: Engine | None = None, **how: Any) -> dict[str, str]:
    """Name of each document that is left -> its text."""
    for stage in stages(work, corpus, settings, **how):
        run(stage, work, engine or Engine())
    return left(work, corpus)


def left(work: Path, corpus: Corpus) -> dict[str, str]:
    return {
        row["origin"].partition("#")[2]: row["text"]
        for source in corpus
        for file in sorted((work / "decontaminate" / source).glob("0*.parquet"))
        for row in pq.read_table(file).to_pylist()
    }


def jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def report(work: Path) -> Any:
    return orjson.loads((work / "contaminated" / "report.json").read_bytes())


WAYS: dict[str, Callable[[str], str]] = {
    "verbatim": lambda text: text,
    "upper": str.upper,
    "spaced": lambda text: text.replace(" ", " \u00a0\n"),
    "hyphenated": lambda text: re.sub(r"([a-z]{3})([a-z])", "\\1\u00ad\\2", text),
    "punctuated": lambda text: text.replace(".", " -- ").replace(" ", " \u201c", 3),
}


@pytest.mark.parametrize("words", [8, 10, 12, 13, 14, 40, 400])
def test_a_text_of_8_words_and_more_is_found_however_it_is_set(tmp_path: Path, words: int) -> None:
    draw = random.Random(words)
    rows = [prose(draw, words) for _ in range(4)]
    hosts = {f"host {n}": prose(draw, 300) for n in range(20)}
    planted = {
        f"{way} {n}": f"{prose(draw, 60)}\n{change(text)}\n{prose(draw, 60)}"
        for way, change in WAYS.items()
        for n, text in enumerate(rows)
    }
    against = jsonl(tmp_path / "eval" / "set.jsonl", [{"question": text} for text in rows])
    kept = go(tmp_path / "work", {"web": hosts | planted}, Decontaminate(against=str(against)))
    assert kept == hosts
    counts = report(tmp_path / "work")["sets"]["set.jsonl"]
    assert (counts["rows"], counts["rows_hit"], counts["documents"]) == (4, 4, len(planted))
    assert counts["examples"][0]["row"] == "set.jsonl#1"


def test_look_shows_each_set_with_examples_and_tells_where_nothing_was_looked_for(tmp_path: Path) -> None:
    draw = random.Random(2)
    row = prose(draw, 30)
    against = {
        "good": str(jsonl(tmp_path / "a.jsonl", [{"t": prose(draw, 30)}])),
        "seen": str(jsonl(tmp_path / "b.jsonl", [{"t": row}])),
    }
    corpus = {"web": {f"{n}": f"{prose(draw, 30)} stop {row} stop" for n in range(3)}}
    go(tmp_path / "work", corpus, Decontaminate(against=against))
    good, seen = contamination(tmp_path / "work", 2)
    assert (good["set"], good["rows_hit"], good["examples"]) == ("good", 0, [])
    assert (seen["set"], seen["rows_hit"], seen["documents"]) == ("seen", 1, 3)
    assert [example["words"] for example in seen["examples"]] == [row.removesuffix(".")] * 2
    assert "seen: 1 of 1 rows stand in 3 documents" in told(seen)
    hit = pq.read_table(tmp_path / "work" / "contaminated" / "rows.parquet").to_pylist()
    assert hit == [{"set": "seen", "file": "seen/b.jsonl", "at": "1", "documents": 3}]
    with pytest.raises(LookError, match="no finished stage contaminated"):
        list(contamination(tmp_path, 2))


def test_texts_of_fewer_than_8_words_are_counted_and_not_looked_for(tmp_path: Path) -> None:
    against = jsonl(tmp_path / "set.jsonl", [{"text": "seven words are too few for that"}, {"n": 5}])
    corpus = {"web": {"same": "seven words are too few for that"}}
    assert go(tmp_path / "work", corpus, Decontaminate(against=str(against))) == corpus["web"]
    counts = report(tmp_path / "work")["sets"]["set.jsonl"]
    assert (counts["rows"], counts["rows_too_short"], counts["texts_too_short"]) == (2, 2, 1)


def test_a_clause_in_common_is_no_evidence_but_a_tenth_of_a_text_or_20_words_are(tmp_path: Path) -> None:
    draw = random.Random(1)
    rows = {size: prose(draw, size).split() for size in (42, 92, 400)}
    corpus = {
        "web": {
            f"{words} of {size}": f"{prose(draw, 90)} stop {' '.join(row[20 : 20 + words])} stop"
            for size, row in rows.items()
            for words in (12, 13, 14, 15, 19, 20)
        }
    }
    against = str(jsonl(tmp_path / "set.jsonl", [{"text": " ".join(row)} for row in rows.values()]))
    gone = set(corpus["web"]) - set(go(tmp_path / "work", corpus, Decontaminate(against=against)))
    assert gone == {"15 of 42", "19 of 42", "20 of 42", "20 of 92", "20 of 400"}
    gone = set(corpus["web"]) - set(go(tmp_path / "one", corpus, Decontaminate(against=against, least=1, enough=1)))
    assert gone == {name for name in corpus["web"] if not name.startswith("12 ")}


def test_what_is_found_is_what_plain_python_finds(tmp_path: Path) -> None:
    draw = random.Random(3)
    few = WORDS[:3]  # so that n-grams occur by accident
    texts = {f"{n}": " ".join(draw.choices(few, k=draw.randint(1, 60))) for n in range(300)}
    rows = [" ".join(draw.choices(few, k=draw.randint(13, 30))) for _ in range(60)]
    settings = Decontaminate(against=str(jsonl(tmp_path / "set.jsonl", [{"t": row} for row in rows])), frequent=10**6)

    def grams(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + 13]) for i in range(len(words) - 12)}

    go(tmp_path / "work", {"web": texts}, settings)
    found = pq.read_table(tmp_path / "work" / "contaminated" / "00000.parquet").to_pylist()
    wide = {row["origin"].partition("#")[2]: len(set(row["grams"])) for row in found}
    known = set().union(*map(grams, rows))
    assert wide == {name: n for name, text in texts.items() if (n := len(grams(text) & known))}
    assert wide, "nothing was shared by accident"


def test_numbers_in_order_are_no_evidence_and_a_whole_sum_is(tmp_path: Path) -> None:
    row = "assert highest([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]) == 14"
    corpus = {
        "code": {"numbers": "x = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14", "copy": f"import it\n{row}\nprint(1)"}
    }
    against = jsonl(tmp_path / "set.jsonl", [{"tests": [row]}])
    assert set(go(tmp_path / "work", corpus, Decontaminate(against=str(against)))) == {"numbers"}


def test_phrases_of_many_documents_are_no_evidence_but_long_copies_are(tmp_path: Path) -> None:
    draw = random.Random(4)
    phrase, essay = prose(draw, 16), prose(draw, 60)
    rows = [{"text": f"{phrase} {prose(draw, 20)}"}, {"text": essay}]
    corpus = {
        "web": {
            f"{kind} {n}": f"{text} {prose(draw, 50)}"
            for kind, text in (("phrase", phrase), ("essay", essay))
            for n in range(12)
        }
    }
    against = str(jsonl(tmp_path / "set.jsonl", rows))
    kept = go(tmp_path / "work", corpus, Decontaminate(against=against))
    assert kept == {name: text for name, text in corpus["web"].items() if name.startswith("phrase")}
    assert go(tmp_path / "more", corpus, Decontaminate(against=against, frequent=12)) == {}


def test_japanese_and_chinese_are_looked_for_by_twice_as_many_characters(tmp_path: Path) -> None:
    draw = random.Random(5)

    def line(characters: int) -> str:
        return "".join(chr(0x4E00 + draw.randrange(3000)) for _ in range(characters))

    row, short = line(60), line(18)
    rows = [{"text": row}, {"text": short}, {"text": line(15)}]
    corpus = {
        "web": {
            "all": f"{line(90)}。{row}。{line(9)}",
            "wrapped": "\n".join(row[i : i + 7] for i in range(0, 60, 7)),
            "28 of them": line(50) + row[10:38] + line(50),
            "29 of them": line(50) + row[10:39] + line(50),
            "short": f"{line(80)}{short}",
        }
    }
    against = jsonl(tmp_path / "set.jsonl", rows)
    assert set(go(tmp_path / "work", corpus, Decontaminate(against=str(against)))) == {"28 of them"}
    assert report(tmp_path / "work")["sets"]["set.jsonl"]["rows_too_short"] == 1


def test_files_of_every_format_give_their_texts(tmp_path: Path) -> None:
    draw = random.Random(6)
    texts = {
        name: prose(draw, 20)
        for name in ("jsonl", "nested", "gz", "json", "parquet", "csv", "tsv", "txt", "wrapped", "tokens")
    }
    folder = tmp_path / "eval"
    jsonl(
        folder / "a.jsonl",
        [
            {"text": texts["jsonl"], "n": 1},
            {"choices": [{"label": "a", "text": texts["nested"]}]},
            {"tokens": texts["tokens"].split()},
        ],
    )
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps({"text": texts["gz"]}).encode()))
    (folder / "c.json").write_text(json.dumps([{"text": texts["json"]}], indent=1))
    pq.write_table(pa.table({"inner": [{"text": texts["parquet"]}]}), folder / "d.parquet")
    (folder / "e.csv").write_text(f'"1","he said ""no"",\nand {texts["csv"]}"\n')
    (folder / "f.tsv").write_text(f'label\tsentence\n1\t{texts["tsv"]} "\n')
    wrapped = texts["wrapped"].split()
    (folder / "g.txt").write_text(
        f"DESC:manner\t{texts['txt']}\n\n" + "\n".join(" ".join(wrapped[i : i + 5]) for i in range(0, 20, 5))
    )
    corpus = {"web": texts | {"clean": prose(draw, 30)}}
    assert set(go(tmp_path / "work", corpus, Decontaminate(against=str(folder / "*")))) == {"clean"}
    assert {name: one["rows_hit"] for name, one in report(tmp_path / "work")["sets"].items()} == {
        "a.jsonl": 3, "b.jsonl.gz": 1, "c.json": 1, "d.parquet": 1, "e.csv": 1, "f.tsv": 1, "g.txt": 2
    }  # fmt: skip


def test_only_the_columns_that_are_named_are_looked_for(tmp_path: Path) -> None:
    draw = random.Random(7)
    question, source = prose(draw, 20), prose(draw, 20)
    corpus = {"web": {"question": question, "source": source}}
    for name in ("set.jsonl", "set.tsv"):
        path = tmp_path / name
        path.write_text(
            json.dumps({"q": question, "s": source}) if name == "set.jsonl" else f"q\ts\n{question}\t{source}\n"
        )
        kept = go(tmp_path / f"work of {name}", corpus, Decontaminate(against=str(path), columns=("q",)))
        assert set(kept) == {"source"}
        with pytest.raises(StageError, match="no column body"):
            go(tmp_path / f"none of {name}", corpus, Decontaminate(against=str(path), columns=("body",)))


def test_cut_takes_out_what_was_found_with_its_surroundings_and_no_word_is_torn(tmp_path: Path) -> None:
    draw = random.Random(8)
    row, before, behind = prose(draw, 30), prose(draw, 200), prose(draw, 200)
    whole = f"Cafe\u0301 {before} \u00ad{row} {behind}"
    corpus = {"web": {"one": whole, "only": f"{prose(draw, 20)} {row}", "clean": before}}
    settings = Decontaminate(against=str(jsonl(tmp_path / "set.jsonl", [{"text": row}])), action="cut")
    kept = go(tmp_path / "work", corpus, settings)
    assert set(kept) == {"one", "clean"}
    first, second = kept["one"].split("\n\n")
    assert whole.startswith(first + " ")
    assert whole.endswith(" " + second)
    for side, piece in ((before, first), (behind, second)):
        assert 200 <= len(side) - len(piece) + (len("Cafe\u0301 ") if piece is first else 0) <= 200 + 20
    counts = Record.signed(tmp_path / "work", stages_of(tmp_path / "work", settings, corpus)).counts
    assert counts["bytes_cut"] == len(whole.encode()) - len(kept["one"].encode())
    assert (counts["documents_cut"], counts["pieces_left"], counts["dropped"]) == (1, 2, {"contaminated": 1})


def stages_of(work: Path, settings: Decontaminate, corpus: Corpus) -> Stage:
    return stages(work, corpus, settings)[-1]


def test_a_document_that_falls_into_many_pieces_goes_whole(tmp_path: Path) -> None:
    draw = random.Random(9)
    row = prose(draw, 20)
    corpus = {"web": {f"{n}": f" {row} ".join(prose(draw, 120) for _ in range(n)) for n in (10, 11)}}
    settings = Decontaminate(against=str(jsonl(tmp_path / "set.jsonl", [{"text": row}])), action="cut")
    assert set(go(tmp_path / "work", corpus, settings)) == {"10"}


def test_the_result_is_the_same_for_any_files_units_and_workers(tmp_path: Path) -> None:
    draw = random.Random(10)
    rows = [prose(draw, 30) for _ in range(5)]
    corpus = {
        source: {f"{source} {n}": prose(draw, 50) + (f" {rows[n % 5][: 20 * n]}" if n % 3 else "") for n in range(30)}
        for source in ("books", "web")
    }
    settings = Decontaminate(
        against=str(jsonl(tmp_path / "set.jsonl", [{"text": row} for row in rows])), action="cut", around=10, shortest=5
    )
    wanted, first = go(tmp_path / "a", corpus, settings), report(tmp_path / "a")
    others: list[dict[str, Any]] = [{"files": 4}, {"files": 7, "seed": 1, "engine": Engine(workers=2, tasks=3)}]
    for number, how in enumerate(others):
        work = tmp_path / f"other {number}"
        assert go(work, corpus, settings, **how) == wanted
        other = report(work)
        for part in (*first["sets"].values(), *other["sets"].values()):
            part.pop("examples")  # the first by place
        assert other == first
        first = report(tmp_path / "a")
    assert len(set(wanted.values()) - {text for part in corpus.values() for text in part.values()}) > 5


def test_a_changed_evaluation_file_is_refused_and_a_missing_or_broken_one_told_in_a_line(tmp_path: Path) -> None:
    draw = random.Random(11)
    corpus = {"web": {"one": prose(draw, 30)}}
    path = jsonl(tmp_path / "set.jsonl", [{"text": prose(draw, 30)}])
    work, settings = tmp_path / "work", Decontaminate(against={"set": str(path)})
    go(work, corpus, settings)
    jsonl(path, [{"text": prose(draw, 31)}])
    with pytest.raises(StageError, match=r"input files changed: set/set\.jsonl.*--redo evaluation"):
        go(work, corpus, settings)
    with pytest.raises(InputError, match=r"^decontaminate\.against\.set: .*no\.jsonl matches no file"):
        go(tmp_path / "b", corpus, Decontaminate(against={"set": str(tmp_path / "no.jsonl")}))
    path.write_bytes(gzip.compress(b'{"text": "one"}\n' * 9999)[:-9])
    with pytest.raises(StageError, match="breaks off at line"):
        go(tmp_path / "c", corpus, Decontaminate(against=str(path)))
    other = tmp_path / "set.docx"
    other.write_bytes(b"x")
    with pytest.raises(StageError, match=r"set\.docx: evaluation files are \.parquet"):
        go(tmp_path / "d", corpus, Decontaminate(against=str(other)))


def test_bad_rows_are_counted_and_too_many_are_refused(tmp_path: Path) -> None:
    draw = random.Random(12)
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps({"text": prose(draw, 30)}) + "\n{broken\n[1]\n")
    corpus = {"web": {"one": prose(draw, 30)}}
    with pytest.raises(StageError, match="2 of 3 records are broken"):
        go(tmp_path / "a", corpus, Decontaminate(against=str(path)))
    settings = Decontaminate(against=str(path), max_bad=0.7)
    go(tmp_path / "b", corpus, settings)
    counts = Record.signed(tmp_path / "b", stages(tmp_path / "b", corpus, settings)[0]).counts
    assert counts["dropped"] == {"bad_json": 1, "bad_row": 1}


def test_evaluation_texts_of_sets_without_any_n_gram_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text("{}\n")
    assert go(tmp_path / "work", {"web": {"one": "a text"}}, Decontaminate(against=str(path))) == {"one": "a text"}


def test_a_hostile_document_takes_time_in_proportion(tmp_path: Path) -> None:
    draw = random.Random(13)
    row = prose(draw, 14)
    corpus = {"web": {"equal": f"{row}\n" * 20_000, "one line": " ".join([row] * 20_000), "zeros": "0 " * 500_000}}
    settings = Decontaminate(against=str(jsonl(tmp_path / "set.jsonl", [{"text": row}])), action="cut", around=0)
    assert set(go(tmp_path / "work", corpus, settings)) == {"zeros"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"against": ""}, "names no file"),
        ({"against": {"a/b": "x"}}, "cannot name a set"),
        ({"against": {}}, "names no file"),
        ({"against": "x", "short": 13}, "short is at least 4"),
        ({"against": "x", "least": 0}, "least is from 1 to enough"),
        ({"against": "x", "characters": 0}, "characters is from 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Decontaminate(**given)
