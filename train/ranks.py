"""Several processes that train one model: who this one is, what they agree on, and how their gradients become one.

Every rank reads its slice of each step's rows (packing.mixture.slice_of) and all of them hold the same weights after
it. What decides about the run (how many tokens are guessed, whether it is to stop, whether one of them failed) is
agreed on by a few numbers a step over gloo, on the CPU, so that no GPU is waited for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import nn

from model.bert import Bert

PATIENCE = timedelta(hours=2)
"""How long a rank waits for the others: a checkpoint of a large model into slow storage, or a long evaluation."""


class RankError(Exception):
    """The processes do not go together, or another of them has failed; one line."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among those that train together."""

    rank: int = 0
    world: int = 1
    local: int = 0
    """Among those of this machine: the number of its GPU."""
    beside: int = 1
    """Processes of this machine, which share its CPU cores."""

    @property
    def leads(self) -> bool:
        """Whether this one writes what there is to write."""
        return self.rank == 0

    @classmethod
    def of_environment(cls) -> Ranks:
        """As torchrun told this process; alone where it did not. Raises RankError for numbers that are none."""
        names = {"rank": "RANK", "world": "WORLD_SIZE", "local": "LOCAL_RANK", "beside": "LOCAL_WORLD_SIZE"}
        told = {field: os.environ[name] for field, name in names.items() if name in os.environ}
        if "world" not in told:
            return cls()
        try:
            return cls(**{field: int(value) for field, value in told.items()})
        except ValueError:
            raise RankError(f"the environment tells of ranks that are no numbers ({told}); start by torchrun") from None

    def sum(self, values: Sequence[float]) -> list[float]:
        """The sum of each number over all ranks, in float64: the same on every rank."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, group=_control())
        return [float(value) for value in total]

    def gather(self, what: Any) -> list[Any]:
        """What every rank holds, in the order of ranks, on every rank."""
        if self.world == 1:
            return [what]
        every: list[Any] = [None] * self.world
        dist.all_gather_object(every, what, group=_control())
        return every

    def wait(self) -> None:
        """Until all ranks are here."""
        self.sum([0.0])


_CONTROL: list[Any] = []


def _control() -> Any:
    """The group that agrees on numbers: gloo, whatever carries the gradients."""
    return _CONTROL[0]


def lost(fault: RuntimeError) -> bool:
    """Whether an exchange failed because another process has gone, as gloo and NCCL tell it."""
    said = str(fault)
    signs = ("gloo", "Connection reset", "Connection closed", "NCCL", "ProcessGroup")
    return isinstance(fault, dist.DistError) or any(sign in said for sign in signs)


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Be one of the processes while this lasts. Raises RankError where the others are not found, or one goes."""
    if ranks.world == 1:
        yield
        return
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        _CONTROL[:] = [dist.new_group(backend="gloo", timeout=PATIENCE)]
    except (RuntimeError, ValueError, dist.DistError) as fault:
        said = str(fault).splitlines()[0]
        raise RankError(f"rank {ranks.rank} of {ranks.world} cannot join the others ({said})") from None
    try:
        yield
    except RuntimeError as fault:
        if not lost(fault):
            raise
        raise RankError("another process of this training has gone; the same command goes on without it") from None
    finally:
        _CONTROL.clear()
        dist.destroy_process_group()


@dataclass(frozen=True, kw_only=True, eq=False)
class Spread:
    """A model on all ranks. Call `forward` for losses, and keep the last microbatch of a step for the exchange."""

    model: Bert
    """Its parameters are what the optimizer steps: whole ones, or this rank's shards."""
    forward: nn.Module
    world: int
    sharded: bool

    def exchanging(self, last: bool) -> AbstractContextManager[None]:
        """Around a forward and backward pass: gradients are exchanged after the last one of a step alone."""
        if self.sharded:
            self.forward.set_requires_gradient_sync(last)  # type: ignore[operator]
            return nullcontext()
        if last or self.world == 1:
            return nullcontext()
        return self.forward.no_sync()  # type: ignore[operator,no-any-return]


def spread(model: Bert, how: Literal["ddp", "fsdp"], ranks: Ranks, device: torch.device) -> Spread:
    """The model on all ranks: whole on each (ddp), or each layer cut into as many shards (fsdp, FSDP2).

    Both divide the sum of gradients by the number of ranks, so a loss is multiplied by it (train.learn).
    """
    if ranks.world == 1:
        return Spread(model=model, forward=model, world=1, sharded=False)
    if how == "ddp":
        ids = [device.index or 0] if device.type == "cuda" else None
        wrapped = nn.parallel.DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)
        return Spread(model=model, forward=wrapped, world=ranks.world, sharded=False)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (ranks.world,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return Spread(model=model, forward=model, world=ranks.world, sharded=True)
