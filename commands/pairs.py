"""A run's list of duplicates -> each removed document beside the kept one it duplicates."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from commands.look import LookError, readable, workspace_of
from pipeline.stage import Record
from pipeline.stores.mirror import Mirror

WIDE = 58
"""Characters of a column."""
AROUND = 1
"""Equal lines that are shown on both sides of a difference."""
MOST_LINES = 200
"""Lines of a text that are compared: differences cost the square of them."""


def pairs(path: Path, count: int, reason: str | None = None) -> Iterator[dict[str, Any]]:
    """The first `count` removed documents (for one reason if given), each with the kept one, source by source.

    `path` is the run's folder or one of its `dedup/<source>`. Raises LookError where no duplicates were looked for,
    or a file is gone.
    """
    if count < 1:
        raise LookError(f"N is at least 1, not {count}")
    if Mirror.of(path):
        raise LookError("--duplicates reads a run on disk; copy its dedup and filter folders there first")
    folders = sorted((path / "dedup").iterdir()) if (path / "dedup").is_dir() else [path]
    records = [Record.read(folder) for folder in folders]
    known: set[str] = set()
    for record in records:
        if record is None or not record.name.startswith("dedup/") or not record.finished:
            raise LookError(f"{path}: holds no finished list of duplicates; give the run's folder, behind its dedup")
        known |= record.counts["dropped"].keys()
    if reason and reason not in known:
        told = ", ".join(sorted(known)) or "none"
        raise LookError(f"{path}: nothing was dropped as '{reason}'; the reasons are {told}")
    for folder in folders:
        for file in sorted((folder / "removed").glob("*.parquet")):
            with readable(file):
                found = pq.read_table(file, filters=[("reason", "=", reason)] if reason else None)
            for row in found.slice(0, count).to_pylist():
                yield _pair(workspace_of(folder), row)
            count -= min(count, len(found))


def _pair(workspace: Path, row: dict[str, Any]) -> dict[str, Any]:
    run = Path(row["kept_run"]) if row["kept_run"] else workspace
    return {
        "reason": row["reason"],
        "jaccard": row["jaccard"],
        "removed": _document(workspace, row["source"], row["file"], row["row"], row["id"]),
        "kept": _document(run, row["kept_source"], row["kept_file"], row["kept_row"], row["kept"]),
    }


def _document(workspace: Path, source: str, name: str, row: int, id: str) -> dict[str, Any]:
    file = workspace / "filter" / source / name
    with readable(file), pq.ParquetFile(file, memory_map=True) as open_file:
        before = 0
        for group in range(open_file.num_row_groups):
            rows = open_file.metadata.row_group(group).num_rows
            if row < before + rows:
                table = open_file.read_row_group(group, columns=["id", "source", "origin", "url", "text"])
                found: dict[str, Any] = table.slice(row - before, 1).to_pylist()[0]
                if found["id"] == id:
                    return found
                break
            before += rows
    raise LookError(f"{file}: row {row} is not {id}; the documents are not those that duplicates were looked for in")


def told(pair: dict[str, Any]) -> str:
    """A pair for a terminal: in two columns, equal lines between differences left out."""
    removed, kept = pair["removed"], pair["kept"]
    lines = [
        f"{pair['reason']}  Jaccard {pair['jaccard']:.4g}",
        f"{'removed ' + removed['id']:{WIDE}}   kept {kept['id']}",
        f"{_cut(removed['source'] + ' ' + removed['origin']):{WIDE}}   {_cut(kept['source'] + ' ' + kept['origin'])}",
        "",
    ]
    left, right = (_lines(document["text"]) for document in (removed, kept))
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += _equal(left[a:b], first=a == 0, last=b == len(left) and d == len(right))
            continue
        for n in range(max(b - a, d - c)):
            one, other = (part[n] if n < len(part) else "" for part in (left[a:b], right[c:d]))
            lines.append(f"{one:{WIDE}} | {other}")
    return "\n".join([*lines, "-" * (2 * WIDE + 3)])


def _equal(lines: list[str], first: bool, last: bool) -> list[str]:
    """Lines that both have, but for those far from a difference."""
    head, tail = 0 if first else AROUND, 0 if last else AROUND
    left_out = len(lines) - head - tail
    shown = [f"{line:{WIDE}}   {line}" for line in lines]
    if left_out <= 1:
        return shown
    return [*shown[:head], f"  ... {left_out} equal lines", *shown[len(lines) - tail :]]


def _lines(text: str) -> list[str]:
    wrapped = [line for part in text.splitlines() for line in textwrap.wrap(part, WIDE)]
    over = len(wrapped) - MOST_LINES
    return [*wrapped[:MOST_LINES], f"({over} more lines)"] if over > 0 else wrapped


def _cut(told: str) -> str:
    return told if len(told) <= WIDE else f"...{told[3 - WIDE :]}"
