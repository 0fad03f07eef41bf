"""A layout of rows -> the counts that tell how well a source is packed; their sums -> what a person reads of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from packing.greedy import Ints
from packing.rows import SPECIALS, Layout

BINS = tuple(2**power for power in range(5, 20))
"""Tokens from which a bin of piece lengths begins, after the one that begins at 1: doublings, so that counts of units
add up and all contexts compare."""


def counts(layout: Layout, lengths: Ints, context: int) -> dict[str, int]:
    """What a unit adds to its stage's record; each is a sum over units. lengths: tokens of each document (D,).

    Tokens of rows and pieces include [CLS] and [SEP]. Everything is counted in the layout, not from what it should be.
    """
    pieces = layout.length + SPECIALS
    row = np.repeat(np.arange(len(layout.pieces)), layout.pieces)
    filled = np.bincount(row, weights=pieces, minlength=len(layout.pieces))
    of = np.bincount(layout.document, minlength=len(lengths))
    cut, long = of > 1, lengths > context - SPECIALS
    others = (np.diff(row) != 0) | (np.diff(layout.document) != 0)  # in a row, a document's pieces stand together
    tokens = int(pieces.sum())
    bins = np.bincount(np.searchsorted(BINS, pieces, side="right"), minlength=len(BINS) + 1).tolist()
    sums = {
        "rows": len(layout.pieces),
        "rows_least": -(-tokens // context),
        "rows_under_99": int((filled < 0.99 * context).sum()),
        "tokens": tokens,
        "text_tokens": int(layout.length.sum()),
        "pieces": len(pieces),
        "pieces_least": int(np.maximum(-(-lengths // (context - SPECIALS)), 1).sum()),
        "documents_in_rows": int(others.sum()) + min(1, len(pieces)),
        "documents_cut": int(cut.sum()),
        "fitting_documents_cut": int((cut & ~long).sum()),
    }
    lengths_of = zip((1, *BINS), bins, strict=True)
    return sums | {f"pieces_from_{first}": number for first, number in lengths_of if number}


def summary(sums: Mapping[str, Any], context: int) -> dict[str, Any]:
    """What the sums of a stage's units say; shares are of 1."""
    rows, pieces, documents = (int(sums.get(name, 0)) for name in ("rows", "pieces", "documents_out"))
    firsts = [first for first in (1, *BINS) if first <= context]
    ends = [*firsts[1:], context + 1]
    return {
        "context": context,
        "documents": documents,
        "rows": rows,
        "rows_more_than_least": rows - sums.get("rows_least", 0),
        "rows_under_99": sums.get("rows_under_99", 0),
        "tokens": sums.get("tokens", 0),
        "fill": sums["tokens"] / (rows * context) if rows else 0.0,
        "documents_per_row": sums["documents_in_rows"] / rows if rows else 0.0,
        "documents_cut": sums.get("documents_cut", 0),
        "fitting_documents_cut": sums.get("fitting_documents_cut", 0),
        "pieces": pieces,
        "pieces_to_fill_rows": pieces - sums.get("pieces_least", 0),
        "tokens_a_piece": sums["tokens"] / pieces if pieces else 0.0,
        "piece_lengths": [
            {"from": first, "to": end - 1, "pieces": sums.get(f"pieces_from_{first}", 0)}
            for first, end in zip(firsts, ends, strict=True)
        ],
    }
