"""A checkpoint of ModernBERT's own training code (FlexBERT under Composer, one .pt file) -> a ModernBERT.

state.model                 tensors, named as model.bert.encoder.layers.0.attn.Wqkv.weight
state.optimizers.<class>    state: the moments of each parameter, by its name or number; param_groups
state.integrations.huggingface    model.config.content, tokenizer.tokenizer.content
state.timestamp             batch: steps done; rng and more, which is not needed
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from model.hub import Imported
from model.pickled import opened
from model.settings import THETA, Shape
from model.tensors import decays, tensors

_FIXED: Mapping[str, tuple[object, ...]] = {
    "bert_layer": ("prenorm",),
    "attention_layer": ("rope",),
    "mlp_layer": ("glu",),
    "embedding_layer": ("sans_pos",),
    "normalization": ("layernorm", "triton_layernorm"),
    "hidden_act": ("gelu",),
    "head_pred_act": ("gelu",),
    "rotary_emb_interleaved": (False,),
    "rotary_emb_scale_base": (None,),
    "tie_word_embeddings": (True,),
}
"""Settings that tensors do not betray, with the values of a ModernBERT; one that is not given means the same."""

_FIELDS = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
    "global_every": "global_attn_every_n_layers",
    "window": "sliding_window",
}
_WORDS, _DECODER = "model.embeddings.tok_embeddings.weight", "decoder.weight"

LONG = 8192
"""Context of the phases with a larger RoPE base (ModernBERT, Table 3); before, `SHORT`. The file does not say it."""
SHORT = 1024


class FlexbertError(Exception):
    """A .pt file that holds no FlexBERT, or not one that is a ModernBERT. One line: where, what, the mend."""


class Flexbert(NamedTuple):
    """A .pt file, opened: tensors stay on disk until they are used."""

    path: Path
    imported: Imported
    tokenizer: Mapping[str, Any] | None
    """The content of tokenizer.json, if the file has it."""
    state: Mapping[str, Any]
    """All of it, as it was saved."""


def read_flexbert(path: Path, *, trust_pickle: bool = False) -> Flexbert:
    """Open a .pt file. With `trust_pickle` it may build, and so run, anything.

    Raises PickledError for a file that is missing, broken or would run code, and FlexbertError for settings that `Bert`
    has not, and for a tensor that is missing, unknown or of another shape, naming the first of them.
    """
    state = _mapping(opened(path, trust_pickle).get("state"), f"{path}: holds no 'state' of a Composer checkpoint")
    stored = _mapping(state.get("model"), f"{path}: holds no tensors of a model in state.model")
    told = _at(state, "integrations", "huggingface", "model", "config", "content")
    config = _mapping(_parsed(told), f"{path}: has no configuration of FlexBERT; fetch the file that Composer saved")
    for key, values in _FIXED.items():
        if config.get(key, values[0]) not in values:
            raise FlexbertError(f"{path}: {key} is {config[key]!r}; a ModernBERT has {values[0]!r}")
    shape = _shape(config, path)
    thetas = _thetas(config, path)
    weights = _weights(stored, shape, path)
    context = LONG if thetas[0] > THETA else SHORT
    tokenizer = _parsed(
        _at(state, "integrations", "huggingface", "tokenizer", "tokenizer", "content")
        or _at(state, "integrations", "huggingface", "tokenizer", "tokenizer.json", "content")
    )
    imported = Imported(shape, len(weights[_WORDS]), thetas, context, weights)
    return Flexbert(path, imported, tokenizer if isinstance(tokenizer, Mapping) else None, state)


def moments_of(found: Flexbert) -> tuple[dict[str, Tensor], int]:
    """(`exp_avg.<name>` and `exp_avg_sq.<name>` of each parameter, optimizer's steps done), as StableAdamW keeps them.

    Raises FlexbertError where the file has no optimizer, or another one's state.
    """
    path, shape, vocab = found.path, found.imported.shape, found.imported.vocab
    optimizers = _mapping(found.state.get("optimizers"), f"{path}: has no optimizer's state; take optimizer: fresh")
    if len(optimizers) != 1:
        raise FlexbertError(f"{path}: has {len(optimizers)} optimizers, not one; take optimizer: fresh")
    ((kind, saved),) = optimizers.items()
    entries, groups = _at(saved, "state") or {}, _at(saved, "param_groups") or []
    by_name = dict(_named(found, entries, groups))
    if _DECODER in by_name:  # tied: it is the embedding
        by_name.setdefault(_WORDS, by_name.pop(_DECODER))
    moments: dict[str, Tensor] = {}
    for moment in ("exp_avg", "exp_avg_sq"):
        for name, size in tensors(shape, vocab):
            tensor = _at(by_name.get(name), moment)
            if not isinstance(tensor, Tensor) or tensor.shape != size:
                raise FlexbertError(f"{path}: {kind} has no {moment} of {name}; take optimizer: fresh")
            moments[f"{moment}.{name}"] = tensor.float()
    return moments, _updates(found, entries, groups)


def _shape(config: Mapping[str, Any], path: Path) -> Shape:
    if missing := [key for key in _FIELDS.values() if not isinstance(config.get(key), int)]:
        raise FlexbertError(f"{path}: its {missing[0]} is {config.get(missing[0])!r}, not a whole number")
    norms = config.get("norm_kwargs") or {}
    try:
        return Shape(
            **{ours: config[theirs] for ours, theirs in _FIELDS.items()},
            norm_eps=norms.get("eps", 1e-5),
            dropout=config.get("attn_out_dropout_prob", 0.0),
        )
    except (TypeError, ValueError, AttributeError) as fault:
        raise FlexbertError(f"{path}: {fault}") from None


def _thetas(config: Mapping[str, Any], path: Path) -> tuple[float, float]:
    """RoPE bases of global and local layers; the local one is told as -1 or null where it is the global one."""
    of_global, of_local = config.get("rotary_emb_base"), config.get("local_attn_rotary_emb_base")
    if of_local in (None, -1):
        of_local = of_global
    if not all(isinstance(theta, int | float) and theta > 1 for theta in (of_global, of_local)):
        raise FlexbertError(f"{path}: its RoPE bases are {of_global!r} and {of_local!r}; no ModernBERT was trained so")
    return float(of_global or 0), float(of_local or 0)


def our_name(name: str) -> str:
    """FlexBERT's name of a tensor, with what Composer, DDP and torch.compile put before it -> ours."""
    bare = ".".join(part for part in name.split(".") if part not in ("_orig_mod", "module")).removeprefix("model.")
    if bare.startswith("bert."):
        return f"model.{bare.removeprefix('bert.').removeprefix('encoder.')}"
    return bare


def _weights(stored: Mapping[str, Any], shape: Shape, path: Path) -> dict[str, Tensor]:
    named = {our_name(str(name)): tensor for name, tensor in stored.items() if isinstance(tensor, Tensor)}
    named = {name: tensor for name, tensor in named.items() if not name.endswith("rotary_emb.inv_freq")}
    if _WORDS not in named:
        raise FlexbertError(f"{path}: no tensor {_WORDS}; give a file that FlexBERT saved")
    named.setdefault(_DECODER, named[_WORDS])
    expected = dict(tensors(shape, len(named[_WORDS])))
    expected[_DECODER] = expected[_WORDS]
    if missing := [name for name in expected if name not in named]:
        raise FlexbertError(f"{path}: no tensor {missing[0]}; give a FlexBertForMaskedLM, with its head")
    if unknown := sorted(named.keys() - expected.keys()):
        raise FlexbertError(f"{path}: unknown tensor {unknown[0]}; give a FlexBertForMaskedLM")
    for name, size in expected.items():
        if named[name].shape != size:
            raise FlexbertError(
                f"{path}: {name} is {tuple(named[name].shape)}, but by its configuration it must be {size}"
            )
    if named[_DECODER].data_ptr() != named[_WORDS].data_ptr() and not torch.equal(named[_DECODER], named[_WORDS]):
        raise FlexbertError(f"{path}: the decoder's matrix is not the embedding's; only tied weights can be read")
    return {name: named[name].float() for name in expected}


def _named(found: Flexbert, entries: Any, groups: Any) -> Iterator[tuple[str, Any]]:
    """The optimizer's entries by our names of the parameters.

    Numbered ones count the parameters of all groups on; a group without weight decay, beside one with it, has the
    norms and biases, and each the order of the model's own tensors.
    """
    if all(isinstance(key, str) for key in entries):
        yield from ((our_name(key), entry) for key, entry in entries.items())
        return
    names = dict(tensors(found.imported.shape, found.imported.vocab))
    order = [name for name in dict.fromkeys(our_name(str(key)) for key in found.state["model"]) if name in names]
    alike = len({bool(_at(group, "weight_decay")) for group in groups}) == 1
    for group in groups:
        decayed = bool(_at(group, "weight_decay"))
        own = [name for name in order if alike or decays(names[name]) is decayed]
        numbers = _at(group, "params") or []
        if len(own) != len(numbers):
            raise FlexbertError(
                f"{found.path}: the optimizer's numbers cannot be told to tensors ({len(numbers)} in a group that "
                f"should have {len(own)}); take optimizer: fresh"
            )
        yield from ((name, _at(entries, number)) for name, number in zip(own, numbers, strict=True))


def _updates(found: Flexbert, entries: Any, groups: Any) -> int:
    """Steps that the moments have seen: the optimizer's own count, which no new phase sets back, or the clock's."""
    counts = [_at(part, "step") for part in [*groups, *entries.values()]]
    steps = [int(count) for count in counts if isinstance(count, int | float | Tensor)]
    batch = _at(found.state, "timestamp", "batch")
    if not steps and not isinstance(batch, int):
        raise FlexbertError(f"{found.path}: does not tell how many steps were done; take optimizer: fresh")
    return max(steps) if steps else batch


def _at(value: Any, *keys: object) -> Any:
    """What lies so deep, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _parsed(told: Any) -> Any:
    """JSON that may still be text."""
    try:
        return json.loads(told) if isinstance(told, str) else told
    except ValueError:
        return None


def _mapping(value: Any, else_: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FlexbertError(else_)
    return value
