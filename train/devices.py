"""Where the arithmetic happens, in which precision, on how many threads."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch


class DeviceError(Exception):
    """The device that was asked for is not there."""


def choose(name: str | None, number: int = 0) -> torch.device:
    """The device of that name, or the GPU of that number, or the CPU where there is no GPU.

    Raises DeviceError for a GPU that is not there.
    """
    if name is None and torch.cuda.is_available():
        name = f"cuda:{number}"
    if name is None:
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"there is no device '{name}'; name cpu, cuda or cuda:0") from None
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"training runs on cpu or cuda, not on '{name}'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device '{name}' was asked for, but PyTorch sees {torch.cuda.device_count()} GPUs; use cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def use_threads(count: int | None, beside: int = 1) -> int:
    """Compute on so many CPU threads, or on this process's share of those it may use; how many that is.

    beside  processes of the training on this machine, which share them

    Sums are cut by the number of threads, so equal bits need equal numbers.
    """
    count = count or max(1, len(os.sched_getaffinity(0)) // beside)
    torch.set_num_threads(count)
    return count


def precision(device: torch.device) -> AbstractContextManager[object]:
    """float32 on the CPU; on CUDA bfloat16 for matrix products, with weights and moments in float32."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
