"""How well hidden tokens of held-out text are guessed, source by source, in a figure that compares over tokenizers.

Bits per byte: the surprise over all masked tokens, in bits, over the UTF-8 bytes that these tokens stand for. The
masks depend on the source's name and the row alone, so every evaluation of every run over the same rows asks the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from model.attention import Segments
from model.bert import Bert
from packing.shards import Shards
from train.batches import Microbatch, lay
from train.devices import precision
from train.masking import Words, key_of
from train.settings import Evaluate

TOKENS = 16_384
"""In one forward pass at most, unless one row is longer: 0.5 GB of float32 logits at 50,368 words."""


@dataclass(frozen=True, kw_only=True)
class Score:
    bits_per_byte: float
    loss: float
    """Nats a masked token."""
    accuracy: float
    """Share of masked tokens whose likeliest word is the right one."""
    guessed: int
    """Masked tokens."""


def evaluate(
    model: Bert,
    heldout: Mapping[str, Shards],
    settings: Evaluate,
    *,
    words: Words,
    token_bytes: npt.NDArray[np.int32],
    device: torch.device,
) -> dict[str, Score]:
    """Score each source on its first `settings.rows` held-out rows; a source of which no token is masked has no score.

    token_bytes  (V,): UTF-8 bytes that each token stands for

    Draws no random number, and leaves the model in the mode it was in.
    """
    was_training = model.training
    model.eval()
    scores: dict[str, Score] = {}
    for name in sorted(heldout):
        parts = _microbatches(heldout[name], settings, words, key_of("evaluate", name))
        if score := _score(model, parts, token_bytes, device):
            scores[name] = score
    model.train(was_training)
    return scores


def _microbatches(rows: Shards, settings: Evaluate, words: Words, key: tuple[int, int]) -> list[Microbatch]:
    """As many rows together as fit in TOKENS, at least one."""
    parts: list[Microbatch] = []
    held = rows.rows(np.arange(min(settings.rows, len(rows))))
    first, count = 0, len(held.bounds) - 1
    while first < count:
        last = max(first + 1, int(np.searchsorted(held.bounds, held.bounds[first] + TOKENS, side="right")) - 1)
        numbers = np.arange(first, last)
        parts.append(lay(held.part(first, last), numbers, rate=settings.mask, words=words, key=key))
        first = last
    return parts


@torch.no_grad()
def _score(
    model: Bert, parts: Sequence[Microbatch], token_bytes: npt.NDArray[np.int32], device: torch.device
) -> Score | None:
    nats, right, guessed, size = 0.0, 0, 0, 0
    for part in parts:
        if not len(part.labels):
            continue
        size += int(token_bytes[part.labels.numpy()].sum())
        guessed += len(part.labels)
        moved = part.to(device)
        segments = Segments(cu_seqlens=moved.cu_seqlens, tokens=len(moved.input_ids), longest=part.longest)
        with precision(device):
            logits = model(moved.input_ids, segments, moved.masked)
        losses = F.cross_entropy(logits.float(), moved.labels, reduction="none")
        nats += float(losses.double().sum())
        right += int((logits.argmax(-1) == moved.labels).sum())
    if not guessed:
        return None
    return Score(
        bits_per_byte=nats / math.log(2) / max(size, 1),
        loss=nats / guessed,
        accuracy=right / guessed,
        guessed=guessed,
    )
