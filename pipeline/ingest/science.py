"""Papers -> documents: archives of JATS or LaTeX, single JATS files, and tables in peS2o's columns."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from pipeline.documents import Document, Dropped
from pipeline.ingest import archives
from pipeline.ingest.archives import DamagedTarError, Member
from pipeline.ingest.jats.article import read_article
from pipeline.ingest.latex.source import read_source
from pipeline.ingest.paper import NotAPaper, Paper
from pipeline.ingest.reading import Found
from pipeline.ingest.rows import plain_value, read_rows, told
from pipeline.units import Piece

XML = (".xml", ".nxml")
ARXIV = re.compile(r"(?:.*/)?((?:[a-z-]+)?\d{4}\.?\d{3,5}(?:v\d+)?)\.gz")
"""A submission in arXiv's archives: 1202/1202.3665.gz, 0001/hep-th0001001.gz."""

FACTS = ("id", "source", "added", "version")
"""What peS2o and Dolma tell of a document besides its text."""


def read_article_file(path: Path, references: bool) -> Iterator[Found]:
    """The one article of an XML file."""
    xml = path.read_bytes()
    yield Found(len(xml), _article(Member("0", path.name, len(xml), xml), xml, references))


def read_archive(path: Path, references: bool) -> Iterator[Found]:
    """Every file of a tar archive: an XML article, a LaTeX submission (.gz), or neither. Raises UnreadableFile."""
    try:
        for member in archives.members(path):
            yield Found(member.size, _member(member, references))
    except DamagedTarError as fault:
        yield Found(0, Dropped(at="end", reason=fault.reason, value=str(fault)))


def read_pes2o(piece: Piece) -> Iterator[Found]:
    """Every row of a table in the columns of peS2o and Dolma; what else they tell stands in the metadata."""
    for row in read_rows(piece, "text", (*FACTS, "created", "metadata", "license", "title", "url", "language")):
        yield row if isinstance(row, Found) else Found(row.size, _told_document(row.at, row.text, row.fields))


def _told_document(at: str, text: str, fields: dict[str, Any]) -> Document:
    about = _about(fields.get("metadata"))
    names = ("title", "url", "language", "license")
    taken = {name: told(fields.get(name)) or told(about.get(name)) for name in names}
    facts = {name: told(fields[name]) for name in FACTS if fields.get(name) is not None}
    left = {name: plain_value(value) for name, value in about.items() if name not in names}
    return Document(at=at, text=text, date=told(fields.get("created")), metadata={**left, **facts}, **taken)


def _about(metadata: Any) -> dict[str, Any]:
    """The metadata column: an object, its JSON, or a text of whatever kind, which is kept as it is."""
    if isinstance(metadata, str) and metadata:
        try:
            metadata = orjson.loads(metadata)
        except orjson.JSONDecodeError:
            return {"metadata": metadata}
    if isinstance(metadata, dict):
        return metadata
    return {"metadata": metadata} if metadata else {}


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
