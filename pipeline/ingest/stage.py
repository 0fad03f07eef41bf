"""The first stage: a unit of raw files -> one file of documents, with every record kept or dropped for a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pipeline.documents import DocumentWriter, Dropped, record
from pipeline.ingest import raw
from pipeline.ingest.code import read_code
from pipeline.ingest.reading import Found, UnreadableFile
from pipeline.ingest.rows import JSON, PARQUET, utf8_bytes
from pipeline.ingest.science import XML, read_archive, read_article_file, read_pes2o
from pipeline.ingest.tables import read_table
from pipeline.ingest.web import read_captures
from pipeline.settings import ScienceSource, Source, TextSource
from pipeline.tally import Tally
from pipeline.units import Piece, Unit

Reader = Callable[[Piece, Source], Iterator[Found]]


def _captures(piece: Piece, source: Source) -> Iterator[Found]:
    return read_captures(Path(piece.path))


def _code(piece: Piece, source: Source) -> Iterator[Found]:
    return read_code(piece)


def _archive(piece: Piece, source: Source) -> Iterator[Found]:
    return read_archive(Path(piece.path), isinstance(source, ScienceSource) and source.references)


def _article(piece: Piece, source: Source) -> Iterator[Found]:
    return read_article_file(Path(piece.path), isinstance(source, ScienceSource) and source.references)


def _papers(piece: Piece, source: Source) -> Iterator[Found]:
    return read_pes2o(piece)


def _table(piece: Piece, source: Source) -> Iterator[Found]:
    return read_table(piece, source.column if isinstance(source, TextSource) else "text")


READERS: Mapping[str, Mapping[tuple[str, ...], Reader]] = {
    "web": {raw.CAPTURES: _captures},
    "code": {(*PARQUET, *JSON): _code},
    "science": {raw.ARCHIVES: _archive, XML: _article, (*PARQUET, *JSON): _papers},
    "text": {(*PARQUET, *JSON): _table},
}
"""Who reads what: kind of source -> endings of file names -> reader."""


def ingest(unit: Unit, out: Path, tally: Tally, *, source: Source, name: str) -> None:
    """Read the raw files of a unit of the source `name` and write its documents to `out`, if there are none too.

    Raises UnreadableFile for a file that cannot be read at all, unless the source says to skip such files.
    """
    with DocumentWriter(out) as writer:
        for piece in unit.pieces:
            for size, what in _outcomes(piece, source):
                tally.read(1, size)
                if isinstance(what, Dropped):
                    tally.drop(what, f"{piece.name}#{what.at}")
                    continue
                row = record(what, name, source.kind, piece.name)
                writer.write_row(row)
                tally.kept(1, utf8_bytes(row["text"]))


def _outcomes(piece: Piece, source: Source) -> Iterator[Found]:
    try:
        yield from _reader(piece, source)(piece, source)
    except UnreadableFile as fault:
        if source.on_bad_file == "fail":
            raise
        yield Found(piece.size, Dropped(at="file", reason="bad_file", value=str(fault)))


def _reader(piece: Piece, source: Source) -> Reader:
    """The reader for a file by its name's ending. Raises UnreadableFile."""
    known = READERS[source.kind]
    reader = next((reader for endings, reader in known.items() if piece.path.lower().endswith(endings)), None)
    if reader is None:
        told = ", ".join(ending for endings in known for ending in endings)
        raise UnreadableFile(f"{piece.path}: a source of kind {source.kind} reads {told}; narrow its pattern")
    try:
        Path(piece.path).open("rb").close()
    except OSError as fault:
        raise UnreadableFile(f"{piece.path}: cannot be opened ({fault.strerror}); mend that or remove it") from None
    return reader


def raw_record(source: Source, path: Path, at: str) -> bytes:
    """The raw record that a document was made of: `at` is what follows the `#` of its origin.

    A WARC record with its header, a line, a Parquet row as JSON, a member of an archive, or a whole XML file.
    Raises UnreadableFile if there is no such record, as when the file is no longer the one that was read.
    """
    return raw.record_at(path, at)
