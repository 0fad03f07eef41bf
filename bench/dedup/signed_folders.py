"""Synthetic documents -> the signed folders of ingest, filter and signatures, from which a run goes on.

The stages are those of a recipe, with their names and settings; only their work is another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bench.dedup.peers import BANDS, ROWS
from bench.dedup.synthetic import Synthetic, mixed
from pipeline.dedup.signatures import _MARK, _PLAIN, Scheme
from pipeline.documents import SCHEMA, DocumentWriter
from pipeline.engines.run import Engine, run
from pipeline.settings import Dedup, Near
from pipeline.stage import Stage
from pipeline.units import Unit
from recipes.load import load
from recipes.plan import stages

if TYPE_CHECKING:
    from pipeline.tally import Tally

FILE = 500_000
"""Documents in a file, at most."""
BATCH = 1 << 16


def write(made: Synthetic, recipe: Path, near: Near, work: Path) -> None:
    """Each source of the recipe gets every so-manieth file of documents."""
    asked = load(recipe)
    names = list(asked.sources)
    size = min(FILE, -(-made.documents // len(names)))
    files = [range(n, min(n + size, made.documents)) for n in range(0, made.documents, size)]
    for stage in stages(asked):
        kind, _, source = stage.name.partition("/")
        if kind in WRITERS:
            run(_replaced(stage, kind, source, made, files[names.index(source) :: len(names)], near), work, Engine())


def _replaced(stage: Stage, kind: str, source: str, made: Synthetic, files: list[range], near: Near) -> Stage:
    """The stage with units that make their documents themselves."""

    def work(_: Path) -> Callable[[Unit, Path, Tally], None]:
        def make(unit: Unit, path: Path, tally: Tally) -> None:
            documents = files[unit.number]
            WRITERS[kind](made, documents, path, f"{unit.number:05}.parquet", source, near)
            tally.read(len(documents), 0)
            tally.kept(len(documents), 0)

        return make

    return dataclasses.replace(stage, work=work, units=lambda _: [Unit(n, ()) for n in range(len(files))])


def _nothing(made: Synthetic, documents: range, path: Path, name: str, source: str, near: Near) -> None:
    path.write_bytes(b"")


def _texts(made: Synthetic, documents: range, path: Path, name: str, source: str, near: Near) -> None:
    with DocumentWriter(path) as writer:
        for numbers in _batches(documents):
            columns = {
                "id": made.ids(numbers).cast(pa.string()),
                "text": made.texts(numbers),
                "source": pa.repeat(pa.scalar(source), len(numbers)),
                "kind": pa.repeat(pa.scalar("text"), len(numbers)),
                "origin": pa.array(numbers).cast(pa.string()),
            }
            arrays = [columns.get(field.name, pa.nulls(len(numbers), field.type)) for field in SCHEMA]
            writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))


def _signatures(made: Synthetic, documents: range, path: Path, name: str, source: str, near: Near) -> None:
    """As `pipeline.dedup.signatures.sign_documents` writes them."""
    scheme = Scheme.of(Dedup(near=near))
    told = {"source": source, "documents": name, **dataclasses.asdict(scheme)}
    schema = scheme.schema.with_metadata({_MARK: orjson.dumps(told)})
    with pq.ParquetWriter(path, schema, **_PLAIN) as writer:
        for numbers in _batches(documents):
            writer.write_batch(pa.record_batch(made.signature_columns(numbers, schema.names), schema=schema))


Writer = Callable[[Synthetic, range, Path, str, str, Near], None]
"""(what is made, which documents, the file, the name of the file of documents, its source, the bands)"""

WRITERS: dict[str, Writer] = {"ingest": _nothing, "filter": _texts, "signatures": _signatures}


def _batches(documents: range) -> list[Any]:
    begins = range(documents.start, documents.stop, BATCH)
    return [np.arange(begin, min(begin + BATCH, documents.stop), dtype=np.int64) for begin in begins]


def write_for_datatrove(made: Synthetic, near: Near, folder: Path) -> int:
    """A file of sorted signatures for each bucket, as its stage 1 leaves them: 8 hashes and the document. -> bytes"""
    kind = np.dtype([*((f"hash{n}", "<u8") for n in range(ROWS)), ("document", "<u4")])
    numbers = np.arange(made.documents, dtype=np.int64)
    signed = np.flatnonzero(made.words(numbers) >= near.ngram)
    for band in range(BANDS):
        keys = made.keys(signed, band)
        records = np.empty(len(keys), kind)
        records["document"] = signed
        for n in range(ROWS):
            records[f"hash{n}"] = mixed(keys + np.uint64(n)) >> np.uint64(4)  # its hashes are below 2^61 - 1
        path = folder / f"bucket_{band:03}" / "00000.minhash.sig"
        path.parent.mkdir(parents=True, exist_ok=True)
        records[np.argsort(records["hash0"], kind="stable")].tofile(path)
    return BANDS * len(signed) * kind.itemsize
