"""The place a document was read from -> the raw record that stands there."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.ingest import archives, warc
from pipeline.ingest.archives import DamagedTarError
from pipeline.ingest.lines import CutOffError, lines
from pipeline.ingest.reading import UnreadableFile
from pipeline.ingest.rows import JSON, PARQUET

CAPTURES = (".warc", ".warc.gz", ".wet", ".wet.gz")
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst")


def record_at(path: Path, at: str) -> bytes:
    """The record at `at` of a file of any kind. Raises UnreadableFile if there is none."""
    name = path.name.lower()
    found: bytes | None = None
    try:
        if name.endswith(CAPTURES):
            found = warc.record_at(path, at)
        elif name.endswith(ARCHIVES):
            found = next((member.content for member in archives.members(path) if member.at == at), None)
        elif name.endswith(PARQUET):
            found = _row(path, int(at))
        elif name.endswith(JSON):
            found = next((line.content for line in lines(path) if line.number == int(at)), None)
        else:
            found = path.read_bytes()
    except (ValueError, OSError, CutOffError, DamagedTarError, pa.ArrowException):
        found = None
    if found is None:
        raise UnreadableFile(f"{path}: has no record at {at}; is it still the file that was read?")
    return found


def _row(path: Path, number: int) -> bytes | None:
    """Row `number` of a Parquet file as JSON, all its columns."""
    with pq.ParquetFile(path, memory_map=True) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if number < rows:
                return orjson.dumps(file.read_row_group(group).slice(number, 1).to_pylist()[0], default=str)
            number -= rows
    return None
