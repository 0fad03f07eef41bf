"""Where a run stands and what it is: `state.json` of a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from train.audit import Read
from train.retention import Kept


class CheckpointError(Exception):
    """A checkpoint that cannot be written or gone on from; the message says which, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class State:
    """The fields of `state.json`. Those with a default are not in every checkpoint: older ones open all the same."""

    step: int
    """Steps done."""
    g: int
    """Rows read: the whole state of the data."""
    tokens: int
    """Tokens read, without padding."""
    phase: str
    context: int
    """The longest rows so far."""
    rope: float
    """RoPE base of global layers."""
    local_rope: float
    """RoPE base of local layers."""
    finished: bool
    """Whether this is the end of the run."""
    loss: float
    """Of the last step."""
    evaluation: Mapping[str, Any] | None
    """The scores of each source at this step, if it was evaluated."""
    vocab: int
    shape: Mapping[str, Any]
    identity: Mapping[str, Any]
    """All that shaped the weights so far: a run goes on only under the same (train.job.Job.identity)."""
    versions: Mapping[str, str]
    read: Read = field(default_factory=dict)
    """What was read of each source in each phase, in rows and tokens (train.audit): the sum over all ranks."""
    t: int | None = None
    """Steps of the optimizer where they are not those of the run: it may have begun with some, or passed over one."""
    start: str = ""
    """What the run began with, in a line."""
    averaged: bool = False
    """Whether the running mean of the weights stands beside them, in average.safetensors."""
    kept: Kept = "product"
    """How long this checkpoint stays (train.retention)."""
    history: Mapping[str, Any] = field(default_factory=dict)
    """What spikes are told by (train.spikes.Detector.state)."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of the other files of the folder, filled in as it is written."""

    def changes(self, identity: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """What shaped these weights and is not so in `identity`: dotted name -> (here, there)."""
        here, there = dict(_leaves(self.identity)), dict(_leaves(json.loads(json.dumps(identity))))
        return {
            name: (here.get(name, "none"), there.get(name, "none"))
            for name in sorted(here.keys() | there.keys())
            if here.get(name) != there.get(name)
        }


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings -> (dotted name, plain value)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for at, inner in enumerate(value):
            yield from _leaves(inner, f"{name}.{at}")
    else:
        yield name, value
