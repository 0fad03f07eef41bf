"""One file of a repository -> a document, or why it is none."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from pipeline.documents import Document, Dropped
from pipeline.ingest.charset import decode
from pipeline.ingest.code.languages import language_of
from pipeline.ingest.code.notebooks import BadNotebookError, notebook_text

LARGEST = 1 << 20
"""Bytes of a file at most (Kocetkov et al. 2022, section 3.1: The Stack leaves out files over 1 MB)."""

LARGEST_NOTEBOOK = 32 << 20
"""Bytes of a notebook at most: most of them are pictures."""

BINARY_WITHIN = 8000
"""Bytes in which a NUL says that a file is no text, as git has it."""

MOST_ERRORS = 0.005
"""Share of characters that no charset gave a meaning from which a file is no text."""

NOTEBOOK = ".ipynb"


def file_document(at: str, path: str, content: bytes, repo: str | None, license: str | None) -> Document | Dropped:
    """The document of a file; `path` is its path in the repository, `license` what the repository says."""
    notebook = path.lower().endswith(NOTEBOOK)
    largest = LARGEST_NOTEBOOK if notebook else LARGEST
    if len(content) > largest:
        return Dropped(at=at, reason="too_large", value=len(content), threshold=largest)
    if b"\0" in content[:BINARY_WITHIN] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Dropped(at=at, reason="binary_file", value="NUL")
    text, charset = decode(content, "utf-8", meta=False)
    errors = text.count("\ufffd") / max(len(text), 1)
    if errors > MOST_ERRORS:
        return Dropped(at=at, reason="binary_file", value=errors, threshold=MOST_ERRORS)
    if notebook:
        try:
            text = notebook_text(text)
        except BadNotebookError as fault:
            return Dropped(at=at, reason="bad_notebook", value=str(fault), text=text[:2000])
    if not text.strip():
        return Dropped(at=at, reason="empty_text", value=path)
    metadata: dict[str, Any] = {"path": path}
    if repo:
        metadata["repo"] = repo
    if extension := PurePosixPath(path).suffix:
        metadata["extension"] = extension[1:]
    if charset != "utf-8":
        metadata["charset"] = charset
    return Document(at=at, text=text, language=language_of(path, text), license=license, metadata=metadata)
