import os
from collections.abc import Iterator
from pathlib import Path

import datasets
import fsspec
import pytest

from pipeline.settings import CodeSource
from pipeline.units import InputError, Piece, find, find_source, group, stamps


def test_files_are_found_in_sorted_order_and_named_from_their_common_folder(tmp_path: Path) -> None:
    for name in ("b/2.txt", "a/deep/1.txt", "a/0.txt", "a/other.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = find([f"{tmp_path}/b/*.txt", f"{tmp_path}/a/**/*.txt"])
    assert [piece.name for piece in found] == ["a/0.txt", "a/deep/1.txt", "b/2.txt"]
    assert [Path(piece.path).read_text() for piece in found] == [piece.name for piece in found]
    assert [piece.size for piece in found] == [7, 12, 7]


def test_a_single_file_is_named_by_itself(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("x")
    assert [piece.name for piece in find([f"{tmp_path}/one.txt"])] == ["one.txt"]


def test_a_file_that_two_patterns_match_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("x")
    assert len(find([f"{tmp_path}/*.txt", f"{tmp_path}/one.*"])) == 1


def test_a_pattern_without_a_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"read: .*nothing/\*\.gz matches no file; patterns are relative to the current"
    ):
        find([f"{tmp_path}/nothing/*.gz"])
    with pytest.raises(InputError, match=r"^sources\.web\.read: .*nothing"):
        find([f"{tmp_path}/nothing/*.gz"], "web")


def test_the_same_files_have_the_same_names_from_any_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    near = find(["data/*.txt"])
    monkeypatch.chdir(tmp_path / "data")
    assert find(["../data/*.txt"])[0].name == near[0].name == "one.txt"


def test_units_hold_small_pieces_together_and_a_large_one_alone() -> None:
    sizes = [3, 3, 3, 20, 1, 9, 1]
    pieces = [Piece(path=str(n), name=str(n), size=size) for n, size in enumerate(sizes)]
    units = group(pieces, 10)
    assert [[piece.size for piece in unit.pieces] for unit in units] == [[3, 3, 3], [20], [1, 9], [1]]
    assert [unit.number for unit in units] == [0, 1, 2, 3]


def test_stamps_change_with_a_files_content_or_time(tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    path.write_text("x")
    before = stamps(find([str(path)]))
    path.write_text("xy")
    assert before["one.txt"] != stamps(find([str(path)]))["one.txt"]


def test_a_broken_link_is_told_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("x")
    (tmp_path / "two.txt").symlink_to(tmp_path / "gone")
    (tmp_path / "three.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"three\.txt is a broken link \(and 1 more\); mend or remove them"):
        find([f"{tmp_path}/*.txt"])
    source = CodeSource(kind="code", read=f"{tmp_path}/*.txt")
    assert [piece.name for piece in find_source("code", source)] == ["one.txt"]  # repositories have such links


def test_what_is_neither_file_nor_folder_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="is neither a file nor a folder"):
        find([f"{tmp_path}/*.txt"])


def test_a_folder_whose_files_are_not_matched_is_told(tmp_path: Path) -> None:
    (tmp_path / "data" / "inner").mkdir(parents=True)
    (tmp_path / "data" / "one.txt").write_text("x")
    (tmp_path / "data" / "inner" / "two.txt").write_text("x")
    for pattern in ("data/*", "data", "data/inner"):
        with pytest.raises(InputError, match="is a folder; write which of its files, such as /"):
            find([f"{tmp_path}/{pattern}"])
    assert [piece.name for piece in find([f"{tmp_path}/data/**"])] == ["inner/two.txt", "one.txt"]
    (tmp_path / "data" / "empty").mkdir()
    assert len(find([f"{tmp_path}/data/**"])) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("x")
    (tmp_path / "one.txt").chmod(0)
    with pytest.raises(InputError, match=r"one\.txt cannot be read"):
        find([f"{tmp_path}/*.txt"])


def test_a_saved_data_set_stands_for_its_arrow_files(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"text": ["a", "b", "c"]})
    rows.save_to_disk(tmp_path / "one", num_shards=2)
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "many")
    parts = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    assert [Path(piece.path).name for piece in find([f"{tmp_path}/one"])] == parts
    assert [piece.name for piece in find([f"{tmp_path}/many", f"{tmp_path}/one"])] == [
        "many/test/data-00000-of-00001.arrow",
        "many/train/data-00000-of-00001.arrow",
        *(f"one/{part}" for part in parts),
    ]
    (tmp_path / "one" / "state.json").write_text("{")
    with pytest.raises(InputError, match="is no whole saved data set"):
        find([f"{tmp_path}/one"])


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/bucket", recursive=True)


def test_files_in_a_store_are_found_with_their_sizes_and_versions(store: fsspec.AbstractFileSystem) -> None:
    for name in ("b/2.txt", "a/deep/1.txt", "a/0.txt"):
        store.pipe(f"/bucket/{name}", name.encode())
    found = find(["memory://bucket/a/**/*.txt", "memory://bucket/b/*.txt"])
    assert [(piece.name, piece.size) for piece in found] == [("a/0.txt", 7), ("a/deep/1.txt", 12), ("b/2.txt", 7)]
    assert [piece.path for piece in found] == [f"memory:///bucket/{piece.name}" for piece in found]
    before = stamps(found)
    store.pipe("/bucket/a/0.txt", b"other!!")
    after = stamps(find(["memory://bucket/a/**/*.txt", "memory://bucket/b/*.txt"]))
    assert [name for name in before if before[name] != after[name]] == ["a/0.txt"]


def test_a_store_without_the_files_or_of_no_known_kind_is_told(store: fsspec.AbstractFileSystem) -> None:
    store.pipe("/bucket/a/0.txt", b"x")
    with pytest.raises(InputError, match=r"memory://bucket/\*\.gz matches no file; mend"):
        find(["memory://bucket/*.gz"])
    with pytest.raises(InputError, match="is a folder"):
        find(["memory://bucket/*"])
    with pytest.raises(InputError, match=r"nosuch://x/\* cannot be listed \(Protocol not known"):
        find(["nosuch://x/*"])
