"""Shards that others wrote, by a writer of the tests' own."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packing.foreign import opened
from packing.from_shards import read_chunk
from packing.mds import ShardError
from pipeline.settings import ShardsSource
from pipeline.shard_files import ShardFile, find_shards
from tests.toy_shards import write_shards

ETTIN = {"id": "str", "input_ids": "ndarray:uint32"}

LENGTHS = (1, 255, 256, 3, 1000)


def files_of(folder: Path, pattern: str = "**/index.json") -> list[ShardFile]:
    return find_shards("s", ShardsSource(kind="shards", read=f"{folder}/{pattern}", tokenizer="t.json"))


def samples(dtype: str = "uint32", top: int = 50_368) -> list[dict[str, Any]]:
    """Chunks of several lengths, with names of several lengths."""
    dice = np.random.default_rng(3)
    return [
        {"id": "x" * n, "input_ids": dice.integers(0, top, length).astype(dtype)} for n, length in enumerate(LENGTHS)
    ]


def read(file: ShardFile, column: str = "input_ids") -> list[list[int]]:
    return [read_chunk(file, number, column).tolist() for number in range(file.samples)]


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int32", "int64", "uint64", "int16", "uint8"])
@pytest.mark.parametrize("told", [True, False])
def test_ids_of_every_width_are_read_whether_the_encoding_tells_their_dtype_or_not(
    tmp_path: Path, dtype: str, told: bool
) -> None:
    given = samples(dtype, top=min(50_368, int(np.iinfo(dtype).max)))
    columns = {"id": "str", "input_ids": f"ndarray:{dtype}" if told else "ndarray"}
    (file,) = files_of(write_shards(tmp_path / "d", columns, [given]))
    assert read(file) == [sample["input_ids"].tolist() for sample in given]


def test_arrays_of_one_shape_and_columns_of_a_fixed_size_stand_without_sizes(tmp_path: Path) -> None:
    columns = {"a": "int", "b": "bytes", "input_ids": "ndarray:int64:7", "len": "uint16", "z": "str"}
    given = [{"a": -n, "b": b"\1" * n, "input_ids": np.arange(7) + n, "len": 7, "z": "end" * n} for n in range(20)]
    (file,) = files_of(write_shards(tmp_path / "d", columns, [given]))
    assert read(file) == [(np.arange(7) + n).tolist() for n in range(20)]


def test_a_column_of_another_name_and_masks_beside_it(tmp_path: Path) -> None:
    columns = {"attention_mask": "ndarray:uint8", "tokens": "ndarray:int32"}
    given = [{"attention_mask": np.ones(n, np.uint8), "tokens": np.arange(n, dtype=np.int32)} for n in (1, 300)]
    (file,) = files_of(write_shards(tmp_path / "d", columns, [given]))
    assert read(file, "tokens") == [[0], list(range(300))]


@pytest.mark.parametrize("hashes", [(), ("sha1", "xxh64"), ("md5", "xxh3_64")])
@pytest.mark.parametrize(
    ("compression", "unpacked"), [(None, False), ("zstd", False), ("zstd:7", False), ("zstd", True)]
)
def test_shards_are_read_packed_plain_or_unpacked_under_an_index_that_calls_them_packed(
    tmp_path: Path, compression: str | None, unpacked: bool, hashes: tuple[str, ...]
) -> None:
    given = samples()
    folder = write_shards(
        tmp_path / "d", ETTIN, [given[:3], given[3:]], compression=compression, unpacked=unpacked, hashes=hashes
    )
    first, second = files_of(folder)
    assert read(first) + read(second) == [sample["input_ids"].tolist() for sample in given]
    assert (first.piece.name, second.piece.name) == ("shard.00000.mds", "shard.00001.mds")


def test_an_empty_shard_has_no_sample(tmp_path: Path) -> None:
    (file,) = files_of(write_shards(tmp_path / "d", ETTIN, [[]]))
    assert len(opened(file).samples("input_ids").length) == 0


@pytest.mark.parametrize("compression", [None, "zstd"])
@pytest.mark.parametrize("algorithm", ["sha1", "xxh64"])
def test_any_flipped_byte_of_a_shard_with_a_hash_is_found(
    tmp_path: Path, compression: str | None, algorithm: str
) -> None:
    folder = write_shards(tmp_path / "d", ETTIN, [samples()], compression=compression, hashes=[algorithm])
    (file,) = files_of(folder)
    path = Path(file.piece.path)
    whole = path.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(whole), 20).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(ShardError, match=f"shard.00000.mds.*the {algorithm} .*its index says"):
            opened(file)


def damage(path: Path, change: Callable[[bytearray], None]) -> None:
    whole = bytearray(path.read_bytes())
    change(whole)
    path.write_bytes(whole)


def test_every_damaged_count_offset_column_or_size_is_told_with_file_and_offset(tmp_path: Path) -> None:
    given = samples()
    folder = write_shards(tmp_path / "d", ETTIN, [given])
    (file,) = files_of(folder)
    path = Path(file.piece.path)
    whole = path.read_bytes()
    offsets = np.frombuffer(whole, "<u4", len(given) + 1, 4).tolist()

    def put(at: int, value: int, size: int = 4) -> Callable[[bytearray], None]:
        return lambda content: content.__setitem__(slice(at, at + size), value.to_bytes(size, "little"))

    second = offsets[1]
    for change, told in (
        (put(0, 4), "has 4 samples by offset 0, its index says 5"),
        (put(8, offsets[0] - 1), "offsets from 4 on do not rise"),
        (put(24, offsets[-1] - 1), "offsets from 4 on do not rise"),
        (put(28, 0), "the configuration at offset 28 is damaged"),
        (put(second, 7), f"sample 1 at offset {second}: its columns do not fill it"),
        (put(second + 9, 2 << 2, 1), f"sample 1 at offset {second}: column input_ids is no array of one dimension"),
        (put(second + 10, 200, 1), f"sample 1 at offset {second}: column input_ids is no array of one dimension"),
    ):
        path.write_bytes(whole)
        damage(path, change)
        with pytest.raises(ShardError, match=told):
            opened(file).samples("input_ids")
    path.write_bytes(whole)
    assert read(file) == [sample["input_ids"].tolist() for sample in given]


def test_a_cut_off_shard_is_refused_before_a_sample_is_read(tmp_path: Path) -> None:
    (plain,) = files_of(write_shards(tmp_path / "plain", ETTIN, [samples()]))
    (packed,) = files_of(write_shards(tmp_path / "packed", ETTIN, [samples()], compression="zstd"))
    for file in (plain, packed):
        path = Path(file.piece.path)
        whole = path.read_bytes()
        path.write_bytes(whole[:-3])
        with pytest.raises(ShardError, match=f"has {len(whole) - 3} bytes, its index says {len(whole)}"):
            opened(file)


def forged(folder: Path, content: bytes) -> ShardFile:
    """The one shard of a folder with another packed content, of which the index says the right size."""
    (path,) = folder.glob("*.zstd")
    path.write_bytes(content)
    index = json.loads((folder / "index.json").read_text())
    index["shards"][0]["zip_data"]["bytes"] = len(content)
    (folder / "index.json").write_text(json.dumps(index))
    (file,) = files_of(folder)
    return file


def test_a_frame_that_breaks_off_holds_more_or_is_none_is_told(tmp_path: Path) -> None:
    import zstandard

    folder = write_shards(tmp_path / "d", ETTIN, [samples()], compression="zstd")
    (path,) = folder.glob("*.zstd")
    whole = path.read_bytes()
    size = len(zstandard.decompress(whole))
    with pytest.raises(ShardError, match=f"holds [0-9]+ of the {size} bytes"):
        opened(forged(folder, whole[: len(whole) // 2]))
    longer = zstandard.compress(zstandard.decompress(whole) + b"more")
    with pytest.raises(ShardError, match=f"holds more than the {size} bytes"):
        opened(forged(folder, longer))
    with pytest.raises(ShardError, match="is damaged before offset"):
        opened(forged(folder, b"no frame at all"))


@pytest.mark.parametrize(
    ("columns", "value", "told"),
    [
        ({"input_ids": "ndarray:float32"}, np.ones(3, np.float32), "has no dtype of integers"),
        ({"input_ids": "ndarray"}, np.ones(3, np.float32), "has no dtype of integers"),
        ({"input_ids": "ndarray:int32"}, np.ones((2, 3), np.int32), "no array of one dimension"),
        ({"input_ids": "ndarray:int32:2,3"}, np.ones((2, 3), np.int32), "no array of one dimension"),
        ({"input_ids": "bytes"}, b"12345678", r"is bytes, no array \(ndarray\)"),
        ({"text": "str"}, "words", "has no column input_ids; the columns are text"),
    ],
)
def test_a_column_that_holds_no_ids_is_refused(
    tmp_path: Path, columns: Mapping[str, str], value: Any, told: str
) -> None:
    (file,) = files_of(write_shards(tmp_path / "d", columns, [[dict.fromkeys(columns, value)]]))
    with pytest.raises(ShardError, match=told):
        opened(file).samples("input_ids")


def test_a_hash_that_nothing_computes_is_no_hash_that_holds(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "d", ETTIN, [samples()])
    index = json.loads((folder / "index.json").read_text())
    index["shards"][0]["raw_data"]["hashes"] = {"crc999": "00"}
    (folder / "index.json").write_text(json.dumps(index))
    (file,) = files_of(folder)
    with pytest.raises(ShardError, match="crc999, which nothing here computes"):
        opened(file)
