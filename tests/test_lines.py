"""Lines and paragraphs that many documents share: which go, from where, and what the texts look like afterwards."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.settings import Lines
from pipeline.stage import Stage
from recipes.load import RecipeError, load
from recipes.plan import stages
from recipes.repeats import without_repeated_lines
from tests.conftest import RECIPE
from tests.toy_lines import NO_FLOOR, Page, counts, in_plain_python, left, remove, sites


@pytest.mark.parametrize("unit", ["line", "paragraph"])
@pytest.mark.parametrize(
    "settings",
    [NO_FLOOR, replace(NO_FLOOR, scope="source", keep="none"), Lines(scope="all", max_documents=4, min_words=20)],
    ids=["site", "source", "all"],
)
def test_what_is_left_is_what_plain_python_leaves(tmp_path: Path, settings: Lines, unit: str) -> None:
    pages, settings = sites(), replace(settings, unit=unit)  # type: ignore[arg-type]
    wanted = in_plain_python(pages, settings)
    assert remove(tmp_path, pages, settings, files=2) == wanted
    texts = {page.name: page.text for page in pages}
    changed = [name for name in wanted if wanted[name] != texts[name]]
    assert len(changed) > len(pages) // 8
    assert (settings.min_words == 0) == (len(wanted) == len(pages))


def pages_with(line: str, number: int, own: str = "this page alone says {n}", **more: str | None) -> list[Page]:
    return [Page(f"p{n}", own.format(n=n) + "\n" + line, **more) for n in range(number)]  # type: ignore[arg-type]


def test_a_line_that_no_more_documents_have_than_may_stays_in_all(tmp_path: Path) -> None:
    footer = "all rights reserved by the owner of this page"
    few, many = pages_with(footer, 6, url="http://few.example"), pages_with(footer, 7, url="http://many.example")
    pages = [*few, *(replace(page, name=f"m{page.name}") for page in many)]
    kept = remove(tmp_path, pages, Lines(min_words=0))
    assert [kept[page.name] for page in few] == [page.text for page in few]
    first = min(pages[6:], key=lambda page: page.row["id"])
    assert {page.name for page in pages[6:] if footer in kept[page.name]} == {first.name}


def test_lines_that_differ_in_case_space_signs_and_unicode_form_are_one(tmp_path: Path) -> None:
    forms = ["Café » News", "CAFÉ news!", " café\tNews ", unicodedata.normalize("NFD", "café: news")]
    pages = [Page(f"p{n}", f"own {n}\n{form}") for n, form in enumerate(forms)]
    kept = remove(tmp_path, pages, replace(NO_FLOOR, keep="none"))
    assert kept == {f"p{n}": f"own {n}" for n in range(4)}


def test_numbers_and_the_order_of_words_tell_lines_apart(tmp_path: Path) -> None:
    pages = [Page(f"p{n}", f"the population was {n} in 2010") for n in range(9)]
    pages += [Page("back", "2010 in 8 was population the"), Page("joined", "the populationwas 8 in 2010")]
    assert remove(tmp_path, pages) == {page.name: page.text for page in pages}


def test_a_site_is_a_host_without_www_and_a_page_without_one_is_of_its_source(tmp_path: Path) -> None:
    urls = ["http://a.example/x", "https://WWW.A.example:443/y", "HTTP://user@a.example?z", "http://b.example/", None]
    line = "five words are a line"
    pages = [Page(f"p{n}", f"own {n}\n{line}", url) for n, url in enumerate(urls)]
    pages += [Page(f"q{n}", f"own {n}\n{line}", url) for n, url in enumerate([None, "file:///x", "", "not a url"])]
    kept = remove(tmp_path, pages, replace(NO_FLOOR, keep="none"))
    assert {name for name in kept if line not in kept[name]} == {"p0", "p1", "p2", "p4", "q0", "q1", "q2"}


def test_a_line_that_one_document_repeats_is_its_own_affair(tmp_path: Path) -> None:
    pages = [Page("a", "la la la la la\n" * 9), Page("b", "la la la la la"), Page("c", "something else")]
    assert remove(tmp_path, pages) == {page.name: page.text for page in pages}
    more = [*pages, Page("d", "la la la la la\nown\nla la la la la")]
    kept = remove(tmp_path / "more", more)
    first = min((page for page in more if "la" in page.text), key=lambda page: page.row["id"])
    assert kept[first.name] == first.text
    assert {name for name in kept if "la" in kept[name]} == {first.name}


def test_short_lines_and_lines_without_words_are_not_compared(tmp_path: Path) -> None:
    pages = pages_with("----\n\nSee also\n}\nbut five words are compared\n中文五個字\n中文四字", 9)
    kept = remove(tmp_path, pages, replace(NO_FLOOR, min_line_words=5, keep="none"))
    assert kept == {f"p{n}": f"this page alone says {n}\n----\n\nSee also\n}}\n中文四字" for n in range(9)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nX\nb", "a\nb"),
        ("a\n\nX\n\nb", "a\n\nb"),
        ("a\nX\n\nb", "a\n\nb"),
        ("a\n\n\nX\nX\n\nb", "a\n\n\nb"),
        ("a\n\nX\nb\n\nX\nX", "a\n\nb"),
        ("X\n\n  a\n", "  a\n"),
        ("\n\na\nX\n", "\n\na"),
        ("\na \nb\n\n", "\na \nb\n\n"),
        ("a\r\nX\r\nb\r\n", "a\r\nb\r\n"),
        ("a\n\u3000\nX\n \nb", "a\n\u3000\nb"),
        ("X", ""),
    ],
)
def test_what_stays_keeps_its_lines_and_gaps(tmp_path: Path, before: str, after: str) -> None:
    line = "the line that goes"
    others = [Page(f"o{n}", line) for n in range(3)]
    kept = remove(tmp_path, [Page("p", before.replace("X", line)), *others], replace(NO_FLOOR, keep="none"))
    assert kept["p"] == after


def test_a_document_with_too_little_left_is_dropped_with_what_was_measured(tmp_path: Path) -> None:
    notice = " ".join(["we value your privacy"] * 10)
    pages = [*pages_with(notice, 9, own="nothing {n}"), Page("short", "was short before")]
    kept = remove(tmp_path, pages, Lines(min_words=5))
    first = min(pages[:-1], key=lambda page: page.row["id"])
    assert kept == {first.name: first.text, "short": "was short before"}
    found = counts(tmp_path)
    assert found["dropped"] == {"only_repeated_lines": 8}
    (sample, *_) = pq.read_table(tmp_path / "lines/web/dropped/00000.parquet").to_pylist()
    assert sample["value"] == "2 words left, 0.961 of the bytes repeated"
    assert sample["threshold"] == "5"
    assert notice in sample["text"]


def test_every_line_and_byte_that_went_is_counted(tmp_path: Path) -> None:
    pages = [page for page in sites() if page.source == "web"]
    kept = remove(tmp_path, pages, replace(NO_FLOOR, min_words=10), files=3)
    found = counts(tmp_path)
    texts = {page.name: page.text for page in pages}
    sizes = {name: (len(texts[name].encode()), len(text.encode())) for name, text in kept.items()}
    assert found["bytes_removed"] == sum(before - after for before, after in sizes.values())
    assert found["documents_changed"] == sum(kept[name] != texts[name] for name in kept)
    dropped = sum(len(text.encode()) for name, text in texts.items() if name not in kept)
    assert found["bytes_in"] - found["bytes_out"] == found["bytes_removed"] + dropped
    lines = [sum(not line.isspace() for line in text[n].split("\n") if line) for text in (texts, kept) for n in kept]
    assert found["lines_removed"] == sum(lines[: len(kept)]) - sum(lines[len(kept) :]) > 10


def test_the_table_tells_the_most_frequent_lines_and_where_they_stand(tmp_path: Path) -> None:
    footer, menu = "All rights reserved by Example Limited", "home > news > sports > weather > contact"
    pages = [Page(f"a{n}", f"own {n}\n{footer}\n{footer}\n{menu}", "http://a.example/") for n in range(5)]
    pages += [Page(f"b{n}", f"own {n}\n{menu}", "http://www.b.example/") for n in range(7)]
    remove(tmp_path, pages, files=3)
    rows = pq.read_table(tmp_path / "lines/web/frequent.parquet").to_pylist()
    first = {site: min(p.row["id"] for p in pages if p.name[0] == site) for site in "ab"}
    assert [(row["site"], row["documents"], row["removed"], row["text"], row["id"]) for row in rows[:1]] == [
        ("b.example", 7, 6, menu, first["b"])
    ]
    assert {(row["documents"], row["removed"], row["text"], row["id"]) for row in rows[1:]} == {
        (5, 8, footer, first["a"]),
        (5, 4, menu, first["a"]),
    }


def test_a_line_of_five_megabytes_and_a_million_equal_lines_are_done_like_others(tmp_path: Path) -> None:
    long = "word " * 1_000_000
    pages = [Page(f"p{n}", f"own {n}\n{long}") for n in range(3)] + [Page("many", "an equal line\n" * 1_000_000)]
    kept = remove(tmp_path, pages, replace(NO_FLOOR, keep="none"))
    assert kept == {"p0": "own 0", "p1": "own 1", "p2": "own 2", "many": pages[-1].text}


def test_no_documents_and_empty_ones_are_no_fault(tmp_path: Path) -> None:
    assert remove(tmp_path, [Page("empty", ""), Page("blank", " \n\n"), Page("signs", "!!!\n...")]) == {
        "empty": "",
        "blank": " \n\n",
        "signs": "!!!\n...",
    }
    assert counts(tmp_path)["documents_in"] == 3
    remove(tmp_path / "none", [Page("one", "a line")], files=3)
    assert left(tmp_path / "none") == {"one": "a line"}
    assert pq.read_table(tmp_path / "none/lines/web/frequent.parquet").num_rows == 0


def test_settings_that_make_no_sense_are_refused() -> None:
    for name, value in (("max_documents", 0), ("min_line_words", 0), ("min_words", -1)):
        with pytest.raises(ValueError, match=rf"{name} is at least .*, not {value}"):
            Lines(**{name: value})  # type: ignore[arg-type]


def test_a_recipe_compares_the_lines_of_its_web_sources_or_of_those_it_names(tmp_path: Path) -> None:
    def declared(lines: str) -> dict[str, Stage]:
        path = tmp_path / "lines.yaml"
        path.write_text(RECIPE.format(raw="raw", unit="1M").replace("dedup: {", f"dedup: {{lines: {lines}, "))
        return {stage.name: stage for stage in stages(load(path))}

    names = list(declared("{}"))
    assert [name for name in names if "line" in name] == ["line_hashes/web", "repeated_lines", "lines/web"]
    assert (
        names.index("dedup/web") < names.index("line_hashes/web") < names.index("lines/web") < names.index("tokenizer")
    )
    assert "lines/code" in declared("{sources: [web, code]}")
    clean = {name: declared("{}")[f"dedup/{name}"] for name in ("web", "code")}
    _, kept = without_repeated_lines(Lines(), ["web"], clean)
    assert {name: stage.name for name, stage in kept.items()} == {"web": "lines/web", "code": "dedup/code"}
    with pytest.raises(RecipeError, match=r"there is no source 'wed'; the sources are \['code', 'science', 'web'\]"):
        declared("{sources: [wed]}")
    with pytest.raises(RecipeError, match=r"no source is of kind web; name sources: some of \['a'\]"):
        path = tmp_path / "text.yaml"
        source, mix = "sources: {a: {kind: text, read: x}}", "mix: {a: 1.0}"
        phases = f"train: {{phases: [{{name: learn, tokens: 10K, context: 128, {mix}}}]}}"
        path.write_text(f"name: text\n{source}\ndedup: {{lines: {{}}}}\n{phases}\n")
        load(path)
