"""Hugging Face folders: ours out, for `transformers` 4.48 to 5.x, and anyone's ModernBERT in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.bert import Bert
from model.settings import THETA, Shape

SPECIALS = {
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "mask_token": "[MASK]",
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
}
"""What `transformers` calls each special token, and its text: ModernBERT's."""
_TEXTS = sorted(set(SPECIALS.values()))

GLOBAL_THETA = 160_000.0
"""Taken by `transformers` where a config.json names no global base."""

_FIXED: Mapping[str, object] = {
    "hidden_activation": "gelu",
    "classifier_activation": "gelu",  # of the masked-language head, despite its name
    "norm_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
    "classifier_bias": False,
    "decoder_bias": True,
    "tie_word_embeddings": True,
}
"""Settings of `transformers` that have one value here; a config.json without the key means the same."""

_FIELDS = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
}
_KINDS = ("full_attention", "sliding_attention")
_WORDS = "model.embeddings.tok_embeddings.weight"
_DECODER = "decoder.weight"  # is the embedding's matrix, and stored as that


class HubError(ValueError):
    """A folder or tokenizer that is not a ModernBERT's, or is broken. One line: where, what, the mend."""


class Imported(NamedTuple):
    """A ModernBERT from a folder. `weights` has every name of `Bert`'s state dict, in float32."""

    shape: Shape
    vocab: int
    thetas: tuple[float, float]
    """RoPE bases of global and local layers."""
    context: int
    """The longest input, in tokens."""
    weights: dict[str, Tensor]


def export_hub(model: Bert, folder: Path, tokenizer_json: Path, context: int) -> None:
    """Write a folder that `AutoModelForMaskedLM` and `AutoTokenizer` load, giving the model's own logits.

    `context` is the longest input, in tokens, that the model was trained for. What else lies in the folder
    stays; an earlier config.json goes first and the new one comes last, so what was cut off does not load.

    Raises HubError when the tokenizer lacks a special token or has ids beyond the model's vocabulary.
    """
    tokenizer, ids = _read_tokenizer(tokenizer_json, model.vocab)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").unlink(missing_ok=True)

    weights = {name: t.detach().cpu() for name, t in model.state_dict().items() if name != _DECODER}
    try:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    except (SafetensorError, OSError) as fault:
        (folder / "model.safetensors").unlink(missing_ok=True)  # a part of it would only take room
        raise HubError(f"{folder}: model.safetensors cannot be written ({fault}); make room") from None
    (folder / "model.safetensors").chmod(0o644)  # written for its owner alone

    mask = next(token for token in tokenizer["added_tokens"] if token["content"] == SPECIALS["mask_token"])
    mask["lstrip"] = True  # "the [MASK]" is "the" and a mask for " cat": the word brings its own space
    _write(folder / "tokenizer.json", tokenizer)
    added = {str(token["id"]): _flags(token) for token in tokenizer["added_tokens"]}
    _write(folder / "tokenizer_config.json", _tokenizer_config(added, context))
    _write(folder / "special_tokens_map.json", SPECIALS | {"mask_token": _flags(mask)})
    _write(folder / "config.json", _config(model, ids, context))


def import_hub(folder: Path) -> Imported:
    """Read a folder as `save_pretrained` or `export_hub` writes it.

    Raises HubError for a file that is missing or broken, for another architecture or settings that `Bert` has
    not, and for a tensor that is missing, unknown or of another shape, naming the first of them.
    """
    config = _read_json(folder / "config.json")
    if config.get("model_type") != "modernbert":
        kind = config.get("model_type")
        raise HubError(f"{folder}/config.json: model_type is {kind!r}; give a folder of a 'modernbert'")
    for key, value in _FIXED.items():
        if config.get(key, value) != value:
            raise HubError(f"{folder}/config.json: {key} is {config[key]!r}; this model has only {value!r}")
    shape, vocab = _shape(config, folder), config.get("vocab_size")
    if not isinstance(vocab, int):
        raise HubError(f"{folder}/config.json: vocab_size is {vocab!r}, not a whole number")
    return Imported(shape, vocab, _thetas(config, folder), _context(config, folder), _weights(folder, shape, vocab))


def _config(model: Bert, ids: Mapping[str, int], context: int) -> dict[str, object]:
    shape, (of_global, of_local) = model.shape, model.thetas
    kinds = [_KINDS[not shape.is_global(layer)] for layer in range(shape.layers)]
    return {
        "architectures": ["ModernBertForMaskedLM"],
        "model_type": "modernbert",
        "torch_dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "vocab_size": model.vocab,
        **{theirs: getattr(shape, ours) for ours, theirs in _FIELDS.items()},
        "max_position_embeddings": context,
        "global_attn_every_n_layers": shape.global_every,
        "local_attention": shape.window,
        "layer_types": kinds,
        # 4.x reads the first two and ignores the third without a word; 5.x prefers the third.
        "global_rope_theta": of_global,
        "local_rope_theta": of_local,
        "rope_parameters": {
            kind: {"rope_theta": theta, "rope_type": "default"}
            for kind, theta in zip(_KINDS, model.thetas, strict=True)
        },
        "norm_eps": shape.norm_eps,
        **_FIXED,
        "embedding_dropout": 0.0,
        "mlp_dropout": 0.0,
        # One setting there for two dropouts: ours, after the output projection, would bring one of the
        # attention's probabilities along, which the model has never seen.
        "attention_dropout": 0.0,
        "classifier_dropout": 0.0,
        "classifier_pooling": "mean",
        "initializer_range": shape.init_std,
        "initializer_cutoff_factor": 2.0,
        **{f"{name}_id": ids[name] for name in SPECIALS if name not in ("unk_token", "mask_token")},
    }


def _tokenizer_config(added: Mapping[str, object], context: int) -> dict[str, object]:
    return {
        "added_tokens_decoder": added,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],  # a ModernBERT refuses token_type_ids
        "model_max_length": context,
        "tokenizer_class": "PreTrainedTokenizerFast",  # the name that both 4.x and 5.x know
        **SPECIALS,
    }


def _read_tokenizer(path: Path, vocab: int) -> tuple[dict[str, Any], dict[str, int]]:
    tokenizer = _read_json(path)
    added = {token["content"]: token["id"] for token in tokenizer.get("added_tokens", [])}
    if missing := [text for text in SPECIALS.values() if text not in added]:
        raise HubError(f"{path}: no special token {missing[0]}; train the tokenizer with {', '.join(_TEXTS)}")
    words = tokenizer.get("model", {}).get("vocab")
    if not isinstance(words, dict):
        raise HubError(f"{path}: no vocabulary of words and ids; give the tokenizer.json of a byte-level BPE")
    highest = max([*added.values(), *words.values()])
    if highest >= vocab:
        raise HubError(f"{path}: id {highest} is beyond the model's {vocab} words; this is not its tokenizer")
    return tokenizer, {name: added[text] for name, text in SPECIALS.items()}


def _flags(token: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in token.items() if key != "id"}


def _shape(config: Mapping[str, Any], folder: Path) -> Shape:
    if missing := [key for key in _FIELDS.values() if not isinstance(config.get(key), int)]:
        raise HubError(f"{folder}/config.json: {missing[0]} is {config.get(missing[0])!r}, not a whole number")
    layers = config["num_hidden_layers"]
    kinds = config.get("layer_types")
    every = config.get("global_attn_every_n_layers")
    if every is None:  # 5.x saves the list alone
        every = (kinds.index(_KINDS[0], 1) if _KINDS[0] in kinds[1:] else layers) if kinds else 3
    try:
        shape = Shape(
            **{ours: config[theirs] for ours, theirs in _FIELDS.items()},
            global_every=every,
            window=config.get("local_attention", 128),
            norm_eps=config.get("norm_eps", 1e-5),
        )
    except (TypeError, ValueError) as fault:
        raise HubError(f"{folder}/config.json: {fault}") from None
    if kinds is not None and kinds != [_KINDS[not shape.is_global(layer)] for layer in range(layers)]:
        raise HubError(f"{folder}/config.json: layer_types is not one global layer in every {every}")
    return shape


def _thetas(config: Mapping[str, Any], folder: Path) -> tuple[float, float]:
    rope = config.get("rope_parameters")
    if rope is None:
        of_global, of_local = (
            config.get("global_rope_theta", GLOBAL_THETA),
            config.get("local_rope_theta", THETA),
        )
    else:
        kinds = [rope.get(kind) or {} for kind in _KINDS]
        if odd := [kind.get("rope_type") for kind in kinds if kind.get("rope_type", "default") != "default"]:
            raise HubError(f"{folder}/config.json: rope_type is {odd[0]!r}; this model has only 'default'")
        of_global, of_local = (kind.get("rope_theta") for kind in kinds)
    if of_local in (None, -1):  # converters wrote the training code's "as the global layers" as it was
        of_local = of_global
    if not all(isinstance(theta, int | float) and theta > 1 for theta in (of_global, of_local)):
        raise HubError(
            f"{folder}/config.json: the RoPE bases are {of_global!r} (global) and {of_local!r} (local); "
            f"write global_rope_theta and local_rope_theta as the model was trained (10000 or 160000)"
        )
    return float(of_global), float(of_local)


def _context(config: Mapping[str, Any], folder: Path) -> int:
    context = config.get("max_position_embeddings", 8192)  # the class's own default
    if not isinstance(context, int) or context < 1:
        raise HubError(f"{folder}/config.json: max_position_embeddings is {context!r}, not a number of tokens")
    return context


def _weights(folder: Path, shape: Shape, vocab: int) -> dict[str, Tensor]:
    stored: dict[str, Tensor] = {}
    for path in _weight_files(folder):
        try:
            stored |= load_file(path)
        except (SafetensorError, OSError) as fault:
            raise HubError(f"{path}: not a whole safetensors file ({fault}); fetch it again") from None
    if _WORDS in stored:
        stored.setdefault(_DECODER, stored[_WORDS])
    with torch.device("meta"):
        expected = Bert(shape, vocab).state_dict()
    if missing := [name for name in expected if name not in stored]:
        raise HubError(f"{folder}: no tensor {missing[0]}; give a ModernBertForMaskedLM, with its head")
    if unknown := sorted(stored.keys() - expected.keys()):
        raise HubError(f"{folder}: unknown tensor {unknown[0]}; give a ModernBertForMaskedLM")
    for name, tensor in expected.items():
        if stored[name].shape != tensor.shape:
            raise HubError(
                f"{folder}: {name} is {tuple(stored[name].shape)}, "
                f"but by its config.json it must be {tuple(tensor.shape)}"
            )
    if not torch.equal(stored[_DECODER], stored[_WORDS]):
        raise HubError(f"{folder}: decoder.weight is not the embedding's matrix; only tied weights can be read")
    return {name: stored[name].float() for name in expected}


def _weight_files(folder: Path) -> list[Path]:
    """As `transformers` chooses where both stand: one whole file before what an index names."""
    index = folder / "model.safetensors.index.json"
    if not (folder / "model.safetensors").exists():
        if not index.exists():
            raise HubError(f"{folder}: no model.safetensors; save the model with transformers' save_pretrained")
        return [folder / name for name in sorted(set(_read_json(index)["weight_map"].values()))]
    return [folder / "model.safetensors"]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise HubError(f"{path}: cannot be read ({fault.strerror})") from None
    except ValueError as fault:
        raise HubError(f"{path}: not JSON ({fault})") from None
    if not isinstance(read, dict):
        raise HubError(f"{path}: not a JSON object")
    return read


def _write(path: Path, what: Mapping[str, object]) -> None:
    """Whole or not at all: written aside, then renamed."""
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(json.dumps(what, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(aside, path)
