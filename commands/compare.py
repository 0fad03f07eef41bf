"""Several runs -> their held-out bits per byte by source in one table and one figure, where they answered the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from train.checkpoint import newest, open_checkpoint
from train.metrics import read_metrics

Scores = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Source -> rate of masking -> the fields of train.evaluate.Score."""

WEIGHTS = ("sources", "averaged")
"""What an evaluation's record calls the scores of the weights and of their running mean."""


class CompareError(Exception):
    """Runs that cannot be read or were asked different questions; one line with the mend."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One evaluation."""

    step: int
    tokens: int
    sources: Scores
    averaged: Scores


@dataclass(frozen=True, kw_only=True)
class Run:
    name: str
    folder: Path
    points: Sequence[Point]
    parent: Path | None = None
    """What it began from, where its recipe names something."""


def compare(given: Sequence[str], *, mask: float | None = None, anyway: bool = False) -> dict[str, Any]:
    """{"mask": "0.15", "sources": [...], "runs": [{"name", "parent", "step", "tokens", "final", "change", "best",
    "averaged", "curve"}, ...]}, all but the first ones by source. `change` is to the first run given.

    A parent that answered the same questions comes before the first run that began from it.

    mask    the rate of masking to compare by; None takes the first that all runs were asked
    anyway  compare though the questions differ

    Raises CompareError.
    """
    runs = [_read(one) for one in given]
    if twice := sorted({run.name for run in runs if sum(other.name == run.name for other in runs) > 1}):
        raise CompareError(f"two runs are called '{twice[0]}'; give one a name: NAME={twice[0]}")
    rate = _rate(runs, mask)
    runs = [replace(run, points=_alike(run.points, rate)) for run in runs]
    if not anyway:
        _refuse(runs, rate)
    sources = sorted({name for run in runs for name in run.points[-1].sources})
    first = _values(runs[0].points[-1].sources, rate)
    shown = _with_parents(runs, rate)
    names = {run.folder.resolve(): run.name for run in shown}
    rows = [_row(run, rate, first, names) for run in shown]
    return {"mask": rate, "sources": sources, "runs": rows}


def _read(given: str) -> Run:
    name, equals, path = given.partition("=")
    named = bool(equals) and not Path(given).exists()
    folder = Path(path if named else given)
    points, work = _answers(folder)
    if not points:
        known = (folder / "state.json").exists() or newest(folder / "checkpoints")
        told = "was never evaluated" if known else "is no run and no checkpoint: no metrics.jsonl, no state.json"
        raise CompareError(f"{folder}: {told}")
    return Run(name=name if named else given.rstrip("/"), folder=folder, points=points, parent=_parent(work))


def _answers(folder: Path) -> tuple[list[Point], Path]:
    """All evaluations of a run, or those up to one of its checkpoints; and the run's folder."""
    if not (folder / "state.json").exists():
        return _points(folder / "metrics.jsonl"), folder
    state, work = open_checkpoint(folder).state, folder.absolute().parents[1]
    points = [point for point in _points(work / "metrics.jsonl") if point.step <= state.step]
    if state.evaluation and (not points or points[-1].step < state.step):
        points.append(Point(step=state.step, tokens=state.tokens, sources=state.evaluation, averaged={}))
    return points, work


def _points(path: Path) -> list[Point]:
    records = [one for one in read_metrics(path) if one["kind"] == "evaluation"] if path.exists() else []
    return [
        Point(step=one["step"], tokens=one["tokens"], sources=one["sources"], averaged=one.get("averaged", {}))
        for one in records
    ]


def _parent(work: Path) -> Path | None:
    """What the run's recipe begins from."""
    path = work / "recipe.yaml"
    if not path.exists():
        return None
    start = ((yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("train") or {}).get("start")
    found = start.get("from") if isinstance(start, Mapping) else start
    return Path(found) if found else None


def _rate(runs: Sequence[Run], mask: float | None) -> str:
    asked = [[rate for scores in run.points[-1].sources.values() for rate in scores] for run in runs]
    common = [rate for rate in dict.fromkeys(asked[0]) if all(rate in rates for rates in asked)]
    if not common:
        raise CompareError("the runs were asked at no common rate of masking; give them the same evaluate: masks")
    if mask is None:
        return common[0]
    if str(mask) not in common:
        raise CompareError(f"not all runs were asked at {mask:g}; all were at {', '.join(common)}")
    return str(mask)


def _alike(points: Sequence[Point], rate: str) -> list[Point]:
    """The evaluations that asked what the last one did: a run's settings may have changed on the way."""
    asked = _asked(points[-1].sources, rate)
    return [point for point in points if _asked(point.sources, rate) == asked]


def _asked(scores: Scores, rate: str) -> dict[str, str]:
    """Source -> hash of the questions."""
    return {name: str(of[rate]["asked"]) for name, of in scores.items() if rate in of}


def _values(scores: Scores, rate: str) -> dict[str, float]:
    """Source -> bits per byte."""
    return {
        name: math.nan if (value := of[rate]["bits_per_byte"]) is None else float(value)  # null: it was no number
        for name, of in sorted(scores.items())
        if rate in of
    }


def _refuse(runs: Sequence[Run], rate: str) -> None:
    """Raise CompareError where a source's questions are not those of the first run that was asked any."""
    known: dict[str, tuple[str, str]] = {}
    for run in runs:
        for source, asked in _asked(run.points[-1].sources, rate).items():
            before, other = known.setdefault(source, (asked, run.name))
            if asked != before:
                raise CompareError(
                    f"{run.name} was asked other questions of {source} than {other}: its held-out rows, tokenizer or "
                    "evaluate: rows differ. bertmill evaluate asks both the same; --anyway shows them as they are"
                )


def _with_parents(runs: Sequence[Run], rate: str) -> list[Run]:
    """The runs, and before the first of its children each parent that answered the same questions."""
    shown: list[Run] = []
    known = {run.folder.resolve() for run in runs}
    for run in runs:
        if run.parent and run.parent.resolve() not in known and (parent := _as_asked(run, run.parent, rate)):
            known.add(run.parent.resolve())
            shown.append(parent)
        shown.append(run)
    return shown


def _as_asked(run: Run, folder: Path, rate: str) -> Run | None:
    """A run's parent by what its own run was asked, and by the evaluation before its child's first step."""
    asked, answers = _asked(run.points[-1].sources, rate), []
    step = tokens = 0
    if (folder / "state.json").exists():
        state = open_checkpoint(folder).state
        step, tokens = state.step, state.tokens
        answers = [point for point in _answers(folder)[0] if _asked(point.sources, rate) == asked]
    if run.points[0].step == 0 and not (answers and answers[-1].step == step):
        answers.append(replace(run.points[0], step=step, tokens=tokens, averaged={}))
    name = f"{folder.parents[1].name}/{folder.name}" if folder.parent.name == "checkpoints" else folder.name
    return Run(name=name, folder=folder, points=answers) if answers else None


def _row(run: Run, rate: str, first: Mapping[str, float], names: Mapping[Path, str]) -> dict[str, Any]:
    last = run.points[-1]
    final = _values(last.sources, rate)
    curve = [
        {"step": point.step, "tokens": point.tokens, **{of: _values(getattr(point, of), rate) for of in WEIGHTS}}
        for point in run.points
    ]
    best = {}
    for name in final:
        value, step = min((_values(point.sources, rate)[name], point.step) for point in run.points)
        best[name] = {"bits_per_byte": value, "step": step}
    return {
        "name": run.name,
        "parent": names.get(run.parent.resolve(), str(run.parent)) if run.parent else None,
        "step": last.step,
        "tokens": last.tokens,
        "final": final,
        "change": {name: value - first[name] for name, value in final.items() if name in first},
        "best": best,
        "averaged": _averaged(run.points, rate),
        "curve": curve,
    }


def _averaged(points: Sequence[Point], rate: str) -> dict[str, dict[str, Any]] | None:
    """The last scores of the mean of the weights: while the rate falls it is not looked at."""
    for point in reversed(points):
        if values := _values(point.averaged, rate):
            return {name: {"bits_per_byte": value, "step": point.step} for name, value in values.items()}
    return None


def told(found: Mapping[str, Any]) -> str:
    """For a terminal: a row a run, with the difference to the first run named, and its best and averaged below."""
    wide = max(12, *(len(run["name"]) for run in found["runs"])) + 2
    lines = [
        f"held-out bits per byte, {100 * float(found['mask']):g} % of tokens hidden",
        "",
        f"{'':{wide}}{'step':>10}{'tokens':>16}{_columns(found['sources'])}",
    ]
    for run in found["runs"]:
        final, change = run["final"], run["change"]
        cells = [
            f"{final[n]:.4f} ({change[n]:+.4f})" if n in change else f"{final[n]:.4f}" if n in final else "-"
            for n in found["sources"]
        ]
        lines.append(f"{run['name']:{wide}}{run['step']:>10,}{run['tokens']:>16,}" + _columns(cells))
        best = run["best"] if any(one["step"] != run["step"] for one in run["best"].values()) else None
        for label, values in (("  best", best), ("  averaged", run["averaged"])):
            if values:
                cells = [_at(values[name]) if name in values else "-" for name in found["sources"]]
                lines.append(f"{label:{wide}}{'':26}" + _columns(cells))
    return "\n".join(lines)


def _columns(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>24}" for cell in cells)


def _at(value: Mapping[str, Any]) -> str:
    return f"{value['bits_per_byte']:.4f} at {value['step']:,}"
