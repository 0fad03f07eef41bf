"""Where the arithmetic happens, in which precision, on how many threads."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch


class DeviceError(Exception):
    """The device that was asked for is not there."""


def choose(name: str | None) -> torch.device:
    """The device of that name, or the first GPU, or the CPU. Raises DeviceError for a GPU that is not there."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"there is no device '{name}'; name cpu, cuda or cuda:0") from None
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"training runs on cpu or cuda, not on '{name}'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device '{name}' was asked for, but PyTorch sees {torch.cuda.device_count()} GPUs; use cpu")
    return device


def use_threads(count: int | None) -> int:
    """Compute on so many CPU threads, or on as many as this process may use; how many that is.

    Sums are cut by the number of threads, so equal bits need equal numbers.
    """
    count = count or len(os.sched_getaffinity(0))
    torch.set_num_threads(count)
    return count


def precision(device: torch.device) -> AbstractContextManager[object]:
    """float32 on the CPU; on CUDA bfloat16 for matrix products, with weights and moments in float32."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
