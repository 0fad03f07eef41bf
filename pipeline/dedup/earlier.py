"""Earlier runs whose documents stand: their signatures are taken as they are, and nothing of them is made anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.dedup.catalogue import Holding
from pipeline.stage import Record, StageError, standing
from pipeline.units import Piece, Signed

STAGES = ("signatures", "filter", "dedup")
"""What of an earlier run is read: signatures, the texts of candidates, and which documents were left."""


def earlier_holdings(runs: Sequence[str]) -> list[Holding]:
    """The sources of earlier runs, in the order of the runs and by name. Raises StageError for an unfinished one."""
    return [
        Holding(
            run=run,
            source=source,
            signatures=Path(run) / "signatures" / source,
            survivors=Path(run) / "dedup" / source,
        )
        for run in runs
        for source in _sources(run)
    ]


def stamps(runs: Sequence[str]) -> dict[str, list[int]]:
    """(size, mtime) of the records of what is read of earlier runs: another one is another stage."""
    found = [Path(run) / stage / source / "stage.json" for run in runs for source in _sources(run) for stage in STAGES]
    return {str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in found}


def documents_of(runs: Sequence[str]) -> dict[tuple[str, str, str], Piece]:
    """(run, source, file) -> the file of documents, which has to be what its stage signed."""
    found: dict[tuple[str, str, str], Piece] = {}
    for holding in earlier_holdings(runs):
        folder = Path(holding.run) / "filter" / holding.source
        record = Record.read(folder)
        for number in range(record.units if record else 0):
            path = folder / f"{number:05}.parquet"
            counts = standing(folder, number, ".parquet")
            if counts is None:
                raise StageError(f"{path}: has gone or is not what was signed; an earlier run must be whole")
            size = int(counts["bytes_written"])
            signed = Signed(f"filter/{holding.source}", size, counts["xxh64"])
            found[holding.run, holding.source, path.name] = Piece(str(path), path.name, size, signed=signed)
    return found


def _sources(run: str) -> list[str]:
    folder = Path(run) / "signatures"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not names:
        raise StageError(f"dedup.against: {run}: holds no signatures; name the folder of a run that went through dedup")
    for name in names:
        for stage in STAGES:
            record = Record.read(Path(run) / stage / name)
            if record is None or not record.finished:
                raise StageError(f"dedup.against: {run}: {stage}/{name} is not finished; run it through its dedup")
    return names
