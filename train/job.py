"""What a training is asked to do, what it gives back, and by what it is known again when it goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from model.settings import Shape
from packing.arrival import located
from packing.mixture import Order
from train.schedule import Schedule
from train.settings import Train
from train.start import print_of


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
    max_epochs: float = 4.0
    """Times that a source may be read (packing.settings.Packing)."""
    apart: bool = False
    """Whether each context has documents of its own, so that what is read at one is not read again at another."""
    threads: int | None = None
    """On the CPU; None takes all that this process may use."""

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @cached_property
    def started(self) -> str:
        """Hash of the weights that the recipe starts from; asked for once, as a parent may go while the run goes on."""
        return print_of(self.settings.start) if self.settings.start else ""

    def identity(self, order: Order, g: int) -> dict[str, Any]:
        """All that shapes the weights after g rows: what is read later may still change, and so may the mixture.

        When to save and evaluate shapes nothing, a microbatch's size only the last bits. Rows are known by the hashes
        of their shards, whatever made them. Raises MixtureError beyond the last row.
        """
        settings = self.settings
        shaped = {"optimizer": asdict(settings.optimizer), "batch": asdict(settings.batch)}
        return {
            "seed": self.seed,
            **({"start": self.started} if settings.start else {}),
            "train": {**shaped, "phases": Schedule(settings).shaped(g)},
            "model": asdict(self.shape),
            "tokenizer": hashlib.sha256(self.tokenizer.read_bytes()).hexdigest()[:16],
            "order": order.fingerprint_of(g),
            "rows": {f"{name}/{context}": _print(self.shards[name, context]) for name, context in order.read(g)},
        }


def _print(folder: Path) -> str:
    """Of packed rows: equal for equal bytes in equal files."""
    shards, _ = located(folder)
    return hashlib.sha256(json.dumps([[shard.rows, shard.size, shard.xxh64] for shard in shards]).encode()).hexdigest()[
        :16
    ]


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
