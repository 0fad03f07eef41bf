"""An export is what the checkpoint holds, said so, or does not load; its card says what was asked of it to say."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from commands.card import CardError
from commands.release import ExportError, export_checkpoint
from model import parity
from model.bert import Bert
from model.hub import HubError, export_hub, import_hub
from model.initialise import initialise
from model.settings import Shape
from tests.conftest import bertmill
from tests.toy_training import SHAPE, tokenizer_at
from train.average import SHARE
from train.checkpoint import CheckpointError, State, save
from train.optimizer import optimizer_of
from train.settings import Optimizer

torch.set_num_threads(1)


def lively(seed: int, shape: Shape = SHAPE) -> Bert:
    model = Bert(shape, 264)
    initialise(model, seed)
    dice = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=dice), alpha=0.15)
    return model


def checkpoint(base: Path, average: Bert | None = None, **changes: Any) -> Path:
    """A checkpoint in the middle of a run whose recipe is not there."""
    model = lively(1)
    given: dict[str, Any] = {
        "step": 7, "g": 56, "tokens": 3_500, "phase": "learn", "context": 128,
        "rope": 160_000.0, "local_rope": 10_000.0,
        "finished": False, "loss": 4.5, "vocab": 264, "shape": asdict(SHAPE), "versions": {"torch": "2.13.0"},
        "evaluation": {"web": {"0.15": {"bits_per_byte": 1.25, "loss": 3.0, "accuracy": 0.5, "guessed": 1234}}},
        "identity": {"seed": 1, "tokenizer": "abc", "rows": {"web/64": "def"}},
        "read": {"learn": {"web": {"rows": 56, "tokens": 3_500}}},
    }  # fmt: skip
    averaged = dict(average.named_parameters()) | {SHARE: torch.ones(())} if average else None
    if averaged:
        averaged = {name: tensor.detach() for name, tensor in averaged.items()}
    (base / "checkpoints").mkdir(parents=True)
    return save(
        base / "checkpoints",
        State(**{**given, **changes}),
        model,
        optimizer_of(Optimizer(), model.named_parameters()),
        tokenizer_at(base / "tokenizer.json"),
        averaged,
    )


def test_the_export_is_compared_with_transformers_and_says_how_far_apart_they_are(tmp_path: Path) -> None:
    told = export_checkpoint(checkpoint(tmp_path), tmp_path / "hub")
    transformers = pytest.importorskip("transformers")
    assert f"logits of transformers {transformers.__version__} equal to the checkpoint's within " in told
    assert float(told.split()[-1]) < 1e-5
    card = (tmp_path / "hub" / "README.md").read_text()
    assert f"Logits of transformers {transformers.__version__} equal" in card
    assert bertmill("verify", tmp_path / "hub").returncode == 0


def test_the_texts_of_the_comparison_reach_beyond_the_local_window(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    export_hub(lively(1), tmp_path, tokenizer_at(tmp_path / "t.json"), context=512)
    good = json.loads((tmp_path / "config.json").read_text())
    for key, value in (("local_attention", 14), ("norm_eps", 1e-2), ("rope_parameters", None), ("layer_types", None)):
        changed = {k: v for k, v in {**good, key: value}.items() if v is not None}
        if key == "rope_parameters":
            changed |= {"global_rope_theta": 500.0, "local_rope_theta": 500.0}
        if key == "layer_types":
            changed["global_attn_every_n_layers"] = 1
        (tmp_path / "config.json").write_text(json.dumps(changed))
        apart = parity.compare(lively(1), tmp_path, 512)
        assert apart is not None
        assert apart > 10 * parity.CLOSE, key
    (tmp_path / "config.json").write_text(json.dumps(good))
    same = parity.compare(lively(1), tmp_path, 512)
    assert same is not None
    assert same < 1e-5
    other = parity.compare(lively(2), tmp_path, 512)
    assert other is not None
    assert other > 0.1
    broken = lively(1)
    with torch.no_grad():
        broken.head.norm.weight[3] = torch.nan
    assert not parity.compare(broken, tmp_path, 512) <= parity.CLOSE  # type: ignore[operator]


def test_a_folder_that_gives_other_logits_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr("model.parity.CLOSE", 0.0)
    with pytest.raises(ExportError, match=r"other logits than the checkpoint, up to .*its config.json was removed"):
        export_checkpoint(checkpoint(tmp_path), tmp_path / "hub")
    with pytest.raises(HubError, match=r"config.json: cannot be read"):
        import_hub(tmp_path / "hub")


def test_without_transformers_it_is_said_that_nothing_was_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.parity.find_spec", lambda name: None)
    told = export_checkpoint(checkpoint(tmp_path), tmp_path / "hub")
    assert "not compared: transformers is not installed (pip install 'bertmill[hub]')" in told
    assert "Not compared: transformers is not installed" in (tmp_path / "hub" / "README.md").read_text()
    assert import_hub(tmp_path / "hub").context == 128


def test_the_average_is_exported_when_asked_for(tmp_path: Path) -> None:
    mean = lively(9)
    made = checkpoint(tmp_path, mean)
    export_checkpoint(made, tmp_path / "mean", averaged=True)
    export_checkpoint(made, tmp_path / "plain")
    for name, p in mean.named_parameters():
        assert torch.equal(import_hub(tmp_path / "mean").weights[name], p)
        assert not torch.equal(import_hub(tmp_path / "plain").weights[name], p)
    card = (tmp_path / "mean" / "README.md").read_text()
    assert "the running mean of the weights of checkpoint `step-00000007`" in card
    assert "1.2500" not in card, "the scores of the checkpoint are those of its other weights"
    assert "| web | 15% | 1.2500 | 3.0000 | 50.00% | 1,234 |" in (tmp_path / "plain" / "README.md").read_text()


def test_an_average_that_there_is_not_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no average of weights"):
        export_checkpoint(checkpoint(tmp_path), tmp_path / "hub", averaged=True)
    shown = bertmill("export", tmp_path / "checkpoints" / "step-00000007", tmp_path / "hub", "--averaged")
    assert (shown.returncode, shown.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "hub").exists()


def test_a_checkpoint_is_not_exported_over_a_checkpoint_or_a_file(tmp_path: Path) -> None:
    made = checkpoint(tmp_path)
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    with pytest.raises(ExportError, match="is a checkpoint, which an export would destroy"):
        export_checkpoint(made, made)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before
    with pytest.raises(ExportError, match="is a file"):
        export_checkpoint(made, tmp_path / "tokenizer.json")


@contextmanager
def room(limit: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, which fails as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [1_000, 60_000])
def test_what_the_disk_does_not_take_does_not_load_and_is_told_in_one_line(tmp_path: Path, limit: int) -> None:
    made = checkpoint(tmp_path)
    export_checkpoint(made, tmp_path / "hub")
    with room(limit), pytest.raises((ExportError, HubError), match=r"cannot be written \(.*\); make room"):
        export_checkpoint(made, tmp_path / "hub")
    assert not (tmp_path / "hub" / "config.json").exists()
    export_checkpoint(made, tmp_path / "hub")
    assert import_hub(tmp_path / "hub").vocab == 264


def test_an_export_over_what_transformers_saved_in_parts_is_what_loads(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    made = checkpoint(tmp_path)
    export_checkpoint(made, tmp_path / "hub")
    other = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "hub")
    with torch.no_grad():
        other.head.norm.weight.add_(1)
    other.save_pretrained(tmp_path / "parts", max_shard_size="50KB")
    assert (tmp_path / "parts" / "model.safetensors.index.json").exists()
    export_checkpoint(made, tmp_path / "parts")
    ours, again = import_hub(tmp_path / "hub").weights, import_hub(tmp_path / "parts").weights
    assert all(torch.equal(ours[name], again[name]) for name in ours)


def test_the_head_of_a_card_says_what_is_known_and_nothing_else(tmp_path: Path) -> None:
    made = checkpoint(tmp_path)
    export_checkpoint(made, tmp_path / "hub")
    assert head(tmp_path / "hub") == {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "tags": ["modernbert", "masked-lm", "bertmill"],
    }
    export_checkpoint(made, tmp_path / "hub", license_="apache-2.0", base_model="answerdotai/ModernBERT-base")
    assert head(tmp_path / "hub")["license"] == "apache-2.0"
    assert head(tmp_path / "hub")["base_model"] == "answerdotai/ModernBERT-base"
    with pytest.raises(CardError, match="--base-model '/a/b' is no model of the Hub"):
        export_checkpoint(made, tmp_path / "other", base_model="/a/b")
    with pytest.raises(CardError, match="--license 'Apache 2' is no name of a licence"):
        export_checkpoint(made, tmp_path / "other", license_="Apache 2")
    assert not (tmp_path / "other").exists()


def head(folder: Path) -> dict[str, Any]:
    """As huggingface-hub reads it."""
    _, text, _ = (folder / "README.md").read_text().split("---\n", 2)
    return dict(yaml.safe_load(text))


def test_a_card_without_a_recipe_says_what_is_not_known(tmp_path: Path) -> None:
    export_checkpoint(checkpoint(tmp_path), tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text()
    for said in (
        "checkpoint `step-00000007`. They are of step 7, in phase `learn`, after 3,500 tokens.",
        "| learn | web | 3,500 | 56 |",
        "| tokenizer | `abc` |",
        "| rows web/64 | `def` |",
        "Not known: the recipe of the run does not stand beside the checkpoint.",
    ):
        assert said in card, said
