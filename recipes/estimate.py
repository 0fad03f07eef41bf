"""A recipe and the files it names -> what there is for it: the vocabulary, files in common, tokens that rows hold."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

from pipeline.stage import Record
from pipeline.units import find_source
from recipes.recipe import Recipe
from recipes.rows import pack_name

FULL = 0.99
"""Share of the tokens asked for under which a phase is told to fall short; rows are 99.9 % full as a rule."""


class PlanError(Exception):
    """The recipe asks for what its sources cannot give; the message names source and mend."""


def vocabulary(recipe: Recipe) -> int:
    """Ids of the tokenizer: those asked for, or those of the file that `from` names and what it is extended by.

    Raises PlanError for that file.
    """
    if recipe.tokenizer.from_ is None:
        return recipe.tokenizer.vocab
    from pipeline.tokenizer import TokenizerError, check_tokenizer

    try:
        ids = check_tokenizer(Path(recipe.tokenizer.from_))
    except TokenizerError as fault:
        raise PlanError(f"tokenizer.from: {fault}") from None
    more = recipe.tokenizer.extend
    return ids + more + -(ids + more) % 64 if more else ids


def shared_files(recipe: Recipe) -> list[str]:
    """A line for each two sources that read the same files: whose documents will be copies of each other."""
    paths = {name: {os.path.realpath(p.path): p.name for p in find_source(name, source)}
             for name, source in sorted(recipe.sources.items())}  # fmt: skip
    return [
        f"sources {one} and {other} read the same {len(same)} files, first {paths[one][min(same)]}; every document of "
        "theirs occurs twice. Mend one of the patterns"
        for one, other in combinations(paths, 2)
        if (same := paths[one].keys() & paths[other].keys()) and not _languages_apart(recipe, one, other)
    ]


def _languages_apart(recipe: Recipe, one: str, other: str) -> bool:
    """Whether two sources keep documents of different languages: then they share files by intent."""
    languages = [set(source.filters.languages) for name, source in recipe.texts.items() if name in (one, other)]
    return len(languages) == 2 and all(languages) and not languages[0] & languages[1]


def delivered(recipe: Recipe, workspace: Path) -> dict[str, float]:
    """Tokens that each phase will read, about: the clock counts whole rows, however full. Packed phases alone."""
    tokens: dict[str, float] = {}
    for phase in recipe.train.phases:
        shares = {name: share for name, share in phase.shares.items() if share > 0}
        packed = [Record.read(workspace / pack_name(name, phase.context)) for name in shares]
        counts = [record.counts for record in packed if record and record.finished and record.counts.get("rows")]
        if len(counts) == len(shares):
            means = (share * one["tokens"] / one["rows"] for share, one in zip(shares.values(), counts, strict=True))
            tokens[phase.name] = phase.rows * sum(means)
    return tokens


def underfull(recipe: Recipe, workspace: Path) -> list[str]:
    """A line for each phase that will read notably fewer tokens than it asks for."""
    real = delivered(recipe, workspace)
    return [
        f"phase {phase.name} will read {short(real[phase.name])} of the {short(phase.length)} tokens asked for: its "
        f"rows of {phase.context} are {real[phase.name] / (phase.rows * phase.context):.1%} full, and the clock counts "
        "whole rows. More text fills them: more documents, or a larger packing.unit where there are several"
        for phase in recipe.train.phases
        if phase.name in real and real[phase.name] < FULL * phase.length
    ]


def short(number: float) -> str:
    """1700000000000 -> 1.7T."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def size(number: float) -> str:
    """1800000000 bytes -> 1.8GB."""
    return short(number).replace("B", "G") + "B"
