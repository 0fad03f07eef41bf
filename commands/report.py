"""Records and plans -> the tables people read. Nothing is computed here that decides anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from commands import schedule
from pipeline.stage import Record, Stage, changed_since
from recipes import estimate, needs
from recipes.estimate import short, size
from recipes.mixture import proposal, warnings
from recipes.plan import stages
from recipes.recipe import Recipe
from recipes.shards import uncleaned
from recipes.supply import Outlook, Supply


def records(workspace: Path, declared: Sequence[Stage]) -> dict[str, Record]:
    """The records of the stages that were begun."""
    found = {stage.name: Record.read(workspace / stage.name) for stage in declared}
    return {name: record for name, record in found.items() if record}


def plan(found: Outlook, declared: Sequence[Stage], done: Mapping[str, Record]) -> str:
    """What will be made, in order, and what it will take."""
    recipe = found.planned
    width = max(len(stage.name) for stage in declared)
    lines = [f"{recipe.name}: {len(declared)} stages, then training and export", ""]
    for number, stage in enumerate(declared, 1):
        reads = ", ".join(earlier.name for earlier in stage.reads[:3]) + (" ..." if len(stage.reads) > 3 else "")
        state = "done" if stage.name in done and done[stage.name].finished else "begun" if stage.name in done else ""
        lines.append(f"  {number:3}  {stage.name:{width}}  {state:5}  {'reads ' + reads if reads else ''}".rstrip())
    tables = [_sources(found.supplies), _epochs(found), table(schedule.phases(recipe)), table(schedule.mixes(recipe)),
              schedule.lines(found)]  # fmt: skip
    return "\n".join([*lines, *(line for lines in tables for line in ["", *lines])])


def notes(found: Outlook, declared: Sequence[Stage], workspace: Path) -> list[str]:
    """What a person should know before a run, a line each. Raises InputError or PlanError for missing files."""
    recipe = found.planned
    estimate.vocabulary(recipe)
    changed = [
        f"{stage.name} was made with other settings or files ({'; '.join(changes)}); start it over with --redo "
        f"{stage.name}, or restore them"
        for stage in declared
        if (changes := changed_since(stage, workspace))
    ]
    files = [*uncleaned(recipe), *estimate.shared_files(recipe)]
    return [*changed, *files, *warnings(found), *estimate.underfull(recipe, workspace)]


def plan_json(
    found: Outlook, declared: Sequence[Stage], done: Mapping[str, Record], notes: Sequence[str]
) -> dict[str, Any]:
    """The same for another program."""
    recipe, nearest = found.planned, proposal(found)
    return {
        "name": recipe.name,
        "stages": [
            {
                "name": stage.name,
                "reads": [earlier.name for earlier in stage.reads],
                "finished": stage.name in done and done[stage.name].finished,
            }
            for stage in declared
        ],
        "sources": {name: _supply_json(supply) for name, supply in found.supplies.items()},
        "phases": schedule.in_numbers(recipe),
        "parameters": recipe.model.parameters(estimate.vocabulary(recipe)),
        "groups": [asdict(group) for group in needs.parameter_groups(recipe)],
        "memory_bytes": needs.memory(recipe),
        "flops": needs.flops(recipe),
        "saves": {**needs.saves(recipe.train)._asdict(), "bytes": needs.checkpoint(recipe)},
        "evaluations": needs.evaluations(recipe.train),
        "proposal": nearest.mixes if nearest else None,
        "disk_bytes": needs.disk(found),
        "notes": list(notes),
    }


def _supply_json(supply: Supply) -> dict[str, Any]:
    """Numbers alone; null for endlessly often, which JSON cannot say."""
    known, read = supply.known, {phase: float(times) for phase, times in supply.read.items()}
    streams = {
        context: {**asdict(stream), "fill": stream.tokens / (stream.rows * context) if stream.exact else None}
        for context, stream in supply.streams.items()
        if stream.rows
    }
    return {
        "files": known.files,
        "raw_bytes": known.raw_bytes,
        "text_bytes": known.text_bytes,
        "tokens": known.tokens,
        "known_from": known.basis,
        "exact": supply.exact,
        "asked": dict(supply.asked),
        "epochs": float(supply.epochs) if supply.epochs < math.inf else None,
        "epochs_by_phase": {phase: times if times < math.inf else None for phase, times in read.items()},
        "rows": streams,
    }


def _sources(found: Mapping[str, Supply]) -> list[str]:
    rows = [["source", "files", "raw", "tokens", "asked", "epochs"]]
    for name, supply in found.items():
        about = "" if supply.exact else "~"
        rows.append(
            [name, str(supply.known.files), size(supply.known.raw_bytes), f"{about}{short(supply.known.tokens)}",
             short(supply.total_asked), f"{about}{float(supply.epochs):.2f}"]
        )  # fmt: skip
    return table(rows)


def _epochs(found: Outlook) -> list[str]:
    """How often each phase reads the rows of each source, at its context; what is estimated is marked with ~."""
    phases = [phase.name for phase in found.planned.train.phases]
    rows = [["epochs", "context", "rows", "tokens", "fill", *phases]]
    for name, supply in found.supplies.items():
        for context, stream in sorted(supply.streams.items()):
            about = "" if stream.exact else "~"
            fill = f"{stream.tokens / (stream.rows * context):.2%}" if stream.exact and stream.rows else "-"
            read = [supply.read.get(phase) if supply.contexts.get(phase) == context else None for phase in phases]
            epochs = [f"{about}{float(times):.2f}" if times is not None else "-" for times in read]
            tokens = f"{about}{short(stream.tokens)}"
            rows.append([name, str(context), f"{about}{short(stream.rows)}", tokens, fill, *epochs])
    return table(rows)


def line(stage: Stage, record: Record, worked: bool, width: int) -> str:
    """One stage as `run` tells it when it ends: documents in, kept, dropped by reason, seconds."""
    counts = record.counts
    kept, total = counts["documents_out"], counts["documents_in"]
    reasons = sorted(counts["dropped"].items(), key=lambda item: (-item[1], item[0]))
    told = "  ".join(f"{count} {reason}" for reason, count in reasons[:3] if count)
    more = len([count for _, count in reasons[3:] if count])
    took = f"{record.seconds:7.1f} s" if worked else "   done  "
    text = counts["bytes_in"] and record.seconds and worked  # some stages read no text
    speed = f"{counts['bytes_in'] / 1e6 / record.seconds:7.1f} MB/s" if text else " " * 12
    more_told = f"  and {more} more reasons" if more > 0 else ""
    return f"  {stage.name:{width}} {took} {speed}  {total:8} in {kept:8} out  {told}{more_told}".rstrip()


def funnel(workspace: Path, recipe: Recipe) -> list[str]:
    """Documents and bytes of text of each source on their way through the stages that are done."""
    found = records(workspace, stages(recipe))
    rows = [["source", "records", "documents", "filtered", "unique", "packed", "text", "tokens", "fill"]]
    for name in sorted(recipe.sources):
        counts = [found.get(f"{stage}/{name}") for stage in ("ingest", "filter", "dedup")]
        ingest, filtered, unique = (record.counts if record else None for record in counts)
        context = next((c for c in recipe.contexts if name in recipe.mixed(c)), None)
        packed = found.get(f"pack/{name}/{context}")
        pack = packed.counts if packed else None
        rows.append(
            [name, _of(ingest, "documents_in"), _of(ingest, "documents_out"), _of(filtered, "documents_out"),
             _of(unique, "documents_out"), _of(pack, "documents_out"),
             size((pack or {}).get("bytes_out", 0)), _of(pack, "tokens"),
             _fill(pack, context)]
        )  # fmt: skip
    return table(rows)


def _fill(pack: Mapping[str, Any] | None, context: int | None) -> str:
    return f"{pack['tokens'] / (pack['rows'] * context):.2%}" if pack and context and pack.get("rows") else "-"


def _of(counts: Mapping[str, Any] | None, key: str) -> str:
    return "-" if counts is None else str(counts.get(key, 0))


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words -> aligned lines; the first column to the left, the rest to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
