"""A model's folder and texts with [MASK] -> the words that fit, best first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commands.opened import opened
from train.samples import FillMaskError
from train.samples import fill as filled

__all__ = ["FillMaskError", "fill", "told"]


def fill(folder: Path, texts: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The `top` likeliest tokens for each mask of each text, with their probabilities."""
    if top < 1:
        raise FillMaskError(f"--top is at least 1, not {top}")
    model, tokenizer, context = opened(folder)
    return filled(model, tokenizer, texts, top, context)


def told(answer: dict[str, Any]) -> str:
    """For a terminal: the text, then a line a mask."""
    masks = (
        "  " + "   ".join(f"{one['token']!r} {one['probability']:.1%}" for one in candidates)
        for candidates in answer["masks"]
    )
    return "\n".join([answer["text"], *masks])
