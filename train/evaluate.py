"""How well hidden tokens of held-out text are guessed, source by source and at several rates of masking.

Bits per byte: the surprise over all masked tokens, in bits, over the UTF-8 bytes that these tokens stand for. The
masks depend on the source's name and the row alone, so every evaluation of every run over the same rows asks the same;
those of a lower rate are among those of a higher one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from model.attention import Segments
from model.bert import Bert
from packing.flat import Rows
from packing.shards import Shards
from train.batches import Microbatch, lay
from train.devices import precision
from train.masking import Words, key_of
from train.settings import Evaluate

TOKENS = 16_384
"""In one forward pass at most, unless one row is longer: 1.0 GB of float32 logits at 50,368 words and 30 % masked."""


@dataclass(frozen=True, kw_only=True)
class Score:
    bits_per_byte: float
    loss: float
    """Nats a masked token."""
    accuracy: float
    """Share of masked tokens whose likeliest word is the right one."""
    guessed: int
    """Masked tokens."""
    bytes: int
    """UTF-8 bytes that these stand for."""
    asked: str
    """Hash of the questions: which tokens of which rows are hidden, behind what. Scores of equal ones compare."""


def evaluate(
    model: Bert,
    heldout: Mapping[str, Shards],
    settings: Evaluate,
    *,
    words: Words,
    token_bytes: npt.NDArray[np.int32],
    device: torch.device,
) -> dict[str, dict[str, Score]]:
    """Source -> rate of masking, as in "0.15" -> the score on the source's first `settings.rows` held-out rows.

    token_bytes  (V,): UTF-8 bytes that each token stands for

    A source of which no token is masked has no score. Draws no random number, and leaves the model in the mode it was
    in.
    """
    was_training = model.training
    model.eval()
    scores: dict[str, dict[str, Score]] = {}
    for name in sorted(heldout):
        held = heldout[name].rows(np.arange(min(settings.rows, len(heldout[name]))))
        for rate in settings.masks:
            if score := _score(model, questions(name, held, rate=rate, words=words), token_bytes, device):
                scores.setdefault(name, {})[str(rate)] = score
    model.train(was_training)
    return scores


def told(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Scores as plain values, for a record or a checkpoint."""
    return {name: {rate: asdict(score) for rate, score in of.items()} for name, of in scores.items()}


def questions(source: str, held: Rows, *, rate: float, words: Words) -> list[Microbatch]:
    """What is asked of a source's first held-out rows: as many rows together as fit in TOKENS, at least one."""
    key, parts = key_of("evaluate", source), []
    first, count = 0, len(held.bounds) - 1
    while first < count:
        last = max(first + 1, int(np.searchsorted(held.bounds, held.bounds[first] + TOKENS, side="right")) - 1)
        parts.append(lay(held.part(first, last), np.arange(first, last), rate=rate, words=words, key=key))
        first = last
    return parts


@torch.no_grad()
def _score(
    model: Bert, parts: Sequence[Microbatch], token_bytes: npt.NDArray[np.int32], device: torch.device
) -> Score | None:
    parts = [part for part in parts if len(part.labels)]
    guessed = sum(len(part.labels) for part in parts)
    if not guessed:
        return None
    size = sum(int(token_bytes[part.labels.numpy()].sum()) for part in parts)
    nats, right = torch.zeros((), dtype=torch.float64, device=device), torch.zeros((), dtype=torch.int64, device=device)
    for part in parts:
        moved = part.to(device)
        segments = Segments(cu_seqlens=moved.cu_seqlens, tokens=len(moved.input_ids), longest=part.longest)
        with precision(device):
            logits = model(moved.input_ids, segments, moved.masked)
        nats += F.cross_entropy(logits.float(), moved.labels, reduction="none").double().sum()
        right += (logits.argmax(-1) == moved.labels).sum()
    return Score(
        bits_per_byte=float(nats) / math.log(2) / max(size, 1),
        loss=float(nats) / guessed,
        accuracy=int(right) / guessed,
        guessed=guessed,
        bytes=size,
        asked=_print(parts),
    )


def _print(parts: Sequence[Microbatch]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for kind in ("input_ids", "cu_seqlens", "masked", "labels"):
        for part in parts:
            digest.update(getattr(part, kind).numpy())
    return digest.hexdigest()
