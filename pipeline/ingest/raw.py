"""The place a document was read from -> the raw record that stands there."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from pipeline.ingest import archives, capture, medline, pubmed
from pipeline.ingest.code.repositories import AT, ZIP, zip_member
from pipeline.ingest.columnar import ARROW, PARQUET, arrow_row, parquet_row
from pipeline.ingest.lines import CutOffError, blocks
from pipeline.ingest.medline import ENDINGS as MEDLINE
from pipeline.ingest.objects import JSON, object_at
from pipeline.ingest.reading import UnreadableFile
from pipeline.ingest.science import XML

CAPTURES = tuple(
    f"{kind}{packed}" for kind in (".warc", ".wet", ".wat", ".arc") for packed in ("", ".gz", ".zst", ".lz4")
)
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst")


def record_at(path: Path, at: str) -> bytes:
    """The record at `at` of a file of any kind. Raises UnreadableFile if there is none."""
    name = path.name.lower()
    found: bytes | None = None
    try:
        if at == AT:
            found = path.read_bytes()
        elif name.endswith(ZIP):
            found = zip_member(path, at)
        elif name.endswith(CAPTURES):
            found = capture.record_at(path, at)
        elif name.endswith(ARCHIVES):
            found = next((member.content for member in archives.members(path) if member.at == at), None)
        elif name.endswith(PARQUET):
            found = parquet_row(path, int(at))
        elif name.endswith(ARROW):
            found = arrow_row(path, at)
        elif name.endswith(JSON):
            found = object_at(path, at)
        elif name.endswith(MEDLINE):
            found = medline.record_at(path, at)
        elif name.endswith(XML) and at != "0":
            found = pubmed.record_at(path, at)
        else:
            found = b"".join(blocks(path))
    except (ValueError, OSError, CutOffError, UnreadableFile, pa.ArrowException):
        found = None
    if found is None:
        raise UnreadableFile(f"{path}: has no record at {at}; is it still the file that was read?")
    return found
