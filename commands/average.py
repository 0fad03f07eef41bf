"""Several checkpoints of one model -> the one whose weights are their mean."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from safetensors import safe_open

from model.hub import Imported
from model.mean import mean
from train.checkpoint import Checkpoint, CheckpointError, adopt, open_checkpoint
from train.parents import Parent, StartError, open_parent

WEIGHTS = "model.safetensors"


class AverageError(Exception):
    """Checkpoints that have no mean; one line with the mend."""


def average(paths: Sequence[Path], out: Path) -> str:
    """Write the mean of the checkpoints' weights to `out`, a checkpoint of no run -> what to tell of it.

    They count alike; one given twice counts twice. One tensor of each is in memory at a time. Raises AverageError for
    checkpoints that differ in shape, tokens or RoPE bases, StartError and CheckpointError for damaged ones.
    """
    if len(paths) < 2:
        raise AverageError(
            f"{paths[0] if paths else 'nothing'}: is one checkpoint; name two or more, and then the new one"
        )
    parents = [open_parent(path) for path in paths]
    first = parents[0]
    for other in parents:
        _same(first, other)
    opened = [open_checkpoint(path) for path in paths]
    for checkpoint in opened:
        _whole(checkpoint)
    with ExitStack() as stack:
        files = [stack.enter_context(safe_open(path / WEIGHTS, "pt")) for path in paths]
        weights = {name: mean([file.get_tensor(name) for file in files]) for name in sorted(files[0].keys())}
    context = max(parent.context for parent in parents)
    adopt(Imported(first.shape, first.vocab, first.thetas, context, weights), opened[0].tokenizer, out)
    return f"  {out}: the mean of {len(paths)} checkpoints; bertmill export {out} DIR makes a model of it"


def _same(first: Parent, other: Parent) -> None:
    if not other.ours:
        raise AverageError(f"{other.path}: is no checkpoint of ours; bertmill import makes one of it")
    told = {
        "shape": (first.shape, other.shape),
        "vocabulary": (first.vocab, other.vocab),
        "tokenizer": (_tokens(first), _tokens(other)),
        "RoPE bases": (first.thetas, other.thetas),
    }
    if differs := [name for name, (one, another) in told.items() if one != another]:
        raise AverageError(f"{other.path}: has another {differs[0]} than {first.path}; only equal models have a mean")


def _tokens(parent: Parent) -> object:
    return parent.words().get_vocab(with_added_tokens=True)


def _whole(checkpoint: Checkpoint) -> None:
    """Raise StartError where the weights are not what was written."""
    try:
        checkpoint.compare(WEIGHTS)
    except CheckpointError:
        raise StartError(f"{checkpoint.folder}: is damaged ({WEIGHTS} is not what was written); leave it out") from None
