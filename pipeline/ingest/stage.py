"""The first stage: a unit of raw files -> one file of documents, with every record kept or dropped for a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pipeline.documents import DocumentWriter, Dropped, record
from pipeline.ingest import raw
from pipeline.ingest.code.repositories import ZIP, read_file, read_repository
from pipeline.ingest.code.rows import is_table, read_code
from pipeline.ingest.medline import ENDINGS as MEDLINE
from pipeline.ingest.medline import read_medline
from pipeline.ingest.papers import read_papers
from pipeline.ingest.pdf import PDF, read_pdf
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile
from pipeline.ingest.remote import fetched
from pipeline.ingest.rows import JSON, PARQUET, TABLES, utf8_bytes
from pipeline.ingest.science import XML, read_archive, read_xml
from pipeline.ingest.tables import read_table
from pipeline.ingest.web import read_captures
from pipeline.settings import ScienceSource, Source, TextSource, WebSource
from pipeline.tally import Tally
from pipeline.units import Piece, Unit

Reader = Callable[[Piece, Source], Iterator[Found]]


def _captures(piece: Piece, source: Source) -> Iterator[Found]:
    assert isinstance(source, WebSource)
    return read_captures(Path(piece.path), source.extract)


def _code(piece: Piece, source: Source) -> Iterator[Found]:
    return read_code(piece) if is_table(Path(piece.path)) else read_file(piece)


def _repository(piece: Piece, source: Source) -> Iterator[Found]:
    return read_repository(piece)


def _file(piece: Piece, source: Source) -> Iterator[Found]:
    return read_file(piece)


def _archive(piece: Piece, source: Source) -> Iterator[Found]:
    return read_archive(Path(piece.path), isinstance(source, ScienceSource) and source.references)


def _article(piece: Piece, source: Source) -> Iterator[Found]:
    return read_xml(Path(piece.path), isinstance(source, ScienceSource) and source.references)


def _papers(piece: Piece, source: Source) -> Iterator[Found]:
    return read_papers(piece, isinstance(source, ScienceSource) and source.references)


def _records(piece: Piece, source: Source) -> Iterator[Found]:
    return read_medline(Path(piece.path))


def _pdf(piece: Piece, source: Source) -> Iterator[Found]:
    yield read_pdf(Path(piece.path), references=isinstance(source, ScienceSource) and source.references)


def _table(piece: Piece, source: Source) -> Iterator[Found]:
    assert isinstance(source, TextSource)
    return read_table(piece, source.columns, source.keep)


READERS: Mapping[str, Mapping[tuple[str, ...], Reader]] = {
    "web": {raw.CAPTURES: _captures},
    "code": {(*PARQUET, *JSON): _code, (*raw.ARCHIVES, *ZIP): _repository, ("",): _file},
    "science": {raw.ARCHIVES: _archive, XML: _article, MEDLINE: _records, PDF: _pdf, TABLES: _papers},
    "text": {TABLES: _table},
}
"""Who reads what: kind of source -> endings of file names -> reader."""


def ingest(unit: Unit, out: Path, tally: Tally, *, source: Source, name: str) -> None:
    """Read the raw files of a unit of the source `name` and write its documents to `out`, if there are none too.

    Raises UnreadableFile for a file that cannot be read, or not to its end, unless the source says to skip such files.
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
        with fetched(piece) as local:
            yield from _reader(local, source)(local, source)
    except UnreadableFile as fault:
        if source.on_bad_file == "fail":
            raise
        size = 0 if isinstance(fault, DamagedFile) else piece.size  # its records have told theirs
        yield Found(size, Dropped(at=fault.at, reason="bad_file", value=str(fault)))


def _reader(piece: Piece, source: Source) -> Reader:
    """The reader for a file by its name's ending. Raises UnreadableFile."""
    known = READERS[source.kind]
    reader = next((reader for endings, reader in known.items() if piece.path.lower().endswith(endings)), None)
    if reader is None:
        told = ", ".join(ending for endings in known for ending in endings)
        raise UnreadableFile(f"{piece.path}: a source of kind {source.kind} reads {told}; narrow its pattern")
    try:
        with Path(piece.path).open("rb") as file:
            of_repository = reader is _file or (source.kind == "code" and piece.path.lower().endswith(".json"))
            if not file.read(1) and not of_repository:  # which has empty files
                raise UnreadableFile(f"{piece.path}: is empty; fetch it anew or remove it")
    except OSError as fault:
        raise UnreadableFile(f"{piece.path}: cannot be opened ({fault.strerror}); mend that or remove it") from None
    return reader


def raw_record(source: Source, path: Path | str, at: str) -> bytes:
    """The raw record that a document was made of: `at` is what follows the `#` of its origin.

    A WARC record with its header, a line, a table's row as JSON, a member of an archive, or a whole file. `path` may
    be the address of a file in a store. Raises UnreadableFile if there is no such record, as when the file is no
    longer the one that was read.
    """
    with fetched(Piece(path=str(path), name="", size=0)) as local:
        return raw.record_at(Path(local.path), at)
