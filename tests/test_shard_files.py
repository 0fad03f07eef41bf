import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.settings import ShardsSource
from pipeline.shard_files import find_shards, parts_of
from pipeline.units import InputError, find_source
from tests.toy_shards import merge, write_shards

ETTIN = {"id": "str", "input_ids": "ndarray:uint32"}


def chunks(count: int) -> list[Mapping[str, Any]]:
    return [{"id": str(n), "input_ids": np.arange(n + 1, dtype=np.uint32)} for n in range(count)]


def source(*patterns: Path) -> ShardsSource:
    return ShardsSource(kind="shards", read=tuple(map(str, patterns)), tokenizer="t.json")


def test_merged_indexes_and_those_of_their_folders_name_each_shard_once(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_shards(tmp_path / "all" / name, ETTIN, [chunks(2), chunks(3)], compression="zstd")
    merge(tmp_path / "all")
    names = ["a/shard.00000.mds", "a/shard.00001.mds", "b/shard.00000.mds", "b/shard.00001.mds"]
    for pattern in ("index.json", "*/index.json", "**/index.json"):
        found = find_shards("s", source(tmp_path / "all" / pattern))
        assert [file.piece.name for file in found] == names
        assert [file.samples for file in found] == [2, 3, 2, 3]
        assert all(file.packed and file.piece.path.endswith(".zstd") for file in found)
    assert [piece.name for piece in find_source("s", source(tmp_path / "all" / "index.json"))] == names


def test_unpacking_a_shard_changes_neither_its_name_nor_its_number(tmp_path: Path) -> None:
    packed = find_shards(
        "s", source(write_shards(tmp_path / "p", ETTIN, [chunks(3)], compression="zstd") / "index.json")
    )
    plain = write_shards(tmp_path / "u", ETTIN, [chunks(3)], compression="zstd", unpacked=True)
    (unpacked,) = find_shards("s", source(plain / "index.json"))
    assert not unpacked.packed
    assert packed[0].packed
    assert (unpacked.piece.name, unpacked.size) == (packed[0].piece.name, packed[0].size)


def changed(folder: Path, **changes: Any) -> ShardsSource:
    """The index with another value in its first shard: `raw_data__bytes=3`."""
    index = json.loads((folder / "index.json").read_text())
    for name, value in changes.items():
        *way, last = name.split("__")
        inner = index["shards"][0]
        for step in way:
            inner = inner[step]
        inner[last] = value
    (folder / "index.json").write_text(json.dumps(index))
    return source(folder / "index.json")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"raw_data__bytes": 3}, "bytes, its index says 3"),
        ({"raw_data__basename": "gone.mds"}, "gone.mds: is missing, but .*index.json names it"),
        ({"raw_data__basename": "../other/shard.mds"}, "names ../other/shard.mds, which is not below it"),
        ({"raw_data__basename": "/etc/passwd"}, "names /etc/passwd, which is not below it"),
        ({"format": "json"}, "no index of MDS shards .*format json 2, not mds 2"),
        ({"version": 1}, "no index of MDS shards .*mds 1"),
        ({"column_names": ["id"]}, "no index of MDS shards"),
        ({"samples": None}, "no index of MDS shards"),
    ],
)
def test_an_index_that_does_not_fit_its_shards_is_told_before_any_work(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    folder = write_shards(tmp_path / "d", ETTIN, [chunks(3)])
    with pytest.raises(InputError, match=f"^sources.s.read: .*{told}"):
        find_shards("s", changed(folder, **changes))


def test_other_compressions_are_refused_unless_the_plain_file_stands(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "d", ETTIN, [chunks(3)], compression="zstd")
    with pytest.raises(InputError, match=r"is compressed with gz; unpack it to shard.00000.mds"):
        find_shards("s", changed(folder, compression="gz"))
    write_shards(tmp_path / "d", ETTIN, [chunks(3)], compression="zstd", unpacked=True)
    assert find_shards("s", changed(folder, compression="gz"))[0].samples == 3


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"shards": [{}]}', "not JSON", "[" * 100_000])
def test_what_is_no_index_is_told_with_its_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(InputError, match=r"index.json: is no index of MDS shards"):
        find_shards("s", source(tmp_path / "index.json"))


def test_a_pattern_that_names_shards_themselves_is_told_what_to_write(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "d", ETTIN, [chunks(3)])
    with pytest.raises(InputError, match=r"shard.00000.mds is no index of shards; write a pattern such as"):
        find_shards("s", source(folder / "*.mds"))


def test_two_indexes_that_say_other_things_of_a_shard_are_refused(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "all" / "a", ETTIN, [chunks(3)])
    merge(tmp_path / "all")
    changed(folder, samples=2)
    with pytest.raises(InputError, match=r"says otherwise of a/shard.00000.mds"):
        find_shards("s", source(tmp_path / "all" / "**" / "index.json"))


def test_shards_in_a_store_are_found_as_those_on_disk(tmp_path: Path) -> None:
    import fsspec

    for name in ("a", "b"):
        write_shards(tmp_path / "all" / name, ETTIN, [chunks(2)], compression="zstd")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "all"), "/toy-shards", recursive=True)
    try:
        there = find_shards("s", ShardsSource(kind="shards", read="memory://toy-shards/**/index.json", tokenizer="t"))
        here = find_shards("s", source(tmp_path / "all" / "**" / "index.json"))
        assert [(f.piece.name, f.size, f.samples, f.packed) for f in there] == [
            (f.piece.name, f.size, f.samples, f.packed) for f in here
        ]
        memory.rm("/toy-shards/b/shard.00000.mds.zstd")
        with pytest.raises(InputError, match=r"shard.00000.mds.zstd: is missing"):
            find_shards("s", ShardsSource(kind="shards", read="memory://toy-shards/*/index.json", tokenizer="t"))
    finally:
        memory.rm("/toy-shards", recursive=True)


def test_a_shard_is_read_in_parts_from_twice_the_size_on(tmp_path: Path) -> None:
    (file,) = find_shards("s", source(write_shards(tmp_path / "d", ETTIN, [chunks(300)]) / "index.json"))
    assert parts_of(file, file.size) == parts_of(file, file.size // 2 + 1) == parts_of(file, 1 << 40) == 1
    assert parts_of(file, file.size // 2) == 2
