"""Evaluation files -> their rows, each with the texts in it: tables, lines of cells, or plain text."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline.documents import Dropped, clean
from pipeline.ingest.fields import value_of
from pipeline.ingest.lines import LONGEST, CutOffError, lines
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile
from pipeline.ingest.rows import TABLES, rows_of
from pipeline.units import Piece

PACKED = ("", ".gz", ".zst")
CELLS = {f".{name}{packed}": mark for name, mark in (("csv", ","), ("tsv", "\t")) for packed in PACKED}
PLAIN = tuple(f".txt{packed}" for packed in PACKED)

csv.field_size_limit(LONGEST)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts that stand in one place of an evaluation file and are read one after the other.

    A list of strings is such a place (turns, options, words of a sentence), and so is a block of lines in plain text;
    any other string is a place of its own.
    """

    parts: tuple[str, ...]
    rows: tuple[str, ...]
    """Where in the file each part stands: number of the line from 1, or of the table's row from 0."""


def read_evaluation(piece: Piece, columns: Sequence[str]) -> Iterator[Texts | Dropped]:
    """The texts of a file, row by row: of `columns`, or of all of them, nested ones too; or what is wrong with a row.

    A row without text gives one place without parts. Raises UnreadableFile.
    """
    name = piece.path.lower()
    with Path(piece.path).open("rb") as file:
        if not file.read(1):
            raise UnreadableFile(f"{piece.path}: is empty; fetch it anew or remove it")
    if name.endswith(TABLES):
        for row in rows_of(piece, None, needed=columns):
            if isinstance(row, Found):
                assert isinstance(row.what, Dropped)
                yield row.what
                continue
            values = [value_of(row.fields, column) for column in columns] if columns else [row.fields]
            yield from _row(row.at, [texts for value in values for texts in _texts(value)])
    elif mark := next((mark for ending, mark in CELLS.items() if name.endswith(ending)), None):
        yield from _cells(Path(piece.path), mark, columns)
    elif name.endswith(PLAIN):
        yield from _plain(Path(piece.path))
    else:
        told = ", ".join((*TABLES, *CELLS, *PLAIN))
        raise UnreadableFile(f"{piece.path}: evaluation files are {told}; narrow the pattern")


def _row(at: str, found: Sequence[tuple[str, ...]]) -> Iterator[Texts]:
    yield from (Texts(parts, (at,) * len(parts)) for parts in found)
    if not found:
        yield Texts((), (at,))


def _texts(value: Any) -> Iterator[tuple[str, ...]]:
    """The strings in a value, those of a list together."""
    if isinstance(value, str):
        yield (clean(value),)
    elif isinstance(value, bytes):
        yield (clean(value.decode("utf-8", "replace")),)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        if strings := tuple(clean(each) for each in value if isinstance(each, str)):
            yield strings
        for inner in value:
            if not isinstance(inner, str):
                yield from _texts(inner)


def _decoded(path: Path) -> Iterator[tuple[int, str] | Dropped]:
    """The lines of a file with their numbers; one that is no UTF-8 is dropped. Raises DamagedFile."""
    number = 0
    try:
        for line in lines(path):
            number = line.number
            if line.size > LONGEST:
                yield Dropped(at=str(number), reason="too_large", value=line.size)
                continue
            try:
                yield number, clean(line.content.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as fault:
                start = line.content[:2000].decode("utf-8", "replace")
                yield Dropped(at=str(number), reason="bad_utf8", value=f"byte {fault.start}", text=start)
    except CutOffError as fault:
        raise DamagedFile.told(path, f"line {number + 1}", str(fault)) from None


def _cells(path: Path, mark: str, columns: Sequence[str]) -> Iterator[Texts | Dropped]:
    """The rows of cells; a quoted one may hold line breaks. Of `columns`, the first row has to name them all."""
    bad: list[Dropped] = []
    numbers: list[int] = []

    def texts() -> Iterator[str]:
        for line in _decoded(path):
            if isinstance(line, Dropped):
                bad.append(line)
            else:
                numbers.append(line[0])
                yield line[1] + "\n"

    quotes = {"quoting": csv.QUOTE_MINIMAL} if mark == "," else {"quoting": csv.QUOTE_NONE}
    rows = csv.reader(texts(), delimiter=mark, **quotes)  # type: ignore[arg-type]
    chosen: list[int] | None = None
    while True:
        try:
            row = next(rows, None)
        except csv.Error as fault:
            bad.append(Dropped(at=str(numbers[-1]), reason="bad_row", value=str(fault)))
            continue
        yield from bad
        bad.clear()
        if row is None:
            return
        if columns and chosen is None:
            if missing := [name for name in columns if name not in row]:
                raise UnreadableFile(f"{path}: has no column {missing[0]}; its columns are {', '.join(row)[:1000]}")
            chosen = [row.index(name) for name in columns]
            continue
        cells = row if chosen is None else [row[at] for at in chosen if at < len(row)]
        yield from _row(str(numbers[-1]), [(cell,) for cell in cells if cell])


def _plain(path: Path) -> Iterator[Texts | Dropped]:
    """A block of lines is read on from line to line, as it may be wrapped; a line is a row, a tab parts its cells."""
    found: list[Dropped] = []

    def kept() -> Iterator[tuple[int, str]]:
        for line in _decoded(path):
            if isinstance(line, Dropped):
                found.append(line)
                yield 0, ""
            else:
                yield line

    for filled, block in groupby(kept(), key=lambda line: bool(line[1].strip())):
        if filled:
            cells = [(cell, str(number)) for number, line in block for cell in line.split("\t") if cell.strip()]
            yield Texts(tuple(cell for cell, _ in cells), tuple(at for _, at in cells))
        yield from found
        found.clear()
