"""Each document is held out or in the part of one context; what plan is told is what is packed."""

from __future__ import annotations

import numpy as np
import pytest

from packing.partition import WHOLE, parts
from packing.settings import Packing
from pipeline.holdout import held_out, trained_on

WORDS = np.concatenate(
    [
        np.random.default_rng(0).integers(0, 2**64, 100_000, np.uint64),
        np.array([0, 1, 2**63, 2**64 - 1, int(0.002 * 2**64), int(0.002 * 2**64) - 1], np.uint64),
    ]
)


@pytest.mark.parametrize("holdout", [0.0, 0.002, 0.3])
def test_every_document_is_held_out_or_in_the_part_of_just_one_context(holdout: float) -> None:
    found = [held_out(WORDS, holdout)]
    found += [trained_on(WORDS, holdout, part) for part in parts({8192: 0.1, 1024: 1.7, 512: 1 / 3}).values()]
    assert np.array_equal(np.sum(found, axis=0), np.ones(len(WORDS)))


@pytest.mark.parametrize("holdout", [0.0, 0.002, 0.3])
def test_the_whole_is_all_that_is_not_held_out(holdout: float) -> None:
    assert np.array_equal(trained_on(WORDS, holdout), ~held_out(WORDS, holdout))
    assert parts({1024: 5.0}) == {1024: WHOLE}


def test_parts_are_in_proportion_to_what_is_asked_and_do_not_hang_on_the_order_of_asking() -> None:
    found = parts({8192: 300.0, 1024: 1700.0, 4096: 0.0})
    assert found == {1024: (0.0, 0.85), 8192: (0.85, 1.0)}
    assert parts({1024: 1700.0, 8192: 300.0}) == found
    share = trained_on(WORDS, 0.002, found[8192]).mean()
    assert abs(share - 0.15 * 0.998) < 0.005


@pytest.mark.parametrize(
    ("partition", "told"),
    [({1024: 0.5, 8192: 0.4}, "sum to 0.9"), ({1024: 1.0, 8192: 0.0}, "context 8192 no documents")],
)
def test_shares_that_are_no_partition_are_refused(partition: dict[int, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Packing(partition=partition)
