"""`--engine local|ray[:FILE]|slurm[:FILE]` -> where the stages are carried out; FILE says what a task needs there."""

from __future__ import annotations

import difflib
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from pipeline.engines.clusters import Cluster, Ray, Slurm
from pipeline.engines.run import Engine
from pipeline.stage import StageError
from recipes.load import said

CLUSTERS: dict[str, type[Cluster]] = {"ray": Ray, "slurm": Slurm}


def engine_of(word: str, workers: int | None, tasks: int | None) -> Engine:
    """The engine that the options name. Raises StageError naming what is wrong with them, or file and line."""
    kind, colon, file = word.partition(":")
    if kind == "local" and not colon:
        return Engine(workers=workers, tasks=tasks)
    if kind not in CLUSTERS or (colon and not file):
        raise StageError(f"--engine is local, ray, slurm, ray:FILE or slurm:FILE, not '{word}'")
    asked = _read(Path(file), CLUSTERS[kind]) if file else CLUSTERS[kind]()
    return Engine(workers=workers, tasks=tasks, cluster=asked)


def _read(path: Path, kind: type[Cluster]) -> Cluster:
    """All values are read as they are written: YAML 1.1 takes 4:00:00 for a number."""
    try:
        text = path.read_text(encoding="utf-8")
        node, plain = yaml.compose(text), yaml.load(text, Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise StageError(f"{path}: cannot be read: {' '.join(str(fault).split())}") from None
    if node is None:
        return kind()
    if not isinstance(node, yaml.MappingNode):
        raise StageError(f"{path}:1: is a file of settings, such as 'memory: 8'")
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
    known = [field.name for field in fields(kind)]
    if unknown := [name for name in lines if name not in known]:  # pydantic passes over what a dataclass has not
        raise StageError("\n".join(_unknown(name, f"{path}:{lines[name]}", known) for name in unknown))
    try:
        checked: Cluster = TypeAdapter(kind).validate_python(plain)
    except ValidationError as faults:
        raise StageError("\n".join(_told(fault, path, lines, kind) for fault in faults.errors())) from None
    return checked


def _told(fault: Any, path: Path, lines: dict[str, int], kind: type[Cluster]) -> str:
    name = str(fault["loc"][0]) if fault["loc"] else ""
    return f"{path}:{lines.get(name, 1)}: {name or kind.__name__.lower()}: {said(fault)[0]}"


def _unknown(name: str, where: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    mean = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(known)}"
    return f"{where}: {name}: no such setting{mean}"
