"""FlexBERT's checkpoints become the model that their weights are, with the optimizer's moments."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.attention import Segments
from model.bert import Bert
from model.flexbert import FlexbertError, moments_of, our_name, read_flexbert
from model.hub import export_hub, import_hub
from model.initialise import initialise
from model.tensors import tensors
from tests.toy_flexbert import config_of, flexbert_name, optimizer_by_name, optimizer_by_number, saved
from tests.toy_training import SHAPE, tokenizer_at

VOCAB = 264


@pytest.fixture
def model() -> Bert:
    made = Bert(SHAPE, VOCAB)
    initialise(made, 5)
    with torch.no_grad():
        for p in made.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())), alpha=0.01)
    return made


def moments(model: Bert) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        f"{kind}.{name}": torch.rand(p.shape, generator=generator)
        for kind in ("exp_avg", "exp_avg_sq")
        for name, p in model.named_parameters()
    }


def write(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def logits(model: Bert) -> Any:
    lengths = [40, 3, 21]
    ids = torch.randint(0, VOCAB, (sum(lengths),), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        return model.eval()(ids, Segments.of(lengths))


@pytest.mark.parametrize("before", ["model.", "model._orig_mod.", "module.model.", ""])
def test_a_file_gives_the_logits_of_the_hugging_face_folder_of_the_same_weights(
    tmp_path: Path, model: Bert, before: str
) -> None:
    model.set_rope(160_000.0, 10_000.0)
    tokenizer = tokenizer_at(tmp_path / "tokenizer.json")
    export_hub(model, tmp_path / "hub", tokenizer, 8192)
    folder = import_hub(tmp_path / "hub")
    found = read_flexbert(write(tmp_path / "a.pt", saved(model, tokenizer, before=before))).imported
    assert (found.shape, found.vocab, found.thetas) == (SHAPE, folder.vocab, folder.thetas)
    again = Bert(found.shape, found.vocab)
    again.load_state_dict(found.weights)
    again.set_rope(*found.thetas)
    assert torch.equal(logits(again), logits(model))


def test_every_name_finds_its_way_back() -> None:
    for name, _ in tensors(SHAPE, VOCAB):
        assert our_name(flexbert_name(name)) == name


def test_a_local_base_of_minus_one_or_none_is_the_global_one(tmp_path: Path, model: Bert) -> None:
    for told, base in ((-1, 10_000.0), (None, 10_000.0), (-1.0, 160_000.0), (500.0, 160_000.0)):
        config = config_of(model, rotary_emb_base=base, local_attn_rotary_emb_base=told)
        found = read_flexbert(write(tmp_path / "a.pt", saved(model, config=config))).imported
        assert found.thetas == (base, 500.0 if told == 500.0 else base)
        assert found.context == (1024 if base == 10_000 else 8192)


def test_the_tokenizer_inside_is_found(tmp_path: Path, model: Bert) -> None:
    tokenizer = tokenizer_at(tmp_path / "tokenizer.json")
    found = read_flexbert(write(tmp_path / "a.pt", saved(model, tokenizer)))
    assert found.tokenizer == json.loads(tokenizer.read_text())
    assert read_flexbert(write(tmp_path / "b.pt", saved(model))).tokenizer is None


def test_moments_are_told_by_name_and_by_number(tmp_path: Path, model: Bert) -> None:
    ours = moments(model)
    for optimizer, step in ((optimizer_by_name(ours, 41), 41), (optimizer_by_name(ours, None), 7),
                            (optimizer_by_number(ours, 12), 12)):  # fmt: skip
        found, updates = moments_of(read_flexbert(write(tmp_path / "a.pt", saved(model, optimizer=optimizer))))
        assert updates == step  # the optimizer's own count, else the clock's
        assert found.keys() == ours.keys()
        assert all(torch.equal(found[name], ours[name]) for name in ours)


def test_moments_of_the_tied_matrix_are_found_under_the_decoders_name(tmp_path: Path, model: Bert) -> None:
    ours = moments(model)
    optimizer = optimizer_by_name(ours, 3)
    words = "model.bert.embeddings.tok_embeddings.weight"
    optimizer["state"]["model.decoder.weight"] = optimizer["state"].pop(words)
    found, _ = moments_of(read_flexbert(write(tmp_path / "a.pt", saved(model, optimizer=optimizer))))
    assert torch.equal(found[f"exp_avg.{words.replace('bert.', '')}"], ours["exp_avg." + words.replace("bert.", "")])


def test_moments_that_are_not_there_or_of_another_model_are_refused(tmp_path: Path, model: Bert) -> None:
    ours = moments(model)
    other = optimizer_by_name(ours, 3)
    del other["state"]["model.decoder.bias"]
    uneven = optimizer_by_number(ours, 3)
    uneven["param_groups"][0]["params"].pop()
    for optimizer, told in (
        ({}, "has 0 optimizers, not one"),
        (other, r"StableAdamW has no exp_avg of decoder\.bias; take optimizer: fresh"),
        (uneven, r"the optimizer's numbers cannot be told to tensors \(10 in a group that should have 11\)"),
    ):
        found = read_flexbert(write(tmp_path / "a.pt", saved(model, optimizer=optimizer)))
        with pytest.raises(FlexbertError, match=told):
            moments_of(found)


def spoil(part: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        at = content["state"]["integrations"]["huggingface"]["model"]["config"]["content"]
        if value is None:
            del at[part]
        else:
            at[part] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content.pop("state"), "holds no 'state' of a Composer checkpoint"),
        (lambda content: content["state"].pop("model"), "holds no tensors of a model"),
        (lambda content: content["state"].pop("integrations"), "has no configuration of FlexBERT"),
        (lambda content: content["state"]["model"].popitem(), r"no tensor decoder\.(bias|weight)"),
        (lambda content: content["state"]["model"].update({"model.pooler": torch.ones(1)}), "unknown tensor pooler"),
        (
            lambda content: content["state"]["model"].update({"model.bert.final_norm.weight": torch.ones(9)}),
            r"model\.final_norm\.weight is \(9,\), but by its configuration it must be \(32,\)",
        ),
        (
            lambda content: content["state"]["model"].update({"model.decoder.weight": torch.ones(VOCAB, 32)}),
            "the decoder's matrix is not the embedding's",
        ),
        (spoil("num_hidden_layers", None), "num_hidden_layers is None, not a whole number"),
        (spoil("num_hidden_layers", 5), "the last layer must be global"),
        (spoil("hidden_act", "relu"), "hidden_act is 'relu'; a ModernBERT has 'gelu'"),
        (spoil("attention_layer", "base"), "attention_layer is 'base'; a ModernBERT has 'rope'"),
        (spoil("rotary_emb_base", -1), "its RoPE bases are -1 and"),
        (spoil("norm_kwargs", {"eps": "small"}), "a.pt: "),
    ],
)
def test_what_is_no_modernbert_is_refused_by_name(
    tmp_path: Path, model: Bert, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    content = saved(model)
    change(content)
    with pytest.raises(FlexbertError, match=told) as fault:
        read_flexbert(write(tmp_path / "a.pt", content))
    assert "\n" not in str(fault.value)
