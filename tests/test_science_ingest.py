"""Archives of papers: members are read, refused for a reason, and damage costs no more than it must."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.documents import Document, Dropped
from pipeline.ingest import archives
from pipeline.ingest.papers import read_papers
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile
from pipeline.ingest.science import read_archive, read_xml, root_of
from pipeline.units import Piece

TEX = rb"""\documentclass{article}\title{On cats}\begin{document}\maketitle
\section{First} Cats \emph{sleep} a lot, $x^2$ times.\end{document}"""
JATS = b"""<article xml:lang="en"><front><article-meta><article-id pub-id-type="doi">10.1/%d</article-id>
<title-group><article-title>Paper %d</article-title></title-group></article-meta></front>
<body><p>Text of a paper.</p></body></article>"""


def tar(*files: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def read(tmp_path: Path, content: bytes, name: str = "a.tar") -> list[Found]:
    (tmp_path / name).write_bytes(content)
    return list(read_archive(tmp_path / name, references=False))


def told(found: list[Found]) -> list[tuple[str, str | None]]:
    return [(what.at, what.title if isinstance(what, Document) else what.reason) for _, what in found]


ARTICLES = [(f"x/{n}.xml", JATS % (n, n)) for n in range(5)]
READ = [(f"x/{n}.xml", f"Paper {n}") for n in range(5)]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_every_article_of_an_archive_is_a_document(tmp_path: Path, ending: str) -> None:
    packers: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}
    pack = packers[ending]
    found = read(tmp_path, pack(tar(*ARTICLES)), f"a.tar{ending}")
    assert told(found) == READ
    document = found[2].what
    assert isinstance(document, Document)
    assert document.text == "Paper 2\n\nText of a paper."
    assert (document.url, document.language) == ("https://doi.org/10.1/2", "en")
    assert [size for size, _ in found] == [len(content) for _, content in ARTICLES]


def test_submissions_are_read_whether_they_are_one_file_or_an_archive(tmp_path: Path) -> None:
    parts = tar(
        ("main.tex", TEX.replace(b"Cats", rb"\input{part}")), ("part.tex", rb"\emph{Dogs}"), ("f.png", b"\x89PNG\0")
    )
    found = read(
        tmp_path,
        tar(("2601/2601.00001.gz", gzip.compress(TEX)), ("0001/hep-th0001002.gz", gzip.compress(parts))),
    )
    one, many = (what for _, what in found)
    assert isinstance(one, Document)
    assert isinstance(many, Document)
    assert one.text == "On cats\n\nFirst\n\nCats sleep a lot, $x^2$ times."
    assert "Dogs sleep a lot" in many.text
    assert (one.url, many.url) == ("https://arxiv.org/abs/2601.00001", "https://arxiv.org/abs/hep-th/0001002")


def test_members_that_are_no_papers_are_dropped_for_their_reasons(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        tar(
            ("a.pdf", b"%PDF"),
            ("b.gz", gzip.compress(b"%PDF-1.4 \0")),
            ("c.gz", b"no gzip"),
            ("d.gz", gzip.compress(TEX)[:-9]),
            ("e.xml", b"<article>"),
            ("f.xml", b"<PubmedArticleSet/>"),
            ("g.csv", b"1,2"),
            ("h.gz", gzip.compress(tar(("x.tex", TEX), ("y.tex", TEX))[:1800])),
            *ARTICLES[:1],
        ),
    )
    assert told(found) == [
        ("a.pdf", "not_latex"),
        ("b.gz", "not_latex"),
        ("c.gz", "bad_gzip"),
        ("d.gz", "bad_gzip"),
        ("e.xml", "bad_xml"),
        ("f.xml", "not_an_article"),
        ("g.csv", "not_a_paper"),
        ("h.gz", "bad_latex"),
        *READ[:1],
    ]


def test_members_of_the_same_name_have_places_of_their_own(tmp_path: Path) -> None:
    found = read(tmp_path, tar(ARTICLES[0], ("x/0.xml", JATS % (7, 7)), ARTICLES[1]))
    assert told(found) == [("x/0.xml", "Paper 0"), ("x/0.xml~2", "Paper 7"), ("x/1.xml", "Paper 1")]


def test_names_that_are_no_utf_8_still_tell_members_apart(tmp_path: Path) -> None:
    found = read(tmp_path, tar(("\udce9.xml", JATS % (1, 1)), ("\udce8.xml", JATS % (2, 2))))
    assert told(found) == [("\ufffd.xml", "Paper 1"), ("\ufffd.xml~2", "Paper 2")]


def test_a_member_over_the_limit_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST", 2000)
    bomb = ("b.gz", gzip.compress(bytes(100_000)))
    found = read(tmp_path, tar(ARTICLES[0], ("big.xml", bytes(9000)), bomb, ARTICLES[1]))
    assert told(found) == [READ[0], ("big.xml", "too_large"), ("b.gz", "too_large"), READ[1]]


def test_of_an_archive_that_is_cut_off_or_damaged_what_came_before_is_kept(tmp_path: Path) -> None:
    whole = tar(*ARTICLES)
    header = 512 + 3 * 1024  # the folder, and three articles of a header and a block each
    damaged = whole[: header + 100] + b"?" * 50 + whole[header + 150 :]
    packed = gzip.compress(whole, compresslevel=0)[: header + 300]
    for content, name in (
        (whole[: header + 100], "a.tar"),
        (whole[: header + 512 + 40], "a.tar"),
        (damaged, "a.tar"),
        (packed, "a.tar.gz"),
    ):
        (tmp_path / name).write_bytes(content)
        found: list[Found] = []
        with pytest.raises(DamagedFile, match=r"breaks off at the file behind x/2\.xml"):
            for each in read_archive(tmp_path / name, references=False):
                found.append(each)  # noqa: PERF402  # what came before the fault
        assert told(found) == READ[:3]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize("content", [b"no archive at all" * 99, b"\x1f\x8b\x08" + b"?" * 99])
def test_what_is_no_archive_cannot_be_read(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(UnreadableFile, match="is no tar archive"):
        read(tmp_path, content, name)


def test_a_single_article_is_read_and_another_xml_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(JATS % (1, 1))
    assert told(list(read_xml(path, references=False))) == [("0", "Paper 1")]
    packed = tmp_path / "a.nxml.gz"
    packed.write_bytes(gzip.compress(JATS % (2, 2)))
    assert told(list(read_xml(packed, references=False))) == [("0", "Paper 2")]
    packed.write_bytes(packed.read_bytes()[:-30])
    with pytest.raises(DamagedFile, match="breaks off at byte"):
        list(read_xml(packed, references=False))
    path.write_bytes(b"<html/>")
    assert told(list(read_xml(path, references=False))) == [("0", "not_an_article")]


def test_rows_of_pes2o_keep_what_they_tell(tmp_path: Path) -> None:
    row = {
        "id": 12,
        "text": "Words",
        "source": "s2orc",
        "added": "2026-01-01",
        "created": "2020-05-06",
        "version": "v3",
    }
    metadata = [{"title": "T", "year": 2020}, '{"year": 2021}', "{'year': 2022}", None, ["x"]]
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b"".join(json.dumps({**row, "metadata": m}).encode() + b"\n" for m in metadata)))
    found = [what for _, what in read_papers(Piece(str(path), path.name, 1), references=False)]
    facts = {"id": "12", "source": "s2orc", "added": "2026-01-01", "version": "v3"}
    documents = [what for what in found if isinstance(what, Document)]
    assert [what for what in found if isinstance(what, Dropped)] == []
    assert [document.date for document in documents] == ["2020-05-06"] * 5
    assert documents[0].title == "T"
    assert [dict(document.metadata) for document in documents] == [
        {"year": 2020, **facts},
        {"year": 2021, **facts},
        {"metadata": "{'year': 2022}", **facts},
        facts,
        {"metadata": ["x"], **facts},
    ]


@pytest.mark.parametrize(
    ("about", "date"),
    [
        ({"year": 1960}, "1960"),
        ({"year": "1960"}, "1960"),
        ({"year": 1960.0}, "1960"),
        ({"year": float("nan")}, None),
        ({"created": None, "publication_year": 1960, "publication_date": "1960-02-03"}, "1960-02-03"),
        ({"pubdate": "1960 Feb"}, "1960 Feb"),
        ({"update_date": "2015-01-02"}, "2015-01-02"),
        ({"update_date": "2015-01-02", "versions": [{"created": "Mon, 2 Apr 2007 19:18:42 GMT"}, {"created": "x"}]},
         "Mon, 2 Apr 2007 19:18:42 GMT"),
        ({"versions": [], "update_date": ""}, None),
        ({"metadata": {"year": 1960}}, "1960"),
        ({"year": 1961, "metadata": '{"created": "1960"}'}, "1961"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("text", ["abstract", "text"])
def test_the_year_of_a_table_of_papers_is_the_documents_date(
    tmp_path: Path, text: str, kind: str, about: dict[str, Any], date: str | None
) -> None:
    row = {"title": "T", text: "Words.", **about}
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        path.write_text(json.dumps(row) + "\n")
    ((_, document),) = read_papers(Piece(str(path), path.name, 1), references=False)
    assert isinstance(document, Document)
    assert document.date == date


@pytest.mark.parametrize(
    ("head", "root"),
    [
        (
            b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "<b>">]><!-- <c> --><PubmedArticleSet x="1">',
            "PubmedArticleSet",
        ),
        (b'\xef\xbb\xbf\n<x:article xmlns:x="u">', "article"),
        ("<?xml version='1.0' encoding='UTF-16'?><article/>".encode("utf-16"), "article"),
        (b"<article><p", "article"),
        (b"<article <", None),
        (b"no xml", None),
        (b"", None),
    ],
)
def test_an_xml_file_is_known_by_its_outermost_element(head: bytes, root: str | None) -> None:
    assert root_of(head) == root
