"""Sorted hashes of lines of all units -> those that too many documents share, told to each unit that has them.

A part is a range of hashes, and its file an Arrow file of a batch for each unit of documents, in the order of sources
and units, hashes ascending:

    hash       uint64   a line of that unit that stands in more documents of its scope than may have it
    first      uint64   first 64 bits of the smallest id among all of them
    documents  uint64   how many they are

It is a function of the documents alone: counts are sums and the first a minimum, whatever units, runs and their order.

Hashes have 64 bits and texts are not compared again. A line that is not repeated goes wrongly if its hash is that of
another line: of N different lines with a probability of at most (N - 1) / 2^64, which is 5.4e-11 for 10^9 lines and
5.4e-8 for 10^12; N^2 / 2^65 such pairs are expected, 0.03 and 27,000.

Memory: some 120 bytes for each of 4 million rows, which is as many as are looked at together, and 8 bytes a unit for
each time that a part has so many. Disk meanwhile: 24 bytes a row of its file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from pipeline.dedup.columns import opened, read_columns
from pipeline.dedup.lines.hashes import PARTS, SHIFT
from pipeline.filters.address import Hashes
from pipeline.handover import signed_pieces
from pipeline.stage import Record, Stage, StageError
from pipeline.tally import Tally
from pipeline.units import Piece, Signed, Unit

TOGETHER = 1 << 22
"""Rows that are looked at together."""

_ROW = np.dtype([("hash", "<u8"), ("first", "<u8"), ("documents", "<u8")])
_SCHEMA = pa.schema([(name, pa.uint64()) for name in _ROW.names or ()])
_UNITS = b"units"
"""Key of the schema's metadata under which it says how many units each source has."""


def parts(workspace: Path, hashed: Mapping[str, Stage]) -> list[Unit]:
    """A unit for each part, over all files of it. Raises StageError where a stage's files are not as it signed them."""
    found: list[list[Piece]] = [[] for _ in range(PARTS)]
    for source, stage in sorted(hashed.items()):
        folder = workspace / stage.name
        for number, _ in enumerate(signed_pieces(workspace, stage)):
            told = orjson.loads((folder / "units" / f"{number:05}.json").read_bytes())
            for name, size in told["info"].items():
                signed = Signed(stage.name, size, told["files"][name])
                part, _, run = name.partition("/")
                found[int(part)].append(Piece(str(folder / name), f"{source}/{run}", size, signed=signed))
    return [Unit(part, tuple(pieces)) for part, pieces in enumerate(found)]


def units_of(workspace: Path, hashed: Mapping[str, Stage]) -> dict[str, int]:
    """Source -> how many units its documents have, sources by name."""
    return {source: Record.signed(workspace, stage).units for source, stage in sorted(hashed.items())}


def find_repeated(unit: Unit, out: Path, tally: Tally, *, units: Mapping[str, int], max_documents: int) -> None:
    """Write what is repeated of a part. Its pieces are named `<source>/<unit>.<run>.arrow`; `units` as `units_of`."""
    before = dict(zip(units, accumulate(units.values(), initial=0), strict=False))
    runs = sorted((_owner(piece, before), Path(piece.path)) for piece in unit.pieces)
    times = max(1, -(-sum(len(_hashes(path)) for _, path in runs) // TOGETHER))
    edges = [(unit.number << int(SHIFT)) + n * (1 << int(SHIFT)) // times for n in range(1, times)]
    cuts = [[0, *np.searchsorted(_hashes(path), np.array(edges, np.uint64)), None] for _, path in runs]
    with tempfile.TemporaryFile(dir=out.parent) as spool:
        bounds = np.zeros((times, sum(units.values()) + 1), np.int64)
        for n in range(times):
            taken = [(owner, path, slice(*cut[n : n + 2])) for (owner, path), cut in zip(runs, cuts, strict=True)]
            rows, owners = _repeated(taken, max_documents, tally)
            spool.write(rows.data)
            bounds[n] = np.searchsorted(owners, np.arange(bounds.shape[1])) + (bounds[n - 1, -1] if n else 0)
        _write(spool, bounds, out, units)


def _owner(piece: Piece, before: Mapping[str, int]) -> int:
    """The number that a run's unit has among those of all sources."""
    source, _, name = piece.name.partition("/")
    return before[source] + int(name.partition(".")[0])


def _hashes(path: Path) -> Hashes:
    return read_columns(path)["hash"]


def _repeated(
    taken: Sequence[tuple[int, Path, slice]], max_documents: int, tally: Tally
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int32]]:
    """Slices of runs over one range of hashes -> rows of what is repeated, and the owner of each; by owner and hash."""
    columns: dict[str, list[npt.NDArray[Any]]] = {"hash": [], "first": [], "documents": [], "owner": []}
    for owner, path, part in taken:
        run = {name: values[part] for name, values in read_columns(path).items()}
        run["owner"] = np.full(len(run["hash"]), owner, np.int32)
        for name, values in run.items():
            columns[name].append(values)
    hashes = np.concatenate([np.empty(0, np.uint64), *columns["hash"]])
    order = np.argsort(hashes, kind="stable")  # and so by owner, of one hash
    hashes, owners = hashes[order], np.concatenate([np.empty(0, np.int32), *columns["owner"]])[order]
    begins = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)])
    tally.more["distinct_lines"] += len(begins)
    if not len(begins):
        return np.empty(0, _ROW), owners
    documents = np.add.reduceat(np.concatenate(columns["documents"])[order], begins, dtype=np.uint64)
    firsts = np.minimum.reduceat(np.concatenate(columns["first"])[order], begins)
    many = documents > max_documents
    tally.more["repeated_lines"] += int(many.sum())
    line = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(hashes))))
    told = many[line]
    told[1:] &= (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])  # a unit of several runs is told once
    chosen = np.flatnonzero(told)
    chosen = chosen[np.argsort(owners[chosen], kind="stable")]
    rows = np.empty(len(chosen), _ROW)
    rows["hash"], rows["first"], rows["documents"] = hashes[chosen], firsts[line[chosen]], documents[line[chosen]]
    return rows, owners[chosen]


def _write(spool: IO[bytes], bounds: npt.NDArray[np.int64], out: Path, units: Mapping[str, int]) -> None:
    """Write a batch for each owner: its rows of every time, whose bounds are (times, owners + 1)."""
    spool.flush()
    rows = np.memmap(spool, _ROW, "r") if bounds[-1, -1] else np.empty(0, _ROW)
    schema = _SCHEMA.with_metadata({_UNITS: orjson.dumps(dict(units))})
    with pa.ipc.new_file(out, schema) as writer:
        for owner in range(bounds.shape[1] - 1):
            mine = np.concatenate([rows[a:z] for a, z in bounds[:, owner : owner + 2].tolist()])
            writer.write_batch(pa.record_batch([pa.array(mine[name]) for name in schema.names], schema=schema))


def repeated_in(folder: Path, source: str, unit: int) -> npt.NDArray[np.void]:
    """The repeated lines of a unit of a source's documents, hashes ascending: `hash`, `first`, `documents`.

    Raises StageError where a file of `folder` is missing, damaged, or made of other documents.
    """
    found = [_batch(folder / f"{part:05}.arrow", source, unit) for part in range(PARTS)]
    rows = np.empty(sum(batch.num_rows for batch in found), _ROW)
    for name in _SCHEMA.names:
        rows[name] = np.concatenate([batch.column(name).to_numpy() for batch in found])
    return rows


def _batch(path: Path, source: str, unit: int) -> pa.RecordBatch:
    reader = opened(path)
    units = orjson.loads((reader.schema.metadata or {}).get(_UNITS, b"{}"))
    if unit >= units.get(source, 0):
        told = f"it has nothing of unit {unit} of {source}"
        raise StageError(f"{path}: cannot be read ({told}); make it anew with --redo {path.parent.name}")
    return reader.get_batch(sum(count for name, count in units.items() if name < source) + unit)
