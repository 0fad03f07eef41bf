"""Records of a run -> TensorBoard, Weights & Biases, Trackio: each step there once, whatever stopped the run.

What a tracker shows is a function of metrics.jsonl's records; it owns nothing, and a training goes on without it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from train.adapters import Adapter, Once, TensorBoard, Trackio, WandB
from train.metrics import Record
from train.settings import Train


class TrackerError(Exception):
    """A tracker whose package is not installed."""


class TrackerWarning(UserWarning):
    """A tracker that failed, and is left alone from now on."""


def lacking(name: str) -> str | None:
    """What to say if the package of this tracker, which has its name, is not installed."""
    return None if find_spec(name) else f"{name} is not installed; pip install 'bertmill[trackers]'"


def scalars(record: Record) -> dict[str, float]:
    """What is drawn of a record: numbers by name. Those that are no number are left out."""
    found: dict[str, Any] = {}
    if record["kind"] == "step":
        found |= {f"train/{name}": record.get(name) for name in ("loss", "lr", "grad_norm", "tokens")}
        speed = ("tokens_per_second", "flops_per_second", "mfu", "data_wait", "seconds")
        found |= {f"speed/{name}": record.get(name) for name in speed}
    elif record["kind"] == "evaluation":
        for kind, head in (("sources", "evaluation"), ("averaged", "evaluation_averaged")):
            for source, by_rate in (record.get(kind) or {}).items():
                for rate, score in by_rate.items():
                    found |= {f"{head}/{source}/{rate}/{name}": score.get(name) for name in ("bits_per_byte", "loss")}
    return {name: float(number) for name, number in found.items() if number is not None and math.isfinite(number)}


class Tracker:
    """All trackers of a run. One that raises is told of once, as a TrackerWarning, and not asked again."""

    def __init__(self) -> None:
        self._adapters: dict[str, Adapter] = {}

    def add(self, name: str, opened: Callable[[], Adapter]) -> None:
        try:
            self._adapters[name] = opened()
        except Exception as fault:
            self._give_up(name, fault)

    def record(self, record: Record) -> None:
        """Show a record of metrics.jsonl, or any other event."""
        if record["kind"] == "saved":
            self._each(lambda adapter: adapter.flush())
        elif found := scalars(record):
            self._each(lambda adapter: adapter.log(found, record))

    def close(self) -> None:
        self._each(lambda adapter: adapter.close())
        self._adapters.clear()

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _each(self, do: Callable[[Adapter], None]) -> None:
        for name, adapter in list(self._adapters.items()):
            try:
                do(adapter)
            except Exception as fault:
                del self._adapters[name]
                self._give_up(name, fault)

    def _give_up(self, name: str, fault: Exception) -> None:
        said = " ".join(str(fault).split()) or "no reason told"
        warnings.warn(
            f"{name}: {type(fault).__name__}: {said}. Training goes on without it; metrics.jsonl has all records",
            TrackerWarning,
            stacklevel=2,
        )


def trackers(settings: Train, folder: Path, name: str) -> Tracker:
    """The trackers that the recipe names, for a run that begins or goes on.

    folder  of the run; what they keep stands in folder/track
    name    of the run, as it is shown

    Raises TrackerError if a package is not installed.
    """
    if faults := [fault for fault in map(lacking, settings.track) if fault]:
        raise TrackerError(f"train.track: {faults[0]}")
    tracker, track = Tracker(), folder / "track"
    opened: dict[str, Callable[[], Adapter]] = {
        "tensorboard": lambda: TensorBoard(track / "tensorboard"),
        "wandb": lambda: Once(WandB(track, name, asdict(settings)), track / "wandb.last"),
        "trackio": lambda: Once(Trackio(track, name, asdict(settings)), track / "trackio.last"),
    }
    for named in settings.track:
        tracker.add(named, opened[named])
    return tracker
