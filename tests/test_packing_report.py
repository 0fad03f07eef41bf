"""What is reported of a packing is counted in its rows, and sums over units."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from packing.report import counts, summary
from packing.rows import Layout, lay_out, rows_of_unit

CONTEXT = 256


def lengths(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 900, 300)


def test_counts_are_those_of_the_rows_themselves() -> None:
    documents = lengths()
    layout = lay_out(documents, context=CONTEXT, seed=1, unit=("s", 0))
    found = counts(layout, documents, CONTEXT)
    rows = list(
        rows_of_unit(
            np.ones(documents.sum(), np.uint16), documents, np.arange(300, dtype=np.uint64),
            cls=2, sep=3, context=CONTEXT, seed=1, unit=("s", 0),
        ).each()
    )  # fmt: skip
    sizes = np.concatenate([np.diff(row.cu_seqlens) for row in rows])
    pieces_of = Counter(int(doc) for row in rows for doc in row.doc)
    assert found["rows"] == len(rows)
    assert found["tokens"] == sum(len(row.input_ids) for row in rows) == found["text_tokens"] + 2 * found["pieces"]
    assert found["text_tokens"] == documents.sum()
    assert found["rows_under_99"] == sum(len(row.input_ids) < 0.99 * CONTEXT for row in rows)
    assert found["rows_least"] == -(-found["tokens"] // CONTEXT)
    assert found["documents_in_rows"] == sum(len(set(row.doc.tolist())) for row in rows)
    assert found["documents_cut"] == sum(number > 1 for number in pieces_of.values()) == (documents > 254).sum()
    assert found["fitting_documents_cut"] == 0
    assert found["pieces"] == len(sizes) >= found["pieces_least"]
    assert found["pieces_from_1"] == (sizes < 32).sum()
    assert found["pieces_from_64"] == ((sizes >= 64) & (sizes < 128)).sum()
    assert found["pieces_from_256"] == (sizes == 256).sum()


def test_a_fitting_document_that_were_cut_would_be_counted() -> None:
    ints = (np.array(values, np.int64) for values in ([0, 0], [0, 50], [50, 50], [2]))
    assert counts(Layout(*ints), np.array([100]), CONTEXT)["fitting_documents_cut"] == 1


def test_the_sums_of_units_give_the_summary_of_a_source() -> None:
    sums: Counter[str] = Counter()
    for unit in range(3):
        layout = lay_out(lengths(unit), context=CONTEXT, seed=1, unit=("s", unit))
        sums.update(counts(layout, lengths(unit), CONTEXT))
    told = summary({**sums, "documents_out": 900}, CONTEXT)
    assert told["fill"] == sums["tokens"] / (sums["rows"] * CONTEXT)
    assert 0.97 < told["fill"] <= 1
    assert sum(one["pieces"] for one in told["piece_lengths"]) == told["pieces"] == sums["pieces"]
    assert [one["from"] for one in told["piece_lengths"]] == [1, 32, 64, 128, 256]
    assert told["piece_lengths"][-1]["to"] == CONTEXT
    assert told["documents_per_row"] == pytest.approx(sums["documents_in_rows"] / sums["rows"])
    assert told["rows_more_than_least"] == sums["rows"] - sums["rows_least"]


def test_a_source_of_which_nothing_was_packed_has_a_summary_too() -> None:
    assert summary({"documents_out": 0}, CONTEXT)["fill"] == 0.0
