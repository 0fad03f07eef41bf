"""Shards hold the bytes the format prescribes, read back equal, and any damage is told by file."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import xxhash

from packing.flat import Row, joined
from packing.mds import BLOCK
from packing.shards import ShardError, Shards, gather, verify, write_index, write_shard

CONFIG = (
    b'{"column_encodings": ["ndarray:int32", "ndarray:uint64", "ndarray:uint16"], '
    b'"column_names": ["cu_seqlens", "doc", "input_ids"], "column_sizes": [null, null, null], '
    b'"compression": null, "format": "mds", "hashes": ["xxh64"], "size_limit": null, "version": 2}'
)


def row(lengths: list[int], first: int = 0, dtype: npt.DTypeLike = np.uint16) -> Row:
    """One piece of each length; tokens count up from `first`."""
    ids = (np.arange(sum(lengths)) + first).astype(dtype)
    cu = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return Row(ids, cu, np.arange(len(lengths), dtype=np.uint64) + np.uint64(first << 32))


def many(n: int, seed: int = 0, dtype: npt.DTypeLike = np.uint16) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [row(rng.integers(3, 90, rng.integers(1, 9)).tolist(), seed * 1000 + i, dtype) for i in range(n)]


def folder(path: Path, *shards: list[Row]) -> Path:
    path.mkdir(exist_ok=True)
    write_index(path, [write_shard(path / f"{number:05}.mds", rows) for number, rows in enumerate(shards)])
    return path


def same(found: Row, expected: Row) -> bool:
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_shard_is_byte_for_byte_what_the_format_prescribes(tmp_path: Path) -> None:
    small, wide = row([3, 2], first=7), row([300], first=1)
    info = write_shard(tmp_path / "00000.mds", [small, wide])
    # each array: 1 dimension << 2 | width of its length, the length, the values
    one = b"\x04\x03" + struct.pack("<3i", 0, 3, 5) + b"\x04\x02" + struct.pack("<2Q", 7 << 32, (7 << 32) + 1)
    one = struct.pack("<3I", 14, 18, 12) + one + b"\x04\x05" + struct.pack("<5H", 7, 8, 9, 10, 11)
    two = b"\x04\x02" + struct.pack("<2i", 0, 300) + b"\x04\x01" + struct.pack("<Q", 1 << 32)
    two = struct.pack("<3I", 10, 10, 603) + two + b"\x05" + struct.pack("<H300H", 300, *range(1, 301))
    begin = 4 + 3 * 4 + len(CONFIG)
    offsets = struct.pack("<4I", 2, begin, begin + len(one), begin + len(one) + len(two))
    written = (tmp_path / "00000.mds").read_bytes()
    assert written == offsets + CONFIG + one + two
    raw = {"basename": "00000.mds", "bytes": len(written), "hashes": {"xxh64": xxhash.xxh64(written).hexdigest()}}
    assert info == {**json.loads(CONFIG), "raw_data": raw, "samples": 2, "zip_data": None}


def test_the_index_is_written_as_the_library_writes_it(tmp_path: Path) -> None:
    info = write_shard(tmp_path / "00000.mds", many(3))
    write_index(tmp_path, [info])
    written = (tmp_path / "index.json").read_text()
    assert written == json.dumps({"shards": [info], "version": 2}, sort_keys=True)
    assert sorted(os.listdir(tmp_path)) == ["00000.mds", "index.json"]


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_rows_read_back_equal_one_by_one_and_many_at_once(tmp_path: Path, dtype: npt.DTypeLike) -> None:
    first, second, third = many(70, 1, dtype), many(1, 2, dtype), many(41, 3, dtype)
    rows = [*first, *second, *third]
    shards = Shards(folder(tmp_path, first, second, third))
    assert len(shards) == 112
    assert all(same(found, expected) for found, expected in zip(shards, rows, strict=True))

    wanted = np.random.default_rng(0).integers(0, 112, 300)
    got = shards.rows(wanted)
    assert np.array_equal(got.input_ids, np.concatenate([rows[i].input_ids for i in wanted]))
    assert np.array_equal(got.doc, np.concatenate([rows[i].doc for i in wanted]))
    assert np.array_equal(np.diff(got.bounds), [len(rows[i].input_ids) for i in wanted])
    ends = np.concatenate([rows[i].cu_seqlens[1:] + at for i, at in zip(wanted, got.bounds[:-1], strict=True)])
    assert np.array_equal(got.cu_seqlens, [0, *ends])
    assert (got.input_ids.dtype, str(got.cu_seqlens.dtype)) == (dtype, "int32")


def test_a_row_longer_than_65535_tokens_and_the_asking_for_no_rows(tmp_path: Path) -> None:
    long = row([65_534, 2, 3], dtype=np.uint32)
    shards = Shards(folder(tmp_path, [long]))
    assert same(shards[0], long)
    nothing = shards.rows([])
    assert [len(part) for part in nothing] == [0, 1, 0, 1]


def test_columns_that_begin_at_an_odd_address_are_read_right(tmp_path: Path) -> None:
    rows = many(20)
    shards = Shards(folder(tmp_path, rows))
    found = [shards[i] for i in range(20)]
    assert not all(part.flags.aligned for one in found for part in one)
    assert all(one.doc.tolist() == expected.doc.tolist() for one, expected in zip(found, rows, strict=True))
    assert all((one.cu_seqlens[1:] > one.cu_seqlens[:-1]).all() for one in found)
    assert all(part.base is not None and not part.flags.writeable for one in found for part in one)  # no copies


def test_a_row_that_is_not_there_is_an_index_error(tmp_path: Path) -> None:
    shards = Shards(folder(tmp_path, many(5)))
    for i in (-1, 5):
        with pytest.raises(IndexError, match=f"row {i} of 5"):
            shards[i]
        with pytest.raises(IndexError, match="of 5"):
            shards.rows([0, i])


def test_a_unit_without_rows_leaves_a_file_but_stands_in_no_index(tmp_path: Path) -> None:
    shards = Shards(folder(tmp_path, [], many(3), []))
    assert (tmp_path / "00000.mds").exists()
    assert (len(shards), len(json.loads((tmp_path / "index.json").read_text())["shards"])) == (3, 1)
    assert verify(folder(tmp_path / "empty", [])) == (0, 0, 0, 0.0)


def test_counts_of_a_folder_are_those_of_its_rows(tmp_path: Path) -> None:
    first, second = many(30, 1), many(20, 2)
    path = folder(tmp_path, first, second)
    tokens = sum(len(one.input_ids) for one in [*first, *second])
    pieces = sum(len(one.doc) for one in [*first, *second])
    longest = max(len(one.input_ids) for one in [*first, *second])
    assert Shards(path).tokens == tokens
    assert verify(path) == (50, tokens, pieces, tokens / (50 * longest))
    assert verify(path, 1024).fill == tokens / (50 * 1024)
    with pytest.raises(ShardError, match=rf"00000\.mds: row \d+ has \d+ tokens, more than {longest - 200}"):
        verify(path, longest - 200)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def flip(path: Path) -> None:
    """One bit of the last token."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def hide_a_row(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(struct.pack("<I", 4) + content[4:])


DAMAGE: list[tuple[Callable[[Path], None], str]] = [
    (Path.unlink, r"00001\.mds: is missing"),
    (shorten, r"00001\.mds: ends at offset \d+, its index says \d+ bytes"),
    (lengthen, r"00001\.mds: has \d+ bytes, its index says \d+"),
    (flip, r"00001\.mds: bytes 0 to \d+ have the xxh64 [0-9a-f]{16}, its index says"),
    (hide_a_row, r"00001\.mds: has 4 rows by offset 0, its index says 5"),
]


@pytest.mark.parametrize(("damage", "told"), DAMAGE)
def test_a_damaged_shard_is_named_when_read_and_when_verified(
    tmp_path: Path, damage: Callable[[Path], None], told: str
) -> None:
    path = folder(tmp_path, many(5, 1), many(5, 2))
    damage(path / "00001.mds")
    for read in (lambda: Shards(path)[7], lambda: Shards(path).rows([0, 7]), lambda: verify(path)):
        with pytest.raises(ShardError, match=f"{told}.*restore it or pack this source again"):
            read()


def test_a_shard_damaged_later_than_its_neighbour_was_read_is_still_found(tmp_path: Path) -> None:
    path = folder(tmp_path, many(5, 1), many(5, 2))
    shards = Shards(path)
    assert len(shards[0].doc)
    flip(path / "00001.mds")
    with pytest.raises(ShardError, match=r"00001\.mds: bytes 0 to \d+ have the xxh64"):
        shards[5]


def signed(path: Path, content: bytes) -> None:
    """Put other bytes in place of a shard, with an index that vouches for them."""
    index = json.loads((path.parent / "index.json").read_text())
    raw = index["shards"][0]["raw_data"]
    raw["bytes"], raw["hashes"]["xxh64"] = len(content), xxhash.xxh64(content).hexdigest()
    path.write_bytes(content)
    (path.parent / "index.json").write_text(json.dumps(index))


HEAD = 4 + 2 * 4 + len(CONFIG)
"""Where the one row of a shard begins: its sizes, cu_seqlens (0, 3, 5), doc, input_ids."""


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        (8, struct.pack("<I", HEAD), "the offset at 8 does not rise as rows do"),
        (4, struct.pack("<I", HEAD + 1), "the offset at 4 does not rise as rows do"),
        (16, b"!", "another configuration at offset 12"),
        (HEAD, struct.pack("<I", 15), "row 0 at offset .*: its offsets do not hold three columns"),
        (HEAD + 12, b"\x08", "a column is not an array of one dimension"),
        (HEAD + 13, b"\x02", "a column is not an array of one dimension that fits its size"),
        (HEAD + 14, struct.pack("<i", 1), "cu_seqlens does not rise from 0"),
        (HEAD + 18, struct.pack("<i", 5), "cu_seqlens does not rise from 0"),
        (HEAD + 22, struct.pack("<i", 6), "cu_seqlens does not rise from 0 to the number of tokens"),
    ],
)
def test_verify_finds_what_a_faulty_writer_signed(tmp_path: Path, at: int, value: bytes, told: str) -> None:
    path = folder(tmp_path, [row([3, 2])]) / "00000.mds"
    content = path.read_bytes()
    signed(path, content[:at] + value + content[at + len(value) :])
    with pytest.raises(ShardError, match=told):
        verify(tmp_path)


def test_a_row_with_fewer_documents_than_pieces_is_found_and_never_written(tmp_path: Path) -> None:
    whole = row([3, 2])
    path = folder(tmp_path, [whole]) / "00000.mds"
    content = bytearray(path.read_bytes())
    content[HEAD + 4] -= 8  # the size of `doc` ...
    content[HEAD + 27] = 1  # ... and how many it has
    del content[HEAD + 28 : HEAD + 36]
    content[8:12] = struct.pack("<I", len(content))
    signed(path, bytes(content))
    with pytest.raises(ShardError, match=r"row 0 at offset .* fewer documents than pieces"):
        verify(tmp_path)
    with pytest.raises(ShardError, match="fewer documents than pieces"):
        Shards(tmp_path)[0]
    with pytest.raises(ValueError, match="each piece has a document"):
        write_shard(tmp_path / "1.mds", [whole._replace(doc=whole.doc[:1])])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "has no index.json; finish the packing"),
        ("", "index.json: is damaged"),
        ('{"shards": [{}]}', "index.json: is damaged"),
        ('{"shards": [1]}', "index.json: is damaged"),
        ("[]", "index.json: is damaged"),
    ],
)
def test_a_missing_or_damaged_index_is_told(tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    for read in (Shards, verify):
        with pytest.raises(ShardError, match=told):
            read(tmp_path)


@pytest.mark.parametrize("change", [{"compression": "zstd"}, {"column_names": ["a", "b", "c"]}, {"version": 1}])
def test_shards_of_another_kind_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    write_index(tmp_path, [{**write_shard(tmp_path / "00000.mds", many(2)), **change}])
    with pytest.raises(ShardError, match=r"00000\.mds does not hold packed rows"):
        Shards(tmp_path)


def test_shards_of_two_widths_of_ids_are_refused(tmp_path: Path) -> None:
    folder(tmp_path, many(2), many(2, dtype=np.uint32))
    with pytest.raises(ShardError, match=r"ids of \['uint16', 'uint32'\]"):
        Shards(tmp_path)


def test_two_shards_of_one_name_are_refused(tmp_path: Path) -> None:
    info = write_shard(tmp_path / "00000.mds", many(2))
    with pytest.raises(ShardError, match=r"two shards are named 00000\.mds"):
        write_index(tmp_path, [info, info])


def test_a_shard_of_4_gib_is_refused_before_it_is_written(tmp_path: Path) -> None:
    whole = row([1 << 24], dtype=np.uint32)  # 64 MiB of tokens, held once
    with pytest.raises(ShardError, match="ends below 4 GiB; lower `unit`"):
        write_shard(tmp_path / "00000.mds", [whole] * 64)
    assert os.listdir(tmp_path) == []


def test_rows_end_to_end_make_the_same_file_as_one_by_one(tmp_path: Path) -> None:
    rows = [*many(9, 1), row([70_000, 3]), row([40] * 300), *many(900, 2)]
    one = write_shard(tmp_path / "00000.mds", rows)
    content = (tmp_path / "00000.mds").read_bytes()
    flat = joined(rows)
    for cu in (flat.cu_seqlens, flat.cu_seqlens.astype(np.int32)):
        assert write_shard(tmp_path / "00000.mds", flat._replace(cu_seqlens=cu)) == one
        assert (tmp_path / "00000.mds").read_bytes() == content


def test_a_shard_of_several_blocks_is_what_its_rows_are(tmp_path: Path) -> None:
    rows = [row([1000] * 40, first=n, dtype=np.uint32) for n in range(60)]
    shards = Shards(folder(tmp_path, rows))
    assert (tmp_path / "00000.mds").stat().st_size > 2 * BLOCK
    assert all(same(found, expected) for found, expected in zip(shards, rows, strict=True))


def test_a_batch_is_gathered_from_several_sources_in_its_order(tmp_path: Path) -> None:
    rows = {name: [many(n, n) for n in sizes] for name, sizes in {"a": (30, 7), "b": (50,), "c": (4, 4, 4)}.items()}
    sources = [Shards(folder(tmp_path / name, *shards)) for name, shards in rows.items()]
    flat = [[one for shard in shards for one in shard] for shards in rows.values()]
    dice = np.random.default_rng(3)
    source = dice.integers(0, 3, 400)
    index = np.array([dice.integers(0, len(flat[of])) for of in source])
    batch = gather(sources, source, index)
    expected = [flat[of][i] for of, i in zip(source, index, strict=True)]
    assert np.array_equal(batch.input_ids, np.concatenate([one.input_ids for one in expected]))
    assert np.array_equal(batch.doc, np.concatenate([one.doc for one in expected]))
    assert np.array_equal(batch.bounds, np.cumsum([0, *(len(one.input_ids) for one in expected)]))
    assert np.array_equal(batch.cu_seqlens, joined(expected).cu_seqlens)
    assert batch.cu_seqlens.dtype == np.int32
    assert all(part.flags.aligned and part.flags.writeable for part in batch)  # torch takes them without a copy


def test_sources_of_two_widths_of_ids_make_no_batch(tmp_path: Path) -> None:
    sources = [Shards(folder(tmp_path / str(n), many(2, dtype=kind))) for n, kind in enumerate((np.uint16, np.uint32))]
    with pytest.raises(ShardError, match=r"ids of another width than uint16; pack all sources with one tokenizer"):
        gather(sources, [0, 1], [0, 0])


def test_rows_of_the_wrong_dtype_or_without_tokens_are_a_bug_of_the_caller(tmp_path: Path) -> None:
    whole = row([3])
    with pytest.raises(ValueError, match="row 1 has other dtypes"):
        write_shard(tmp_path / "00000.mds", [whole, row([3], dtype=np.uint32)])
    with pytest.raises(ValueError, match="rows are not empty"):
        write_shard(tmp_path / "00000.mds", [whole._replace(input_ids=whole.input_ids[:0])])


def test_more_shards_can_be_read_than_files_can_be_open(tmp_path: Path) -> None:
    path = folder(tmp_path, *[many(1, seed) for seed in range(530)])
    shards, before = Shards(path), len(os.listdir("/proc/self/fd"))
    once = [shards[i].input_ids.tolist() for i in range(530)]
    assert once == [many(1, seed)[0].input_ids.tolist() for seed in range(530)]
    assert len(os.listdir("/proc/self/fd")) - before < 530
    assert shards.rows(np.arange(530)).input_ids.tolist() == [token for ids in once for token in ids]
