"""A Jupyter notebook -> its text: prose as it stands, code in fences; outputs and images are left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from pipeline.ingest.objects import TOO_DEEP, is_shallow

IMAGE = re.compile(r"!\[([^\]]*)\]\(\s*(?:attachment|data):[^)]*\)")
"""An image that the notebook holds itself; only its description is text."""

INLINE = re.compile(r"<img\b[^>]{0,200}src\s*=\s*[\"']?data:[^>]*>", re.I)
DATA = re.compile(r"data:[\w/+.;=-]{0,100};base64,[A-Za-z0-9+/=\s]{100,}")


class BadNotebookError(Exception):
    """A file that is no notebook; the message says why."""


def notebook_text(content: str) -> str:
    """The cells in order, an empty line between two.

    Fences name the notebook's language, so that the code can be told from the prose. Reads nbformat 3 and 4.
    Raises BadNotebookError.
    """
    try:
        notebook = orjson.loads(content)
    except (orjson.JSONDecodeError, TypeError):
        try:
            notebook = json.loads(content)
        except (ValueError, RecursionError) as fault:
            raise BadNotebookError(f"no JSON ({fault})") from None
    if not isinstance(notebook, dict):
        raise BadNotebookError("no JSON object")
    if not is_shallow(notebook):
        raise BadNotebookError(TOO_DEEP)
    language = _language(notebook)
    return "\n\n".join(text for cell in _cells(notebook) if (text := _cell_text(cell, language)))


def _cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sheets = notebook.get("worksheets", [notebook])
    lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)] if isinstance(sheets, list) else []
    if not any(isinstance(cells, list) for cells in lists):
        raise BadNotebookError("no cells")
    for cells in lists:
        yield from (cell for cell in cells or [] if isinstance(cell, dict))


def _cell_text(cell: dict[str, Any], language: str) -> str:
    source = cell.get("source", cell.get("input", ""))
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    text = text.strip("\n").rstrip()
    kind = cell.get("cell_type")
    if not text:
        return ""
    if kind == "code":
        return f"```{language}\n{text}\n```"
    if kind == "heading":  # nbformat 3
        level = cell.get("level")
        return f"{'#' * (level if isinstance(level, int) and 0 < level < 7 else 1)} {text}"
    return DATA.sub("", INLINE.sub("", IMAGE.sub(r"\1", text))).strip("\n")


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    about = metadata if isinstance(metadata, dict) else {}
    for part, key in (("language_info", "name"), ("kernelspec", "language")):
        found = about.get(part)
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return str(found[key]).lower()
    return "python"
