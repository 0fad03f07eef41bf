"""What a training is asked to do, what it gives back, and by what it is known again when it goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.settings import Shape
from packing.mixture import Order
from train.settings import Train


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a training needs: what to do, what to read, where to write."""

    settings: Train
    shape: Shape
    tokenizer: Path
    """tokenizer.json; its ids are the model's vocabulary."""
    shards: Mapping[tuple[str, int], Path]
    """(source, context) -> folder of packed rows."""
    heldout: Mapping[str, Path]
    """Source -> folder of packed rows that no phase reads."""
    folder: Path
    """Where `checkpoints/` and `metrics.jsonl` stand."""
    seed: int
    fingerprint: str
    """Of the packed rows and all that made them: a run does not go on over other rows of the same number."""
    max_epochs: float = 4.0
    """Times that a source may be read (packing.settings.Packing)."""
    threads: int | None = None
    """On the CPU; None takes all that this process may use."""

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    def identity(self, order: Order) -> dict[str, Any]:
        """All that shapes the weights. When to save and evaluate does not, a microbatch's size only their last bits."""
        settings = asdict(self.settings)
        return {
            "seed": self.seed,
            "train": {part: settings[part] for part in ("optimizer", "batch", "phases")},
            "model": asdict(self.shape),
            "tokenizer": hashlib.sha256(self.tokenizer.read_bytes()).hexdigest()[:16],
            "order": order.fingerprint,
            "rows": self.fingerprint,
        }


@dataclass(frozen=True, kw_only=True)
class Result:
    """Where a training stands when `train` returns."""

    step: int
    """Steps done."""
    g: int
    """Rows read."""
    tokens: int
    """Tokens read, without padding."""
    loss: float
    """Of the last step."""
    finished: bool
    evaluation: Mapping[str, Any] | None
    """Source -> score (the fields of train.evaluate.Score), if the last step was evaluated."""
    checkpoint: Path
