"""Files as Composer saves a FlexBERT: its names, nesting and the objects of other libraries that lie between them."""

from __future__ import annotations

import datetime
import json
import random
from collections import OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.bert import Bert


def flexbert_name(name: str, before: str = "model.") -> str:
    """Ours -> FlexBERT's, inside Composer's wrapper."""
    if name.startswith("model.layers."):
        return f"{before}bert.encoder.{name.removeprefix('model.')}"
    if name.startswith("model."):
        return f"{before}bert.{name.removeprefix('model.')}"
    return before + name


def config_of(model: Bert, **changes: Any) -> dict[str, Any]:
    """As of ModernBERT's own runs."""
    shape = model.shape
    return {
        "architectures": ["FlexBertForMaskedLM"],
        "vocab_size": model.vocab,
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "global_attn_every_n_layers": shape.global_every,
        "sliding_window": shape.window,
        "rotary_emb_base": model.thetas[0],
        "local_attn_rotary_emb_base": model.thetas[1],
        "rotary_emb_dim": None,
        "rotary_emb_scale_base": None,
        "rotary_emb_interleaved": False,
        "norm_kwargs": {"eps": shape.norm_eps, "bias": False},
        "attn_out_dropout_prob": 0.1,
        "bert_layer": "prenorm",
        "attention_layer": "rope",
        "mlp_layer": "glu",
        "embedding_layer": "sans_pos",
        "normalization": "layernorm",
        "hidden_act": "gelu",
        "head_pred_act": "gelu",
        "head_class_act": "silu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        **changes,
    }


def saved(
    model: Bert,
    tokenizer: Path | None = None,
    *,
    before: str = "model.",
    config: dict[str, Any] | None = None,
    optimizer: dict[str, Any] | None = None,
    batches: int = 7,
) -> dict[str, Any]:
    """What is given to torch.save."""
    rng = {
        "python": random.Random(1).getstate(),
        "numpy": np.random.RandomState(1).get_state(),
        "torch": torch.zeros(9),
    }
    worked = datetime.timedelta(seconds=3.5)
    return {
        "state": {
            "model": OrderedDict((flexbert_name(name, before), t) for name, t in model.state_dict().items()),
            "optimizers": {"StableAdamW": optimizer} if optimizer else {},
            "schedulers": {"LambdaLR": {"last_epoch": batches, "base_lrs": [8e-4], "lr_lambdas": [None]}},
            "algorithms": [("GradientClipping", {"repr": "GradientClipping()"})],
            "callbacks": {"SpeedMonitor": {"total_eval_wct": 0.0, "history": deque([1.0, 2.0])}},
            "timestamp": {"batch": batches, "token": 4096 * batches, "total_wct": worked, "batch_wct": worked},
            "run_name": "flex",
            "integrations": {
                "huggingface": {
                    "model": {"config": {"file_extension": ".json", "content": config or config_of(model)}},
                    "tokenizer": {
                        "tokenizer": {"file_extension": ".json", "content": json.loads(tokenizer.read_text())}
                    }
                    if tokenizer
                    else {},
                }
            },
            "metadata": {"torch_version": torch.__version__, "world_size": 8, "seen": defaultdict(dict, a={"b": 1})},
            "loss": np.float64(2.5),
        },
        "rng": [rng],
    }


def optimizer_by_name(moments: dict[str, Tensor], step: int | None) -> dict[str, Any]:
    """As torch >= 2.3 lets Composer save it; the tied decoder's matrix under both names."""
    entries = _entries(moments)
    group: dict[str, Any] = {"lr": 8e-4, "weight_decay": 1e-5, "params": [flexbert_name(name) for name in entries]}
    if step is not None:
        group["step"] = torch.tensor(step, dtype=torch.int32)
    return {"state": {flexbert_name(name): entry for name, entry in entries.items()}, "param_groups": [group]}


def optimizer_by_number(moments: dict[str, Tensor], step: int) -> dict[str, Any]:
    """As it was before: norms and biases in a group of their own, first."""
    entries = _entries(moments)
    flat = [name for name, entry in entries.items() if entry["exp_avg"].dim() == 1]
    deep = [name for name in entries if name not in flat]
    groups = []
    state: dict[int, Any] = {}
    for names, decay in ((flat, 0.0), (deep, 1e-5)):
        numbers = list(range(len(state), len(state) + len(names)))
        groups.append({"weight_decay": decay, "params": numbers})
        for number, name in zip(numbers, names, strict=True):
            state[number] = {**entries[name], "step": torch.tensor(step)}
    return {"state": state, "param_groups": groups}


def _entries(moments: dict[str, Tensor]) -> dict[str, dict[str, Any]]:
    names = [name.removeprefix("exp_avg.") for name in moments if name.startswith("exp_avg.")]
    return {
        name: {
            "exp_avg": moments[f"exp_avg.{name}"],
            "exp_avg_sq": moments[f"exp_avg_sq.{name}"],
            "eps_sq": torch.tensor(1e-12),
            "kahan_comp": None,
        }
        for name in names
    }
