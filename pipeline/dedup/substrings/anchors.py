"""Documents -> anchors: hashes of short runs of tokens, chosen so that no repeated passage is without one.

In every window of n tokens the anchor is the smallest of the hashes of its runs of n/2 tokens (winnowing: Schleimer,
Wilkerson and Aiken 2003, section 4.1). Two equal windows have equal anchors, so a window whose anchor stands at one
place only is unique. About one token in n/4 begins an anchor: looking for equal anchors costs a tenth of looking for
equal windows.

A file has sorted batches of different anchors, of `ROOM` places each: 9 bytes an anchor. Memory: 100 MB, one row group
of text, and 60 bytes for each token of a longer document.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numba import njit

from pipeline.dedup.substrings.tokens import Hashes, Places, Written, mixed, pieces, run_hashes, written
from pipeline.documents import read_batches, text_bytes
from pipeline.tally import Tally
from pipeline.units import Unit

ROOM = 1 << 22
"""Places of anchors that are gathered before they are sorted."""

ANCHORS = pa.schema([pa.field("hash", pa.uint64(), nullable=False), pa.field("twice", pa.bool_(), nullable=False)])
"""`twice`: it stands at several places of those that the batch is of."""


def find_anchors(unit: Unit, out: Path, tally: Tally, *, tokens: int) -> None:
    """Write the anchors of a unit's documents, for windows of `tokens` tokens."""
    gathered: list[Hashes] = []
    with pa.ipc.new_file(out, ANCHORS) as writer:
        for piece in unit.pieces:
            for batch in read_batches(Path(piece.path), piece.groups, columns=["text"]):
                size = text_bytes(batch)
                tally.read(batch.num_rows, size)
                for _, words in pieces(batch.column("text")):
                    gathered.append(anchors(written(words), tokens)[0].copy())  # a tenth of what it is part of
                    if sum(map(len, gathered)) >= ROOM:
                        writer.write_batch(_sorted(gathered))
                        gathered = []
                tally.kept(batch.num_rows, size)
        if gathered:
            writer.write_batch(_sorted(gathered))


def anchors(text: Written, tokens: int) -> tuple[Hashes, Places]:
    """(anchors,) one for each place in order, and (anchors, 2) the windows that have it, by their first token.

    The hash is mixed once more, since the smallest of many are not spread evenly.
    """
    short = short_run(tokens)
    grams = run_hashes(text, short)
    return _anchors(grams, text.bounds, tokens, tokens - short + 1)


def short_run(tokens: int) -> int:
    """Tokens of the run that an anchor is the hash of: half a window."""
    return -(-tokens // 2)


def _sorted(gathered: list[Hashes]) -> pa.RecordBatch:
    hashes = np.sort(np.concatenate(gathered))
    first = np.ones(len(hashes), np.bool_)
    first[1:] = hashes[1:] != hashes[:-1]
    begins = np.flatnonzero(first)
    twice = np.diff(begins, append=len(hashes)) > 1
    return pa.record_batch([pa.array(hashes[begins]), pa.array(twice)], schema=ANCHORS)


@njit(cache=True)
def _anchors(grams: Hashes, bounds: Places, tokens: int, wide: int) -> tuple[Hashes, Places]:
    """The smallest of each `wide` grams in a row, the last of equal ones."""
    out, windows, n = np.empty(len(grams), np.uint64), np.empty((len(grams), 2), np.int64), 0
    for document in range(len(bounds) - 1):
        begin, least = bounds[document], -1
        for window in range(begin, bounds[document + 1] - tokens + 1):
            last = window + wide - 1
            if least >= window and grams[last] > grams[least]:
                windows[n - 1, 1] = window + 1
                continue
            if least >= window:
                least = last
            else:
                least = window
                for i in range(window + 1, last + 1):
                    if grams[i] <= grams[least]:
                        least = i
            out[n] = mixed(grams[least])
            windows[n, 0], windows[n, 1] = window, window + 1
            n += 1
    return out[:n], windows[:n]
