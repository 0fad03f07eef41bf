"""Arrays on disk between the stages of deduplication: Arrow files, mapped, so that processes share what they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import orjson
import pyarrow as pa

from pipeline.stage import Record, StageError

Columns = dict[str, npt.NDArray[Any]]

_TOLD = b"told"


def write_columns(path: Path, columns: Mapping[str, npt.NDArray[Any]], told: Mapping[str, Any] | None = None) -> None:
    """Write arrays of one length, and what is to be said of them (plain JSON values)."""
    batch = pa.record_batch({name: pa.array(values) for name, values in columns.items()})
    schema = batch.schema.with_metadata({_TOLD: orjson.dumps(told or {})})
    with pa.ipc.new_file(path, schema) as writer:
        writer.write_batch(batch.cast(schema))


def read_columns(path: Path) -> Columns:
    """The arrays, read-only, in the file's own memory. Raises StageError where the file is missing or not whole."""
    (batch,) = read_batches(path)
    return {name: column.to_numpy() for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def read_told(path: Path) -> dict[str, Any]:
    """What is said of the arrays. Raises StageError as `read_columns` does."""
    (batch,) = read_batches(path)
    return dict(orjson.loads(batch.schema.metadata[_TOLD]))


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file, mapped. Raises StageError where the file is missing or not whole."""
    reader = opened(path)
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def opened(path: Path) -> pa.ipc.RecordBatchFileReader:
    """An Arrow file, mapped. Raises StageError where it is missing or not whole."""
    try:
        return pa.ipc.open_file(pa.memory_map(str(path)))
    except (pa.ArrowInvalid, OSError) as fault:
        told = str(fault).splitlines()[0]
        raise StageError(f"{path}: cannot be read ({told}); make it anew with --redo {_stage_of(path)}") from None


def _stage_of(path: Path) -> str:
    """The name of the stage that made a file, which stands in its folder or beside; the folder's where none is told."""
    records = [record for folder in (path.parent, path.parents[1]) if (record := Record.read(folder))]
    return records[0].name if records else path.parent.name


def read_all(folder: Path, units: int, name: str) -> list[npt.NDArray[Any]]:
    """One column of each unit's file of a stage, mapped."""
    return [read_columns(folder / f"{number:05}.arrow")[name] for number in range(units)]
