"""Tensors that lie in pieces on several processes (FSDP2's DTensors): the piece here, the whole, and back.

A plain tensor is its own only piece, so what is written with these functions is written once for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, distribute_tensor


@torch.no_grad()
def piece(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, sharing its memory; empty where there are more processes than rows."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def whole(named: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Each tensor, gathered when it is asked for: no more than one whole tensor lies beside the pieces.

    Every process must go through all of them, in the same order.
    """
    for name, tensor in named:
        yield name, tensor.full_tensor().detach() if isinstance(tensor, DTensor) else tensor.detach()


@torch.no_grad()
def fill(tensor: Tensor, values: Tensor) -> None:
    """Put a whole tensor's values in place; each process takes its piece of them, and none sends any.

    Raises ValueError if `values` has another shape than the whole tensor.
    """
    if tensor.shape != values.shape:
        raise ValueError(f"shape {tuple(values.shape)}, not {tuple(tensor.shape)}")
    if isinstance(tensor, DTensor):
        values = distribute_tensor(values, tensor.device_mesh, tensor.placements, src_data_rank=None).to_local()
    piece(tensor).copy_(values)


def group_of(tensors: Iterable[Tensor]) -> dist.ProcessGroup | None:
    """The processes that have one whole set of pieces together; None where tensors are plain.

    Copies of that set (FSDP2 over a mesh of two dimensions, one of them replicated) are other groups. Raises
    ValueError unless all tensors lie in pieces over the same processes, or none does.
    """
    groups = {_sharding(tensor) for tensor in tensors}
    if len(groups) > 1:
        raise ValueError("some tensors lie in pieces and some do not, or over other processes; shard the whole model")
    found = groups.pop() if groups else None
    return found[0].get_group(found[1]) if found else None


def _sharding(tensor: Tensor) -> tuple[DeviceMesh, int] | None:
    if not isinstance(tensor, DTensor):
        return None
    sharded = [dim for dim, placement in enumerate(tensor.placements) if placement.is_shard()]
    if len(sharded) != 1:
        raise ValueError(f"a tensor lies over {len(sharded)} dimensions of its mesh; shard it over one, as FSDP2 does")
    return tensor.device_mesh, sharded[0]
