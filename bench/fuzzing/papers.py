"""JATS, LaTeX, PubMed and PDF, in archives and alone."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from bench.fuzzing.formats import (
    MOST,
    Format,
    Hold,
    Intact,
    before,
    few,
    found,
    packed,
    prose,
    unpacked_before,
)  # fmt: skip
from pipeline.ingest import archives

LARGEST_PDF = 1 << 20
TAGS = re.compile(rb"<[^>]{0,300}>|[&<>]")


def formats(raw: Path) -> Iterator[Format]:
    members = [
        one for path in found(raw, ".tar.gz", ".tar") for one in islice(archives.members(path), MOST) if one.content
    ]
    articles = few(one.content or b"" for one in members if one.name.endswith((".xml", ".nxml")))
    sources = few(gzip.decompress(one.content or b"") for one in members if one.name.endswith(".gz"))
    if articles:
        yield from _jats(articles)
        paragraphs = [TAGS.sub(b" ", article)[2000:5000].decode("utf-8", "ignore") for article in articles]
        yield from _pubmed(raw, paragraphs)
        yield from _medline(raw, paragraphs)
        yield from _pdf(raw, paragraphs)
    if sources:
        latex = Format("latex tar", "science", ".tar", sources, _paper, tar("gz", gzip.compress))
        yield latex
        yield replace(latex, name="latex tar file", intact=_packed_in_tar)
        inner = [tar("tex", bytes)([source, source[:900]]) for source in sources]
        yield replace(
            latex, name="latex tar in tar", seeds=few(inner), good=lambda name: tar("tex", bytes)([_paper(name)])
        )
        members_gz = [*map(gzip.compress, sources)]
        yield replace(latex, name="latex gz", seeds=members_gz, good=lambda name: gzip.compress(_paper(name)),
                      hold=tar("gz", bytes))  # fmt: skip


def _packed_in_tar(whole: bytes, damaged: bytes) -> bytes:
    """What is in the packed members before the damage."""
    same = before(whole, damaged)
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        ends = [(info.offset_data, info.offset_data + info.size) for info in archive]
    return b"".join(gzip.decompress(same[begin:end]) for begin, end in ends if end <= len(same))


def _jats(articles: list[bytes]) -> Iterator[Format]:
    jats = Format("jats tar", "science", ".tar", articles, _article, tar("xml", bytes))
    yield jats
    yield replace(jats, name="jats tar file", intact=before)
    for ending in ("gz", "zst"):
        one = replace(jats, name=f"jats tar.{ending}", ending=f".tar.{ending}", hold=packed(jats.hold, ending))
        yield one
        yield replace(one, name=f"{one.name} file", intact=unpacked_before(ending))
    alone = replace(jats, name="jats xml", ending=".xml", hold=b"".join, single=True)
    yield alone
    for ending in ("gz", "zst"):
        yield replace(alone, name=f"jats xml.{ending}", ending=f".nxml.{ending}", hold=packed(b"".join, ending))


def tar(ending: str, wrap: Callable[[bytes], bytes]) -> Hold:
    def hold(parts: Sequence[bytes]) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            for number, part in enumerate(map(wrap, parts)):
                header = tarfile.TarInfo(f"2601/2601.{number:05}.{ending}")
                header.size = len(part)
                archive.addfile(header, io.BytesIO(part))
        return file.getvalue()

    return hold


def _article(name: str) -> bytes:
    return (
        '<article xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta><title-group><article-title>Of '
        f"{name}</article-title></title-group></article-meta></front><body><sec><title>One</title><p>{prose(name)}</p>"
        "</sec></body></article>"
    ).encode()


def _paper(name: str) -> bytes:
    body = f"\\begin{{document}}\n\\section{{One}}\n{prose(name)}\n\\end{{document}}\n"
    return b"\\documentclass{article}\n" + body.encode()


def _pubmed(raw: Path, paragraphs: list[str]) -> Iterator[Format]:
    real = (part for path in found(raw, ".xml") for part in _records_of(path.read_bytes()))
    seeds = few([*real, *map(_citation, paragraphs)])
    xml = Format("pubmed xml", "science", ".xml", seeds, _citation_of, _article_set)
    yield xml
    yield replace(xml, name="pubmed xml file", intact=before)
    for ending in ("gz", "zst"):
        one = replace(xml, name=f"pubmed xml.{ending}", ending=f".xml.{ending}", hold=packed(_article_set, ending))
        yield one
        yield replace(one, name=f"{one.name} file", intact=unpacked_before(ending))


def _records_of(xml: bytes) -> list[bytes]:
    return re.findall(rb"<PubmedArticle>.*?</PubmedArticle>", xml, re.S)


def _citation_of(name: str) -> bytes:
    return _citation(prose(name))


def _citation(text: str) -> bytes:
    half = len(text) // 2 if len(text) > 1000 else len(text)
    return (
        '<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">17284678</PMID><Article><Journal><Title>A'
        "</Title><JournalIssue><PubDate><Year>2007</Year><Month>Feb</Month></PubDate></JournalIssue></Journal>"
        "<ArticleTitle>Of 2<sup>2</sup> files.</ArticleTitle><ELocationID EIdType='doi'>10.1/x</ELocationID><Abstract>"
        f'<AbstractText Label="ONE">{text[:half]}</AbstractText><AbstractText>{text[half:]}</AbstractText></Abstract>'
        "<Language>eng</Language></Article></MedlineCitation></PubmedArticle>"
    ).encode()


def _article_set(parts: Sequence[bytes]) -> bytes:
    return b'<?xml version="1.0"?>\n<PubmedArticleSet>\n' + b"\n".join(parts) + b"\n</PubmedArticleSet>\n"


def _medline(raw: Path, paragraphs: list[str]) -> Iterator[Format]:
    real = [part for path in found(raw, ".txt", ".nbib") for part in re.split(rb"\n\s*\n(?=PMID)", path.read_bytes())]
    tagged = [part.strip() for part in real if part.strip().startswith(b"PMID")]
    seeds = few([*tagged, *map(_tagged, paragraphs)])
    medline = Format("medline", "science", ".nbib", seeds, lambda name: _tagged(prose(name)), _export)
    yield medline
    for ending in ("gz", "zst"):
        one = replace(medline, name=f"medline.{ending}", ending=f".nbib.{ending}", hold=packed(_export, ending))
        yield one
        yield replace(one, name=f"{one.name} file", intact=_ended(unpacked_before(ending)))


def _ended(spared: Intact) -> Intact:
    """The records that an empty line ends: of the last one before damage nobody knows whether it is whole."""
    return lambda whole, damaged: spared(whole, damaged).rpartition(b"\n\n")[0]


def _tagged(text: str) -> bytes:
    words = text.split()
    abstract = "\n      ".join(" ".join(words[at : at + 12]) for at in range(0, len(words), 12))
    tags = "PMID- 17284678\nDP  - 2007 Feb\nTI  - Of files.\nLID - 10.1/x [doi]\nAB  - "
    return f"{tags}{abstract}\nLA  - eng\nJT  - Journal of files".encode()


def _export(parts: Sequence[bytes]) -> bytes:
    return b"\n\n".join(parts) + b"\n"


def _pdf(raw: Path, paragraphs: list[str]) -> Iterator[Format]:
    real = [path.read_bytes() for path in found(raw, ".pdf") if path.stat().st_size <= LARGEST_PDF]
    seeds = [*real, *(_written(text, squeezed=at % 2 == 1) for at, text in enumerate(paragraphs[:20]))]
    yield Format("pdf", "science", ".pdf", seeds, _citation_of, b"".join, single=True)


def _written(text: str, *, squeezed: bool) -> bytes:
    """A PDF of two pages with that text, its pages' content compressed or not."""
    letters = re.sub(r"[^A-Za-z0-9 .,]", "", text)
    rows = [letters[at : at + 80] for at in range(0, len(letters), 80)]
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[4 0 R 6 0 R]/Count 2>>",
               b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]  # fmt: skip
    for page in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        shown = "BT /F1 11 Tf 14 TL 50 740 Td " + " ".join(f"({row}) Tj T*" for row in page) + " ET"
        content = zlib.compress(shown.encode()) if squeezed else shown.encode()
        what = b"/Filter/FlateDecode" if squeezed else b""
        number = len(objects) + 2
        objects.append(b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>"
                       b"/Contents %d 0 R>>" % number)  # fmt: skip
        objects.append(b"<</Length %d%b>>stream\n%b\nendstream" % (len(content), what, content))
    file, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj%b endobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return file + b"xref\n0 %d\n0000000000 65535 f \n%btrailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        size, table, size, len(file),
    )  # fmt: skip
