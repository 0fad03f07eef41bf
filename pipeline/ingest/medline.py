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


def read_medline(path: Path) -> Iterator[Found]:
    """Every record of an export. Raises UnreadableFile if the file is none, DamagedFile where it breaks off."""
    at = -1
    try:
        for at, record in enumerate(_records(path)):
            size = sum(map(len, record))
            if at == 0 and not (record and record[0].startswith(b"PMID")):
                told = "begins with no PMID-, so it is no export of PubMed in MEDLINE format; narrow the pattern"
                raise UnreadableFile(f"{path}: {told}")
            yield Found(size, _article(str(at), record) if size <= LONGEST else _too_large(str(at), size))
    except CutOffError as fault:
        raise DamagedFile.told(path, f"record {at + 1}", str(fault)) from None


def record_at(path: Path, at: str) -> bytes | None:
    """The record of number `at`, from 0."""
    record = next(islice(_records(path), int(at), None), None)
    return b"\n".join(record) if record else None


def _records(path: Path) -> Iterator[list[bytes]]:
    """The lines of each record; one begins with its PMID, and what is too long is not kept."""
    record: list[bytes] = []
    size = 0
    for number, content, *_ in lines(path):
        line = content.removeprefix(b"\xef\xbb\xbf").rstrip() if number == 1 else content.rstrip()
        if not line:
            continue
        if line.startswith(b"PMID") and record:
            yield record
            record, size = [], 0
        size += len(line)
        if size <= 2 * LONGEST:
            record.append(line)
    if record:
        yield record


def _too_large(at: str, size: int) -> Dropped:
    return Dropped(at=at, reason="too_large", value=size, threshold=LONGEST)


def _article(at: str, record: Sequence[bytes]) -> Document | Dropped:
    fields: dict[str, list[bytes]] = {}
    last: list[bytes] = []
    for line in record:
        if line.startswith(b" "):
            if last:
                last[-1] += b" " + line.strip()
        elif tag := TAG.match(line):
            last = fields.setdefault(tag[1].decode(), [])
            last.append(line[tag.end() :])
        else:
            return Dropped(at=at, reason="bad_record", value=f"no tag: {line[:60].decode('utf-8', 'replace')}")
    try:
        told = {name: [" ".join(value.decode().split()) for value in values] for name, values in fields.items()}
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
