"""PubMed's export of tagged text (MEDLINE format) -> one document an article: its title and abstract."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from pipeline.documents import Document, Dropped
from pipeline.ingest.abstract import document, plain_title
from pipeline.ingest.lines import CutOffError, lines
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile

ENDINGS = tuple(f"{name}{packed}" for name in (".txt", ".nbib", ".medline") for packed in ("", ".gz", ".zst"))

TAG = re.compile(rb"([A-Z]{2,4}) {0,2}- ?")
"""A line's tag; a line that begins with spaces goes on with the one before."""

LONGEST = 8 << 20
"""Bytes of a record at most, as in XML."""

SNIFFED = 10_000
"""Lines in which a PMID shows that a file is an export."""


def read_medline(path: Path) -> Iterator[Found]:
    """Every record of an export. Raises UnreadableFile if the file is none, DamagedFile where it breaks off."""
    at = -1
    try:
        for at, record in enumerate(_records(path)):
            size = sum(map(len, record))
            if at == 0 and not record[0].startswith(b"PMID") and not _is_export(path):
                told = "begins with no PMID-, so it is no export of PubMed in MEDLINE format; narrow the pattern"
                raise UnreadableFile(f"{path}: {told}")
            yield Found(size, _article(str(at), record) if size <= LONGEST else _too_large(str(at), size))
    except CutOffError as fault:
        raise DamagedFile.told(path, f"record {at + 1}", str(fault)) from None


def _is_export(path: Path) -> bool:
    """Whether a file is one though its first record lost its beginning."""
    return any(line.content.startswith(b"PMID-") for line in islice(lines(path), SNIFFED))


def record_at(path: Path, at: str) -> bytes | None:
    """The record of number `at`, from 0."""
    record = next(islice(_records(path), int(at), None), None)
    return b"\n".join(record) if record else None


def _records(path: Path) -> Iterator[list[bytes]]:
    """The lines of each record, up to an empty line or the next PMID; what is too long is not kept."""
    record: list[bytes] = []
    size = 0
    for number, content, *_ in lines(path):
        line = content.removeprefix(b"\xef\xbb\xbf").rstrip() if number == 1 else content.rstrip()
        if record and (not line or line.startswith(b"PMID")):
            yield record
            record, size = [], 0
        if not line:
            continue
        size += len(line)
        if size <= 2 * LONGEST:
            record.append(line)
    if record:
        yield record


def _too_large(at: str, size: int) -> Dropped:
    return Dropped(at=at, reason="too_large", value=size, threshold=LONGEST)


def _article(at: str, record: Sequence[bytes]) -> Document | Dropped:
    if not record[0].startswith(b"PMID"):
        return Dropped(at=at, reason="bad_record", value="a record without a beginning")
    fields: dict[str, list[list[bytes]]] = {}
    last: list[bytes] = []
    for line in record:
        if line.startswith(b" "):
            last.append(line)
        elif tag := TAG.match(line):
            last = [line[tag.end() :]]
            fields.setdefault(tag[1].decode(), []).append(last)
        else:
            return Dropped(at=at, reason="bad_record", value=f"no tag: {line[:60].decode('utf-8', 'replace')}")
    try:
        told = {
            name: [" ".join(b" ".join(parts).decode().split()) for parts in values] for name, values in fields.items()
        }
    except UnicodeDecodeError as fault:
        return Dropped(at=at, reason="bad_utf8", value=f"byte {fault.start} of a field")
    first = {name: values[0] for name, values in told.items()}
    dois = (value for name in ("LID", "AID") for value in told.get(name, ()) if value.endswith("[doi]"))
    vernacular = plain_title(first.get("TT"))
    title = plain_title(first.get("TI")) or vernacular
    abstract, languages = first.get("AB"), told.get("LA", [])
    if not abstract and (abstract := first.get("OAB")):
        title, languages = vernacular or title, told.get("OABL", [])
    facts = {
        "pmid": first.get("PMID"),
        "doi": next(dois, "").removesuffix("[doi]").strip(),
        "pmc": first.get("PMC"),
        "journal": first.get("JT"),
        "copyright": first.get("CI"),
    }
    return document(at, title, [abstract] if abstract else [], languages, first.get("DP", "").split(), facts)
