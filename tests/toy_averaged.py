"""One of two processes that hold a small model in pieces (FSDP2) and the mean of its weights."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from train.average import Averaged
from train.sharded import fill, whole

STEPS = 5
TOKENS = 111


def model() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))


def weights(step: int) -> dict[str, Tensor]:
    """The model's weights after a step, the same in every process."""
    torch.manual_seed(100 + step)
    return {name: torch.randn_like(p) for name, p in model().named_parameters()}


def averaged(net: nn.Module) -> Averaged:
    """The mean over all steps, put down and taken up again in the middle."""
    found = Averaged(net.named_parameters(), half_life=900)
    for step in range(STEPS):
        if step == STEPS // 2:
            kept = {name: tensor.clone() for name, tensor in whole(found.state().items())}
            found = Averaged(net.named_parameters(), half_life=900)
            found.load(kept)
        for name, values in weights(step).items():
            fill(net.get_parameter(name), values)
        found.update(TOKENS)
    return found


def rank(number: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=number, world_size=world)
    net = model()
    fully_shard(net, mesh=init_device_mesh("cpu", (world,)))
    found = averaged(net)
    with found.swapped():
        shown = {name: tensor.clone() for name, tensor in whole(net.named_parameters())}
    back = {name: tensor.clone() for name, tensor in whole(net.named_parameters())}
    state = {name: tensor.clone() for name, tensor in whole(found.state().items())}
    for kind, tensors in (("shown", shown), ("back", back), ("state", state)):
        save_file(tensors, folder / f"{kind}-{number}")
    dist.destroy_process_group()
