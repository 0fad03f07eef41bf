import numpy as np
import pytest

from packing.chunks import CLS, DOCUMENTS, HAS, PAD, SEP, SPECIAL, TOKENS, copy, count, kinds

C, S, P, M = 300, 301, 302, 303
VOCABULARY = {**{f"t{n}": n for n in range(300)}, "[CLS]": C, "[SEP]": S, "[PAD]": P, "[MASK]": M}


def documents(chunks: list[list[int]], dtype: str = "uint32") -> tuple[list[list[int]], list[int], list[list[int]]]:
    """The documents, which chunk each is from, and what is counted of the chunks."""
    raw = np.frombuffer(b"\7" + b"".join(np.array(chunk, dtype).tobytes() for chunk in chunks), np.uint8)
    width = np.dtype(dtype).itemsize
    length = np.array([len(chunk) for chunk in chunks])
    places = (1 + width * (np.cumsum(length) - length), length, np.full(len(chunks), width))
    table, found = kinds(VOCABULARY), np.zeros((len(chunks), 4), np.int64)
    bad = count(raw, *places, table, found)
    if bad[0] >= 0:
        raise LookupError(*map(int, bad))
    ids = np.empty(found[:, TOKENS].sum(), np.uint16)
    lengths, of = np.empty((2, found[:, DOCUMENTS].sum()), np.int64)
    copy(raw, *places, table, ids, lengths, of)
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])], of.tolist(), found.tolist()


def expected(chunk: list[int]) -> list[list[int]]:
    """Runs of ids that are no special tokens, in plain Python."""
    runs: list[list[int]] = [[]]
    for number in chunk:
        if number in (C, S, P):
            runs.append([])
        else:
            runs[-1].append(number)
    return [run for run in runs if run]


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int64"])
def test_chunks_are_cut_where_special_tokens_stand_and_lose_no_other_id(dtype: str) -> None:
    dice = np.random.default_rng(5)
    chunks = [dice.choice([1, 2, 3, M, C, S, P], size).tolist() for size in (0, 1, 2, 3, 5, 8, 40) * 20]
    found, of, counts = documents(chunks, dtype)
    assert found == [run for chunk in chunks for run in expected(chunk)]
    assert of == [number for number, chunk in enumerate(chunks) for _ in expected(chunk)]
    for chunk, told in zip(chunks, counts, strict=True):
        assert told[TOKENS] + told[SPECIAL] == len(chunk)
        assert told[HAS] == (CLS if C in chunk else 0) | (SEP if S in chunk else 0) | (PAD if P in chunk else 0)


def test_the_forms_in_which_chunks_are_published() -> None:
    chunks = [[C, 1, 2, S], [C, 1, 2], [1, 2], [1, 2, S], [C, 1, S, C, 2, S], [C, S], [C, 1, S, P, P], []]
    found, of, counts = documents(chunks)
    assert found == [[1, 2], [1, 2], [1, 2], [1, 2], [1], [2], [1]]
    assert of == [0, 1, 2, 3, 4, 4, 6]
    assert [told[DOCUMENTS] for told in counts] == [1, 1, 1, 1, 2, 0, 1, 0]


@pytest.mark.parametrize(("bad", "dtype"), [(304, "uint16"), (1 << 31, "uint32"), (-1, "int32"), (1 << 40, "int64")])
def test_an_id_outside_of_the_vocabulary_is_told_by_chunk_and_place(bad: int, dtype: str) -> None:
    with pytest.raises(LookupError) as fault:
        documents([[C, 1, S], [C, 1, 2, bad, S]], dtype)
    assert fault.value.args[:2] == (1, 3)


def test_an_id_that_no_token_has_is_outside_though_higher_ones_are_in() -> None:
    table = kinds({"a": 0, "[CLS]": 2, "[SEP]": 3, "[PAD]": 4})
    found = np.zeros((1, 4), np.int64)
    raw = np.array([0, 1], np.uint8)
    one = np.ones(1, np.int64)
    assert tuple(map(int, count(raw, 0 * one, 2 * one, one, table, found))) == (0, 1, 1)


def test_a_tokenizer_whose_beginning_and_end_are_one_token_cuts_there_too() -> None:
    table = kinds({"a": 0, "[CLS]": 1, "[SEP]": 1, "[PAD]": 2})
    assert table.tolist() == [0, CLS | SEP, PAD]
