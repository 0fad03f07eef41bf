"""A run's report of contamination -> what of each evaluation set stood in the documents, for a person's eyes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from commands.look import LookError
from pipeline.stage import Record

STAGE, REPORT = "contaminated", "report.json"


def contamination(path: Path, count: int) -> Iterator[dict[str, Any]]:
    """Each evaluation set with its counts and up to `count` examples; `path` is the run's folder or the stage's.

    Raises LookError where no evaluation texts were looked for.
    """
    if count < 1:
        raise LookError(f"N is at least 1, not {count}")
    folder = path if path.name == STAGE else path / STAGE
    record = Record.read(folder)
    if record is None or not record.finished:
        raise LookError(
            f"{path}: holds no finished stage {STAGE}; give the run's folder, with decontaminate in its recipe"
        )
    found = orjson.loads((folder / REPORT).read_bytes())
    for name, told in found["sets"].items():
        yield {"set": name, **told, "examples": told["examples"][:count]}


def told(one: dict[str, Any]) -> str:
    """A set for a terminal."""
    lines = [
        f"{one['set']}: {one['rows_hit']} of {one['rows']} rows stand in {one['documents']} documents; "
        f"{one['rows_too_short']} rows are too short to be looked for"
    ]
    for example in one["examples"]:
        words = " ".join(example["words"].split())
        lines.append(f"  {example['row']} in {example['source']} {example['origin']}")
        lines.append(f"      {words[:200]}{' ...' if len(words) > 200 else ''}")
    return "\n".join(lines)
