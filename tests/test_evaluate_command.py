"""`bertmill evaluate`: a run's own figures for models with its tokenizer, the same words for all others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from commands.evaluate import EvaluateError, evaluated, questions, run_of, told
from model.hub import HubError
from tests.conftest import bertmill
from tests.test_guessers import saved
from train.checkpoint import CheckpointError, newest
from train.guessers import ModelError


@pytest.fixture(scope="module", autouse=True)
def threads() -> object:
    """As many as the runs of these tests were trained with, so that all bits are the same."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_models_with_the_runs_tokenizer_get_the_runs_own_figures_to_the_bit(whole: Path) -> None:
    checkpoint = newest(whole / "checkpoints")
    assert checkpoint
    asked = questions(whole)
    of_checkpoint = evaluated(str(checkpoint.folder), asked)
    of_export = evaluated(str(whole / "export"), asked)
    assert of_checkpoint["tokens"] == of_export["tokens"] == checkpoint.state.evaluation
    assert of_checkpoint["words"] == of_export["words"]
    assert set(of_checkpoint["words"]) == set(asked.heldout)
    assert of_checkpoint["parameters"] == sum(p.numel() for p in checkpoint.model().parameters())


def test_an_encoder_with_another_tokenizer_is_asked_for_the_same_words(whole: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    asked = questions(whole, rows=3)
    mine = evaluated(str(whole / "export"), asked)
    for kind in ("bert", "modernbert"):
        other = evaluated(str(saved(tmp_path / kind, kind)), asked)
        assert other["tokens"] is None
        for source, rates in mine["words"].items():
            for rate, score in rates.items():
                theirs = other["words"][source][rate]
                assert (theirs["asked"], theirs["words"], theirs["bytes"]) == (
                    score["asked"],
                    score["words"],
                    score["bytes"],
                )
        assert told(other).startswith(str(tmp_path / kind))
    short = evaluated(str(whole / "export"), asked, context=32)
    assert short["context"] == 32
    for source, rates in mine["words"].items():
        assert short["words"][source]["0.15"]["asked"] == rates["0.15"]["asked"]
        assert short["words"][source]["0.15"]["bits_per_byte"] != rates["0.15"]["bits_per_byte"]


def test_the_run_is_the_one_a_model_stands_in_or_the_one_that_is_named(whole: Path, tmp_path: Path) -> None:
    assert run_of(str(whole / "export")) == whole
    assert run_of(str(whole / "checkpoints" / "step-00000001")) == whole
    shutil.copytree(whole / "export", tmp_path / "moved")
    with pytest.raises(EvaluateError, match=r"moved: stands in no run's folder; name the run .* by --on$"):
        run_of(str(tmp_path / "moved"))
    shown = bertmill("evaluate", tmp_path / "moved", "--on", whole, "--rows", 1, "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert found["on"] == str(whole)
    assert found["tokens"]
    assert all(scores["0.15"]["guessed"] > 0 for scores in found["tokens"].values())


def test_what_cannot_be_evaluated_is_told_in_a_line(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluateError, match=r"is no run's folder; it has no recipe.yaml. Name one with --on$"):
        questions(tmp_path)
    shutil.copy(whole / "recipe.yaml", tmp_path)
    with pytest.raises(EvaluateError, match=r"heldout: holds no finished rows; run the recipe until heldout first$"):
        questions(tmp_path)
    asked = questions(whole, rows=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty: is neither a checkpoint nor a Hugging Face folder$"):
        evaluated(str(tmp_path / "empty"), asked)
    with pytest.raises(ModelError, match=r"exprt: there is no such folder, and names on the hub are OWNER/NAME$"):
        evaluated(str(whole / "exprt"), asked)
    with pytest.raises(ModelError, match=r"only a checkpoint has a mean of weights beside them"):
        evaluated(str(whole / "export"), asked, averaged=True)
    checkpoint = newest(whole / "checkpoints")
    assert checkpoint
    with pytest.raises(CheckpointError, match="has no average of weights"):
        evaluated(str(checkpoint.folder), asked, averaged=True)
    shutil.copytree(whole / "export", tmp_path / "torn")
    (tmp_path / "torn" / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(HubError, match="not a whole safetensors file"):
        evaluated(str(tmp_path / "torn"), asked)
    refused = bertmill("evaluate", tmp_path / "torn", "--on", whole)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_fill_mask_takes_a_checkpoint_as_it_takes_its_export(whole: Path) -> None:
    checkpoint = newest(whole / "checkpoints")
    assert checkpoint
    one, other = (
        bertmill("fill-mask", folder, "import [MASK] as np", "--json")
        for folder in (checkpoint.folder, whole / "export")
    )
    assert one.returncode == 0, one.stderr
    assert one.stdout == other.stdout
