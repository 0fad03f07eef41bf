"""Hugging Face folders: what `transformers` makes of ours, and what we make of theirs and of broken ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as Bytes
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

from model.attention import Segments
from model.bert import Bert
from model.hub import HubError, export_hub, import_hub
from model.initialise import initialise
from model.settings import BASE, Shape

torch.set_num_threads(1)  # work this small is slower on two busy cores than on one

SHAPE = Shape(layers=4, hidden=64, heads=4, intermediate=96)
VOCAB = 384
SPECIALS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
LENGTHS = [300, 77, 200, 5, 64, 65, 129, 1]


@pytest.fixture
def tokenizer_json(tmp_path: Path) -> Path:
    """A small byte-level BPE whose special tokens do not stand at their usual ids."""
    tokenizer = Tokenizer(BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = Bytes()
    tokenizer.train_from_iterator(
        ["the cat sat on the mat and the dog sat on the log"] * 4,
        BpeTrainer(vocab_size=300, initial_alphabet=ByteLevel.alphabet(), show_progress=False),
    )
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in SPECIALS])
    ids = {text: tokenizer.token_to_id(text) for text in ("[CLS]", "[SEP]")}
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=list(ids.items()))
    path = tmp_path / "trained.json"
    tokenizer.save(str(path))
    return path


def lively(thetas: tuple[float, float] = (160_000.0, 10_000.0)) -> Bert:
    """A model whose every tensor matters: norms are not one, the bias is not zero, attention is not flat."""
    model = Bert(SHAPE, VOCAB).eval()
    initialise(model, seed=17)
    generator = torch.Generator().manual_seed(17)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.1)
    model.set_rope(*thetas)
    return model


@pytest.fixture
def exported(tmp_path: Path, tokenizer_json: Path) -> Path:
    export_hub(lively(), tmp_path / "hub", tokenizer_json, context=1024)
    return tmp_path / "hub"


def edit(path: Path, **changes: Any) -> None:
    """Set keys of a JSON file; None takes a key out."""
    kept = {key: value for key, value in (json.loads(path.read_text()) | changes).items() if value is not None}
    path.write_text(json.dumps(kept))


def transformers_model(folder: Path) -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="sdpa").eval()


@pytest.mark.parametrize("thetas", [(160_000.0, 10_000.0), (10_000.0, 10_000.0)])
def test_transformers_gives_one_by_one_the_logits_that_we_give_packed(
    tmp_path: Path, tokenizer_json: Path, thetas: tuple[float, float]
) -> None:
    ours = lively(thetas)
    export_hub(ours, tmp_path / "hub", tokenizer_json, context=1024)
    theirs = transformers_model(tmp_path / "hub")
    ids = torch.randint(VOCAB, (sum(LENGTHS),), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        packed = ours(ids, Segments.of(LENGTHS))
        alone = torch.cat([theirs(input_ids=document[None]).logits[0] for document in torch.split(ids, LENGTHS)])
    assert alone.std() > 0.5
    torch.testing.assert_close(packed, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_transformers_gives_one_by_one_the_gradients_that_we_give_packed(exported: Path, dtype: torch.dtype) -> None:
    ours, theirs = lively().to(dtype), transformers_model(exported).to(dtype)
    generator = torch.Generator().manual_seed(3)
    pad = theirs.config.pad_token_id  # no text has it, and theirs keeps its embedding's gradient out
    ids = torch.randint(pad, (sum(LENGTHS),), generator=generator)
    masked = (torch.rand(len(ids), generator=generator) < 0.3).nonzero().flatten()
    F.cross_entropy(ours(ids, Segments.of(LENGTHS), masked), ids[masked]).backward()  # type: ignore[no-untyped-call]
    alone = torch.cat([theirs(input_ids=document[None]).logits[0] for document in torch.split(ids, LENGTHS)])
    F.cross_entropy(alone[masked], ids[masked]).backward()  # type: ignore[no-untyped-call]

    slopes = {name: tensor.grad for name, tensor in theirs.named_parameters()}
    found = {name: tensor.grad for name, tensor in ours.named_parameters()}
    assert found.keys() == slopes.keys()
    worst = {name: float((found[name] - slope).norm() / slope.norm()) for name, slope in slopes.items()}
    assert max(worst.values()) <= 1e-6, max(worst, key=lambda name: worst[name])


def test_transformers_gets_our_tokenizer_with_its_special_tokens_and_lengths(exported: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    plain = Tokenizer.from_file(str(exported / "tokenizer.json"))
    text = "the cat sat on the [MASK] and"
    encoded = tokenizer(text)
    assert encoded["input_ids"] == plain.encode(text).ids
    assert sorted(encoded) == ["attention_mask", "input_ids"]
    assert tokenizer.convert_ids_to_tokens(encoded["input_ids"])[-3:] == ["[MASK]", "Ġand", "[SEP]"]
    assert tokenizer.mask_token_id == plain.token_to_id("[MASK]")
    assert tokenizer.decode(encoded["input_ids"], skip_special_tokens=True) == "the cat sat on the and"
    assert tokenizer.model_max_length == 1024
    names = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token", "bos_token", "eos_token")
    assert [getattr(tokenizer, name) for name in names] == [*SPECIALS, "[CLS]", "[SEP]"]


def test_the_config_speaks_to_both_generations_of_transformers(exported: Path, tokenizer_json: Path) -> None:
    config = json.loads((exported / "config.json").read_text())
    assert (config["global_rope_theta"], config["local_rope_theta"]) == (160_000.0, 10_000.0)
    assert {kind: rope["rope_theta"] for kind, rope in config["rope_parameters"].items()} == {
        "full_attention": 160_000.0,
        "sliding_attention": 10_000.0,
    }
    assert config["global_attn_every_n_layers"] == 3
    assert config["layer_types"] == [
        "full_attention", "sliding_attention", "sliding_attention", "full_attention",
    ]  # fmt: skip
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    for key, text in [("cls", "[CLS]"), ("bos", "[CLS]"), ("sep", "[SEP]"), ("eos", "[SEP]"), ("pad", "[PAD]")]:
        assert config[f"{key}_token_id"] == tokenizer.token_to_id(text)


def test_names_and_shapes_of_the_base_size_are_the_published_ones() -> None:
    with torch.device("meta"):
        found = {name: tuple(t.shape) for name, t in Bert(BASE, 50_368).state_dict().items()}
    expected: dict[str, tuple[int, ...]] = {
        "model.embeddings.tok_embeddings.weight": (50368, 768),
        "model.embeddings.norm.weight": (768,),
        "model.final_norm.weight": (768,),
        "head.dense.weight": (768, 768),
        "head.norm.weight": (768,),
        "decoder.bias": (50368,),
        "decoder.weight": (50368, 768),
    }
    for layer in range(22):
        at = f"model.layers.{layer}"
        expected |= {f"{at}.attn_norm.weight": (768,)} if layer else {}
        expected |= {
            f"{at}.attn.Wqkv.weight": (2304, 768),
            f"{at}.attn.Wo.weight": (768, 768),
            f"{at}.mlp_norm.weight": (768,),
            f"{at}.mlp.Wi.weight": (2304, 768),
            f"{at}.mlp.Wo.weight": (768, 1152),
        }
    assert found == expected
    assert len(found) == 138


def test_the_weights_are_stored_once_marked_and_readable_by_others(exported: Path) -> None:
    path = exported / "model.safetensors"
    with safe_open(path, framework="pt") as weights:
        assert weights.metadata() == {"format": "pt"}
        names = list(weights.keys())
    assert "decoder.weight" not in names
    assert len(names) == 2 + (6 * 4 - 1) + 1 + 3
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_goes_out_comes_back_equal(exported: Path) -> None:
    model = lively()
    shape, vocab, thetas, context, weights = import_hub(exported)
    assert (shape, vocab, thetas, context) == (SHAPE, VOCAB, (160_000.0, 10_000.0), 1024)
    again = Bert(shape, vocab).eval()
    again.load_state_dict(weights)
    again.set_rope(*thetas)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    ids, segments = torch.arange(300) % VOCAB, Segments.of([200, 100])
    assert torch.equal(again(ids, segments), model(ids, segments))


def test_the_same_model_exports_to_the_same_bytes(tmp_path: Path, exported: Path) -> None:
    export_hub(lively(), tmp_path / "again", exported / "tokenizer.json", context=1024)
    assert {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()} == {
        p.name: p.read_bytes() for p in exported.iterdir()
    }


def test_an_export_over_an_earlier_one_replaces_it_and_leaves_other_files(exported: Path, tokenizer_json: Path) -> None:
    (exported / "README.md").write_text("a card")
    export_hub(lively((10_000.0, 10_000.0)), exported, tokenizer_json, context=512)
    assert import_hub(exported).thetas == (10_000.0, 10_000.0)
    assert (exported / "README.md").read_text() == "a card"
    assert not list(exported.glob("*.part"))


def test_a_folder_that_transformers_saved_is_read(tmp_path: Path, exported: Path) -> None:
    transformers_model(exported).save_pretrained(tmp_path / "theirs", max_shard_size="100KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists()
    ours, theirs = import_hub(exported), import_hub(tmp_path / "theirs")
    assert ours[:3] == theirs[:3]
    assert all(torch.equal(tensor, theirs.weights[name]) for name, tensor in ours.weights.items())


@pytest.mark.parametrize(
    ("keys", "thetas"),
    [
        ({"global_rope_theta": 160000.0, "local_rope_theta": 10000.0}, (160_000.0, 10_000.0)),
        ({"global_rope_theta": 10000.0, "local_rope_theta": -1}, (10_000.0, 10_000.0)),
        ({"global_rope_theta": 160000.0, "local_rope_theta": None}, (160_000.0, 10_000.0)),
        ({"global_rope_theta": None, "local_rope_theta": None}, (160_000.0, 10_000.0)),
        (
            {"rope_parameters": {"full_attention": {"rope_theta": 777.0}, "sliding_attention": {"rope_theta": -1}}},
            (777.0, 777.0),
        ),
    ],
)
def test_both_styles_of_rope_keys_are_read_and_minus_one_means_as_the_global_layers(
    exported: Path, keys: dict[str, Any], thetas: tuple[float, float]
) -> None:
    edit(exported / "config.json", **({"rope_parameters": None, "layer_types": None} | keys))
    assert import_hub(exported).thetas == thetas


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": "bert"}, "model_type is 'bert'; give a folder of a 'modernbert'"),
        ({"classifier_activation": "silu"}, "classifier_activation is 'silu'; this model has only 'gelu'"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ({"num_hidden_layers": None}, "num_hidden_layers is None, not a whole number"),
        ({"vocab_size": "many"}, "vocab_size is 'many'"),
        ({"num_attention_heads": 5}, "hidden 64 is not a multiple of heads 5"),
        ({"local_attention": "wide"}, "config.json: "),
        ({"layer_types": ["full_attention"] * 4}, "layer_types is not one global layer in every 3"),
        ({"rope_parameters": None, "global_rope_theta": -1}, "the RoPE bases are -1"),
        (
            {"rope_parameters": {"full_attention": {"rope_theta": 1e4, "rope_type": "yarn"}}},
            "rope_type is 'yarn'",
        ),
    ],
)
def test_settings_that_this_model_has_not_are_refused_by_name(
    exported: Path, changes: dict[str, Any], told: str
) -> None:
    edit(exported / "config.json", **changes)
    with pytest.raises(HubError, match=told):
        import_hub(exported)


def spoil(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return apply


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (spoil(lambda w: w.pop("head.norm.weight")), "no tensor head.norm.weight; give a ModernBertForMaskedLM"),
        (spoil(lambda w: w.update(classifier=torch.ones(2))), "unknown tensor classifier"),
        (
            spoil(lambda w: w.update({"model.layers.2.mlp.Wo.weight": torch.ones(64, 95)})),
            r"model.layers.2.mlp.Wo.weight is \(64, 95\), but by its config.json it must be \(64, 96\)",
        ),
        (
            spoil(lambda w: w.update({"decoder.weight": torch.ones(VOCAB, 64)})),
            "decoder.weight is not the embedding's matrix",
        ),
        (cut, "model.safetensors: not a whole safetensors file"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors; save the model with"),
        (lambda folder: (folder / "config.json").unlink(), "config.json: cannot be read"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: not JSON"),
    ],
)
def test_a_folder_with_wrong_or_broken_weights_is_refused_by_name(
    exported: Path, harm: Callable[[Path], None], told: str
) -> None:
    harm(exported)
    with pytest.raises(HubError, match=told):
        import_hub(exported)


def test_a_tokenizer_that_is_not_the_models_is_refused_before_anything_is_written(
    tmp_path: Path, tokenizer_json: Path
) -> None:
    with pytest.raises(HubError, match=r"id \d+ is beyond the model's 256 words; this is not its tokenizer"):
        export_hub(Bert(SHAPE, 256), tmp_path / "hub", tokenizer_json, context=512)
    tokenizer = json.loads(tokenizer_json.read_text())
    edit(tokenizer_json, model={"type": "Unigram", "vocab": [["a", 0.0]]})
    with pytest.raises(HubError, match=r"give the tokenizer.json of a byte-level BPE"):
        export_hub(lively(), tmp_path / "hub", tokenizer_json, context=512)
    edit(tokenizer_json, added_tokens=[t for t in tokenizer["added_tokens"] if t["content"] != "[MASK]"])
    with pytest.raises(HubError, match=r"no special token \[MASK\]; train the tokenizer with"):
        export_hub(lively(), tmp_path / "hub", tokenizer_json, context=512)
    assert not (tmp_path / "hub").exists()
