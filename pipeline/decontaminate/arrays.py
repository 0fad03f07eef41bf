"""Arrays of different lengths in one file, mapped by those who read it, so that processes share what they look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.dedup.columns import read_batches


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays (of NumPy, or lists of strings) as an Arrow file of one row: a list a column."""
    values = [pa.array(one, pa.large_string()) if isinstance(one, list) else pa.array(one) for one in arrays.values()]
    lists = [pa.LargeListArray.from_arrays(pa.array([0, len(one)], pa.int64()), one) for one in values]
    batch = pa.record_batch(lists, names=list(arrays))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def map_arrays(path: Path) -> dict[str, Any]:
    """The arrays by name, none of them read yet: of NumPy, those of strings of Arrow.

    Raises StageError where the file is missing or not whole.
    """
    (batch,) = read_batches(path)
    found = {name: batch.column(name).values for name in batch.schema.names}
    return {
        name: one if pa.types.is_large_string(one.type) else one.to_numpy(zero_copy_only=True)
        for name, one in found.items()
    }
