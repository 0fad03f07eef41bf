"""JSON lines and arrays, Parquet and Arrow, with the columns that each kind of source reads."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bench.fuzzing.formats import (
    MOST,
    Format,
    Hold,
    Intact,
    before,
    few,
    found,
    lines,
    packed,
    prose,
    unpacked_before,
)
from pipeline.ingest.objects import Row, objects

GROUP = 4
"""Rows of a row group, and of a batch."""


def formats(raw: Path) -> Iterator[Format]:
    every = [*_rows(raw)]
    Random("seeds").shuffle(every)  # of each file some
    rows = [row for row in every if isinstance(row.get("content"), str)]
    if not rows:
        return
    code = Format("code jsonl", "code", ".jsonl", few(map(_json, rows)), _code, lines)
    real = [row for row in every if isinstance(row.get("text"), str)][: MOST // 2]
    papers = [_json(row) for row in (*real, *(_pes2o(row["content"]) for row in rows))]
    text = replace(code, name="text jsonl", kind="text", seeds=few(_json({"text": row["content"]}) for row in rows))
    text = replace(text, good=lambda name: _json({"text": prose(name)}))
    pes2o = Format("pes2o jsonl", "science", ".json", few(papers), lambda name: _json(_pes2o(prose(name))), lines)
    s2orc = [*few(_json(_by_lists(row["content"])) for row in rows)[:100]]
    s2orc += few(_json(_by_places(row["content"])) for row in rows)[:100]
    old = replace(pes2o, name="s2orc lists", seeds=s2orc, good=lambda name: _json(_by_lists(prose(name))))
    yield code
    yield from _packed_lines(code)
    yield text
    yield from _packed_lines(text)
    yield pes2o
    yield from _packed_lines(pes2o)
    yield old
    yield replace(old, name="s2orc places", good=lambda name: _json(_by_places(prose(name))))
    for plain, ending in ((code, ".json"), (text, ".json"), (pes2o, ".json")):
        name = f"{plain.name.split()[0]} json array"
        yield replace(plain, name=name, ending=ending, hold=_array, intact=before)
    notebooks = [row["content"].encode() for row in rows if '"cells"' in row["content"]][: MOST // 2]
    notebooks += [_json(_notebook(row["content"])) for row in rows]
    yield from _columns(few(row["content"].encode() for row in rows), notebooks)


def _rows(raw: Path) -> Iterator[dict[str, Any]]:
    for path in found(raw, ".parquet"):
        yield from pq.read_table(path).slice(0, MOST).to_pylist()
    for path in found(raw, ".jsonl", ".jsonl.gz", ".jsonl.zst", ".json.gz"):
        yield from islice((row.fields for row in objects(path) if isinstance(row, Row)), MOST)


def _packed_lines(plain: Format) -> Iterator[Format]:
    for ending in ("gz", "zst"):
        one = replace(
            plain, name=f"{plain.name}.{ending}", ending=f"{plain.ending}.{ending}", hold=packed(lines, ending)
        )
        yield one
        yield replace(one, name=f"{one.name} file", intact=unpacked_before(ending))


def _columns(texts: list[bytes], notebooks: list[bytes]) -> Iterator[Format]:
    """The cells are mutated: nobody checks that what is written into a column of strings is UTF-8."""

    def good(name: str) -> bytes:
        return prose(name).encode()

    code = Format("code parquet", "code", ".parquet", texts, good, _parquet("content", "a.py"))
    books = replace(
        code, name="notebooks parquet", seeds=few(notebooks), good=lambda name: _json(_notebook(prose(name))),
        hold=_parquet("content", "a.ipynb"),
    )  # fmt: skip
    yield code
    yield books
    yield replace(code, name="code parquet file", intact=_groups("content"))
    for kind in ("text", "science"):
        name, packing = ("pes2o", "lz4") if kind == "science" else (kind, None)
        hold = _parquet("text", "", checked=kind == "science")
        yield replace(code, name=f"{name} parquet", kind=kind, hold=hold)
        yield replace(code, name=f"{name} parquet file", kind=kind, hold=hold, intact=_groups("text"))
        for form in ("file", "stream"):
            arrow = replace(code, name=f"{name} arrow {form}", kind=kind, ending=".arrow", hold=_arrow(form, packing))
            yield arrow
            yield replace(arrow, name=f"{arrow.name} mutated", intact=_batches_before(form))


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=str)


def _code(name: str) -> bytes:
    return _json({"content": prose(name), "path": "a.py", "language": "Python"})


def _array(parts: Sequence[bytes]) -> bytes:
    return b"[\n" + b",\n".join(parts) + b"\n]\n"


def _notebook(text: str) -> dict[str, object]:
    cells = [
        {"cell_type": "markdown", "source": text.splitlines(keepends=True)[:40]},
        {"cell_type": "code", "source": text, "outputs": [{"output_type": "stream", "text": ["1"]}]},
    ]
    return {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}


def _pes2o(text: str) -> dict[str, Any]:
    about = {"year": 2020, "license": "cc-by", "title": "On files", "extfieldsofstudy": ["Biology"]}
    return {"id": "7", "source": "s2orc", "version": "v2", "added": "2020", "created": "2019", "text": text,
            "metadata": about}  # fmt: skip


def _by_lists(text: str) -> dict[str, Any]:
    """The layout of the releases up to 2020."""
    cites = [{"start": 0, "end": 3, "text": "[1]", "ref_id": "BIBREF0"}]
    parts = [{"text": part, "section": f"{at // 3}", "cite_spans": cites} for at, part in enumerate(_paragraphs(text))]
    entry = {"title": "On", "authors": [{"first": "A", "last": "B"}], "year": 1999, "venue": "C"}
    return {"paper_id": "7", "title": "On files", "year": 2019, "abstract": [{"text": "It is short."}],
            "body_text": parts, "bib_entries": {"BIBREF0": entry}, "metadata": {"doi": "10.1/x"}}  # fmt: skip


def _by_places(text: str) -> dict[str, Any]:
    """The layout of Semantic Scholar's API: one text, and the places of its parts as JSON in strings."""
    spans, at = [], 0
    for part in _paragraphs(text):
        spans.append({"start": at, "end": at + len(part)})
        at += len(part) + 2
    whole = "\n\n".join(_paragraphs(text))
    places = {"paragraph": orjson.dumps(spans).decode(), "title": None, "abstract": "[]",
              "sectionheader": orjson.dumps(spans[:1]).decode(), "bibentry": "[]"}  # fmt: skip
    return {"corpusid": 7, "title": "On files", "externalids": {"doi": "10.1/x"},
            "content": {"text": whole, "annotations": places}}  # fmt: skip


def _paragraphs(text: str) -> list[str]:
    rows = [row for row in text.split("\n") if row.strip()]
    return ["\n".join(rows[at : at + 5]) for at in range(0, len(rows), 5)]


def _table(parts: Sequence[bytes], column: str, path: str) -> pa.Table:
    values = pa.array(parts, pa.large_binary()).view(pa.large_string())
    more = {"path": [path] * len(parts), "language": ["Python"] * len(parts)} if path else {}
    return pa.table({column: values, **more})


def _parquet(column: str, path: str, *, checked: bool = False) -> Hold:
    def hold(parts: Sequence[bytes]) -> bytes:
        file = io.BytesIO()
        pq.write_table(_table(parts, column, path), file, row_group_size=GROUP, write_page_checksum=checked)
        return file.getvalue()

    return hold


def _groups(column: str) -> Intact:
    """The row groups that no changed byte stands in, if nothing has moved and the footer is whole."""

    def intact(whole: bytes, damaged: bytes) -> bytes:
        if len(whole) != len(damaged):
            return b""
        changed = np.flatnonzero(np.frombuffer(whole, np.uint8) != np.frombuffer(damaged, np.uint8)).tolist()
        file = pq.ParquetFile(io.BytesIO(whole))
        if any(at < 4 or at >= len(whole) - 8 - int.from_bytes(whole[-8:-4], "little") for at in changed):
            return b""
        kept = []
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            begin = min(_begin(about.column(n)) for n in range(about.num_columns))
            end = max(_begin(about.column(n)) + about.column(n).total_compressed_size for n in range(about.num_columns))
            if not any(begin <= at < end for at in changed):
                kept += file.read_row_group(group, columns=[column]).column(0).to_pylist()
        return "\n".join(kept).encode()

    return intact


def _begin(column: Any) -> int:
    return int(column.dictionary_page_offset or column.data_page_offset)


def _arrow(form: str, packing: str | None) -> Hold:
    def hold(parts: Sequence[bytes]) -> bytes:
        table, file = _table(parts, "text", ""), io.BytesIO()
        opened = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
        with opened(file, table.schema, options=pa.ipc.IpcWriteOptions(compression=packing)) as writer:
            writer.write_table(table, max_chunksize=GROUP)
        return file.getvalue()

    return hold


def _batches_before(form: str) -> Intact:
    """The batches before the damage: of a stream whatever comes, of a file if its directory is as it was."""

    def intact(whole: bytes, damaged: bytes) -> bytes:
        foot = 10 + int.from_bytes(whole[-10:-6], "little")
        if form == "file" and (len(whole) != len(damaged) or whole[-foot:] != damaged[-foot:]):
            return b""
        same = before(whole, damaged)
        kept: list[str] = []
        with suppress(pa.ArrowException, OSError):  # at the damage
            for batch in pa.ipc.open_stream(same[8:] if form == "file" else same):
                kept += batch.column(0).to_pylist()
        return "\n".join(kept).encode()

    return intact
