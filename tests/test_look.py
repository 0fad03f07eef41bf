from pathlib import Path

import pytest

from commands.look import LookError, look, told
from pipeline.stage import Record


def test_documents_are_shown_with_their_origin(whole: Path) -> None:
    (first, second) = look(whole / "ingest" / "science", 2)
    assert first["origin"].endswith(".xml") or "#" in first["origin"]
    assert first["id"] != second["id"]
    assert first["text"][:20] in told(first)


def test_dropped_documents_are_shown_by_reason_with_what_was_measured(whole: Path) -> None:
    record = Record.read(whole / "filter" / "web")
    assert record
    for reason, count in record.counts["dropped"].items():
        shown = list(look(whole / "filter" / "web", 1000, reason=reason))
        assert len(shown) == count
        assert {item["reason"] for item in shown} == {reason}
    everything = list(look(whole / "filter" / "web", 1000, dropped=True))
    assert len(everything) == sum(record.counts["dropped"].values())


def test_a_reason_that_is_none_is_refused_with_those_that_are(whole: Path) -> None:
    with pytest.raises(LookError, match=r"nothing was dropped as 'nothing'; the reasons are "):
        list(look(whole / "filter" / "web", 5, reason="nothing"))


def test_rows_are_shown_piece_by_piece_with_boundaries_text_and_origin(whole: Path) -> None:
    texts = {row["id"]: row["text"] for row in look(whole / "dedup" / "science", 10_000)}
    for row in look(whole / "pack" / "science" / "256", 20):
        assert sum(piece["tokens"] for piece in row["pieces"]) == row["tokens"] <= 256
        for piece in row["pieces"]:
            assert piece["text"].startswith("[CLS]")
            assert piece["text"].endswith("[SEP]")
            words = piece["text"].removeprefix("[CLS]").removesuffix("[SEP]").split()
            assert " ".join(words[2:-2]) in " ".join(texts[piece["id"]].split())
        assert f"row {row['row']}: {row['tokens']} tokens" in told(row)


@pytest.mark.parametrize("name", ["nothing", "log"])
def test_what_holds_nothing_to_look_at_is_told_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(LookError, match=name):
        list(look(tmp_path / name, 5))
    with pytest.raises(LookError):
        list(look(tmp_path / name, 5, dropped=True))


def test_a_file_that_is_no_parquet_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "dropped").mkdir()
    for name, dropped in (("junk.parquet", False), ("dropped/00000.parquet", True)):
        file = tmp_path / name
        file.write_bytes(b"PAR1 and junk")
        with pytest.raises(LookError) as fault:
            list(look(tmp_path if dropped else file, 5, dropped=dropped))
        assert str(fault.value).startswith(f"{file}: cannot be read as Parquet (")
        assert "\n" not in str(fault.value)
