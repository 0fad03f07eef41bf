"""Weights and moments as they stand -> copies that can be written while training goes on. None that is no number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from model.bert import Bert
from train.optimizer import StableAdamW
from train.sharded import whole
from train.state import CheckpointError

Files = Mapping[str, Mapping[str, Tensor]]
"""Name of a file of a checkpoint -> its tensors by name."""


def snapshot(
    model: Bert, optimizer: StableAdamW, averaged: Mapping[str, Tensor] | None = None, *, leads: bool = True
) -> Files:
    """What is to be saved, copied to the CPU: training may go on while it is written.

    averaged  train.average.Averaged.state(), if the run takes a running mean
    leads     of several processes each must call this (tensors in pieces are gathered one after another), but the
              copies are made by the one that saves; the others get files without tensors

    Raises CheckpointError, on all processes alike, for values that are no number: what could not be learned from again
    never takes the place of what can.
    """
    named: dict[str, Iterable[tuple[str, Tensor]]] = {
        "model.safetensors": model.named_parameters(),  # tied ones once
        "optimizer.safetensors": optimizer.state().items(),
    }
    if averaged is not None:
        named["average.safetensors"] = averaged.items()
    files: dict[str, dict[str, Tensor]] = {name: {} for name in named}
    sizes = {}
    for file, tensors in named.items():
        for name, tensor in whole(tensors):
            sizes[f"{file}: {name}"] = largest(tensor)
            if leads:
                files[file][name] = tensor.to("cpu", copy=True).contiguous()
    refuse(sizes)
    return files


def largest(tensor: Tensor) -> Tensor:
    """() of all values without their signs; no number if any of them is none."""
    size: Tensor = torch.linalg.vector_norm(tensor, torch.inf)
    return size


def refuse(sizes: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError for the first tensor whose largest value is no number."""
    for name, value in sizes.items():
        if not math.isfinite(value):
            raise CheckpointError(f"{name} has values that are no number, so nothing is saved")
