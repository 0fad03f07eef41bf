"""A folder -> whether everything in it is what its signatures say, to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from packing.shards import verify as verify_shards
from pipeline.files import hash_of, unbroken
from pipeline.stage import Record, standing
from pipeline.stores.mirror import Mirror, copied
from recipes.dump import stands as recipe_stands

HASHES = "hashes.json"
"""In an export: the hash of every file beside it."""


class VerifyError(Exception):
    """Something is not what its signature says; the message names file and mend."""


Verified = Iterator[tuple[str, dict[str, int | float]]]


def verify(path: Path) -> Verified:
    """Yield (name, counts) of each stage, shard folder and checkpoint that is whole.

    Raises VerifyError or ShardError at the first that is not.
    """
    if mirror := Mirror.of(path):
        with copied(path) as copy:
            yield from _told_of(verify(copy), str(copy), mirror.address(path))
        return
    if not path.exists():
        raise VerifyError(f"{path}: there is no such folder")
    found = False
    signatures = ("stage.json", "index.json", "state.json", HASHES)
    for folder in sorted({file.parent for name in signatures for file in path.rglob(name)}):
        found = True
        if (folder / "state.json").exists():
            yield _checkpoint(folder)
        elif (folder / "stage.json").exists():
            yield _stage(folder)
        elif (folder / HASHES).exists():
            yield _export(folder)
        else:
            yield str(folder), _shards(folder)
    if (path / "recipe.yaml").exists() and not recipe_stands(path / "recipe.yaml"):
        raise VerifyError(f"{path / 'recipe.yaml'}: was changed since the run wrote it; run the recipe again")
    if not found:
        raise VerifyError(f"{path}: holds no stage, no shards and no checkpoint")


def _told_of(found: Verified, copy: str, address: str) -> Verified:
    """What is found in a copy, by the address of the original."""
    try:
        yield from ((name.replace(copy, address), counts) for name, counts in found)
    except Exception as fault:
        fault.args = (str(fault).replace(copy, address),)
        raise


def _stage(folder: Path) -> tuple[str, dict[str, int | float]]:
    record = Record.read(folder)
    if record is None or not record.finished:
        raise VerifyError(f"{folder}: is not signed; run it to its end")
    redo = f"was changed since it was signed; make it anew with --redo {record.name}"
    if not unbroken(folder / "stage.json"):
        raise VerifyError(f"{folder / 'stage.json'}: {redo}")
    suffix, written = _suffix(folder), 0
    for number in range(record.units):
        unit = standing(folder, number, suffix)
        if unit is None:
            raise VerifyError(f"{_fallen(folder, number, suffix)}; make it anew with --redo {record.name}")
        if not unbroken(folder / "units" / f"{number:05}.json"):
            raise VerifyError(f"{folder}/units/{number:05}.json: {redo}")
        _compare(folder, unit["files"], redo)
        if unit["bytes_written"] is None:
            continue
        file = folder / f"{number:05}{suffix}"
        if hash_of(file) != unit["xxh64"]:
            if (folder / "index.json").exists():
                _shards(folder)  # tells where in it
            raise VerifyError(f"{file}: {redo}")
        written += unit["bytes_written"]
    _compare(folder, record.files, redo)
    counts = record.counts
    lost = counts["documents_in"] - counts["documents_out"] - sum(counts["dropped"].values())
    if lost:
        raise VerifyError(f"{folder}: {lost} documents are unaccounted for; make it anew with --redo {record.name}")
    told: dict[str, int | float] = {"documents": counts["documents_out"], "bytes": written}
    if (folder / "index.json").exists():
        told |= _shards(folder)
    return record.name, told


def _fallen(folder: Path, number: int, suffix: str) -> str:
    """Why a unit does not stand."""
    file, record = folder / f"{number:05}{suffix}", folder / "units" / f"{number:05}.json"
    if not record.exists():
        return f"{record}: has gone"
    if not file.exists():
        return f"{file}: has gone"
    return f"{file}: ends at offset {file.stat().st_size}, which is not where it was signed, or {record} is damaged"


def _compare(folder: Path, hashes: Mapping[str, str], mend: str) -> None:
    """Raise VerifyError naming the first file that has gone or has not the hash it had."""
    for name, digest in hashes.items():
        file = folder / name
        if not file.is_file():
            raise VerifyError(f"{file}: has gone; {mend.rpartition('; ')[2]}")
        if hash_of(file) != digest:
            raise VerifyError(f"{file}: {mend}")


def _export(folder: Path) -> tuple[str, dict[str, int | float]]:
    mend = "was changed since it was exported; export it anew"
    if not unbroken(folder / HASHES):
        raise VerifyError(f"{folder / HASHES}: {mend}")
    files: dict[str, str] = json.loads((folder / HASHES).read_bytes())["files"]
    _compare(folder, files, mend)
    return str(folder), {"files": len(files), "bytes": sum((folder / name).stat().st_size for name in files)}


def _suffix(folder: Path) -> str:
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9][0-9].*"))
    return files[0].suffix if files else ".parquet"


def _shards(folder: Path) -> dict[str, int | float]:
    counts = verify_shards(folder)
    return {"rows": counts.rows, "tokens": counts.tokens, "pieces": counts.pieces}


def _checkpoint(folder: Path) -> tuple[str, dict[str, int | float]]:
    from train.checkpoint import verify as verify_checkpoint

    return folder.name, verify_checkpoint(folder)
