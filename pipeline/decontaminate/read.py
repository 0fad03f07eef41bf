"""Stage: evaluation files -> the index of their n-grams, and of which row of which set each is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.decontaminate.arrays import write_arrays
from pipeline.decontaminate.evaluation import read_evaluation
from pipeline.decontaminate.files import set_of
from pipeline.decontaminate.index import Gatherer
from pipeline.documents import Dropped
from pipeline.ingest.remote import fetched
from pipeline.settings import Decontaminate
from pipeline.tally import Tally
from pipeline.units import Unit


def index_evaluation(unit: Unit, out: Path, tally: Tally, *, settings: Decontaminate) -> None:
    """Write the index of all files of the unit: index.py's arrays, and of the rows their set, file and place.

    Raises UnreadableFile for a file that cannot be read to its end: half an evaluation set would pass as all of it.
    """
    gatherer = Gatherer(ngram=settings.ngram, short=settings.short, characters=settings.characters)
    row_file: list[int] = []
    row_at: list[str] = []
    for number, piece in enumerate(unit.pieces):
        last = None
        with fetched(piece) as local:
            for found in read_evaluation(local, settings.columns):
                if isinstance(found, Dropped):
                    tally.read(1, 0)
                    tally.drop(found, f"{piece.name}#{found.at}")
                    continue
                rows: list[int] = []
                for at in found.rows:
                    if at != last:
                        last = at
                        row_file.append(number)
                        row_at.append(at)
                        tally.read(1, 0)
                        tally.kept(1, 0)
                    rows.append(len(row_at) - 1)
                size = sum(len(part.encode()) for part in found.parts)
                tally.read(0, size)
                tally.kept(0, size)
                gatherer.add(found, rows[: len(found.parts)])
    table = gatherer.table()
    tally.more["ngrams"] = len(table["keys"])
    tally.more["texts"] = len(table["inner"])
    names = sorted({set_of(piece, settings.sets) for piece in unit.pieces})
    write_arrays(
        out,
        {
            **table,
            "row_file": np.array(row_file, np.int32),
            "row_at": row_at,
            "files": [piece.name for piece in unit.pieces],
            "file_set": np.array([names.index(set_of(piece, settings.sets)) for piece in unit.pieces], np.int32),
            "sets": names,
        },
    )
