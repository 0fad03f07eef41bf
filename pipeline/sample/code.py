"""Installed source files -> Parquet with the columns of The Stack (v1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.sample.installed import REPOSITORIES, Installed, drawn, files, licenses

PYTHON_SUFFIXES = frozenset({".py", ".pyi"})
LANGUAGES: Mapping[str, str] = {
    ".py": "Python",
    ".pyi": "Python",
    ".pyx": "Cython",
    ".pxd": "Cython",
    ".pxi": "Cython",
    ".c": "C",
    ".h": "C",
    ".cpp": "C++",
    ".cc": "C++",
    ".hpp": "C++",
    ".cu": "Cuda",
    ".cuh": "Cuda",
    ".f90": "Fortran",
    ".f": "Fortran",
    ".js": "JavaScript",
    ".css": "CSS",
    ".html": "HTML",
    ".sh": "Shell",
    ".cmake": "CMake",
    ".md": "Markdown",
    ".rst": "reStructuredText",
}
"""Language names as The Stack writes them, by suffix."""

LARGEST = 50_000
"""Characters of a file: a few large ones would leave no room for many."""

ROWS_IN_GROUP = 100
"""Small, so that several workers have a part of the one file."""


def write_code(folder: Path, size: int) -> tuple[int, int]:
    """Write source files of `size` bytes in all into one Parquet file; gives (files, bytes of text)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    groups = {package: _read(files(package, PYTHON_SUFFIXES)) for package in REPOSITORIES}
    for language in sorted(set(LANGUAGES.values()) - {"Python"}):
        suffixes = frozenset(suffix for suffix, name in LANGUAGES.items() if name == language)
        groups[f"in {language}"] = _read([file for package in REPOSITORIES for file in files(package, suffixes)])
    taken = drawn(groups, size, lambda pair: len(pair[1].encode()))
    known = {package: licenses(package) for package in REPOSITORIES}
    rows = [_row(file, text, known[file.package]) for file, text in sorted(taken, key=lambda pair: pair[0].name)]
    if rows:
        table = pa.Table.from_pylist(rows, schema=_schema())
        pq.write_table(table, folder / "train-00000-of-00001.parquet", row_group_size=ROWS_IN_GROUP, compression="zstd")
    return len(rows), sum(row["size"] for row in rows)


def _read(found: list[Installed]) -> Iterator[tuple[Installed, str]]:
    return ((file, text) for file in found if (text := file.read()) and len(text) <= LARGEST)


def _row(file: Installed, text: str, known: list[str]) -> dict[str, Any]:
    """The columns that the file itself tells; those of stars, issues and forks stay null."""
    data = text.encode()
    lines = text.splitlines() or [""]
    suffix = PurePosixPath(file.name).suffix
    digest = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    row: dict[str, Any] = {
        "hexsha": digest,
        "size": len(data),
        "ext": suffix[1:],
        "lang": LANGUAGES[suffix],
        "content": text,
        "avg_line_length": sum(map(len, lines)) / len(lines),
        "max_line_length": max(map(len, lines)),
        "alphanum_fraction": sum(map(str.isalnum, text)) / len(text),
    }
    for event in EVENTS:
        row[f"max_{event}_repo_path"] = file.name
        row[f"max_{event}_repo_name"] = REPOSITORIES[file.package]
        row[f"max_{event}_repo_licenses"] = known
    return row


EVENTS = ("stars", "issues", "forks")
"""The Stack names, for each, the repository that had most of them."""


def _schema() -> Any:
    import pyarrow as pa

    head = [("hexsha", pa.string()), ("size", pa.int64()), ("ext", pa.string()), ("lang", pa.string())]
    for event in EVENTS:
        head += [
            (f"max_{event}_repo_path", pa.string()),
            (f"max_{event}_repo_name", pa.string()),
            (f"max_{event}_repo_head_hexsha", pa.string()),
            (f"max_{event}_repo_licenses", pa.list_(pa.string())),
            (f"max_{event}_count", pa.int64()),
            (f"max_{event}_repo_{event}_event_min_datetime", pa.string()),
            (f"max_{event}_repo_{event}_event_max_datetime", pa.string()),
        ]
    tail = [("avg_line_length", pa.float64()), ("max_line_length", pa.int64()), ("alphanum_fraction", pa.float64())]
    return pa.schema([*head, ("content", pa.string()), *tail])
