"""A Hugging Face folder and a text with [MASK] -> the words that fit, best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from model.attention import Segments
from model.bert import Bert
from model.hub import import_hub

MASK = "[MASK]"


class FillMaskError(Exception):
    """A text that has nothing to fill, or a folder that holds no model; one line with the mend."""


def fill(folder: Path, texts: Sequence[str], top: int) -> Iterator[dict[str, Any]]:
    """The `top` likeliest tokens for each mask of each text, with their probabilities."""
    if top < 1:
        raise FillMaskError(f"--top is at least 1, not {top}")
    imported = import_hub(folder)
    model = Bert(imported.shape, imported.vocab)
    model.load_state_dict(imported.weights)
    model.set_rope(*imported.thetas)
    model.eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in texts:
        yield {"text": text, "masks": _masks(model, tokenizer, text, top, imported.context)}


def _masks(model: Bert, tokenizer: Tokenizer, text: str, top: int, context: int) -> list[list[dict[str, Any]]]:
    ids = tokenizer.encode(text).ids
    if len(ids) > context:
        raise FillMaskError(f"'{text[:60]} ...' has {len(ids)} tokens, the model takes {context}; shorten it")
    places = [at for at, token in enumerate(ids) if token == tokenizer.token_to_id(MASK)]
    if not places:
        raise FillMaskError(f"'{text}' has no {MASK}; write it in place of the word to guess")
    with torch.inference_mode():
        logits = model(torch.tensor(ids), Segments.of([len(ids)]), torch.tensor(places))
        chances, best = logits.float().softmax(-1).topk(min(top, model.vocab))
    return [
        [
            {"token": tokenizer.decode([token]), "token_id": token, "probability": round(chance, 6)}
            for token, chance in zip(tokens, probabilities, strict=True)
        ]
        for tokens, probabilities in zip(best.tolist(), chances.tolist(), strict=True)
    ]


def told(answer: dict[str, Any]) -> str:
    """For a terminal: the text, then a line a mask."""
    masks = (
        "  " + "   ".join(f"{one['token']!r} {one['probability']:.1%}" for one in candidates)
        for candidates in answer["masks"]
    )
    return "\n".join([answer["text"], *masks])
