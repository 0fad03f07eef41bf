"""Source code in tables with the columns of The Stack (v1, v2) or StarCoder data -> documents."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.documents import Document, Dropped
from pipeline.ingest.code.languages import language_of
from pipeline.ingest.code.notebooks import BadNotebookError, notebook_text
from pipeline.ingest.lines import CutOffError
from pipeline.ingest.objects import objects
from pipeline.ingest.reading import Found, UnreadableFile
from pipeline.ingest.rows import PARQUET, Row, plain_value, read_rows, told
from pipeline.units import Piece

CONTENT = "content"

COLUMNS = {
    "language": ("language", "lang"),
    "licenses": ("detected_licenses", "max_stars_repo_licenses", "licenses", "license"),
    "date": ("revision_date", "committer_date"),
    "path": ("path", "max_stars_repo_path"),
    "repo": ("repo_name", "max_stars_repo_name", "repo"),
    "extension": ("extension", "ext"),
    "stars": ("star_events_count", "max_stars_count"),
    "is_vendor": ("is_vendor",),
    "is_generated": ("is_generated",),
    "license_type": ("license_type",),
}
"""What is taken, and its columns in The Stack v2, The Stack v1 and StarCoder data; the first that is filled counts."""

METADATA = ("path", "repo", "extension", "stars", "is_vendor", "is_generated", "license_type")


SNIFFED = 20
"""Lines of a JSON file, or elements of its array, in which a row of code shows that it is a table of such."""


def is_table(path: Path) -> bool:
    """Whether a Parquet or JSON file is a table of code, and not a file of a repository: has one of its first rows a
    `content`? One whose compression is broken is taken for a table, whose reader tells its faults."""
    if path.name.lower().endswith(PARQUET):
        return True
    try:
        return any(isinstance(row, Row) and CONTENT in row.fields for row in islice(objects(path), SNIFFED))
    except UnreadableFile as fault:
        return isinstance(fault.__context__, CutOffError)


def read_code(piece: Piece) -> Iterator[Found]:
    """Every row of a table of code: its `content` is the text, of a notebook that of its cells.

    `license` holds the licences' SPDX ids, separated by ", "; what the filters ask for stands in the metadata.
    Raises UnreadableFile.
    """
    columns = [name for names in COLUMNS.values() for name in names]
    for row in read_rows(piece, CONTENT, columns):
        yield row if isinstance(row, Found) else Found(row.size, _read(row))


def _read(row: Row) -> Document | Dropped:
    taken = {name: _first(row.fields, columns) for name, columns in COLUMNS.items()}
    language = told(taken["language"])
    text = row.text
    if _is_notebook(taken["path"], language, text):
        try:
            text = notebook_text(text)
        except BadNotebookError as fault:
            return Dropped(at=row.at, reason="bad_notebook", value=str(fault), text=text[:2000])
        if not text:
            return Dropped(at=row.at, reason="empty_text")
    licenses = taken["licenses"]
    return Document(
        at=row.at,
        text=text,
        language=language.lower() if language else language_of(str(taken["path"] or ""), text),
        license=told(", ".join(map(str, licenses)) if isinstance(licenses, list) else licenses),
        date=told(taken["date"]),
        metadata={name: plain_value(taken[name]) for name in METADATA if taken[name] is not None},
    )


def _first(fields: dict[str, Any], columns: tuple[str, ...]) -> Any:
    return next((value for name in columns if (value := fields.get(name)) not in (None, "", [])), None)


def _is_notebook(path: Any, language: str | None, content: str) -> bool:
    """StarCoder's notebook sets hold scripts too, so the language alone does not say it."""
    if isinstance(path, str) and "." in path.rpartition("/")[2]:
        return path.lower().endswith(".ipynb")
    return "jupyter" in (language or "").lower() and content.lstrip().startswith("{")
