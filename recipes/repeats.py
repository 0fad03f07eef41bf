"""Stages: documents -> the parts of them that many documents have -> documents without those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.handover import same_units, signed_pieces
from pipeline.settings import Lines, Substrings
from pipeline.stage import Stage
from pipeline.units import Piece, Unit

if TYPE_CHECKING:
    from pipeline.stage import Work


def without_repeated_lines(
    settings: Lines, sources: Sequence[str], clean: Mapping[str, Stage]
) -> tuple[list[Stage], dict[str, Stage]]:
    """(the stages in order, the last one of each source); lines of the `sources` alone are compared."""
    hashed = {name: _line_hashes(name, settings, clean[name]) for name in sources}
    repeated = _repeated_lines(settings, hashed)
    kept = {name: _lines(name, settings, clean[name], repeated) for name in sources}
    return [*hashed.values(), repeated, *kept.values()], {**clean, **kept}


def _line_hashes(name: str, settings: Lines, documents: Stage) -> Stage:
    """What repeated lines are found by, so that finding them reads no text."""

    def work(_: Path) -> Work:
        from pipeline.dedup.lines.hashes import hash_lines

        return partial(hash_lines, settings=settings)

    return Stage(
        name=f"line_hashes/{name}",
        work=work,
        units=same_units(documents),
        reads=(documents,),
        settings={"unit": settings.unit, "scope": settings.scope, "min_line_words": settings.min_line_words},
        suffix=".arrow",
    )


def _repeated_lines(settings: Lines, hashed: Mapping[str, Stage]) -> Stage:
    """Which lines too many documents have, a range of hashes a unit, for each unit of documents that has them."""

    def work(workspace: Path) -> Work:
        from pipeline.dedup.lines.repeats import find_repeated, units_of

        return partial(find_repeated, units=units_of(workspace, hashed), max_documents=settings.max_documents)

    def units(workspace: Path) -> list[Unit]:
        from pipeline.dedup.lines.repeats import parts

        return parts(workspace, hashed)

    return Stage(
        name="repeated_lines",
        work=work,
        units=units,
        reads=tuple(hashed.values()),
        settings={"max_documents": settings.max_documents},
        suffix=".arrow",
    )


def _lines(name: str, settings: Lines, documents: Stage, repeated: Stage) -> Stage:
    """The documents without the lines that are repeated, and the most frequent of those in `frequent.parquet`."""

    def work(workspace: Path) -> Work:
        from pipeline.dedup.lines.stage import remove_repeated

        return partial(remove_repeated, source=name, repeated=workspace / repeated.name, settings=settings)

    def finish(folder: Path, infos: list[dict[str, Any]]) -> None:
        from pipeline.dedup.lines.table import join_tables

        join_tables(folder, infos)

    return Stage(
        name=f"lines/{name}",
        work=work,
        units=same_units(documents),
        reads=(documents, repeated),
        settings={"keep": settings.keep, "min_words": settings.min_words},
        finish=finish,
    )


def without_repeated_substrings(
    settings: Substrings, prefer: Sequence[str], clean: Mapping[str, Stage]
) -> tuple[list[Stage], dict[str, Stage]]:
    """(the stages in order, the last one of each source); the texts of all sources are compared."""
    anchors = {name: _anchors(name, settings, stage) for name, stage in clean.items()}
    recurring = _recurring(anchors)
    passages = {name: _passages(name, settings, stage, anchors, recurring) for name, stage in clean.items()}
    windows = {name: _windows(name, settings, stage) for name, stage in passages.items()}
    firsts = _firsts(prefer, windows)
    kept = {name: _substrings(name, settings, stage, passages, firsts) for name, stage in clean.items()}
    through = [*anchors.values(), recurring, *passages.values(), *windows.values(), firsts, *kept.values()]
    return through, kept


def _anchors(name: str, settings: Substrings, documents: Stage) -> Stage:
    """What repeated passages are found by: a few hashes of each text."""

    def work(_: Path) -> Work:
        from pipeline.dedup.substrings.anchors import find_anchors

        return partial(find_anchors, tokens=settings.tokens)

    return Stage(
        name=f"anchors/{name}",
        work=work,
        units=same_units(documents),
        reads=(documents,),
        settings={"tokens": settings.tokens},
        suffix=".arrow",
    )


def _recurring(anchors: Mapping[str, Stage]) -> Stage:
    """Which of them stand at several places, a range of hashes a unit, for each file that has them."""

    def work(workspace: Path) -> Work:
        from pipeline.dedup.substrings.recurring import find_recurring

        return partial(find_recurring, files=_files(workspace, anchors), of=len(_ranges(workspace, anchors)))

    return Stage(
        name="recurring",
        work=work,
        units=lambda workspace: _ranges(workspace, anchors),
        reads=tuple(anchors.values()),
        suffix=".arrow",
    )


def _passages(
    name: str, settings: Substrings, documents: Stage, anchors: Mapping[str, Stage], recurring: Stage
) -> Stage:  # fmt: skip
    """The parts of texts in which something can be repeated."""

    def work(workspace: Path) -> Work:
        from pipeline.dedup.substrings.passages import find_passages

        found = _files(workspace, {name: recurring})
        return partial(find_passages, before=_before(workspace, anchors, name), recurring=found, tokens=settings.tokens)

    return Stage(
        name=f"passages/{name}",
        work=work,
        units=same_units(documents),
        reads=(documents, recurring),
        settings={"tokens": settings.tokens},
        suffix=".arrow",
    )


def _windows(name: str, settings: Substrings, passages: Stage) -> Stage:
    """The hashes of all windows in them."""

    def work(_: Path) -> Work:
        from pipeline.dedup.substrings.windows import find_windows

        return partial(find_windows, tokens=settings.tokens)

    return Stage(
        name=f"windows/{name}",
        work=work,
        units=same_units(passages),
        reads=(passages,),
        settings={"tokens": settings.tokens},
        suffix=".arrow",
    )


def _firsts(prefer: Sequence[str], windows: Mapping[str, Stage]) -> Stage:
    """Where each window that is repeated stands first, a range of hashes a unit, for each file that has it."""

    def work(workspace: Path) -> Work:
        from pipeline.dedup.catalogue import canonical
        from pipeline.dedup.substrings.windows import find_firsts

        order = canonical(windows, prefer)
        ranks = [order.index(name) for name, stage in windows.items() for _ in signed_pieces(workspace, stage)]
        of = len(_ranges(workspace, windows))
        return partial(find_firsts, files=_files(workspace, windows), ranks=ranks, of=of)

    return Stage(
        name="firsts",
        work=work,
        units=lambda workspace: _ranges(workspace, windows),
        reads=tuple(windows.values()),
        settings={"prefer": prefer},
        suffix=".arrow",
    )


def _substrings(
    name: str, settings: Substrings, documents: Stage, passages: Mapping[str, Stage], firsts: Stage
) -> Stage:  # fmt: skip
    """The documents without what stands earlier, and in `repeats/` the most frequent of it."""

    def work(workspace: Path) -> Work:
        from pipeline.dedup.substrings.stage import cut_repeats

        return partial(
            cut_repeats,
            before=_before(workspace, passages, name),
            passages=_files(workspace, passages),
            firsts=_files(workspace, {name: firsts}),
            settings=settings,
        )

    return Stage(
        name=f"substrings/{name}",
        work=work,
        units=same_units(documents),
        reads=(documents, *passages.values(), firsts),
        settings=asdict(settings),
    )


def _files(workspace: Path, stages: Mapping[str, Stage]) -> list[Path]:
    """The files of several stages; a file's place in the list is its number."""
    return [Path(piece.path) for stage in stages.values() for piece in signed_pieces(workspace, stage)]


def _before(workspace: Path, stages: Mapping[str, Stage], name: str) -> int:
    """The number of the first file of one of the stages."""
    earlier = list(stages)[: list(stages).index(name)]
    return sum(len(signed_pieces(workspace, stages[other])) for other in earlier)


def _ranges(workspace: Path, stages: Mapping[str, Stage]) -> list[Unit]:
    """Units that share out all hashes. They name no file, since each reads all: they are checked before the launch."""
    from pipeline.dedup.substrings.ranges import ranges

    size = sum(piece.size for stage in stages.values() for piece in signed_pieces(workspace, stage))
    of = ranges(size)
    return [Unit(n, (Piece(str(workspace), f"range {n + 1} of {of}", size // of),)) for n in range(of)]
