"""A recipe and the files it names -> what the run will need, before any work is done."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from pipeline.settings import Source
from pipeline.stage import Record
from pipeline.units import find_source
from recipes.recipe import Recipe
from recipes.rows import pack_name
from train.schedule import Schedule

TOKENS_PER_BYTE = {"web": 0.27, "code": 0.83, "science": 0.48, "text": 1.3}
"""Tokens that are packed for each byte of raw, mostly compressed input, by kind: measured on 20 MB of captures, 13 of
code, 7 of papers and 4 of tables with a tokenizer of 8,192 ids. Good to a factor of about 3: it hangs on what
the filters drop, on compression and on the language."""

MARGIN = 4.0
"""Before anything is packed, a source is refused only if even this many times the estimated tokens are too few."""

FULL = 0.99
"""Share of the tokens asked for under which a phase is told to fall short; rows are 99.9 % full as a rule."""

MODEL_FLOPS = 253e12
"""Model FLOP/s of ModernBERT-base's own run on one H100 (1.719T tokens in 194 hours on 8 of them)."""


class PlanError(Exception):
    """The recipe asks for what its sources cannot give; the message names source and mend."""


@dataclass(frozen=True, kw_only=True)
class Supply:
    """What one source has, and what the phases ask of it."""

    files: int
    raw_bytes: int
    tokens: int
    """In rows of training, at one context."""
    exact: bool
    """Whether the tokens were counted (the source is packed) or estimated from the bytes."""
    asked: Mapping[str, int]
    """Tokens by phase."""

    @property
    def epochs(self) -> float:
        """Times the source is read over the whole run."""
        return sum(self.asked.values()) / self.tokens if self.tokens else float("inf") if self.total_asked else 0.0

    @property
    def total_asked(self) -> int:
        return sum(self.asked.values())


def supplies(recipe: Recipe, workspace: Path) -> dict[str, Supply]:
    """What each source has and gives. Raises InputError if a pattern matches no file."""
    return {name: _supply(recipe, workspace, name, source) for name, source in sorted(recipe.sources.items())}


def _supply(recipe: Recipe, workspace: Path, name: str, source: Source) -> Supply:
    pieces = find_source(name, source)
    raw = sum(piece.size for piece in pieces)
    asked = {phase.name: round(phase.tokens * phase.mix.get(name, 0.0)) for phase in recipe.train.phases}
    packed = [Record.read(workspace / pack_name(name, context)) for context in recipe.contexts]
    counted = [record.counts.get("tokens", 0) for record in packed if record and record.finished]
    tokens = counted[0] if counted else int(raw * TOKENS_PER_BYTE[source.kind])
    return Supply(files=len(pieces), raw_bytes=raw, tokens=tokens, exact=bool(counted), asked=asked)


def check(recipe: Recipe, found: Mapping[str, Supply]) -> None:
    """Raise PlanError naming each source that would be read more often than `packing.max_epochs` allows."""
    cap = recipe.packing.max_epochs
    over = [
        f"{name} has {'' if supply.exact else 'about '}{short(supply.tokens)} tokens and would be read "
        f"{supply.epochs:.1f} times, more than max_epochs {cap:g}; "
        "add data, lower its share, or raise packing.max_epochs"
        for name, supply in found.items()
        if supply.epochs > cap * (1.0 if supply.exact else MARGIN)
    ]
    if over:
        raise PlanError("\n".join(over))


def vocabulary(recipe: Recipe) -> int:
    """Ids of the tokenizer: those asked for, or those of the file that `from` names. Raises PlanError for that file."""
    if recipe.tokenizer.from_ is None:
        return recipe.tokenizer.vocab
    from pipeline.tokenizer import TokenizerError, check_tokenizer

    try:
        return check_tokenizer(Path(recipe.tokenizer.from_))
    except TokenizerError as fault:
        raise PlanError(f"tokenizer.from: {fault}") from None


def shared_files(recipe: Recipe) -> list[str]:
    """A line for each two sources that read the same files: whose documents will be copies of each other."""
    paths = {name: {os.path.realpath(p.path): p.name for p in find_source(name, source)}
             for name, source in sorted(recipe.sources.items())}  # fmt: skip
    return [
        f"sources {one} and {other} read the same {len(same)} files, first {paths[one][min(same)]}; every document of "
        "theirs occurs twice. Mend one of the patterns"
        for one, other in combinations(paths, 2)
        if (same := paths[one].keys() & paths[other].keys())
    ]


def delivered(recipe: Recipe, workspace: Path) -> dict[str, float]:
    """Tokens that each phase will read, about: the clock counts whole rows, however full. Packed phases alone."""
    tokens: dict[str, float] = {}
    for phase in recipe.train.phases:
        shares = {name: share for name, share in phase.mix.items() if share > 0}
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
        f"phase {phase.name} will read {short(real[phase.name])} of the {short(phase.tokens)} tokens asked for: its "
        f"rows of {phase.context} are {real[phase.name] / (phase.rows * phase.context):.1%} full, and the clock counts "
        "whole rows. A shorter context or a larger packing.unit fills them"
        for phase in recipe.train.phases
        if phase.name in real and real[phase.name] < FULL * phase.tokens
    ]


def disk(recipe: Recipe, found: Mapping[str, Supply]) -> int:
    """Bytes the work folder will take, about: documents in zstd Parquet at each stage, rows, and checkpoints."""
    dedup = recipe.dedup
    later = (dedup.lines, dedup.substrings, recipe.decontaminate, recipe.packing.holdout_apart)
    times = 3 + sum(map(bool, later))
    documents = sum(times * supply.tokens * 4 // 3 for supply in found.values())  # 4 bytes a token, zstd 3 to 1
    vocab = vocabulary(recipe)
    wide = 2 if vocab <= 65_535 else 4
    rows = sum(
        int(supply.tokens * wide * 1.02) * len([1 for context in recipe.contexts if name in recipe.mixed(context)])
        for name, supply in found.items()
    )
    saves = sum(1 + phase.tokens // recipe.train.save_every for phase in recipe.train.phases)
    return documents + rows + saves * 12 * recipe.model.parameters(vocab)


def flops(recipe: Recipe) -> int:
    """Floating-point operations of the whole training, each row counted as one document."""
    total, vocab = 0, vocabulary(recipe)
    for phase in recipe.train.phases:
        masked = round(phase.mask * phase.context)
        total += phase.rows * recipe.model.training_flops([phase.context], masked, vocab)
    return total


def steps(recipe: Recipe) -> list[int]:
    """Updates of the weights in each phase, counted by its full batches but for the batch warm-up's levels."""
    schedule = Schedule(recipe.train)
    counts: list[int] = []
    for number, phase in enumerate(recipe.train.phases):
        rows, taken = phase.rows, 0
        if number == 0 and (warmup := recipe.train.batch.warmup):
            levels = range(1, recipe.train.batch.rows // warmup.from_)
            each = schedule.steps_of_a_level
            rows -= sum(level * warmup.from_ * each for level in levels)
            taken = each * len(levels)
        counts.append(taken + -(-max(rows, 0) // recipe.train.batch_rows(phase)))
    return counts


def short(number: float) -> str:
    """1700000000000 -> 1.7T."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"
