"""One unit of a stage -> its file and its record; all units -> the stage's signature."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.files import durable, hash_of, sealed
from pipeline.handover import check, own_files
from pipeline.stage import Record, Stage, StageError, Work, standing
from pipeline.stores.mirror import Mirror, save
from pipeline.tally import Tally
from pipeline.units import Unit

UNSIGNED = ("units", "running", "failed", "log")
"""Folders of a stage whose files are no output: the units' own records, and notes of a launch."""


def perform(work: Work, unit: Unit, folder: Path, suffix: str) -> None:
    """Do one unit: output written aside, made durable, renamed; then its record, with the file's hash.

    In a mirror each is put into the store, in this order. A stop leaves nothing that looks whole. A unit that had
    nothing to write stands by its record alone.
    Raises StageError for a file that is not what the stage before signed.
    """
    for piece in unit.pieces:
        check(piece)
    name = f"{unit.number:05}"
    tally = Tally()
    with durable(folder / f"{name}{suffix}") as draft:
        work(unit, draft, tally)
        tally.check(f"unit {unit.number}")
        size, digest = (draft.stat().st_size, hash_of(draft)) if draft.exists() else (None, None)
    tally.write_samples(folder / "dropped" / f"{name}.parquet")
    beside = [path for path in sorted(folder.glob(f"*/{name}.*")) if path.parent.name not in UNSIGNED]
    files = {path.relative_to(folder).as_posix(): hash_of(path) for path in beside}
    written = {**tally.counts(), "bytes_written": size, "xxh64": digest, "files": files, "info": tally.info}
    if mirror := Mirror.of(folder):
        mirror.put(*([] if size is None else [folder / f"{name}{suffix}"]), *beside)
    save(folder / "units" / f"{name}.json", sealed(written))


def sign(stage: Stage, record: Record, folder: Path, began: float) -> Record:
    """Sum the units, write what spans them, and sign. Raises StageError if too many records were broken."""
    found = [standing(folder, number, stage.suffix) for number in range(record.units)]
    if None in found:
        raise StageError(f"{stage.name}: {found.count(None)} of {record.units} units are still to do. Run it again.")
    units = [counts for counts in found if counts is not None]
    record.counts = Tally.total(units)
    bad = sum(n for reason, n in record.counts["dropped"].items() if reason.startswith("bad_"))
    if bad > stage.max_bad * record.counts["documents_in"]:
        raise StageError(
            f"{stage.name}: {bad} of {record.counts['documents_in']} records are broken, more than max_bad "
            f"{stage.max_bad:g} allows, first {_first_bad(folder)}. See them with: bertmill look {folder} --dropped. "
            f"Mend the input or raise max_bad."
        )
    if stage.finish:
        own_files(stage, folder)
        stage.finish(folder, [counts["info"] for counts in units])
    span = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name[:5].isdigit()]
    record.files = {path.name: hash_of(path) for path in span if path.name != "stage.json"}
    record.seconds = round(record.seconds + time.perf_counter() - began, 3)
    record.finished = True
    record.write(folder)
    return record


def _first_bad(folder: Path) -> str:
    """Where the first broken records of a stage are, and what is wrong with them: `a.jsonl#17 (bad_json)`."""
    told: list[str] = []
    for path in sorted((folder / "dropped").glob("*.parquet")):
        rows = pq.read_table(path, columns=["origin", "reason"]).to_pylist()
        told += [f"{row['origin']} ({row['reason']})" for row in rows if row["reason"].startswith("bad_")]
        if len(told) >= 3:
            break
    return ", ".join(told[:3])
