"""Earlier runs whose documents stand: their signatures are taken as they are, and nothing of them is made anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.dedup.catalogue import Holding
from pipeline.settings import Dedup
from pipeline.stage import Record, StageError, differing, standing
from pipeline.units import Piece, Signed

STAGES = ("signatures", "filter", "dedup")
"""What of an earlier run is read: signatures, the texts of candidates, and which documents were left."""

WHOLE = "bring the earlier run through its dedup again"


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


def check_earlier(settings: Dedup) -> None:
    """Raise StageError unless all that is read of the earlier runs stands, belongs together and fits the settings."""
    for run in settings.against:
        for source in _sources(run):
            _check_scheme(run, source, settings)
            for stage in STAGES:
                folder = Path(run) / stage / source
                record = Record.read(folder)
                for number in range(record.units if record else 0):
                    if standing(folder, number, ".parquet") is None:
                        path = folder / f"{number:05}.parquet"
                        raise StageError(f"dedup.against: {path}: has gone or is not what was signed; {WHOLE}")


def stamps(settings: Dedup) -> dict[str, list[int]]:
    """(size, mtime) of the records of what is read of earlier runs: another one is another stage."""
    sources = [(run, source) for run in settings.against for source in _sources(run)]
    for run, source in sources:
        _check_scheme(run, source, settings)
    found = [Path(run) / stage / source / "stage.json" for run, source in sources for stage in STAGES]
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
                raise StageError(f"dedup.against: {path}: has gone or is not what was signed; {WHOLE}")
            size = int(counts["bytes_written"])
            signed = Signed(f"filter/{holding.source}", size, counts["xxh64"])
            found[holding.run, holding.source, path.name] = Piece(str(path), path.name, size, signed=signed)
    return found


def _sources(run: str) -> list[str]:
    """The sources of an earlier run, of which all that is read is finished and was made of the same documents."""
    if "://" in run:
        raise StageError(f"dedup.against: {run}: is in a store; name a folder on disk, such as a copy of it")
    folders = [Path(run) / stage for stage in STAGES]
    names = sorted({path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir()})
    if not names:
        raise StageError(f"dedup.against: {run}: holds no signatures; name the folder of a run that went through dedup")
    for name in names:
        records = {stage: Record.read(Path(run) / stage / name) for stage in STAGES}
        for stage, record in records.items():
            if record is None or not record.finished:
                raise StageError(f"dedup.against: {run}: {stage}/{name} is not finished; run it through its dedup")
            of = records["filter"]
            if of and stage != "filter" and record.reads.get(f"filter/{name}") != of.fingerprint:
                raise StageError(f"dedup.against: {run}: {stage}/{name} was not made of its filter/{name}; {WHOLE}")
    return names


def _check_scheme(run: str, source: str, settings: Dedup) -> None:
    """Raise StageError unless the signatures were made as ours will be."""
    record = Record.read(Path(run) / "signatures" / source)
    if record and (told := differing(record.settings, settings.signed)):
        raise StageError(
            f"dedup.against: {run}: signatures/{source} was made with other settings ({'; '.join(told)}); "
            "take those of the earlier run, or sign all of it anew in one run"
        )
