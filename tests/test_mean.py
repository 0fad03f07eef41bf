"""The mean of checkpoints: what exact fractions give, whatever the order, as a checkpoint that exports."""

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from commands.average import AverageError, average
from commands.release import export_checkpoint
from model.hub import import_hub
from model.mean import mean
from tests.conftest import bertmill
from tests.test_start import made, state, trained, weights
from tests.toy_training import SHAPE, tokenizer_at
from train.checkpoint import CheckpointError, open_checkpoint, save, verify
from train.parents import StartError

Folders = list[Path]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Three checkpoints of one run."""
    tokenizer = tokenizer_at(tmp_path / "tokenizer.json")
    model, optimizer = made()
    found = []
    for step in (1, 2, 3):
        trained(model, optimizer, steps=step)
        found.append(save(tmp_path / "run", state(model, step=step, context=64 * step), model, optimizer, tokenizer))
    return found


def test_the_mean_is_that_of_exact_fractions_whatever_the_order() -> None:
    generator = torch.Generator().manual_seed(1)
    scale = 10.0 ** torch.randint(-8, 3, (200,), generator=generator)
    several = [torch.randn(200, generator=generator) * scale for _ in range(4)]
    several[1][:50] = -several[0][:50]  # what cancels
    exact = [
        torch.tensor(float(sum(map(Fraction, values)) / len(several)), dtype=torch.float32).item()
        for values in zip(*(tensor.tolist() for tensor in several), strict=True)
    ]
    for order in itertools.permutations(several):
        assert mean(order).tolist() == exact


def test_the_mean_of_checkpoints_is_a_checkpoint_that_exports(tmp_path: Path, folders: Folders) -> None:
    before = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    told = average(folders, tmp_path / "soup")
    assert told.startswith(f"  {tmp_path / 'soup'}: the mean of 3 checkpoints")
    found = open_checkpoint(tmp_path / "soup")
    verify(found.folder)
    several = [weights(open_checkpoint(folder).model()) for folder in folders]
    for name, tensor in weights(found.model()).items():
        total = sum((one[name].double() for one in several), torch.zeros_like(tensor, dtype=torch.float64))
        assert torch.equal(tensor, (total / 3).float()), name
    assert (found.state.context, found.state.rope) == (192, 10_000.0)
    export_checkpoint(found.folder, tmp_path / "hub")
    assert torch.equal(import_hub(tmp_path / "hub").weights["decoder.bias"], weights(found.model())["decoder.bias"])
    assert {path: path.read_bytes() for folder in folders for path in folder.iterdir()} == before


def test_the_order_of_checkpoints_changes_no_bit_and_one_alone_counts_as_often_as_it_is_named(
    tmp_path: Path, folders: Folders
) -> None:
    first, second, third = folders
    files = []
    for number, order in enumerate(([first, second, third], [third, first, second])):
        average(order, tmp_path / str(number))
        files.append((tmp_path / str(number) / "model.safetensors").read_bytes())
    assert files[0] == files[1]
    average([first, first], tmp_path / "same")
    assert (tmp_path / "same" / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()


def test_only_equal_models_have_a_mean(tmp_path: Path, folders: Folders) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    wider, optimizer = made(replace(SHAPE, intermediate=64))
    shape = save(tmp_path / "shape", state(wider), wider, optimizer, tokenizer)
    model, optimizer = made()
    rope = save(tmp_path / "rope", state(model, rope=160_000.0), model, optimizer, tokenizer)
    longer, its = made(vocab=265)
    vocab = save(tmp_path / "vocab", state(longer), longer, its, tokenizer)
    tokenizer.write_text(tokenizer.read_text().replace("[unused1]", "[unused7]"))
    words = save(tmp_path / "words", state(model), model, optimizer, tokenizer)
    for other, told in ((shape, "shape"), (rope, "RoPE bases"), (vocab, "vocabulary"), (words, "tokenizer")):
        with pytest.raises(AverageError, match=f"{other}: has another {told} than {folders[0]}"):
            average([folders[0], other], tmp_path / "soup")
    with pytest.raises(AverageError, match="is one checkpoint; name two or more"):
        average(folders[:1], tmp_path / "soup")
    (folders[1] / "model.safetensors").write_bytes(b"")
    with pytest.raises(StartError, match="is damaged"):
        average(folders, tmp_path / "soup")
    assert not (tmp_path / "soup").exists()


def test_the_command_says_what_it_made(tmp_path: Path, folders: Folders) -> None:
    done = bertmill("average", *folders, tmp_path / "soup")
    assert done.returncode == 0, done.stderr
    assert "the mean of 3 checkpoints" in done.stdout
    with pytest.raises(CheckpointError, match="holds something already; name a folder that is not there yet"):
        average(folders, tmp_path / "soup")
