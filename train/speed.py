"""How fast a training is: its useful arithmetic, as a share of what the GPU could do, and the time that is left."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.settings import Shape
from train.batches import Batch

PEAKS = (
    (r"GB200\b", 2500.0),
    (r"B200\b", 2250.0),
    (r"H[12]00 NVL\b", 835.5),
    (r"H[18]00 PCIe\b", 756.5),
    (r"(GH200|H200|H100|H800)\b", 989.4),
    (r"H20\b", 148.0),
    (r"A[18]00\b", 312.0),
    (r"A30\b", 165.0),
    (r"A40\b", 149.7),
    (r"A10\b", 125.0),
    (r"L40S\b", 362.05),
    (r"L40\b", 181.05),
    (r"L4\b", 121.0),
    (r"RTX A6000\b", 154.8),
    (r"RTX 6000 Ada\b", 364.2),
    (r"RTX 5090$", 209.5),
    (r"RTX 4090$", 165.2),
    (r"RTX 3090$", 71.0),
    (r"V100S?-PCIE\b", 112.0),
    (r"V100\b", 125.0),
    (r"T4\b", 65.0),
)
"""Name of a GPU as CUDA tells it -> TFLOP/s of dense bfloat16 products added up in float32, at its boost clock. From
NVIDIA's data sheets (where they count with sparsity, the half) and its white papers on GA102, Ada and RTX Blackwell;
V100 and T4 know no bfloat16: theirs are of float16. A name with more behind it (Laptop, D, Ti) is another GPU."""


def flops_of(batch: Batch, shape: Shape, vocab: int) -> int:
    """What this batch's step needs at least, by `Shape.training_flops`: documents at their true lengths, and the tokens
    that are guessed. What fills microbatches up counts nothing. Of this process's rows; 0.1 ms for 4,608 rows."""
    parts = batch.microbatches
    ends = [part.cu_seqlens.numpy() for part in parts]
    bounds = np.minimum(np.concatenate(ends), np.repeat([part.tokens for part in parts], list(map(len, ends))))
    lengths = np.diff(bounds).clip(0)  # below 0 from the end of one microbatch to the first place of the next
    table = _by_length(shape, 1 << int(lengths.max(initial=0)).bit_length())
    return int(table[lengths].sum()) + shape.training_flops((), batch.guessed, vocab)


@lru_cache(maxsize=32)
def _by_length(shape: Shape, end: int) -> npt.NDArray[np.int64]:
    """(end,) FLOPs of a document of 0, 1, 2 ... tokens, but for guessing: so a sum over documents is a look-up."""
    return np.array([shape.training_flops((length,), 0, 0) for length in range(end)])


def peak_flops(device: torch.device) -> float | None:
    """Dense bfloat16 operations a second that the device can do; None for a CPU and for GPUs that are not known."""
    return peak_of(torch.cuda.get_device_name(device)) if device.type == "cuda" else None


def peak_of(name: str) -> float | None:
    """`peak_flops` by the name that CUDA tells: NVIDIA H100 80GB HBM3. A slice of a GPU (MIG) has none of these."""
    if " MIG " in name:
        return None
    return next((1e12 * peak for pattern, peak in PEAKS if re.search(rf"\b{pattern}", name)), None)


def speed_of(tokens: int, flops: int, seconds: float, peak: float | None) -> dict[str, Any]:
    """The fields of a step's record that tell its speed.

    peak  of all devices together; None where it is not known, and there is no model FLOPs utilisation then
    """
    return {
        "tokens_per_second": tokens / seconds,
        "flops_per_second": flops / seconds,
        "mfu": flops / seconds / peak if peak else None,
    }


class Left:
    """Time to the end, by the speed of the last steps: compiling at the start, and a short phase, are soon forgotten.

    Evaluations and saves are in it, as the seconds from one call to the next are counted.
    """

    MEMORY = 200
    """Steps: what lies so far back counts 1 / e of what was just seen."""

    def __init__(self, total: int, done: int, clock: Callable[[], float] = time.perf_counter) -> None:
        """total, done  of whatever is gone through, such as tokens of the schedule's clock"""
        self.total, self._done, self._clock = total, done, clock
        self._at = clock()
        self._spent = self._gone = 0.0

    def seconds(self, done: int) -> float | None:
        """To the end, once so much is done; None until something is. After a rewind the way is gone once more."""
        at, keep = self._clock(), 1 - 1 / self.MEMORY
        if done > self._done:
            self._spent = keep * self._spent + at - self._at
            self._gone = keep * self._gone + done - self._done
        self._done, self._at = done, at
        return (self.total - done) * self._spent / self._gone if self._gone else None
