"""A finished filter stage and other thresholds -> what would be dropped: counted from what it measured, in seconds."""

from __future__ import annotations

import copy
import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from commands.look import workspace_of
from commands.report import table
from pipeline.files import hash_of
from pipeline.filters import kinds, measures
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.rules import Rule, first_failed
from pipeline.filters.settings import Filters
from pipeline.stage import Record, standing
from recipes.load import RecipeError, load, said, value_of
from recipes.names import names

REWRITES = ("c4",)
"""Families that change the text, and so what is measured after them: they cannot be switched on or off here."""


class WhatIfError(Exception):
    """A question that the stored measurements cannot answer; the message says why."""


def what_if(path: Path, words: Sequence[str]) -> dict[str, Any]:
    """Counts of a filter stage as it ran and as it would have with other settings.

    path   the stage's folder, or the run's; words   the source first if it is the run's, then `gopher.min_words=40` ...

    Raises WhatIfError for what is no stage, no setting or no value, and for a setting whose effect was not measured.
    """
    folder, asked = _folder(path, words)
    record = Record.read(folder)
    if record is None or not record.finished:
        raise WhatIfError(f"{folder}: is not finished; run it to its end first")
    kind = _kind(folder, record.name.partition("/")[2])
    base, changes = dict(record.settings), dict(_changes(asked))
    before = _filters(kind, base, {})
    _check_files(folder, record)
    after = _filters(kind, base, changes)
    known = _columns_of(folder)
    for name, value in changes.items():
        _check(name, kinds.rules(before), before, _filters(kind, base, {name: value}), known)
    dropped, kept, size_after, size_before = _count(folder, record.units, kinds.rules(after))
    return {
        "stage": record.name,
        "changes": changes,
        "documents": {
            "in": record.counts["documents_in"],
            "before": record.counts["documents_out"],
            "after": kept,
        },
        "bytes": {"before": size_before, "after": size_after},
        "dropped": {
            reason: {"before": record.counts["dropped"].get(reason, 0), "after": dropped[reason]}
            for reason in sorted({*record.counts["dropped"], *dropped})
        },
    }


def _folder(path: Path, words: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """The stage's folder, and the changes that are asked for."""
    if not path.is_dir():
        raise WhatIfError(f"{path}: there is no such folder")
    source = words[0] if words and "=" not in words[0] else None
    asked = words[1:] if source else words
    if (path / "stage.json").exists() and source is None:
        return path, asked
    there = sorted(file.parent.name for file in path.glob("filter/*/stage.json"))
    if source is None and len(there) == 1:
        source = there[0]
    if source not in there:
        told = f"there is no filter/{source}" if source else "name a source"
        raise WhatIfError(f"{path}: {told}; the filtered sources are {', '.join(there) or 'none'}")
    return path / "filter" / source, asked


def _kind(folder: Path, source: str) -> type[Filters]:
    """The settings that this source's filters have."""
    path = workspace_of(folder) / "recipe.yaml"
    try:
        return type(load(path).texts[source].filters)
    except (RecipeError, KeyError) as fault:
        raise WhatIfError(f"{folder}: its run's recipe does not tell what source it is of ({fault})") from None


def _changes(asked: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for word in asked:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise WhatIfError(f"'{word}' is no change; write setting=value, such as gopher.min_words=40")
        try:
            yield name, value_of(value)
        except RecipeError as fault:
            raise WhatIfError(f"{name}: {fault}") from None


def _filters(kind: Any, base: Mapping[str, Any], changes: Mapping[str, Any]) -> Filters:
    """The stage's settings with the changes, checked as a recipe's are."""
    settings = copy.deepcopy(dict(base))
    known = names(kind)
    for name, value in changes.items():
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            raise WhatIfError(f"{name}: no such setting" + (f"; did you mean '{near[0]}'?" if near else ""))
        *families, last = name.split(".")
        place = settings
        for family in families:
            place[family] = place.get(family) or {}
            place = place[family]
        place[last] = value
    try:
        checked: Filters = TypeAdapter(kind).validate_python(settings)
    except ValidationError as faults:
        fault = faults.errors()[0]
        where = ".".join(str(step) for step in fault["loc"] if isinstance(step, str)) or "filters"
        raise WhatIfError(f"{where}: {said(fault)[0]}") from None
    return checked


def _check(name: str, rules: Sequence[Rule], before: Filters, after: Filters, known: frozenset[str]) -> None:
    """Raise WhatIfError unless the effect of this one change can be counted from the columns that are known."""
    if after == before:
        return
    asked = kinds.rules(after)
    if name in REWRITES or list(map(_identity, asked)) == list(map(_identity, rules)):
        raise WhatIfError(
            f"{name}: its effect was not measured (it changes texts, or how they are measured); "
            "change it in the recipe and run the stage again with --redo"
        )
    of, wanted = getattr(before, "languages", ()), getattr(after, "languages", ())
    if not isinstance(after, CodeFilters) and of and not (wanted and set(wanted) <= set(of)):
        raise WhatIfError(
            f"{name}: documents in other languages than {', '.join(of)} were not measured; "
            "change it in the recipe and run the stage again with --redo"
        )
    if missing := sorted({rule.column for rule in asked} - known):
        raise WhatIfError(
            f"{name}: {missing[0]} was not measured, as the stage ran without it; run it again with --redo"
        )


def _identity(rule: Rule) -> tuple[Any, ...]:
    """What two rules that ask the same have in common."""
    among = (rule.among[0], getattr(rule.among[1], "args", ())) if rule.among else None
    return rule.reason, rule.column, rule.threshold, among


def _check_files(folder: Path, record: Record) -> None:
    """Raise WhatIfError naming a file of measures that has gone, or is not what the stage signed."""
    for unit in range(record.units):
        name = f"{measures.FOLDER}/{unit:05}.parquet"
        counts = standing(folder, unit, ".parquet")
        digest = counts["files"].get(name) if counts else None
        if digest is None or not (folder / name).is_file() or hash_of(folder / name) != digest:
            raise WhatIfError(
                f"{folder / name}: has gone or is not what {record.name} signed; make it anew with --redo {record.name}"
            )


def _columns_of(folder: Path) -> frozenset[str]:
    return frozenset(pq.read_schema(folder / measures.FOLDER / "00000.parquet").names)


def _count(folder: Path, units: int, rules: Sequence[Rule]) -> tuple[Counter[str], int, int, int]:
    """(documents dropped by reason, documents kept, bytes of texts as read that are kept, and that the stage kept)."""
    dropped: Counter[str] = Counter()
    kept = after = before = 0
    for unit in range(units):
        reasons, sizes, columns = measures.read(folder, unit)
        failed = first_failed(columns, rules, len(reasons))
        dropped.update(rules[number].reason for number in failed[failed >= 0])
        kept += int((failed < 0).sum())
        after += int(sizes[failed < 0].sum())
        before += int(sizes[np.array([reason is None for reason in reasons], np.bool_)].sum())
    return dropped, kept, after, before


def told(found: Mapping[str, Any]) -> str:
    """For a terminal: a line a reason, before and after."""
    rows = [["", "before", "after", "change"]]
    counted = sorted(found["dropped"].items(), key=lambda item: (-item[1]["after"], item[0]))
    for name, pair in [*counted, ("kept documents", found["documents"]), ("kept bytes, as read", found["bytes"])]:
        change = pair["after"] - pair["before"]
        rows.append([name, f"{pair['before']:,}", f"{pair['after']:,}", f"{change:+,}" if change else ""])
    changes = ", ".join(f"{name} = {value}" for name, value in found["changes"].items()) or "as it ran"
    return "\n".join([f"  {found['stage']}: {found['documents']['in']:,} documents, {changes}", "", *table(rows)])
