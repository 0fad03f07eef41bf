"""The text of a PDF: what a reader reads, without what the pages add; a hostile file costs itself alone."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.documents import Document, Dropped
from pipeline.ingest import pdf
from pipeline.ingest.pdf import read_pdf, text_of
from pipeline.ingest.pdf_pages import MOST_TEXT

pytest.importorskip("pypdfium2")


def written(path: Path, pages: Sequence[Sequence[str]], title: str = "", stream: bytes | None = None) -> Path:
    """A PDF with one line of text below the other, or with the given content on every page."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    objects.append(f"<</Title({title})>>".encode())
    kids = []
    for lines in pages:
        drawn = "".join(f"1 0 0 1 50 {780 - 14 * n} Tm ({line}) Tj " for n, line in enumerate(lines))
        content = f"BT /F 10 Tf {drawn} ET".encode() if stream is None else stream
        packed = zlib.compress(content, 9)
        objects.append(b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(packed), packed))
        kids.append(len(objects) + 1)
        page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {len(objects)} 0 R"
        objects.append(f"{page}/Resources<</Font<</F 3 0 R>>>>>>".encode())
    objects[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(f'{kid} 0 R' for kid in kids)}]>>".encode()
    out, places = b"%PDF-1.5\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    out += b"trailer<</Size %d/Root 1 0 R/Info 4 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1,
        out.rindex(b"xref"),
    )
    path.write_bytes(out)
    return path


BODY = ["Cats are animals that sleep for most of the day and of the", "night, as every one of their own-", "ers knows."]


def test_the_lines_of_a_page_are_paragraphs_again(tmp_path: Path) -> None:
    lines = ["On the Sleep of Cats", *BODY, "The second paragraph begins here and it goes on for so long", "as it can."]
    path = written(tmp_path / "a.pdf", [lines], title="On the sleep of cats")
    found = read_pdf(path, references=False)
    document = found.what
    assert isinstance(document, Document)
    assert document.text == (
        "On the Sleep of Cats\n\nCats are animals that sleep for most of the day and of the night, as every one of "
        "their owners knows.\n\nThe second paragraph begins here and it goes on for so long as it can."
    )
    assert (document.title, found.size) == ("On the sleep of cats", path.stat().st_size)


def test_a_title_that_the_text_does_not_know_is_none(tmp_path: Path) -> None:
    document = read_pdf(written(tmp_path / "a.pdf", [BODY], title="Microsoft Word - x.doc"), references=False).what
    assert isinstance(document, Document)
    assert document.title is None


def test_running_heads_and_page_numbers_are_no_text(tmp_path: Path) -> None:
    pages = [
        [f"Journal of Cats {n}", f"Line {'xyz'[n % 3]} of page.", "It goes on.", "More of it.", str(n)]
        for n in range(7)
    ]
    document = read_pdf(written(tmp_path / "a.pdf", pages), references=False).what
    assert "Journal" not in document.text
    assert not any(line.isdigit() for line in document.text.split())


def test_lines_that_stand_on_few_pages_are_kept() -> None:
    pages = [f"Page of {n}.\n42\nSame line." if n in (2, 5) else f"Page of {'abcdefghij'[n]}." for n in range(10)]
    assert text_of(pages).count("Same line.") == 2


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("an exam-\nple of it", "an example of it"),
        ("an exam\ufffeple of it", "an example of it"),
        ("a well-known one and the well-\nknown", "a well-known one and the well-known"),
        ("the Smith-\nJones test of COVID-\n19", "the Smith-Jones test of COVID-19"),
        ("reseller and re-\nseller and re-seller", "reseller and reseller and re-seller"),
        ("\ufb01rst \ufb02ow o\ufb00er", "first flow offer"),
        ("so\xadft", "soft"),
    ],
)
def test_words_that_a_line_end_cut_in_two_are_one_again(text: str, joined: str) -> None:
    assert text_of([text]) == joined


def test_a_word_cut_by_the_end_of_a_page_is_one_again() -> None:
    assert text_of(["It is an exam-", "ple of it"]) == "It is an example of it"


def test_the_list_of_references_is_left_out_unless_asked_for() -> None:
    page = "\n".join(
        ["The cats slept all day and the whole of the night."] * 9 + ["REFERENCES", "1. A. B. On cats. 1999."]
    )
    assert "On cats" not in text_of([page], references=False)
    assert "On cats" in text_of([page], references=True)
    assert text_of(
        ["References\nare told of here.\n" + "Then come many words more. " * 9], references=False
    ).startswith("Ref")


def test_dotted_lines_of_a_table_of_contents_are_left_out() -> None:
    assert text_of(["Contents\n1 First . . . . . . . 3\n2 Second.........9\nWords."]) == "Contents Words."


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.5\n", b"no pdf at all" * 99, b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj"]
)
def test_what_is_no_pdf_is_one_bad_record(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pdf").write_bytes(content)
    assert read_pdf(tmp_path / "a.pdf", references=False).reason == "bad_pdf"


def test_a_pdf_without_text_is_told(tmp_path: Path) -> None:
    assert read_pdf(written(tmp_path / "a.pdf", [[], []]), references=False).reason == "no_text"


def test_a_pdf_that_takes_too_long_or_too_much_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "SECONDS", 1)
    bomb = b"q 1 0 0 1 0 0 cm BT /F 1 Tf (x) Tj ET Q\n" * 4_000_000
    began = time.monotonic()
    dropped = read_pdf(written(tmp_path / "a.pdf", [[]] * 8, stream=bomb), references=False).what
    assert isinstance(dropped, Dropped)
    assert dropped.reason == "bad_pdf"
    assert str(dropped.value).startswith("took more than 1 s")
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("piece", ["x", "a-\n", "Ab\n", ". ", "x-y-", "A b.\n"])
def test_a_hostile_text_takes_little_time(piece: str) -> None:
    began = time.process_time()
    text_of([piece * ((MOST_TEXT >> 2) // len(piece))], references=False)
    assert time.process_time() - began < 4
