"""The sample must be readable by the readers of each real format, and come out the same every time."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fastwarc.warc import ArchiveIterator
from lxml import etree

from pipeline.sample import Sample, SampleError, sample
from pipeline.sample.blocks import Block, parse
from pipeline.sample.chapters import entries, public
from pipeline.sample.inline import spans
from pipeline.sample.installed import SKIPPED, drawn, files, licenses
from pipeline.sample.jats import jats
from pipeline.sample.latex import latex
from pipeline.sample.science import Article, Section
from pipeline.sample.warc import Exchange, captured

PAGES, CODE, ARTICLES = 48, 300_000, 9


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample") / "deep" / "data"
    return sample(folder, web_pages=PAGES, code_bytes=CODE, articles=ARTICLES)


def test_the_warc_holds_a_request_for_each_response_and_the_pages_asked_for(small: Sample) -> None:
    kinds: Counter[str] = Counter()
    pages, hosts = set(), set()
    forms: Counter[str] = Counter()
    for path in sorted((small.folder / "web").iterdir()):
        for record in ArchiveIterator(str(path), auto_decode="none", parse_http=False, verify_digests=True):
            kind = record.headers["WARC-Type"]
            kinds[kind] += 1
            url = record.headers.get("WARC-Target-URI") or "http:///"
            hosts.add(url.split("/")[2])
            if kind != "response":
                continue
            head, _, body = record.reader.read().partition(b"\r\n\r\n")
            forms.update(name for name in ("chunked", "gzip", "404 Not Found", "text/css") if name.encode() in head)
            if b"200 OK" in head and b"text/html" in head and "?" not in url:
                pages.add(url)
                forms["legacy"] += b"charset" not in head and b'<meta charset="windows-1252">' in body
    assert len(pages) == PAGES
    assert kinds["request"] == kinds["response"] + kinds["revisit"]
    assert kinds["revisit"] == len(hosts - {""}) == forms["404 Not Found"]
    assert sum(kinds.values()) == small.parts["web"].records
    assert min(forms["chunked"], forms["gzip"], forms["legacy"]) >= 1


def test_a_revisit_refers_to_the_response_it_stands_for(small: Sample) -> None:
    answered: dict[str, str] = {}
    for path in sorted((small.folder / "web").iterdir()):
        for record in ArchiveIterator(str(path), auto_decode="none", parse_http=False, verify_digests=True):
            url = record.headers.get("WARC-Target-URI") or ""
            if record.headers["WARC-Type"] == "response":
                answered[url] = str(record.headers["WARC-Record-ID"])
            elif record.headers["WARC-Type"] == "revisit":
                assert record.headers["WARC-Refers-To"] == answered[url]


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_of_a_response_is_what_was_sent_whatever_the_encoding(gzipped: bool, chunked: bool) -> None:
    body = "<p>caf\N{LATIN SMALL LETTER E WITH ACUTE}</p>\r\n\r\n".encode() * 2_000
    data = captured(
        Exchange(url="http://a.example/b", body=body, content_type="text/html", gzipped=gzipped, chunked=chunked)
    )
    *_, record = ArchiveIterator(io.BytesIO(data), auto_decode="none", parse_http=False, verify_digests=True)
    head, _, sent = record.reader.read().partition(b"\r\n\r\n")
    if chunked:
        pieces, rest = [], sent
        while (size := int(rest.partition(b"\r\n")[0], 16)) > 0:
            start = rest.index(b"\r\n") + 2
            pieces.append(rest[start : start + size])
            rest = rest[start + size + 2 :]
        assert rest == b"0\r\n\r\n"
        sent = b"".join(pieces)
    else:
        assert f"Content-Length: {len(sent)}".encode() in head
    assert (gzip.decompress(sent) if gzipped else sent) == body


def test_each_warc_record_is_a_gzip_member_of_its_own(small: Sample) -> None:
    members = 0
    for path in (small.folder / "web").iterdir():
        rest = path.read_bytes()
        while rest:
            inflate = zlib.decompressobj(wbits=31)
            assert inflate.decompress(rest).startswith(b"WARC/1.0\r\n")
            rest = inflate.unused_data
            members += 1
    assert members == small.parts["web"].records


def test_code_has_the_columns_and_the_figures_of_the_stack(small: Sample) -> None:
    (path,) = (small.folder / "code").iterdir()
    table = pq.read_table(path)
    rows = table.to_pylist()
    assert len(rows) == small.parts["code"].records
    assert {"hexsha", "max_stars_repo_licenses", "max_forks_count", "alphanum_fraction"} <= set(table.column_names)
    assert CODE <= sum(row["size"] for row in rows) == small.parts["code"].raw_bytes
    assert {"Python", "C", "Cython"} <= {row["lang"] for row in rows}
    for row in rows:
        text = row["content"]
        assert row["size"] == len(text.encode())
        assert row["max_line_length"] == max(map(len, text.splitlines()))
        assert 0 < row["alphanum_fraction"] < 1
        assert row["max_stars_repo_licenses"]
        assert not row["max_stars_repo_path"].startswith(("/", ".."))
    library = [row for row in rows if row["max_stars_repo_name"] == "python/cpython"]
    assert library
    assert all(row["max_stars_repo_licenses"] == ["PSF-2.0"] for row in library)


def test_jats_articles_are_well_formed_with_sections_formulas_and_references(small: Sample) -> None:
    found: Counter[str] = Counter()
    with tarfile.open(small.folder / "science" / "articles.tar.gz") as archive:
        for member in archive:
            opened = archive.extractfile(member)
            assert opened
            root = etree.fromstring(opened.read())
            found["articles"] += 1
            assert root.findtext("front/article-meta/title-group/article-title") is not None
            found["abstracts"] += root.find("front/article-meta/abstract/p") is not None
            assert root.find("body/sec/title") is not None
            found.update(
                etree.QName(element).localname for element in root.iter("tex-math", "ref", "table-wrap", "sec")
            )
            cited = set(root.xpath("//xref/@rid"))
            assert cited <= set(root.xpath("//ref/@id"))
    assert found["articles"] == 6
    assert found["abstracts"] >= 5
    assert min(found["tex-math"], found["ref"], found["table-wrap"]) > 0


def test_latex_articles_lie_as_arxiv_lays_them_as_single_files_and_as_tars(small: Sample) -> None:
    forms: Counter[str] = Counter()
    with tarfile.open(small.folder / "science" / "arXiv_src_2501_001.tar") as archive:
        for member in archive:
            assert re.fullmatch(r"2501/2501\.\d{5}\.gz", member.name)
            opened = archive.extractfile(member)
            assert opened
            data = gzip.decompress(opened.read())
            if tarfile.is_tarfile(io.BytesIO(data)):
                forms["tar"] += 1
                with tarfile.open(fileobj=io.BytesIO(data)) as inner:
                    texts = {part.name: (inner.extractfile(part) or io.BytesIO()).read().decode() for part in inner}
                assert r"\input{sections/body}" in texts["main.tex"]
                assert "sections/body.tex" in texts
                whole = "".join(texts.values())
            else:
                forms["single"] += 1
                whole = data.decode()
            assert whole.count(r"\begin{document}") == whole.count(r"\end{document}") == 1
            assert Counter(re.findall(r"\\begin\{(\w+)\}", whole)) == Counter(re.findall(r"\\end\{(\w+)\}", whole))
    assert forms == {"tar": 2, "single": 1}
    assert small.parts["science"].records == ARTICLES


def test_the_same_installation_gives_the_same_bytes(small: Sample, tmp_path: Path) -> None:
    call = f"from pathlib import Path; from pipeline.sample import sample; sample(Path({str(tmp_path / 'again')!r}), "
    call += f"web_pages={PAGES}, code_bytes={CODE}, articles={ARTICLES})"
    root = Path(__file__).parent.parent
    subprocess.run(
        [sys.executable, "-W", "error", "-c", call], cwd=root, check=True, env={**os.environ, "PYTHONHASHSEED": "7"}
    )
    assert _bytes(tmp_path / "again") == _bytes(small.folder)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_sample_is_returned_as_it_is(small: Sample) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.folder.rglob("*")}
    again = sample(small.folder, web_pages=PAGES, code_bytes=CODE, articles=ARTICLES)
    assert again == small
    assert dict(again.items())["web files"] == len(list((small.folder / "web").iterdir()))
    assert {path: path.stat().st_mtime_ns for path in small.folder.rglob("*")} == before


def test_a_sample_of_other_sizes_is_refused(small: Sample) -> None:
    with pytest.raises(SampleError, match=f"web_pages {PAGES} -> 7"):
        sample(small.folder, web_pages=7, code_bytes=CODE, articles=ARTICLES)


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SampleError, match="something that is no sample"):
        sample(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("signature", ["", "[]", "{", '{"sizes": {}}', '{"sizes": 3}'])
def test_a_signature_that_cannot_be_read_is_told(tmp_path: Path, signature: str) -> None:
    (tmp_path / "sample.json").write_text(signature)
    with pytest.raises(SampleError, match=r"sample\.json cannot be read"):
        sample(tmp_path)


@pytest.mark.parametrize("sizes", [{"web_pages": 0}, {"code_bytes": -1}, {"articles": 0}])
def test_sizes_below_one_are_refused_before_anything_is_written(tmp_path: Path, sizes: dict[str, int]) -> None:
    with pytest.raises(SampleError, match="at least 1"):
        sample(tmp_path / "new", **sizes)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SampleError, match="something that is no sample"):
        sample(tmp_path / "file")
    with pytest.raises(SampleError, match=r"file/below: (File exists|Not a directory)"):
        sample(tmp_path / "file" / "below")


def test_what_a_stopped_call_left_is_not_taken_for_a_sample_and_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / ".data.unfinished"
    (left / "web").mkdir(parents=True)
    (left / "web" / "docs-00000.warc.gz").write_bytes(b"half")
    made = sample(tmp_path / "data", web_pages=2, code_bytes=1, articles=1)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert (
        json.loads((tmp_path / "data" / "sample.json").read_text())["parts"]["web"]["records"]
        == made.parts["web"].records
    )


def test_a_call_killed_in_the_middle_leaves_nothing_under_the_name_asked_for(tmp_path: Path) -> None:
    call = f"from pathlib import Path; from pipeline.sample import sample; sample(Path({str(tmp_path / 'data')!r}))"
    running = subprocess.Popen([sys.executable, "-c", call], cwd=Path(__file__).parent.parent)
    while not (tmp_path / ".data.unfinished").exists():
        assert running.poll() is None
        time.sleep(0.01)
    running.kill()
    assert running.wait() != 0
    assert [path.name for path in tmp_path.iterdir()] == [".data.unfinished"]


def test_nothing_of_a_package_is_imported() -> None:
    call = (
        "import sys; from pathlib import Path; from pipeline.sample.chapters import chapters; "
        "next(chapters('scipy', range(2000, 9000))); next(chapters('torch', range(2000, 9000))); "
        "assert not {'scipy', 'torch', 'numpy', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", call], cwd=Path(__file__).parent.parent, check=True)


def test_a_numpydoc_docstring_is_told_apart_into_its_blocks() -> None:
    blocks = parse(
        """Sum of squares.

        Uses the formula

        .. math:: s = \\sum_i x_i^2

        Parameters
        ----------
        x : array_like
            The values, one
            or more.

        Notes
        -----
        * fast
        * exact, see [1]_

        >>> squares([1, 2])
        5

        References
        ----------
        .. [1] Gauss, "Theoria motus",
           1809.
        """
    )
    assert blocks == [
        Block("paragraph", "Sum of squares."),
        Block("paragraph", "Uses the formula"),
        Block("formula", "s = \\sum_i x_i^2"),
        Block("heading", "Parameters"),
        Block("field", "The values, one or more.", "x : array_like"),
        Block("heading", "Notes"),
        Block("item", "fast"),
        Block("item", "exact, see [1]_"),
        Block("code", ">>> squares([1, 2])\n5"),
        Block("heading", "References"),
        Block("reference", 'Gauss, "Theoria motus", 1809.', "1"),
    ]


def test_a_google_docstring_is_told_apart_into_its_blocks() -> None:
    blocks = parse(
        "Load.\n\nArgs:\n    path (str, *optional*): Where\n        it lies.\n    fast: Or not.\n\n"
        "Example::\n\n    load('x')"
    )
    assert blocks == [
        Block("paragraph", "Load."),
        Block("heading", "Args"),
        Block("field", "Where it lies.", "path (str, optional)"),
        Block("field", "Or not.", "fast"),
        Block("heading", "Example"),
        Block("code", "load('x')"),
    ]


def test_a_table_keeps_its_lines() -> None:
    table = "====  =====\nside  value\n====  =====\nleft  1\n====  ====="
    assert parse(f"One of\n\n{table}\n\nand so on.") == [
        Block("paragraph", "One of"),
        Block("code", table),
        Block("paragraph", "and so on."),
    ]


@pytest.mark.parametrize(
    "text", ["", "   \n\n", "=====", "::", ".. math::", "```", "* ", ":", "-----\n-----", "Args:", "\tx\n  y\nz"]
)
def test_odd_docstrings_are_read_without_a_fault(text: str) -> None:
    assert all(block.text or block.label or block.kind in {"code", "field"} for block in parse(text))


def test_no_word_of_the_documentation_of_a_long_module_is_lost_between_its_blocks() -> None:
    (file,) = [file for file in files("python", frozenset({".py"})) if file.name == "statistics.py"]
    import ast

    docstring = ast.get_docstring(ast.parse(file.read() or "")) or ""
    told = " ".join(f"{block.label} {block.text}" for block in parse(docstring))
    assert set(re.findall(r"\w+", docstring)) <= set(re.findall(r"\w+", told))


def test_inline_markup_is_told_apart() -> None:
    text = "See ``x`` and :math:`a^2` by :func:`~a.b.f` in [1]_, *now*, [docs](https://a.example/)."
    marked = [(mark, words) for mark, words, _ in spans(text) if mark != "text"]
    assert marked == [
        ("code", "x"),
        ("math", "a^2"),
        ("code", "f"),
        ("cite", "1"),
        ("emphasis", "now"),
        ("link", "docs"),
    ]


def test_docstrings_that_compiled_functions_are_given_are_found() -> None:
    source = (
        'add_newdoc("scipy.special", "zeta", """Riemann or Hurwitz zeta function, of one or two arguments or so.""")\n'
        'add_docstr(torch.abs, r"""abs(x)\n\nComputes the absolute value of each item of {{x}}, which is not negative.'
        '\n{common}\n""".format(**common))\n'
        'def _private():\n    """Nobody reads this."""\n'
    )
    found = {entry.name: entry.blocks for entry in entries(source)}
    assert list(found) == ["zeta", "abs"]
    assert found["abs"][-1].text.endswith("of {x}, which is not negative.")


@pytest.mark.parametrize("source", ["def f(:", "\0", "x = '\\d'"])
def test_source_that_says_nothing_gives_no_entries_and_no_warning(source: str) -> None:
    assert entries(source) == []


def test_markup_characters_in_the_text_cannot_break_xml_or_latex() -> None:
    nasty = 'a < b & c > "d" \x01 100% of $5 {x}_1 # ~ ^ \\n [9]_'
    blocks = [Block("paragraph", nasty), Block("field", nasty, nasty), Block("item", nasty), Block("formula", "a < b")]
    made = Article(
        1, "p", "p.m", nasty, blocks, [Section(nasty, 2, blocks, {}), Section(nasty, 1, blocks, {})], [nasty]
    )
    root = etree.fromstring(jats(made, ["MIT"]).encode())
    assert root.findtext("body/sec/p") == nasty.replace("\x01", "").replace("[9]_", "[9]")
    assert r"100\% of \$5 \{x\}\_1 \#" in latex(made)["main.tex"]


def test_groups_take_turns_by_what_they_have_had_and_are_not_read_in_vain() -> None:
    asked: list[int] = []

    def lazy() -> Iterator[int]:
        for size in [5, 5, 5]:
            asked.append(size)
            yield size

    assert drawn({"b": lazy(), "a": iter([1] * 6)}, 9, int) == [1, 5, 1, 1, 1]
    assert asked == [5]
    assert drawn({"a": iter([1, 2])}, 100, int) == [1, 2]


def test_tests_and_build_records_are_not_part_of_the_sample() -> None:
    for name in ["scipy/stats/tests/test_x.py", "a/conftest.py", "_sysconfigdata__linux_.py", "pip/_vendor/x.py"]:
        assert SKIPPED.search(name), name
    for name in ["scipy/stats/_testing_of_hypotheses.py", "numpy/linalg/_linalg.py", "unittest/case.py", "contest.py"]:
        assert not SKIPPED.search(name), name
    assert files("no-such-package", frozenset({".py"})) == []


def test_licences_are_spdx_names() -> None:
    assert licenses("python") == ["PSF-2.0"]
    assert licenses("scipy") == ["BSD-3-Clause"]
    assert licenses("no-such-package") == []
    assert all(" " not in name for package in ("numpy", "torch", "sympy", "pandas") for name in licenses(package))


@pytest.mark.parametrize(
    ("file", "name"),
    [("scipy/stats/_qmc.py", "scipy.stats"), ("abc.py", "abc"), ("_py_abc.py", "_py_abc"), ("a/__init__.py", "a")],
)
def test_modules_go_by_the_name_that_users_import(file: str, name: str) -> None:
    assert public(file) == name
