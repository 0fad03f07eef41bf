"""Documents and their repeats -> documents in which every long run of tokens stands once.

After it no window of n tokens that stood whole in a document is left twice: where it stands first it stays, but for
what is a repeat there of yet another window. Each run that goes was compared, byte by byte, with the place it repeats.

    repeats/00000.parquet   the repeats that occur most often: their text, how often, and where they are first

Memory: one row group of text, and what repeats.py says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.dedup.substrings.cut import Cut, Spans, marked, united, without
from pipeline.dedup.substrings.examples import Examples
from pipeline.dedup.substrings.repeats import Passages, Runs, find_repeats
from pipeline.dedup.substrings.tokens import Places, pieces, token_ends
from pipeline.documents import DocumentWriter, Dropped, noted, read_batches, text_bytes
from pipeline.settings import Substrings
from pipeline.tally import Tally
from pipeline.units import Unit

ONLY_REPEATED = "only_repeated_text"


def cut_repeats(
    unit: Unit, out: Path, tally: Tally, *, before: int, passages: Sequence[Path], firsts: Sequence[Path],
    settings: Substrings,
) -> None:  # fmt: skip
    """Write the documents of a file, whole, without their repeats; the unit's number and the files `before` are its
    number.

    passages   the files of passages, by number
    firsts     the files of answers: where each window stands first
    Raises StageError for a file that cannot be read.
    """
    found = Passages(passages)
    runs, unequal = find_repeats(found, before + unit.number, firsts, settings.tokens)
    if unequal:
        tally.more["unequal_windows"] += unequal
    examples = Examples(found)
    (piece,) = unit.pieces
    rows = 0
    with DocumentWriter(out) as writer:
        for batch in read_batches(Path(piece.path)):
            tally.read(batch.num_rows, text_bytes(batch))
            mine = runs[slice(*np.searchsorted(runs["row"], [rows, rows + batch.num_rows]))]
            kept = _cut_batch(batch, mine, rows, settings, examples, tally) if len(mine) else batch
            writer.write_batch(kept)
            tally.kept(kept.num_rows, text_bytes(kept))
            rows += batch.num_rows
    examples.write(out.parent / "repeats" / f"{unit.number:05}.parquet")


@dataclass(frozen=True, slots=True)
class Repeating:
    """A document that holds repeats."""

    row: int
    """Of its batch."""
    id: str
    origin: str
    text: bytes
    begins: Places
    ends: Places
    """(tokens,) the bytes of each."""
    runs: Runs
    spans: Spans
    """The tokens that these cover."""

    def share(self) -> float:
        """Of its tokens, those that are repeats."""
        return sum(end - begin for begin, end in self.spans) / len(self.begins)

    def longest_left(self) -> int:
        """Tokens of the longest part that is no repeat."""
        edges = [0, *chain.from_iterable(self.spans), len(self.begins)]
        return max(end - begin for begin, end in zip(edges[::2], edges[1::2], strict=True))


def _cut_batch(
    batch: pa.RecordBatch, runs: Runs, before: int, settings: Substrings, examples: Examples, tally: Tally
) -> pa.RecordBatch:
    """A batch of documents, `before` rows of its file before it, without its runs."""
    texts, stays = batch.column("text").to_pylist(), np.ones(batch.num_rows, np.bool_)
    notes: list[dict[str, Any] | None] = [None] * batch.num_rows
    for document in _repeating(batch, runs, before):
        row = document.row
        _show(document, examples)
        share = document.share()
        if share >= settings.max_repeated and document.longest_left() < settings.tokens:
            stays[row] = False
            told = {"value": share, "threshold": settings.max_repeated, "text": texts[row]}
            tally.drop(Dropped(at=document.origin, reason=ONLY_REPEATED, **told), document.origin, document.id)
            continue
        cut = _cut(document, settings, tally)
        texts[row], notes[row] = cut.text, {"repeats": cut.markers} if cut.markers else None
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns |= {"text": pa.array(texts, pa.large_string()), "metadata": noted(columns["metadata"], notes)}
    return pa.record_batch(list(columns.values()), schema=batch.schema).filter(pa.array(stays))


def _repeating(batch: pa.RecordBatch, runs: Runs, before: int) -> Iterator[Repeating]:
    rows, heads = np.unique(runs["row"], return_index=True)
    rows -= before
    chosen = batch.select(["id", "origin", "text"]).take(pa.array(rows))
    ids, origins = (chosen.column(name).to_pylist() for name in ("id", "origin"))
    bounds = [*heads.tolist(), len(runs)]
    for at, words in pieces(chosen.column("text")):
        ends = token_ends(words.data, words.starts, words.characters)
        for d, ((a, b), (begin, end)) in enumerate(
            zip(pairwise(words.bounds.tolist()), pairwise(words.offsets.tolist()), strict=True), at
        ):
            mine = runs[bounds[d] : bounds[d + 1]]
            yield Repeating(
                row=int(rows[d]),
                id=ids[d],
                origin=origins[d],
                text=words.data[begin:end].tobytes(),
                begins=words.starts[a:b].astype(np.int64) - begin,
                ends=ends[a:b] - begin,
                runs=mine,
                spans=united(zip(mine["begin"].tolist(), mine["end"].tolist(), strict=True)),
            )


def _show(document: Repeating, examples: Examples) -> None:
    runs = np.sort(document.runs, order="begin")
    heads = np.searchsorted(runs["begin"], [begin for begin, _ in document.spans])
    for (a, b), inside in zip(document.spans, np.split(runs, heads[1:]), strict=True):
        text = document.text[document.begins[a] : document.ends[b - 1]]
        examples.add(text, b - a, inside, document.id, document.origin)


def _cut(document: Repeating, settings: Substrings, tally: Tally) -> Cut:
    """The new text; what went is counted."""
    text, begins, ends, spans = document.text, document.begins, document.ends, document.spans
    tally.more["documents_cut"] += 1
    if settings.action == "mask":
        tally.more["spans_masked"] += len(spans)
        tally.more["bytes_masked"] += sum(int(ends[b - 1] - begins[a]) for a, b in spans)
        return marked(text, begins, ends, spans, settings.marker)
    cut = without(text, begins, ends, spans)
    tally.more["spans_removed"] += len(spans)
    tally.more["bytes_removed"] += len(text) - len(cut.text.encode())
    return cut
