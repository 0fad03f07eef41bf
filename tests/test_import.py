"""What was trained elsewhere becomes a checkpoint; a file that would run code does not, unless its user says so."""

import os
from pathlib import Path

import pytest
import torch

from commands.import_ import import_model
from commands.release import export_checkpoint
from model.hub import import_hub
from tests.conftest import bertmill
from tests.test_pickled import Runs
from tests.test_start import made, trained, weights
from tests.toy_flexbert import saved
from tests.toy_training import tokenizer_at
from train.checkpoint import open_checkpoint, verify
from train.parents import StartError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    model, optimizer = made()
    trained(model, optimizer)
    torch.save(saved(model, tokenizer_at(tmp_path / "tokenizer.json")), tmp_path / "ep0-ba7-rank0.pt")
    return tmp_path / "ep0-ba7-rank0.pt"


def test_a_pt_file_becomes_a_checkpoint_with_its_tokenizer(tmp_path: Path, file: Path) -> None:
    assert import_model(file, tmp_path / "made") == f"  {tmp_path / 'made'}: weights and tokenizer of {file}"
    found = open_checkpoint(tmp_path / "made")
    verify(found.folder)
    model, optimizer = made()
    trained(model, optimizer)
    for name, tensor in weights(found.model()).items():
        assert torch.equal(tensor, weights(model)[name])
    assert found.state.context == 1024
    export_checkpoint(tmp_path / "made", tmp_path / "hub")
    assert torch.equal(import_hub(tmp_path / "hub").weights["decoder.bias"], weights(model)["decoder.bias"])


def test_a_hostile_file_is_refused_in_one_line_unless_its_maker_is_trusted(tmp_path: Path, file: Path) -> None:
    content = torch.load(file, weights_only=False)
    content["state"]["callbacks"] = {"EarlyStopper": Runs(os.mkdir, str(tmp_path / "ran"))}
    torch.save(content, file)
    refused = bertmill("import", file, tmp_path / "made")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"{file}: asks for {os.mkdir.__module__}.mkdir as it is read" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "made").exists()
    import_model(file, tmp_path / "made", trust_pickle=True)
    assert (tmp_path / "ran").is_dir()


def test_a_changed_byte_of_a_tensor_is_found(tmp_path: Path, file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)
    with pytest.raises(StartError, match=r"is damaged|is no whole"):
        import_model(file, tmp_path / "made")
    assert not (tmp_path / "made").exists()
