"""PubMed's records, in XML and as tagged text: one document an article, and a broken one costs itself alone."""

from __future__ import annotations

import gzip
import random
import time
import tracemalloc
from pathlib import Path

import pytest

from pipeline.documents import Document, Dropped
from pipeline.ingest.medline import read_medline
from pipeline.ingest.pubmed import LONGEST
from pipeline.ingest.raw import record_at
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile
from pipeline.ingest.science import read_xml

HEAD = b'<?xml version="1.0"?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD" "https://x.example/a.dtd">\n'


def citation(number: int, abstract: str = "<AbstractText>Cats sleep.</AbstractText>", more: str = "") -> str:
    return f"""<MedlineCitation Status="MEDLINE"><PMID Version="1">{number}</PMID><Article><Journal>
<JournalIssue><PubDate><Year>2001</Year><Month>Jun</Month><Day>3</Day></PubDate></JournalIssue><Title>J Cats</Title>
</Journal><ArticleTitle>Paper <i>{number}</i>.</ArticleTitle><Abstract>{abstract}</Abstract>
<Language>eng</Language>{more}</Article></MedlineCitation>"""


def article(number: int, abstract: str = "<AbstractText>Cats sleep.</AbstractText>", more: str = "") -> bytes:
    ids = '<PubmedData><ArticleIdList><ArticleId IdType="doi">10.1/x</ArticleId></ArticleIdList><ReferenceList>'
    ids += '<Reference><ArticleIdList><ArticleId IdType="doi">10.9/other</ArticleId></ArticleIdList></Reference>'
    ids += "</ReferenceList></PubmedData>"
    return f"<PubmedArticle>{citation(number, abstract, more)}{ids}</PubmedArticle>\n".encode()


def written(tmp_path: Path, *records: bytes, name: str = "a.xml", of: bytes = b"PubmedArticleSet") -> Path:
    content = HEAD + b"<" + of + b">\n" + b"".join(records) + b"</" + of + b">\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return tmp_path / name


def read(path: Path) -> list[Found]:
    return list(read_xml(path, references=False))


def told(found: list[Found]) -> list[tuple[str, str | None]]:
    return [(what.at, what.title if isinstance(what, Document) else what.reason) for _, what in found]


@pytest.mark.parametrize("name", ["a.xml", "a.xml.gz"])
def test_every_article_is_a_document_of_its_title_and_abstract(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, *(article(n) for n in (1, 2, 3)), name=name)
    found = read(path)
    assert told(found) == [("1", "Paper 1."), ("2", "Paper 2."), ("3", "Paper 3.")]
    assert found[1].what == Document(
        at="2",
        text="Paper 2.\n\nCats sleep.",
        url="https://pubmed.ncbi.nlm.nih.gov/2/",
        title="Paper 2.",
        language="en",
        date="2001-06-03",
        metadata={"pmid": "2", "doi": "10.1/x", "journal": "J Cats", "part": "abstract"},
    )
    assert record_at(path, "2") == article(2).strip()


def test_citations_without_articles_around_them_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, *(citation(n).encode() for n in (1, 2)), of=b"MedlineCitationSet")
    assert told(read(path)) == [("1", "Paper 1."), ("2", "Paper 2.")]


def test_a_structured_abstract_keeps_its_labels(tmp_path: Path) -> None:
    parts = (
        '<AbstractText Label="AIMS" NlmCategory="OBJECTIVE">Of 10<sup>-3</sup> cats, CO<sub>2</sub>.</AbstractText>'
        '<AbstractText Label="UNLABELLED">Then &lt;5 <b>slept <i>well</i></b>.</AbstractText>'
        '<AbstractText Label="EMPTY"/><CopyrightInformation>(c) A</CopyrightInformation>'
    )
    (document,) = (what for _, what in read(written(tmp_path, article(1, parts))))
    assert isinstance(document, Document)
    assert document.text == "Paper 1.\n\nAIMS: Of 10⁻³ cats, CO2.\n\nThen <5 slept well."
    assert document.metadata["copyright"] == "(c) A"


def test_formulas_are_tex(tmp_path: Path) -> None:
    maths = '<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:mi>x</mml:mi></mml:math>'
    (document,) = (what for _, what in read(written(tmp_path, article(1, f"<AbstractText>So {maths}.</AbstractText>"))))
    assert document.text.endswith("So $x$.")


def test_an_abstract_in_a_second_language_stands_only_where_it_is_the_only_one(tmp_path: Path) -> None:
    other = '<OtherAbstract Type="Publisher" Language="spa"><AbstractText>Los gatos.</AbstractText></OtherAbstract>'
    vernacular = "<VernacularTitle>Los gatos duermen.</VernacularTitle>"
    both = article(1).replace(b"</MedlineCitation>", other.encode() + b"</MedlineCitation>")
    alone = article(2, "", vernacular).replace(b"</MedlineCitation>", other.encode() + b"</MedlineCitation>")
    first, second = (what for _, what in read(written(tmp_path, both, alone)))
    assert isinstance(second, Document)
    assert first.text == "Paper 1.\n\nCats sleep."
    assert (second.text, second.language) == ("Los gatos duermen.\n\nLos gatos.", "es")


def test_an_article_without_an_abstract_is_none(tmp_path: Path) -> None:
    found = read(written(tmp_path, article(1, ""), article(2)))
    assert told(found) == [("1", "no_abstract"), ("2", "Paper 2.")]


def test_a_broken_record_costs_itself_alone(tmp_path: Path) -> None:
    broken = [
        article(2).replace(b"</Abstract>", b""),
        article(3).replace(b"Cats", b"C\xffts"),
        article(4).replace(b"</PubmedArticle>", b""),
        article(5).replace(b"Cats", b"&nosuch;"),
        article(6, "<AbstractText>" + "<b>" * 1000 + "</b>" * 1000 + "</AbstractText>"),
        article(7).replace(b"Cats", b"C\0ts"),
    ]
    path = written(tmp_path, article(1), *broken, article(8))
    assert told(read(path)) == [("1", "Paper 1."), *((str(n), "bad_xml") for n in range(2, 8)), ("8", "Paper 8.")]
    lost = written(tmp_path, article(1), article(2).replace(b"<PubmedArticle>", b"<PubmedArtikle>"), article(3))
    assert told(read(lost)) == [("1", "Paper 1."), ("2", "bad_xml"), ("3", "Paper 3.")]


def test_lists_of_deleted_numbers_are_no_records(tmp_path: Path) -> None:
    deleted = b"<DeleteCitation><PMID>7</PMID>\n</DeleteCitation>\n"
    assert told(read(written(tmp_path, article(1), deleted))) == [("1", "Paper 1.")]
    assert read(written(tmp_path)) == []


def test_mutated_bytes_of_one_record_spare_its_neighbours(tmp_path: Path) -> None:
    rng = random.Random(3)
    for _ in range(150):
        middle = bytearray(article(2))
        for _ in range(rng.randrange(1, 6)):
            middle[rng.randrange(len(middle))] = rng.randrange(256)
        found = told(read(written(tmp_path, article(1), bytes(middle), article(3))))
        assert (found[0], found[-1][1]) == (("1", "Paper 1."), "Paper 3.")


def test_of_a_file_that_breaks_off_the_articles_before_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path, *(article(n) for n in range(1, 4000)), name="a.xml.gz")
    path.write_bytes(path.read_bytes()[:-2000])
    found: list[Found] = []
    with pytest.raises(DamagedFile, match="breaks off at record"):
        for each in read_xml(path, references=False):
            found.append(each)  # noqa: PERF402  # what came before the fault
    assert len(found) > 1000
    assert {what.title for _, what in found if isinstance(what, Document)} == {
        f"Paper {n + 1}." for n in range(len(found))
    }


def peak(path: Path) -> tuple[list[str | None], int]:
    """(titles or reasons, most bytes that Python held at a time)."""
    tracemalloc.start()
    seen = [what.reason if isinstance(what, Dropped) else what.title for _, what in read_xml(path, references=False)]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seen, most


def test_a_large_file_takes_no_more_memory_than_a_block_of_it(tmp_path: Path) -> None:
    path = written(tmp_path, *(article(3, f"<AbstractText>{'Cats. ' * 2000}</AbstractText>") for _ in range(2_000)))
    seen, most = peak(path)
    assert seen == ["Paper 3."] * 2_000
    assert most < 6 << 20 < path.stat().st_size


def test_a_record_without_an_end_in_sight_is_told_by_its_size(tmp_path: Path) -> None:
    long = article(2, f"<AbstractText>{'x' * (20 * LONGEST)}</AbstractText>")
    path = written(tmp_path, article(1), long, article(3))
    seen, most = peak(path)
    assert seen == ["Paper 1.", "too_large", "Paper 3."]
    assert most < 10 * LONGEST


MEDLINE = """
PMID- 11
TI  - [Cats
      that sleep].
TT  - Katzen, die schlafen.
AB  - AIMS: To see.
      They sleep. (ABSTRACT TRUNCATED AT 250 WORDS)
LA  - ger
DP  - 1998 Sep-Oct
JT  - J Cats
AID - 10.1/y [doi]

PMID- 12
TI  - No abstract.

PMID- 13
TI  - Third.
AB  - Third too.
"""


def test_tagged_text_is_read_record_by_record(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(MEDLINE)
    first, second, third = (what for _, what in read_medline(path))
    assert first == Document(
        at="0",
        text="Cats that sleep.\n\nAIMS: To see. They sleep.",
        url="https://pubmed.ncbi.nlm.nih.gov/11/",
        title="Cats that sleep.",
        language="de",
        date="1998-09",
        metadata={"pmid": "11", "doi": "10.1/y", "journal": "J Cats", "part": "abstract"},
    )
    assert isinstance(second, Dropped)
    assert second.reason == "no_abstract"
    assert third.text == "Third.\n\nThird too."
    assert record_at(path, "2") == b"PMID- 13\nTI  - Third.\nAB  - Third too."


def test_bad_records_of_tagged_text_are_dropped_alone(tmp_path: Path) -> None:
    bad = MEDLINE.encode().replace(b"DP  - 1998", b"1998").replace(b"Third too", b"Th\xffrd")
    (tmp_path / "a.txt").write_bytes(bad)
    assert [what.reason for _, what in read_medline(tmp_path / "a.txt") if isinstance(what, Dropped)] == [
        "bad_record",
        "no_abstract",
        "bad_utf8",
    ]


def test_a_record_of_tagged_text_that_lost_its_beginning_spoils_none_before_it(tmp_path: Path) -> None:
    first, second, third = MEDLINE.split("\n\n")
    (tmp_path / "a.txt").write_text("\n\n".join([first, second.replace("PMID- 12\n", ""), "lost its tags", third]))
    found = [what for _, what in read_medline(tmp_path / "a.txt")]
    assert [what.reason if isinstance(what, Dropped) else what.title for what in found] == [
        "Cats that sleep.", "bad_record", "bad_record", "Third.",
    ]  # fmt: skip
    (tmp_path / "a.txt").write_text("\n\n".join([first.replace("PMID- 11\n", ""), third]))
    found = [what for _, what in read_medline(tmp_path / "a.txt")]
    assert [what.reason if isinstance(what, Dropped) else what.title for what in found] == ["bad_record", "Third."]


def test_a_field_of_very_many_lines_costs_bounded_time(tmp_path: Path) -> None:
    text = "PMID- 1\nTI  - A.\nAB  - Long\n" + "      word\n" * 600_000
    (tmp_path / "a.nbib").write_text(text)
    began = time.process_time()
    ((_, what),) = read_medline(tmp_path / "a.nbib")
    assert time.process_time() - began < 4
    assert isinstance(what, Document)
    assert len(what.text.split()) == 600_002


def test_a_text_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Dear reader,\n")
    with pytest.raises(UnreadableFile, match="is no export of PubMed in MEDLINE format; narrow the pattern"):
        list(read_medline(tmp_path / "a.txt"))
