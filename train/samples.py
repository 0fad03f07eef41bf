"""Texts with [MASK] -> the words that fit, best first: at each evaluation, and for `bertmill fill-mask`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from model.attention import Segments
from model.bert import Bert
from train.devices import precision

MASK = "[MASK]"


class FillMaskError(Exception):
    """A text that has nothing to fill or is too long, or a model that cannot fill it; one line with the mend."""


def fill(
    model: Bert, tokenizer_json: Path, texts: Sequence[str], top: int = 3, context: int | None = None
) -> list[dict[str, Any]]:
    """The `top` likeliest tokens for each mask of each text.

    ->       {"text": ..., "masks": [[{"token": " of", "token_id": 281, "probability": 0.31}, ...], ...]}
    context  tokens that the model takes at most; None does not ask. Raises FillMaskError.
    """
    tokenizer = opened(tokenizer_json)
    was_training = model.training
    model.eval()
    filled = [{"text": text, "masks": _masks(model, tokenizer, text, top, context)} for text in texts]
    model.train(was_training)
    return filled


def opened(tokenizer_json: Path) -> Tokenizer:
    """A tokenizer in which a mask takes the space before it, as the word would: "the [MASK]" asks for " cat"."""
    content = json.loads(tokenizer_json.read_bytes())
    for token in content["added_tokens"]:
        if token["content"] == MASK:
            token["lstrip"] = True
    return Tokenizer.from_str(json.dumps(content))


@torch.no_grad()
def _masks(model: Bert, tokenizer: Tokenizer, text: str, top: int, context: int | None) -> list[list[dict[str, Any]]]:
    cls, sep, mask = (tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]", MASK))
    ids = [cls, *tokenizer.encode(text, add_special_tokens=False).ids, sep]
    if context is not None and len(ids) > context:
        raise FillMaskError(f"'{text[:60]} ...' has {len(ids)} tokens, the model takes {context}; shorten it")
    places = [at for at, token in enumerate(ids) if token == mask]
    if not places:
        raise FillMaskError(f"'{text}' has no {MASK}; write it in place of the word to guess")
    device = model.decoder.bias.device
    with precision(device):
        logits = model(
            torch.tensor(ids, device=device), Segments.of([len(ids)], device), torch.tensor(places, device=device)
        )
    chances, best = logits.float().softmax(-1).topk(min(top, model.vocab))
    return [
        [
            {"token": tokenizer.decode([token]), "token_id": token, "probability": round(chance, 6)}
            for token, chance in zip(tokens, probabilities, strict=True)
        ]
        for tokens, probabilities in zip(best.tolist(), chances.tolist(), strict=True)
    ]
