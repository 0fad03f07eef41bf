"""A checkpoint is whole or not there, and gives back what was put into it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.bert import Bert
from model.hub import Imported
from model.initialise import initialise
from pipeline.files import hash_of, sealed
from tests.toy_training import SHAPE, tokenizer_at
from train.average import Averaged
from train.checkpoint import (
    Checkpoint,
    CheckpointError,
    State,
    adopt,
    newest,
    open_checkpoint,
    remove,
    save,
    verify,
)
from train.optimizer import StableAdamW

VOCAB = 264


def trained(seed: int = 1) -> tuple[Bert, StableAdamW]:
    """A model that has taken two steps down gradients that look like something."""
    model = Bert(SHAPE, VOCAB)
    initialise(model, seed)
    optimizer = StableAdamW(model.named_parameters(), betas=(0.9, 0.98), eps=1e-6)
    for _ in range(2):
        for p in model.parameters():
            p.grad = p.detach().clone() + 0.1
        optimizer.step(lr=1e-3, peak=1e-3, weight_decay=0.01)
    return model, optimizer


def state(step: int = 2, **changes: Any) -> State:
    given = {
        "step": step,
        "g": 8 * step,
        "tokens": 500 * step,
        "phase": "settle",
        "context": 128,
        "rope": 160_000.0,
        "local_rope": 10_000.0,
        "finished": False,
        "loss": 2.5,
        "evaluation": None,
        "vocab": VOCAB,
        "shape": asdict(SHAPE),
        "identity": {"seed": 1, "train": {"phases": [{"name": "learn", "tokens": 10}], "betas": (0.9, 0.98)}},
        "versions": {},
    }
    return State(**{**given, **changes})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tokenizer = tokenizer_at(tmp_path / "tokenizer.json")
    return save(tmp_path / "checkpoints", state(), *trained(), tokenizer)


def test_a_checkpoint_gives_back_weights_moments_counters_and_rope(saved: Path) -> None:
    model, optimizer = trained()
    found = newest(saved.parent)
    assert found
    expected = json.loads(json.dumps(asdict(replace(state(), hashes=found.state.hashes))))
    assert asdict(found.state) == expected
    other, moments = trained(seed=2)
    found.restore(other, moments)
    for name, p in model.named_parameters():
        assert torch.equal(p, dict(other.named_parameters())[name])
    for name, tensor in optimizer.state().items():
        assert torch.equal(tensor, moments.state()[name])
    assert moments.t == 2
    assert other.thetas == (160_000.0, 10_000.0)
    alone = found.model()
    assert not alone.training
    assert alone.thetas == (160_000.0, 10_000.0)
    assert torch.equal(alone.decoder.bias, model.decoder.bias)
    assert found.tokenizer.read_bytes() == (saved.parents[1] / "tokenizer.json").read_bytes()


def test_the_weights_have_hugging_faces_names_and_tied_ones_stand_once(saved: Path) -> None:
    names = set(load_file(saved / "model.safetensors"))
    assert {"model.embeddings.tok_embeddings.weight", "model.layers.1.attn.Wqkv.weight", "decoder.bias"} <= names
    assert "decoder.weight" not in names
    assert len(names) == 2 + 6 * SHAPE.layers - 1 + 1 + 3
    assert set(load_file(saved / "optimizer.safetensors")) == {
        f"{kind}.{name}" for kind in ("exp_avg", "exp_avg_sq") for name in names
    }


def test_equal_states_make_equal_bytes(saved: Path, tmp_path: Path) -> None:
    again = save(tmp_path / "again", state(), *trained(), tmp_path / "tokenizer.json")
    for path in sorted(saved.iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_the_newest_is_the_one_of_the_last_step_whatever_its_number_of_digits(saved: Path, tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_001, 3):
        save(saved.parent, state(step), *trained(), tmp_path / "tokenizer.json")
    found = newest(saved.parent)
    assert found
    assert found.state.step == 100_000_001
    assert newest(tmp_path / "nowhere") is None


def test_what_a_kill_left_is_neither_taken_for_a_checkpoint_nor_in_the_way(saved: Path, tmp_path: Path) -> None:
    """A draft, even with all its files; and a folder from which somebody began to delete."""
    draft = saved.parent / "step-00000009.draft"
    draft.mkdir()
    for path in saved.iterdir():
        (draft / path.name).write_bytes(path.read_bytes())
    torn = saved.parent / "step-00000007"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    found = newest(saved.parent)
    assert found
    assert found.folder == saved
    save(saved.parent, state(7), *trained(), tmp_path / "tokenizer.json")
    assert not draft.exists()
    again = newest(saved.parent)
    assert again
    assert again.folder == torn
    again.restore(*trained())


def test_a_checkpoint_of_the_same_run_is_taken(saved: Path) -> None:
    open_checkpoint(saved).check(state().identity)


def test_a_checkpoint_of_another_run_is_refused_with_what_differs_and_the_mend(saved: Path) -> None:
    found = open_checkpoint(saved)
    other = {"seed": 1, "train": {"phases": [{"name": "learn", "tokens": 11}], "betas": (0.9, 0.98)}}
    with pytest.raises(CheckpointError, match=r"train.phases.0.tokens: 10 -> 11\).*--redo train.*--work"):
        found.check(other)
    longer = {"seed": 1, "train": {"phases": [{"name": "learn", "tokens": 10}, {"name": "b"}], "betas": (0.9, 0.98)}}
    with pytest.raises(CheckpointError, match=r"train.phases.1.name: none -> b"):
        found.check(longer)
    with pytest.raises(CheckpointError, match=r"and 3 more"):
        found.check({f"setting{n}": n for n in range(4)})


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("harm", ["cut", "gone", "flipped"])
def test_a_damaged_file_is_named(name: str, harm: str, saved: Path) -> None:
    path = saved / name
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif harm == "gone":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[-9] ^= 1
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"step-00000002 is damaged .*{name}.*Delete this folder"):
        open_checkpoint(saved).restore(*trained())
    with pytest.raises(CheckpointError, match=name):
        verify(saved)


def test_verify_counts_what_is_whole_and_finds_values_that_are_no_number(saved: Path, tmp_path: Path) -> None:
    tensors = 3 * (2 + 6 * SHAPE.layers - 1 + 1 + 3)
    assert verify(saved) == {"step": 2, "rows": 16, "tokens": 1000, "tensors": tensors}
    spoiled = shutil.copytree(saved, tmp_path / "spoiled")
    weights = load_file(spoiled / "model.safetensors")
    weights["decoder.bias"][7] = torch.nan
    save_file(weights, spoiled / "model.safetensors")
    told = json.loads((spoiled / "state.json").read_bytes())
    told["hashes"]["model.safetensors"] = hash_of(spoiled / "model.safetensors")
    (spoiled / "state.json").write_bytes(sealed(told))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: decoder\.bias has values that are no number"):
        verify(spoiled)
    (saved / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is not what was written"):
        verify(saved)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("where", ["model", "moment", "average"])
def test_what_is_no_number_is_not_saved(where: str, value: float, saved: Path, tmp_path: Path) -> None:
    model, optimizer = trained()
    average = {name: p.detach().clone() for name, p in model.named_parameters()}
    kinds: dict[str, Mapping[str, torch.Tensor]] = {
        "model": dict(model.named_parameters()),
        "moment": optimizer.exp_avg_sq,
        "average": average,
    }
    with torch.no_grad():
        kinds[where]["model.layers.1.mlp.Wo.weight"][3, 5] = value
    with pytest.raises(
        CheckpointError, match=r"layers\.1\.mlp\.Wo\.weight has values that are no number, so nothing is"
    ):
        save(saved.parent, state(3), model, optimizer, tmp_path / "tokenizer.json", average)
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_an_average_stands_beside_the_weights(saved: Path, tmp_path: Path) -> None:
    model, optimizer = trained()
    averaged = Averaged(model.named_parameters(), half_life=100)
    averaged.update(50)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1)
    averaged.update(70)
    found = open_checkpoint(
        save(saved.parent, state(3), model, optimizer, tmp_path / "tokenizer.json", averaged.state())
    )
    assert found.state.averaged
    verify(found.folder)
    mean = found.model(averaged=True)
    with averaged.swapped():
        for name, p in model.named_parameters():
            assert torch.equal(p, mean.get_parameter(name))
    assert not torch.equal(found.model().decoder.bias, mean.decoder.bias)
    again = Averaged(model.named_parameters(), half_life=100)
    again.load(found.read("average.safetensors"))
    assert all(torch.equal(tensor, again.state()[name]) for name, tensor in averaged.state().items())
    assert not open_checkpoint(saved).state.averaged
    with pytest.raises(CheckpointError, match="step-00000002 has no average of weights"):
        open_checkpoint(saved).model(averaged=True)
    path = found.folder / "average.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"average\.safetensors is not what was written"):
        verify(found.folder)


def test_the_optimizers_own_steps_go_on_where_they_are_not_the_runs(saved: Path, tmp_path: Path) -> None:
    found = open_checkpoint(save(saved.parent, state(5, t=3), *trained(), tmp_path / "tokenizer.json"))
    _, moments = trained()
    found.restore(Bert(SHAPE, VOCAB), moments)
    assert moments.t == 3


def test_a_checkpoint_of_the_time_before_a_setting_was_told_opens_all_the_same(saved: Path) -> None:
    told = json.loads((saved / "state.json").read_bytes())
    for name in ("t", "start", "averaged", "kept", "history", "read"):
        del told[name]
    (saved / "state.json").write_bytes(sealed(told))
    found = newest(saved.parent)
    assert found
    assert (found.state.kept, found.state.history, found.state.averaged) == ("product", {}, False)
    _, moments = trained()
    found.restore(Bert(SHAPE, VOCAB), moments)
    assert moments.t == 2
    verify(saved)


def test_what_is_removed_is_gone_in_one_stroke_and_a_step_can_be_saved_anew(saved: Path, tmp_path: Path) -> None:
    again = save(saved.parent, state(2, loss=7.0), *trained(), tmp_path / "tokenizer.json")
    assert again == saved
    assert open_checkpoint(again).state.loss == 7.0
    later = save(saved.parent, state(3), *trained(), tmp_path / "tokenizer.json")
    remove(saved)
    assert [path.name for path in saved.parent.iterdir()] == [later.name]


def test_weights_from_elsewhere_become_a_checkpoint_that_no_run_goes_on_from(tmp_path: Path) -> None:
    model, _ = trained()
    model.set_rope(160_000.0, 10_000.0)
    tokenizer = tokenizer_at(tmp_path / "tokenizer.json")
    imported = Imported(SHAPE, VOCAB, model.thetas, 512, dict(model.state_dict()))
    found = open_checkpoint(adopt(imported, tokenizer, tmp_path / "adopted"))
    again = found.model()
    assert again.thetas == model.thetas
    assert found.state.context == 512
    for name, p in model.named_parameters():
        assert torch.equal(p, dict(again.named_parameters())[name])
    assert verify(found.folder)["tensors"] == len(list(model.parameters()))
    with pytest.raises(CheckpointError, match="imported: True -> none"):
        found.check(state().identity)
    with pytest.raises(CheckpointError, match="holds something already"):
        adopt(imported, tokenizer, tmp_path / "adopted")
    with torch.no_grad():
        model.decoder.bias[0] = torch.nan
    with pytest.raises(CheckpointError, match=r"decoder\.bias has values that are no number"):
        adopt(Imported(SHAPE, VOCAB, model.thetas, 512, dict(model.state_dict())), tokenizer, tmp_path / "spoiled")
    assert not (tmp_path / "spoiled").exists()


def test_a_damaged_state_is_named(saved: Path, tmp_path: Path) -> None:
    (saved / "state.json").write_text('{"step": 3')
    with pytest.raises(CheckpointError, match=r"state\.json: is damaged"):
        newest(saved.parent)
    (saved / "state.json").write_text('{"step": 3}')
    with pytest.raises(CheckpointError, match=r"state\.json: is damaged .*missing"):
        newest(saved.parent)
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        open_checkpoint(tmp_path)


def test_weights_of_another_shape_are_refused_by_name(saved: Path) -> None:
    found = open_checkpoint(saved)
    wider = Checkpoint(saved, replace(found.state, shape={**asdict(SHAPE), "intermediate": 64}))
    with pytest.raises(CheckpointError, match=r"mlp.Wi.weight has shape \(96, 32\), not \(128, 32\)"):
        wider.model()
    deeper = Checkpoint(saved, replace(found.state, shape={**asdict(SHAPE), "layers": 7}))
    with pytest.raises(CheckpointError, match=r"18 tensors of the model do not match, first model.layers.4"):
        deeper.model()
