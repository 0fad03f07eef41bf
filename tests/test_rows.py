"""Every token of a unit lies in exactly one row, in a piece of its own document."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from packing.flat import Row
from packing.greedy import PackError
from packing.rows import rows_of_unit

CLS, SEP = 1, 2


def unit(documents: int = 400, dtype: npt.DTypeLike = np.uint16) -> tuple[npt.NDArray[Any], Any, Any]:
    """Documents of 1 to 700 tokens; no two tokens of a document are equal."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 700, documents)
    tokens = np.concatenate([np.arange(10, 10 + length) + rng.integers(60_000) for length in lengths])
    return tokens.astype(dtype), lengths, np.arange(documents, dtype=np.uint64) + np.uint64(7 << 32)


def packed(context: int = 256, seed: int = 5, number: int = 3, dtype: npt.DTypeLike = np.uint16) -> list[Row]:
    tokens, lengths, doc = unit(dtype=dtype)
    return list(rows_of_unit(tokens, lengths, doc, cls=CLS, sep=SEP, context=context, seed=seed, unit=number).each())


def pieces(rows: list[Row]) -> dict[int, list[list[int]]]:
    found = defaultdict(list)
    for row in rows:
        bounds = row.cu_seqlens.tolist()
        for a, z, doc in zip(bounds[:-1], bounds[1:], row.doc.tolist(), strict=True):
            found[doc].append(row.input_ids[a:z].tolist())
    return found


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_a_row_is_never_longer_than_the_context_and_no_token_is_lost(dtype: npt.DTypeLike) -> None:
    tokens, lengths, doc = unit(dtype=dtype)
    rows = packed(dtype=dtype)
    assert max(len(row.input_ids) for row in rows) <= 256
    texts = dict(zip(doc.tolist(), np.split(tokens, np.cumsum(lengths)[:-1]), strict=True))
    found = pieces(rows)
    assert found.keys() == texts.keys()
    for number, text in texts.items():
        assert all(piece[0] == CLS and piece[-1] == SEP for piece in found[number])
        whole = text.tolist()
        joined = sorted((piece[1:-1] for piece in found[number]), key=lambda piece: whole.index(piece[0]))
        assert [token for piece in joined for token in piece] == whole


def test_a_document_is_cut_only_when_it_is_longer_than_a_row_with_its_specials() -> None:
    rows = pack([*range(10, 519)], [254, 255], [4, 5])
    assert {doc: sorted(map(len, found)) for doc, found in pieces(rows).items()} == {4: [256], 5: [33, 226]}


def test_rows_have_the_dtypes_of_the_shards_and_well_formed_bounds() -> None:
    for row in packed():
        assert [str(part.dtype) for part in row] == ["uint16", "int32", "uint64"]
        assert row.cu_seqlens[0] == 0
        assert row.cu_seqlens[-1] == len(row.input_ids)
        assert (np.diff(row.cu_seqlens) >= 3).all()
        assert len(row.doc) == len(row.cu_seqlens) - 1


def test_rows_are_the_same_each_time_and_others_for_another_seed_or_unit() -> None:
    def told(rows: list[Row]) -> list[list[int]]:
        return [row.input_ids.tolist() for row in rows]

    once = told(packed())
    assert told(packed()) == once
    assert told(packed(seed=6)) != once
    assert told(packed(number=4)) != once


def test_rows_do_not_come_longest_document_first() -> None:
    longest = [int(np.diff(row.cu_seqlens).max()) for row in packed(context=1024)]
    half = len(longest) // 2
    first, second = np.mean(longest[:half]), np.mean(longest[half:])
    assert longest != sorted(longest, reverse=True)
    assert abs(first - second) < 0.1 * first


def pack(tokens: list[int], lengths: list[int], doc: list[int]) -> list[Row]:
    arrays = np.array(tokens, np.uint16), np.array(lengths, np.int64), np.array(doc, np.uint64)
    return list(rows_of_unit(*arrays, cls=CLS, sep=SEP, context=256, seed=0, unit=3).each())


def test_a_unit_without_documents_has_no_rows() -> None:
    assert pack([], [], []) == []


def test_a_document_without_tokens_is_refused_by_name() -> None:
    with pytest.raises(PackError, match=r"document 12 of unit 3 has no tokens"):
        pack([5, 6], [2, 0], [11, 12])


def test_lengths_that_do_not_sum_to_the_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="1 lengths of 3 tokens"):
        pack([5, 6], [3], [1])
