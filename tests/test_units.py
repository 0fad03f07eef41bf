from pathlib import Path

import pytest

from pipeline.units import InputError, Piece, find, group, stamps


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
    with pytest.raises(InputError, match=r"nothing/\*\.gz matches no file"):
        find([f"{tmp_path}/nothing/*.gz"])


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
