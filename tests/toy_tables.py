"""Tables of text to read: their files, and what was read of them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import zstandard

from pipeline.documents import Document
from pipeline.ingest.reading import Found
from pipeline.ingest.tables import read_table
from pipeline.settings import Columns
from pipeline.units import Piece

PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


def read(path: Path, column: str = "text", groups: tuple[int, int] | None = None) -> list[Found]:
    return list(read_table(Piece(str(path), path.name, path.stat().st_size, groups), Columns(text=column)))


def told(found: list[Found]) -> list[str]:
    """Texts of what is kept, reasons of what is dropped."""
    return [what.text if isinstance(what, Document) else what.reason for _, what in found]


def jsonl(tmp_path: Path, content: bytes, packed: str = "") -> Path:
    path = tmp_path / f"a.jsonl{packed}"
    path.write_bytes(PACK[packed](content))
    return path


def parquet(tmp_path: Path, columns: dict[str, Any], group: int = 100) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=group)
    return tmp_path / "a.parquet"
