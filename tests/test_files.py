from pathlib import Path

import pytest
import xxhash

from pipeline.files import durable, hash_of, write_atomically


def test_a_fault_in_the_middle_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")
    with pytest.raises(OSError, match="full"), durable(path) as draft:
        draft.write_bytes(b"half of the ne")
        raise OSError("the disk is full")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_appears_whole_under_its_name(tmp_path: Path) -> None:
    with durable(tmp_path / "deep" / "a.bin") as draft:
        draft.write_bytes(b"new")
        assert not (tmp_path / "deep" / "a.bin").exists()
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"new"


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000
    (tmp_path / "a").write_bytes(content)
    assert hash_of(tmp_path / "a") == xxhash.xxh64(content).hexdigest()
