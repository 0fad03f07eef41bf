import random
import shutil
from pathlib import Path

import pytest

from commands.verify import VerifyError, verify
from packing.shards import ShardError
from pipeline.files import sealed, unbroken
from pipeline.stage import StageError
from tests.conftest import bertmill
from train.checkpoint import CheckpointError

FAULTS = (VerifyError, ShardError, CheckpointError, StageError)


@pytest.fixture(scope="module")
def copy(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder that may be damaged."""
    folder = tmp_path_factory.mktemp("verify") / "work"
    shutil.copytree(whole, folder, symlinks=True)
    return folder


def signed_files(work: Path) -> list[Path]:
    """All that a run made, but for logs."""
    logs = ("log", "running", "failed")
    files = [path for path in sorted(work.rglob("*")) if path.is_file() and not path.is_symlink()]
    return [
        path
        for path in files
        if path.name not in ("metrics.jsonl", ".lock") and not any(part in logs for part in path.parts)
    ]


def holder(work: Path, file: Path) -> Path:
    """The least folder whose verification reads the file."""
    names = ("stage.json", "state.json", "hashes.json")
    return next(folder for folder in file.parents if folder == work or any((folder / name).exists() for name in names))


def test_a_whole_run_stands(copy: Path) -> None:
    told = dict(verify(copy))
    assert any(name.endswith("export") for name in told)
    assert {"ingest/web", "filter/code", "duplicates", "tokenizer", "pack/science/256"} <= set(told)


def test_a_flipped_bit_in_any_file_of_any_kind_is_found_and_named(copy: Path) -> None:
    dice = random.Random(7)
    files = signed_files(copy)
    kinds: dict[tuple[str, ...], list[Path]] = {}
    for path in files:
        parts = path.relative_to(copy).parts
        name = "" if path.name[0].isdigit() else path.name
        kinds.setdefault((parts[0], *parts[-2:-1], path.suffix, name), []).append(path)
    some = [dice.choice(group) for group in kinds.values()]
    assert {path.parent.name for path in some} >= {"units", "dropped", "measures", "export"}
    assert {path.name for path in some} >= {"stage.json", "inputs.json", "index.json", "state.json", "hashes.json",
                                            "recipe.yaml", "config.json", "README.md"}  # fmt: skip
    for path in some:
        original = path.read_bytes()
        content = bytearray(original)
        at = dice.randrange(len(content))
        content[at] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
        with pytest.raises(FAULTS) as fault:
            list(verify(holder(copy, path)))
        assert path.name in str(fault.value) or path.parent.name == "units", (path, at)
        assert "\n" not in str(fault.value)
        path.write_bytes(original)


def test_any_of_500_flipped_bytes_of_a_packed_source_is_found(copy: Path) -> None:
    dice = random.Random(11)
    folder = copy / "pack" / "science" / "256"
    list(verify(folder))
    files = sorted(path for path in folder.rglob("*") if path in signed_files(folder))
    assert {"index.json", "stage.json", "00000.mds"} <= {path.name for path in files}
    for number in range(500):
        path = files[number % len(files)]
        original = path.read_bytes()
        head = min(len(original), 600)  # offsets and configuration of a shard, all of a small file
        at = dice.randrange(head if number % 2 else len(original))
        path.write_bytes(original[:at] + bytes([original[at] ^ 1 << dice.randrange(8)]) + original[at + 1 :])
        with pytest.raises(FAULTS):
            list(verify(folder))
        path.write_bytes(original)
    list(verify(folder))


@pytest.mark.parametrize("name", ["filter/web/dropped/00000.parquet", "filter/web/measures/00000.parquet",
                                  "filter/web/units/00000.json", "ingest/web/inputs.json", "export/config.json",
                                  "pack/web/256/index.json"])  # fmt: skip
def test_a_file_that_has_gone_is_found(copy: Path, name: str) -> None:
    original = (copy / name).read_bytes()
    (copy / name).unlink()
    with pytest.raises(FAULTS):
        list(verify(holder(copy, copy / name)))
    (copy / name).write_bytes(original)


def test_a_shard_that_is_cut_off_gone_or_changed_is_named_with_its_offset(copy: Path) -> None:
    path = copy / "pack" / "science" / "256" / "00000.mds"
    original = path.read_bytes()
    path.write_bytes(original[:-9])
    with pytest.raises(
        VerifyError, match=rf"00000\.mds: ends at offset {len(original) - 9}, .*--redo pack/science/256$"
    ):
        list(verify(path.parent))
    path.unlink()
    with pytest.raises(VerifyError, match=r"00000\.mds: has gone; make it anew with --redo pack/science/256$"):
        list(verify(path.parent))
    path.write_bytes(original[:4] + b"\xff\xff" + original[6:])
    with pytest.raises(ShardError, match=r"00000\.mds: .*offset"):
        list(verify(path.parent))
    path.write_bytes(original)


def test_a_signature_that_was_edited_is_told_with_its_mend(copy: Path) -> None:
    path = copy / "filter" / "web" / "stage.json"
    original = path.read_bytes()
    path.write_bytes(original.replace(b'"seconds"', b'"seconds" '))
    with pytest.raises(VerifyError, match=r"stage.json: was changed since it was signed; make it anew with --redo fil"):
        list(verify(copy / "filter" / "web"))
    path.write_bytes(original)


@pytest.mark.parametrize("content", [{}, {"a": 1}, {"b": {"z": [1.5, None, "ä"]}, "a": float("nan")}, {"seal": "x"}])
def test_a_seal_breaks_with_any_byte(tmp_path: Path, content: dict[str, object]) -> None:
    path = tmp_path / "a.json"
    text = sealed(content)
    path.write_bytes(text)
    assert unbroken(path)
    for at in range(len(text)):
        path.write_bytes(text[:at] + bytes([text[at] ^ 1 << at % 8]) + text[at + 1 :])
        assert not unbroken(path)
    for other in (b"", text + b" ", text[:-1], b"[" * 5000, b"[]", b"null"):
        path.write_bytes(other)
        assert not unbroken(path)
    assert not unbroken(tmp_path / "none")


def test_verify_tells_in_one_line_what_is_wrong(copy: Path) -> None:
    path = copy / "export" / "config.json"
    original = path.read_bytes()
    path.write_bytes(original + b"\n")
    shown = bertmill("verify", copy / "export")
    assert shown.returncode == 1
    assert shown.stderr.strip() == f"{path}: was changed since it was exported; export it anew"
    path.write_bytes(original)
    assert bertmill("verify", copy / "export").returncode == 0
