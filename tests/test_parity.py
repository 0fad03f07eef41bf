"""The model is ModernBERT's: what `transformers` computes from the same weights, we compute, and its sizes are ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.parity import CASES, CLOSE, Case, compare, read_back, write
from model.bert import Bert
from model.settings import BASE, LARGE, Shape

pytest.importorskip("transformers")
torch.set_num_threads(1)

SMALL = [name for name in CASES if name != "base"]


@pytest.mark.parametrize("name", SMALL)
def test_padded_batches_there_and_flat_ones_here_give_equal_logits_loss_and_gradients(
    tmp_path: Path, name: str
) -> None:
    write(tmp_path / "case", CASES[name])
    found = compare(tmp_path / "case")
    exact = {kind: apart for kind, apart in found.items() if "bfloat16" not in kind}
    assert exact.keys() == {"logits, sdpa", "logits, eager", "loss", "gradients"}
    assert max(exact.values()) <= CLOSE, exact
    assert found["bfloat16 of ours"] <= 0.015
    assert found["bfloat16 of ours"] <= 1.1 * found["bfloat16 of theirs"]
    read_back(tmp_path / "case")


@pytest.mark.parametrize("wrong", [{"thetas": (10_000.0, 10_000.0)}, {"window": 30}, {"global_every": 2}])
def test_the_comparison_sees_a_wrong_base_window_or_layer(tmp_path: Path, wrong: dict[str, object]) -> None:
    case = Case(
        {"layers": 7, "hidden": 64, "heads": 4, "intermediate": 96, "window": 32}, (160_000.0, 10_000.0), (150,)
    )
    write(tmp_path / "case", case)
    shape = case.shape | {key: value for key, value in wrong.items() if key != "thetas"}
    thetas = wrong.get("thetas", case.thetas)
    write(tmp_path / "other", case._replace(shape=shape, thetas=thetas))  # type: ignore[arg-type]
    (tmp_path / "other" / "export" / "config.json").replace(tmp_path / "case" / "export" / "config.json")
    found = compare(tmp_path / "case")
    assert found["logits, sdpa"] > 1e-2
    assert found["gradients"] > 1e-2


@pytest.mark.parametrize(("shape", "expected"), [(BASE, 149_655_232), (LARGE, 395_881_664)])
def test_the_published_sizes_have_the_published_numbers_of_parameters(shape: Shape, expected: int) -> None:
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        ours = Bert(shape, 50_368)
        theirs = transformers.ModernBertForMaskedLM(
            transformers.ModernBertConfig(
                num_hidden_layers=shape.layers,
                hidden_size=shape.hidden,
                num_attention_heads=shape.heads,
                intermediate_size=shape.intermediate,
            )
        )
    assert sum(p.numel() for p in ours.parameters()) == expected
    assert sum(p.numel() for p in theirs.parameters()) == expected
    assert shape.parameters(50_368) == expected
