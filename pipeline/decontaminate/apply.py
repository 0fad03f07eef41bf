"""Stage: documents and the verdicts -> the documents that hold no evaluation text, or what is left of them.

Cut, a document keeps the pieces between what was found, as GPT-3's training data did (Brown et al. 2020, appendix C):
`around` more characters go on each side and up to white space, pieces of fewer than `shortest` characters go, and a
document of more than `most_pieces` goes whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.decontaminate.fold import unfolded
from pipeline.decontaminate.settle import VERDICTS
from pipeline.documents import DocumentWriter, Dropped, read_batches, text_bytes
from pipeline.settings import Decontaminate
from pipeline.stage import StageError
from pipeline.tally import Tally
from pipeline.units import Unit

REASON = "contaminated"

WORD = 100
"""Characters looked through for white space at which to cut, so that no word is torn; scripts without have none."""


def decontaminate(
    unit: Unit, out: Path, tally: Tally, *, source: str, contaminated: Path, settings: Decontaminate
) -> None:
    """Write the documents of the unit's file without evaluation texts. Raises StageError for verdicts on others."""
    (piece,) = unit.pieces
    path = contaminated / VERDICTS
    try:
        verdicts = pq.read_table(path, filters=[("source", "=", source), ("file", "=", Path(piece.path).name)])
    except (pa.ArrowException, OSError) as fault:
        told = str(fault).splitlines()[0]
        raise StageError(f"{path}: {told}; make it anew with --redo contaminated") from None
    rows, before = verdicts.column("row").to_numpy(), 0
    with DocumentWriter(out) as writer:
        for batch in read_batches(Path(piece.path)):
            tally.read(batch.num_rows, text_bytes(batch))
            first, last = np.searchsorted(rows, [before, before + batch.num_rows])
            left = batch
            if last > first:
                found = verdicts.slice(first, last - first).to_pylist()
                left = _left(batch, {verdict["row"] - before: verdict for verdict in found}, settings, tally, path)
            writer.write_batch(left)
            tally.kept(left.num_rows, text_bytes(left))
            before += batch.num_rows


def _left(
    batch: pa.RecordBatch, verdicts: dict[int, dict[str, Any]], settings: Decontaminate, tally: Tally, path: Path
) -> pa.RecordBatch:
    """The documents that stay, with what was cut out of them taken out."""
    stays = np.ones(batch.num_rows, np.bool_)
    texts: list[str] | None = None
    for number, verdict in verdicts.items():
        id, origin, text = (batch.column(name)[number].as_py() for name in ("id", "origin", "text"))
        if id != verdict["id"]:
            raise StageError(f"{path}: row {verdict['row']} is {id} now; make it anew with --redo contaminated")
        pieces = _pieces(text, verdict, settings) if settings.action == "cut" else []
        if not pieces:
            stays[number] = False
            dropped = Dropped(at=origin, reason=REASON, value=verdict["told"], text=text)
            tally.drop(dropped, origin, id)
            continue
        texts = batch.column("text").to_pylist() if texts is None else texts
        texts[number] = "\n\n".join(pieces)
        tally.more["documents_cut"] += 1
        tally.more["bytes_cut"] += len(text.encode()) - len(texts[number].encode())
        tally.more["pieces_left"] += len(pieces)
    if texts is not None:
        place = batch.schema.get_field_index("text")
        batch = batch.set_column(place, batch.schema.field(place), pa.array(texts, pa.large_string()))
    return batch.filter(pa.array(stays))


def _pieces(text: str, verdict: dict[str, Any], settings: Decontaminate) -> list[str]:
    """What is left of a text; nothing where it falls into too many pieces."""
    places = unfolded(text, np.array([*verdict["begins"], *verdict["ends"]], np.int64))
    if places is None:
        return []
    begins_a_character = np.frombuffer(text.encode(), np.uint8) & 0xC0 != 0x80
    begins, ends = np.split(np.concatenate([[0], np.cumsum(begins_a_character)])[places], 2)
    pieces, at = [], 0
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        pieces.append(text[at : max(at, _before(text, begin - settings.around))])
        at = max(at, _behind(text, end + settings.around))
    pieces.append(text[at:])
    left = [piece.strip() for piece in pieces if len(piece.strip()) >= settings.shortest]
    return left if len(left) <= settings.most_pieces else []


def _before(text: str, at: int) -> int:
    """The last place up to `at` where a word ends."""
    at = max(at, 0)
    return next((n for n in range(at, max(at - WORD, 0), -1) if text[n : n + 1].isspace()), at)


def _behind(text: str, at: int) -> int:
    """The first place from `at` on where a word begins."""
    at = min(at, len(text))
    return next((n for n in range(at, min(at + WORD, len(text))) if text[n - 1 : n].isspace()), at)
