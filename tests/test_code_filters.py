"""Source files are kept for their licence, origin, shape and content."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from pipeline.documents import SCHEMA, Document, record
from pipeline.filters.code.measure import measure
from pipeline.filters.code.rules import rules
from pipeline.filters.code.settings import CodeFilters, Comments, Data, StarCoder
from pipeline.filters.rules import first_failed

PYTHON = "def add(first, second):\n    return first + second\n"
HTML = "<html><head><title>A page</title></head><body>" + "<p>Some words that a reader sees.</p>" * 5 + "</body></html>"
Reason = tuple[str, Any, Any] | None


def judge_all(filters: CodeFilters, *documents: Document) -> list[Reason]:
    """(reason, value, threshold) of the first rule that each document fails."""
    rows = [record(document, "s", "code", "f") for document in documents]
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    columns, asked = measure(batch, filters).columns, rules(filters)
    failed = first_failed(columns, asked, batch.num_rows)
    return [
        (asked[n].reason, columns[asked[n].column][d], asked[n].threshold) if n >= 0 else None
        for d, n in enumerate(failed)
    ]


def judge(
    text: str = PYTHON,
    license: str | None = "MIT",
    language: str | None = "python",
    rules: CodeFilters | None = None,
    **metadata: Any,
) -> Reason:
    document = Document(at="0", text=text, license=license, language=language, metadata=metadata)
    return judge_all(rules or CodeFilters(), document)[0]


def reason(*arguments: Any, **fields: Any) -> str | None:
    failed = judge(*arguments, **fields)
    return failed and failed[0]


def test_a_permissive_file_of_plain_code_passes() -> None:
    assert judge(path="src/add.py", is_vendor=False, is_generated=False) is None


def test_an_empty_batch_has_the_same_columns() -> None:
    empty = measure(pa.RecordBatch.from_pylist([], schema=SCHEMA), CodeFilters()).columns
    one = pa.RecordBatch.from_pylist([record(Document(at="0", text="x"), "s", "code", "f")], schema=SCHEMA)
    assert list(empty) == list(measure(one, CodeFilters()).columns)
    assert {rule.column for rule in rules(CodeFilters(comments=Comments(), languages=("c",)))} <= set(empty)


@pytest.mark.parametrize(
    "other",
    [
        CodeFilters(comments=Comments(), data=None, starcoder=None, licenses="any", secrets="keep"),
        CodeFilters(comments=Comments(min_share=0.3, languages=("C", "Rust")), data=Data(from_bytes=5), vendored=True),
    ],
)
def test_what_is_measured_does_not_depend_on_which_rules_are_on(other: CodeFilters) -> None:
    """So that other rules may be asked of what was stored."""
    texts = [PYTHON, "# words\n" * 9, "x = 1\n", "/* a */ int a[] = {1, 2, 3};\n", "{'a': [1, 2]}", "", HTML, "\n"]
    rows = [
        record(Document(at=str(n), text=text, language=language, license="MIT"), "s", "code", "f")
        for n, (text, language) in enumerate(
            (text, name) for text in texts for name in ("Python", "c", "json", "q", None)
        )
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    stored, columns = (measure(batch, filters).columns for filters in (CodeFilters(), other))
    assert stored.keys() == columns.keys()
    for name, values in columns.items():
        np.testing.assert_array_equal(stored[name], values)
    failed = first_failed(stored, rules(other), len(rows))
    assert "comments" in {rules(other)[number].column for number in failed if number >= 0}


def test_a_slice_of_a_batch_is_judged_as_the_whole() -> None:
    texts = [PYTHON, "x" * 2000, "password = 'q8Zr2LmN0pXw'", "é" * 9, "", PYTHON + "# GPL", "// @generated\nx"] * 3
    rows = [record(Document(at=str(n), text=text, license="MIT"), "s", "code", "f") for n, text in enumerate(texts)]
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    whole, part = (measure(some, CodeFilters()).columns for some in (batch, batch.slice(5, 9)))
    for name, values in whole.items():
        equal = values[5:14] == part[name]
        if values.dtype != object:
            equal |= np.isnan(values[5:14]) & np.isnan(part[name])
        assert equal.all(), name


@pytest.mark.parametrize("told", [None, "", "NOASSERTION", "no_license", "[]", "None"])
def test_a_file_without_a_licence_is_kept_only_if_any_will_do(told: str | None) -> None:
    assert judge(license=told) == ("no_license", "none", "permissive")
    assert judge(license=told, rules=CodeFilters(licenses="any")) is None


def test_a_files_own_notice_counts_beside_that_of_its_repository() -> None:
    gpl = "# Licensed under the GNU General Public License, version 2 or later.\n" + PYTHON
    assert judge(gpl) == ("license", "(MIT) AND (GPL-2.0-or-later)", "permissive")
    assert judge("# SPDX-License-Identifier: MIT\n" + PYTHON, license=None) is None
    assert reason("# SPDX-License-Identifier: MIT\n" + PYTHON, license="GPL-3.0-only") == "license"
    assert judge(gpl, rules=CodeFilters(license_notices=False)) is None
    assert judge(gpl, language="markdown") is None


def test_languages_are_named_in_any_case() -> None:
    asked = CodeFilters(languages=("python", "C++"))
    assert judge(language="Python", rules=asked) is None
    assert judge(language="Go", rules=asked) == ("language", "Go", "python, C++")
    assert judge(language=None, rules=asked) == ("language", None, "python, C++")
    assert judge(language=None) is None


@pytest.mark.parametrize(
    ("metadata", "text", "language", "expected"),
    [
        ({"is_vendor": True}, PYTHON, "Python", "vendored"),
        ({"path": "web/node_modules/left/pad.js"}, PYTHON, "JavaScript", "vendored"),
        ({"path": "vendor/github.com/x/y.go"}, PYTHON, "Go", "vendored"),
        ({"path": "src/pip/_vendor/idna/core.py"}, PYTHON, "Python", "vendored"),
        ({"path": "static/jquery-3.6.0.js"}, PYTHON, "JavaScript", "vendored"),
        ({"path": "gradlew.bat"}, PYTHON, "Batchfile", "vendored"),
        ({"is_generated": True}, PYTHON, "Python", "generated"),
        ({"path": "api/x.pb.go"}, PYTHON, "Go", "generated"),
        ({"path": "package-lock.json"}, '{"name": "words and words"}', "JSON", "generated"),
        ({}, "// Code generated by protoc-gen-go. DO NOT EDIT.\n" + PYTHON, "Go", "generated"),
        ({}, "// A licence\n" * 9 + "// Code generated by mock. DO NOT EDIT.\n" + PYTHON, "Go", "generated"),
        ({}, "#!/bin/sh\n# @generated\n" + PYTHON, "Shell", "generated"),
        ({}, "# This file was automatically generated\n" + PYTHON, "Python", "generated"),
        ({}, "/* A Bison parser, made by GNU Bison 3.8.  */\n" + PYTHON, "C", "generated"),
        ({"path": "js/app.min.js"}, PYTHON, "JavaScript", "minified"),
        ({}, "function(){return a+b};" * 20, "JavaScript", "minified"),
        ({}, "/* MIT */\n" * 60 + "function(){return a+b};" * 60, "JavaScript", "minified"),
        ({}, " \n\n", "Python", "empty"),
    ],
)
def test_files_that_nobody_wrote_here_are_dropped(
    metadata: dict[str, Any], text: str, language: str, expected: str
) -> None:
    assert reason(text, language=language, **metadata) == expected


def test_files_that_nobody_wrote_here_are_kept_if_asked() -> None:
    kept = CodeFilters(vendored=True, generated=True, minified=True)
    path = "node_modules/a.min.js"
    assert judge("// @generated\n" + PYTHON, rules=kept, path=path, is_vendor=True, is_generated=True) is None


def test_names_and_words_that_only_look_alike_are_kept() -> None:
    assert judge(path="src/vendoring/vendor.py") is None
    assert judge(path="lib/my_vendor/a.py") is None
    assert judge(path="src/lib/moment/prototype.js") is None
    assert judge("# Please do not edit the tests.\n" + PYTHON) is None
    assert judge("# Writes the file. Code generated by it says so.\n" + PYTHON) is None
    assert judge(PYTHON * 5 + "# automatically generated\n") is None


@pytest.mark.parametrize(
    ("text", "language", "failed"),
    [
        (PYTHON + "a = '" + "x y " * 250 + "'", "Python", ("starcoder_long_line", 1006, 1000)),
        ("xy z" * 38 + "\n" + "y" * 52, "Python", ("starcoder_long_lines", 102.0, 100.0)),
        ("xy z" * 250 + "\n" * 20, "Python", None),
        ("xy z" * 2000, "Markdown", None),
        ("xy z" * 26000, "Markdown", ("starcoder_long_line", 104000, 100000)),
        ("x\n" * 100_001, "C", ("starcoder_many_lines", 100001, 100000)),
        ("(" * 76 + "x" * 24, "Python", ("starcoder_few_alphabetic", 0.24, 0.25)),
        ("(" * 75 + "é" * 25, "Python", None),
        ("(" * 50 + "é" * 20 + "1" * 30, "Python", ("starcoder_few_alphabetic", 0.2, 0.25)),
        ("(" * 50 + "é" * 20 + "1" * 30, "Assembly", None),
        ("(" * 90 + "x" * 10, "Assembly", ("starcoder_few_alphanumeric", 0.1, 0.25)),
        ('<?xml version="1.0"?>\n<a>some words</a>', "Python", ("starcoder_xml", "<?xml version=", None)),
        ('<?xml version="1.0"?>\n<a>some words</a>', "XSLT", None),
        ("some words " * 10 + '\n<?xml version="1.0"?>', "Python", None),
        ("a: b\n" * 513, "YAML", ("starcoder_data_lines", 513, 512)),
        ("a: b\n" * 513, "Python", None),
        ("x = 1\n" + "Ab+/" * 32 + "\n", "Python", ("starcoder_encoded", pytest.approx(131 / 135), 0.5)),
        ("name = other\n" * 200 + "Ab+/\n" * 210, "Python", ("starcoder_encoded_run", 1056, 1024)),
        (HTML, "HTML", None),
        ("<p>Few words</p>", "HTML", ("starcoder_html_text", 9, 100)),
    ],
)
def test_starcoders_rules_on_the_shape_of_a_file(text: str, language: str, failed: Reason) -> None:
    assert judge(text, language=language) == failed


def test_text_is_kept_by_its_name() -> None:
    assert judge("some words\n", language="Text", path="a/README.txt") is None
    assert judge("some words\n", language="Text", path="dev-requirements.txt") is None
    assert judge("some words\n", language="Text", path="a/words.txt") == ("starcoder_text_name", "words.txt", None)
    assert judge("some words\n", language="Text") is None
    unnamed = CodeFilters(starcoder=StarCoder(named_text=False))
    assert judge("some words\n", language="Text", path="a/words.txt", rules=unnamed) is None


def test_a_page_of_markup_with_little_to_read_is_dropped() -> None:
    page = "<html><body>" + '<div class="a b c d e f g h">x y</div>\n' * 100 + "</body></html>"
    assert reason(page, language="HTML") == "starcoder_html_visible"
    assert judge(page, language="HTML", rules=CodeFilters(starcoder=None)) is None


def test_comments_are_asked_for_where_the_recipe_does() -> None:
    asked = CodeFilters(comments=Comments())
    assert judge(rules=asked) == ("few_comments", 0.0, 0.01)
    assert judge('"""Adds."""\n' + PYTHON, rules=asked) is None
    assert reason("# words and words\n" * 50 + PYTHON, rules=asked) == "many_comments"
    assert judge(language="Go", rules=asked) is None


def test_a_program_that_is_a_table_is_dropped() -> None:
    table = "NAMES = [\n" + "    'a name', 17,\n" * 200 + "]\n"
    failed = judge(table)
    assert failed is not None
    assert failed[0] == "data"
    assert failed[1] > 0.99
    assert judge(table, rules=CodeFilters(data=None)) is None
    assert judge(table, rules=CodeFilters(data=Data(from_bytes=10_000))) is None
    assert judge(table, language="YAML") is None


def test_files_with_secrets_are_redacted_dropped_or_kept() -> None:
    text = PYTHON + "password = 'q8Zr2LmN0pXw'\n"
    assert judge(text) is None
    assert judge(text, rules=CodeFilters(secrets="drop")) == ("secrets", 1, 0)
    batch = pa.RecordBatch.from_pylist([record(Document(at="0", text=text), "s", "code", "f")], schema=SCHEMA)
    redact = measure(batch, CodeFilters()).redact
    assert redact is not None
    assert redact([PYTHON, text]) == [PYTHON, PYTHON + "password = '<PASSWORD>'\n"]
    assert measure(batch, CodeFilters(secrets="keep")).redact is None


def test_rules_are_asked_in_order() -> None:
    text = "// @generated\n" + "x y" * 700
    asked = StarCoder(max_line=3000, max_mean_line=3000)
    assert [
        reason(text, "GPL-2.0-only", "Go", CodeFilters(languages=("C",)), is_vendor=True),
        reason(text, "MIT", "Go", CodeFilters(languages=("C",)), is_vendor=True),
        reason(text, "MIT", "Go", is_vendor=True),
        reason(text, "MIT", "Go"),
        reason(text, "MIT", "Go", CodeFilters(generated=True)),
        reason(text, "MIT", "Go", CodeFilters(generated=True, starcoder=asked)),
    ] == ["license", "language", "vendored", "generated", "starcoder_long_line", None]


def test_a_file_of_nothing_but_key_words_is_dropped() -> None:
    text = "words and token\n" * 100_001
    assert judge(text, rules=CodeFilters(starcoder=None)) == ("hostile_secrets", 100_001, 100_000)
    assert judge(text, rules=CodeFilters(starcoder=None, secrets="keep")) is None


@pytest.mark.parametrize("asked", [{"licenses": ()}, {"comments": {"min_share": 0.9}}, {"data": {"max_literals": 2}}])
def test_settings_that_make_no_sense_are_refused(asked: dict[str, Any]) -> None:
    made: dict[str, Any] = {"comments": Comments, "data": Data}
    with pytest.raises(ValueError, match=r"licenses|max_share|max_literals"):
        CodeFilters(**{key: made[key](**value) if key in made else value for key, value in asked.items()})


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3_000_000,
        "a\n" * 2_000_000,
        "token=" * 600_000,
        "://a:" * 600_000,
        "'" * 3_000_000,
        "/*" * 1_500_000,
        "<a " * 1_000_000,
        "00 " * 1_000_000,
        "00" + " " * 3_000_000,
        "-----BEGIN PRIVATE KEY-----" * 100_000,
        "license under the the terms of the gnu gpl " * 70_000,
        "generated by " * 230_000,
        "eyJ" + "a" * 3_000_000,
    ],
)
def test_a_hostile_file_costs_little_time(text: str) -> None:
    from time import process_time

    judge()
    begin = process_time()
    judge(text, language="JavaScript")
    judge(text, language="HTML", metadata=orjson.dumps({}).decode())
    assert process_time() - begin < 5
