"""What the sources have and what the phases draw of it -> how often each is read, by phase and over the run.

Whatever was packed is counted, to the row: as `train` will draw it. Until then it is estimated, from the bytes of text
that are left or, before there are any, from those of the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

from packing.shares import quotas
from pipeline.stage import Record
from pipeline.units import find_source
from recipes.plan import documents
from recipes.recipe import Recipe
from recipes.rows import document_parts, pack_name
from recipes.settle import left, settled
from recipes.shards import about_tokens
from train.phase import Part, Phase

TOKENS_PER_BYTE = {"web": 0.27, "code": 0.83, "science": 0.48, "text": 1.3}
"""Tokens that are packed for each byte of raw, mostly compressed input, by kind: measured on 20 MB of captures, 13 of
code, 7 of papers and 4 of tables with a tokenizer of 8,192 ids. Good to a factor of about 3: it hangs on what
the filters drop, on compression and on the language."""

BYTES_PER_TOKEN = 4
"""Of clean text, about: English with 50,000 ids. Code has 3, other languages 2 to 5."""

Basis = Literal["rows", "text", "files"]
"""Where a source's tokens are known from: packed rows (exact), clean documents, or raw files."""

MARGIN: Mapping[Basis, float] = {"rows": 1.0, "text": 2.0, "files": 4.0}
"""How many times the estimated tokens have to be too few before a source is refused."""

Epochs = Fraction | float
"""How often something is read: exact; infinite where there is nothing to read."""

WHOLE = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is there of a source, whatever is asked of it."""

    files: int
    raw_bytes: int
    text_bytes: int | None
    """Of its documents, once those that are packed are known."""
    tokens: int
    """Of all its training documents."""
    basis: Basis
    packed: Mapping[int, tuple[tuple[float, float], int, int]]
    """Context -> the part of the documents that was packed for it, its rows and its tokens."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A source as it is packed for one context, or will be."""

    rows: int
    tokens: int
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Supply:
    """What one source has, and what the phases ask of it."""

    known: Known
    streams: Mapping[int, Stream]
    """By context, for those that something is drawn from."""
    asked: Mapping[str, int]
    """Tokens by phase."""
    read: Mapping[str, Epochs]
    """Times the phase reads the source at its context, by phase."""
    contexts: Mapping[str, int]
    """Of the phases."""
    apart: bool
    """Whether each context has documents of its own, so that what is read at one is not read again at another."""

    @property
    def exact(self) -> bool:
        return self.known.basis == "rows" and all(stream.exact for stream in self.streams.values())

    @property
    def epochs(self) -> Epochs:
        """Times a document is read over the whole run: at the context that reads its own most often, if each has some,
        else at all of them together."""
        at: dict[int, Epochs] = {}
        for phase, times in self.read.items():
            context = self.contexts[phase] if self.apart else 0
            at[context] = at.get(context, 0) + times
        return max(at.values(), default=0)

    @property
    def total_asked(self) -> int:
        return sum(self.asked.values())

    @property
    def margin(self) -> float:
        return 1.0 if self.exact else max(MARGIN[self.known.basis], MARGIN["text"])


def _known(recipe: Recipe, workspace: Path, name: str, last: str | None) -> Known:
    source = recipe.sources[name]
    pieces = find_source(name, source)
    raw = sum(piece.size for piece in pieces)
    packed = {}
    for context in recipe.contexts:
        record = Record.read(workspace / pack_name(name, context))
        if record and record.finished:
            start, end = record.settings.get("part", WHOLE)
            packed[context] = ((start, end), record.counts.get("rows", 0), record.counts.get("tokens", 0))
    record = Record.read(workspace / last) if last else None
    text = left(record) if record and record.finished else None
    basis: Basis = "rows"
    if packed:
        parts = sum(end - start for (start, end), _, _ in packed.values())
        tokens = round(sum(tokens for _, _, tokens in packed.values()) / parts)
    elif source.kind == "shards":
        tokens, basis = about_tokens(name, source), "text"
    elif text is not None:
        tokens, basis = text // BYTES_PER_TOKEN, "text"
    else:
        tokens, basis = int(raw * TOKENS_PER_BYTE[source.kind]), "files"
    return Known(files=len(pieces), raw_bytes=raw, text_bytes=text, tokens=tokens, basis=basis, packed=packed)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A recipe, and what there is of its sources."""

    recipe: Recipe
    known: Mapping[str, Known]

    @cached_property
    def planned(self) -> Recipe:
        """The recipe with a mix in every phase: by temperature it follows from the text that is, or may be, left."""
        sizes = {
            name: known.tokens * BYTES_PER_TOKEN if known.text_bytes is None else known.text_bytes
            for name, known in self.known.items()
        }
        return settled(self.recipe, {name: max(size, 1) for name, size in sizes.items()})

    @cached_property
    def supplies(self) -> dict[str, Supply]:
        """What each source has and gives."""
        rows = {phase.name: drawn(phase) for phase in self.planned.train.phases}
        return {name: _supply(self, name, rows) for name in self.known}


def outlook(recipe: Recipe, workspace: Path) -> Outlook:
    """What there is of each source of a recipe. Raises InputError if a pattern matches no file."""
    _, clean = documents(recipe)
    names = {name: clean[name].name if name in clean else None for name in sorted(recipe.sources)}
    return Outlook(recipe=recipe, known={name: _known(recipe, workspace, name, last) for name, last in names.items()})


def _supply(outlook: Outlook, name: str, rows: Mapping[str, Mapping[str, int]]) -> Supply:
    recipe, known = outlook.recipe, outlook.known[name]
    phases = [phase for phase in outlook.planned.train.phases if name in phase.sources]
    wanted = document_parts(recipe, name)
    streams = {phase.context: _stream(known, phase.context, wanted[phase.context]) for phase in phases}
    read: dict[str, Epochs] = {}
    for phase in phases:
        there, taken = streams[phase.context].rows, rows[phase.name].get(name, 0)
        read[phase.name] = Fraction(taken, there) if there else float("inf")
    return Supply(
        known=known,
        streams=streams,
        asked={phase.name: round(phase.length * phase.shares[name]) for phase in phases},
        read=read,
        contexts={phase.name: phase.context for phase in phases},
        apart=bool(recipe.packing.partition),
    )


def _stream(known: Known, context: int, wanted: tuple[float, float]) -> Stream:
    part, rows, tokens = known.packed.get(context, (None, 0, 0))
    if part == wanted:
        return Stream(rows=rows, tokens=tokens, exact=True)
    tokens = round(known.tokens * (wanted[1] - wanted[0]))
    return Stream(rows=-(-tokens // context), tokens=tokens, exact=False)


def drawn(phase: Phase) -> dict[str, int]:
    """Rows of each source that a phase reads, as the order of rows has it."""
    rows: dict[str, int] = {}
    for part in phase.parts:
        for name, count in _drawn(part).items():
            rows[name] = rows.get(name, 0) + count
    return rows


def _drawn(part: Part) -> dict[str, int]:
    names = sorted(name for name, share in part.mix.items() if share > 0)
    quota = quotas(part.planned, [Fraction(str(part.mix[name])) for name in names])
    if part.rows < part.planned:
        from packing.interleave import Interleave  # brings numpy, which a plan without a remix does not wait for

        quota = Interleave(quota).counts(part.rows)
    return dict(zip(names, quota, strict=True))
