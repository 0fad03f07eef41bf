"""A folder or file -> what stands in it, for a person's eyes: documents, dropped documents, packed rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from packing.flat import Row
from packing.shards import Shards
from pipeline.documents import identity, read_batches
from pipeline.stage import Record
from pipeline.stores.mirror import Mirror, present

SHOWN = 1_000
"""Characters shown of a text."""


class LookError(Exception):
    """There is nothing to look at; the message says where things are."""


def look(path: Path, count: int, *, dropped: bool = False, reason: str | None = None) -> Iterator[dict[str, Any]]:
    """The first `count` documents, dropped documents (of one reason if given) or rows of a folder or file."""
    if count < 1:
        raise LookError(f"N is at least 1, not {count}; write for example: bertmill look {path} 5")
    if mirror := Mirror.of(path):
        one = [path] if path.suffix == ".parquet" and not path.exists() else []
        _ = [file for name in one for file in present(name.parent, name.name)]
        mirror.refresh(path / "stage.json", path / "index.json")
    if not path.exists():
        raise LookError(f"{mirror.address(path) if mirror else path}: there is no such file or folder")
    if dropped or reason is not None:
        return islice(_dropped(path, reason), count)
    if path.is_dir() and (path / "index.json").exists():
        return islice(_rows(path), count)
    files = iter([path]) if path.suffix == ".parquet" else present(path, "[0-9]*.parquet")
    if (first := next(files, None)) is None:
        raise LookError(f"{path}: holds no documents and no rows; look at a stage's folder, such as filter/<source>")
    return islice((row for file in chain([first], files) for row in _table(file)), count)


def _table(file: Path) -> Iterator[dict[str, Any]]:
    with readable(file):
        for batch in read_batches(file):
            yield from batch.to_pylist()


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Raise LookError if the file turns out to be no Parquet or damaged."""
    try:
        yield
    except (pa.ArrowException, OSError) as fault:
        raise LookError(f"{file}: cannot be read as Parquet ({' '.join(str(fault).split())[:200]})") from None


def _dropped(path: Path, reason: str | None) -> Iterator[dict[str, Any]]:
    folder = path / "dropped"
    if not folder.is_dir() and not (path / "stage.json").exists():
        raise LookError(f"{path}: is no stage's folder, so nothing was dropped there")
    record = Record.read(path)
    known = record.counts.get("dropped", {}) if record else {}
    if reason and record and record.finished and reason not in known:
        raise LookError(
            f"{path}: nothing was dropped as '{reason}'; the reasons are {', '.join(sorted(known)) or 'none'}"
        )
    for file in present(path, "dropped/*.parquet"):
        with readable(file):
            rows = pq.read_table(file).to_pylist()
        for row in rows:
            if reason in (None, row["reason"]):
                yield row


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    bring_rows(folder)
    shards = Shards(folder)
    decode = _decoder(folder)
    documents = _documents_of(folder)
    for number in range(len(shards)):
        yield describe(shards[number], number, decode, documents)


def bring_rows(folder: Path) -> None:
    """In a mirror, have the packed rows and the run's tokenizer here; the documents come as they are asked for."""
    if Mirror.of(folder):
        _ = [*present(folder), *present(workspace_of(folder) / "tokenizer")]


def describe(row: Row, number: int, decode: Any, documents: Path | None) -> dict[str, Any]:
    """A packed row in words: each piece with its tokens, its document's id and origin, and its text."""
    found = locate(documents, row.doc.tolist()) if documents else [{} for _ in row.doc]
    pieces = [
        {"start": int(a), "tokens": int(b - a), **document, "text": decode(row.input_ids[a:b].tolist())}
        for a, b, document in zip(row.cu_seqlens[:-1], row.cu_seqlens[1:], found, strict=True)
    ]
    return {"row": number, "tokens": len(row.input_ids), "pieces": pieces}


def locate(documents: Path, doc: Sequence[int]) -> list[dict[str, Any]]:
    """Numbers in a row's `doc` -> id and origin of each document in the stage folder it was packed from.

    Rows of shards of token ids were packed from none; their own folder tells the shard and number of each chunk.
    """
    if not (documents / "inputs.json").exists():
        return _in_tables(documents, doc)
    shards = sorted(json.loads((documents / "inputs.json").read_bytes()))
    source = documents.relative_to(workspace_of(documents)).parts[1]
    origins = [f"{shards[number >> 32]}#{number & 0xFFFFFFFF}" for number in doc]
    return [{"id": identity(source, origin), "origin": origin} for origin in origins]


def _in_tables(documents: Path, doc: Sequence[int]) -> list[dict[str, Any]]:
    tables: dict[int, Any] = {}
    for number in doc:
        if number >> 32 not in tables:
            name = f"{number >> 32:05}.parquet"
            for file in present(documents, name):
                tables[number >> 32] = pq.read_table(file, columns=["id", "origin"])
    return [tables[number >> 32].slice(number & 0xFFFFFFFF, 1).to_pylist()[0] for number in doc]


def _decoder(folder: Path) -> Any:
    """Ids -> text by the run's tokenizer, special tokens shown."""
    from tokenizers import Tokenizer

    path = workspace_of(folder) / "tokenizer" / "tokenizer.json"
    if not path.exists():
        return lambda ids: " ".join(map(str, ids))
    tokenizer = Tokenizer.from_file(str(path))
    return lambda ids: tokenizer.decode(ids, skip_special_tokens=False)


def workspace_of(folder: Path) -> Path:
    """The run's folder that a stage's folder stands in: as many levels up as its name has parts."""
    record = Record.read(folder)
    return folder.absolute().parents[record.name.count("/")] if record else folder.absolute()


def _documents_of(folder: Path) -> Path | None:
    """The documents that rows were packed from: the stage it read that is not the tokenizer, or the folder itself."""
    record = Record.read(folder)
    earlier = [name for name in record.reads if name != "tokenizer"] if record else []
    return workspace_of(folder) / (earlier or [record.name])[0] if record else None


def told(item: dict[str, Any]) -> str:
    """One document, dropped document or row as lines for a terminal."""
    if "pieces" in item:
        lines = [f"row {item['row']}: {item['tokens']} tokens, {len(item['pieces'])} pieces"]
        for piece in item["pieces"]:
            lines.append(f"  {piece['start']:6} + {piece['tokens']:5}  {piece.get('origin', '')}")
            lines.append(f"      {_cut(piece['text'], 200)}")
        return "\n".join([*lines, ""])
    head = [f"{key}: {value}" for key, value in item.items() if key != "text" and value is not None]
    return "\n".join([*head, _cut(str(item.get("text", "")), SHOWN), "-" * 60])


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} ... ({len(text) - most} more characters)"
