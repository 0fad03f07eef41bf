"""Equal bits from equal input, on a GPU too: what PyTorch must be told for it, and how it was before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def deterministic(on: bool) -> Iterator[None]:
    """Inside, PyTorch takes operations that give the same bits each time, and raises RuntimeError where it has none.

    Enter it before the process first computes on a GPU: cuBLAS reads its variable then. Attention over documents of
    various lengths is deterministic in this mode alone, and only where faults are raised, not where they are warned of.
    """
    if not on:
        yield
        return
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    flags, workspace = (cudnn.deterministic, cudnn.benchmark), os.environ.get(WORKSPACE)
    # Eight buffers of 4 MB a stream (cuBLAS's documentation, "Results reproducibility"); another choice of the user's
    # stands, and PyTorch refuses those that are not reproducible.
    os.environ.setdefault(WORKSPACE, ":4096:8")
    try:
        torch.use_deterministic_algorithms(True, warn_only=False)
        cudnn.deterministic, cudnn.benchmark = True, False
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = flags
        if workspace is None:
            os.environ.pop(WORKSPACE, None)
