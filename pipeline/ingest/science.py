"""Files of papers -> documents: archives of JATS or LaTeX, and XML files of JATS or PubMed."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lxml import etree

from pipeline.documents import Document, Dropped
from pipeline.ingest import archives
from pipeline.ingest.archives import DamagedTarError, Member
from pipeline.ingest.jats.article import MOST_BYTES, read_article
from pipeline.ingest.jats.formula import name_of
from pipeline.ingest.latex.source import read_source
from pipeline.ingest.lines import CutOffError, blocks
from pipeline.ingest.paper import NotAPaper, Paper
from pipeline.ingest.pubmed import ROOTS, read_pubmed
from pipeline.ingest.reading import DamagedFile, Found

XML = tuple(f"{name}{packed}" for name in (".xml", ".nxml") for packed in ("", ".gz", ".zst"))
ARXIV = re.compile(r"(?:.*/)?((?:[a-z-]+)?\d{4}\.?\d{3,5}(?:v\d+)?)\.gz")
"""A submission in arXiv's archives: 1202/1202.3665.gz, 0001/hep-th0001001.gz."""

HEAD = 64 << 10
"""Bytes of an XML file in which its root element has to begin."""


def read_xml(path: Path, references: bool) -> Iterator[Found]:
    """The articles of an XML file, plain or compressed: one of JATS, or PubMed's records, as its root element says."""
    xml = b""
    try:
        if root_of(next(blocks(path), b"")[:HEAD]) in ROOTS:
            yield from read_pubmed(path)
            return
        for block in blocks(path):
            xml += block
            if len(xml) > MOST_BYTES:
                break
    except CutOffError as fault:
        raise DamagedFile.told(path, f"byte {len(xml)}", str(fault)) from None
    yield Found(len(xml), _article(Member("0", path.name, len(xml), xml), xml, references))


def root_of(head: bytes) -> str | None:
    """The name of the outermost element of an XML file that begins so; None if it has none yet."""
    parser = etree.XMLPullParser(events=("start",), resolve_entities=False, no_network=True, load_dtd=False)
    with suppress(etree.XMLSyntaxError):  # what came before the fault has been read
        parser.feed(head.lstrip())
    return next((name_of(element) for _, element in parser.read_events()), None)


def read_archive(path: Path, references: bool) -> Iterator[Found]:
    """Every file of a tar archive: an XML article, a LaTeX submission (.gz), or neither. Raises UnreadableFile."""
    for member in archives.members(path):
        yield Found(member.size, _member(member, references))


def _member(member: Member, references: bool) -> Document | Dropped:
    name = member.name.lower()
    if member.content is None:
        return Dropped(at=member.at, reason="too_large", value=member.size, threshold=archives.LARGEST)
    if name.endswith(XML):
        return _article(member, member.content, references)
    if name.endswith(".gz"):
        return _submission(member, member.content, references)
    suffix = Path(name).suffix or "no suffix"
    return Dropped(at=member.at, reason="not_latex" if suffix == ".pdf" else "not_a_paper", value=suffix)


def _article(member: Member, xml: bytes, references: bool) -> Document | Dropped:
    try:
        paper = read_article(xml, references=references)
    except NotAPaper as fault:
        return Dropped(at=member.at, reason=fault.reason, value=fault.value, text=_start(xml))
    doi = paper.metadata.get("doi")
    return _document(member.at, paper, f"https://doi.org/{doi}" if doi else None)


def _submission(member: Member, packed: bytes, references: bool) -> Document | Dropped:
    stream = zlib.decompressobj(31)
    try:
        content = stream.decompress(packed, archives.LARGEST + 1)
    except zlib.error as fault:
        return Dropped(at=member.at, reason="bad_gzip", value=str(fault))
    if len(content) > archives.LARGEST:
        return Dropped(at=member.at, reason="too_large", threshold=archives.LARGEST)
    if not stream.eof:
        return Dropped(at=member.at, reason="bad_gzip", value="the gzip data are cut off")
    try:
        paper = read_source(_files(member.name, content), references=references)
    except NotAPaper as fault:
        return Dropped(at=member.at, reason=fault.reason, value=fault.value, text=_start(content))
    known = ARXIV.fullmatch(member.name)
    return _document(member.at, paper, f"https://arxiv.org/abs/{_arxiv_id(known[1])}" if known else None)


def _files(name: str, content: bytes) -> dict[str, bytes]:
    """The files of a submission: those of a tar archive as far as it is whole, or a single one."""
    files: dict[str, bytes] = {}
    try:
        for inner in archives.inside(io.BytesIO(content)):
            if inner.content is not None:
                files[inner.name] = inner.content
    except DamagedTarError as fault:
        if files:
            raise NotAPaper("bad_latex", f"its archive is damaged ({fault})") from None
    return files or {name: content}


def _arxiv_id(name: str) -> str:
    """hep-th0001001 -> hep-th/0001001; later ids are as they are."""
    return re.sub(r"^([a-z-]+)(?=\d)", r"\1/", name)


def _document(at: str, paper: Paper, url: str | None) -> Document:
    metadata = dict(paper.metadata)
    return Document(
        at=at,
        text=paper.text,
        url=url,
        title=paper.title,
        language=metadata.pop("language", None),
        license=paper.license,
        date=paper.date,
        metadata=metadata,
    )


def _start(content: bytes) -> str:
    return content[:2000].decode("utf-8", "replace")
