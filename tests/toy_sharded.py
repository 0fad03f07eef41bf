"""One of several processes that hold a small model in pieces (FSDP2) and step it as one process would."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from train.optimizer import StableAdamW, optimizer_of
from train.settings import Optimizer
from train.sharded import whole

Name = Literal["stable-adamw", "adamw"]
NAMES: tuple[Name, ...] = ("stable-adamw", "adamw")
SETTINGS = {"lr": 7e-4, "peak": 1e-3, "weight_decay": 0.01}


class Tensors(nn.Module):
    """Parameters without a forward pass."""

    def __init__(self, named: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in named.items():
            self.register_parameter(name, nn.Parameter(tensor.clone()))


def put(p: nn.Parameter, gradient: Tensor) -> None:
    if isinstance(p, DTensor):
        gradient = distribute_tensor(gradient, p.device_mesh, p.placements, src_data_rank=None)
    p.grad = gradient


def stepped(name: Name, folder: Path, *, sharded: bool, steps: range, since: Path | None = None) -> StableAdamW:
    """Take steps down the gradients in folder/gradients-<step>; `since` is a state to go on from."""
    stood = load_file(since or folder / "parameters")
    moments = {n: stood.pop(n) for n in list(stood) if n.startswith("exp_avg")}
    module = Tensors(stood)
    if sharded:
        fully_shard(module, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    ours = optimizer_of(Optimizer(name=name), module.named_parameters())
    if since:
        ours.load(moments, steps.start)
    for step in steps:
        for n, gradient in load_file(folder / f"gradients-{step}").items():
            put(ours.parameters[n], gradient)
        ours.step(**SETTINGS)
    return ours


def outcome(ours: StableAdamW) -> dict[str, Tensor]:
    """Whole weights, moments and the last gradients' norm."""
    named = {**ours.parameters, **ours.state()}
    return {name: tensor.clone() for name, tensor in whole(named.items())} | {"grad_norm": ours.grad_norm()}


def rank(number: int, world: int, folder: Path) -> None:
    """Both optimizers for six steps, and three of them from the state that one process left after three."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(world), "LOCAL_RANK": str(number)}
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{world}", rank=number, world_size=world)
    for name in NAMES:
        found = outcome(stepped(name, folder, sharded=True, steps=range(6)))
        went_on = outcome(stepped(name, folder, sharded=True, steps=range(3, 6), since=folder / f"{name}-3"))
        save_file(found, folder / f"{name}-{number}-of-{world}")
        save_file(went_on, folder / f"{name}-on-{number}-of-{world}")
    dist.destroy_process_group()
