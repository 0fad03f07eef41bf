"""Which evaluation files there are, and which set each belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.settings import Decontaminate
from pipeline.units import InputError, Piece, find


def evaluation_files(settings: Decontaminate) -> list[Piece]:
    """The evaluation files of all sets, by set and name; the name of a file of a named set begins with the set's.

    Raises InputError.
    """
    found: list[Piece] = []
    for name, patterns in sorted(settings.sets.items()):
        where = "decontaminate.against" + (f".{name}" if name else "")
        try:
            pieces = find(patterns)
        except InputError as fault:
            raise InputError(where + str(fault).removeprefix("read")) from None
        found += [replace(piece, name=f"{name}/{piece.name}" if name else piece.name) for piece in pieces]
    return found


def set_of(piece: Piece, sets: Mapping[str, Sequence[str]]) -> str:
    """The set that a file belongs to: the named one, else the file itself."""
    return piece.name.partition("/")[0] if "" not in sets else piece.name
