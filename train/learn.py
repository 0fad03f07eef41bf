"""One batch -> one update of the weights: the loss is the mean over the masked tokens of the whole batch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from model.attention import Segments
from model.bert import Bert
from train.batches import IGNORED, Batch, Microbatch
from train.devices import precision
from train.masking import key_of
from train.optimizer import StableAdamW
from train.schedule import Step


class TrainError(Exception):
    """Training cannot go on; the message names the step and its rows."""


def learn(model: Bert, optimizer: StableAdamW, batch: Batch, *, weight_decay: float, seed: int) -> tuple[float, float]:
    """Take the batch's step down its gradients -> (loss, norm of the gradients).

    Raises TrainError, and leaves the weights as they were, where there is nothing to guess or the loss is no number.
    """
    step, where = batch.step, _where(batch.step)
    if not batch.guessed:
        raise TrainError(f"{where}: no token is masked; raise the phase's mask, or pack longer rows")
    optimizer.zero_grad()
    total = gradients(model, batch, seed)
    loss, norm = float(total), float(optimizer.grad_norm())
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise TrainError(
            f"{where}: the loss is {loss:g} and the gradients' norm {norm:g}. The weights were left as they were; "
            "look at these rows, or lower the peak."
        )
    optimizer.step(lr=step.lr, peak=step.peak, weight_decay=weight_decay)
    return loss, norm


def gradients(model: Bert, batch: Batch, seed: int) -> Tensor:
    """Add the gradients of the batch's loss to the parameters' -> () the loss.

    The microbatches' losses are sums over their masked tokens, divided by the number in the whole batch, which is known
    beforehand: how rows are cut into microbatches changes nothing but rounding (and which tokens are dropped out).
    """
    model.train()
    total = torch.zeros((), device=model.decoder.bias.device)
    for part in batch.microbatches:
        if not len(part.labels):
            continue
        torch.manual_seed(dropout_seed(seed, part.g))
        loss = summed_loss(model, part) / batch.guessed
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total


def summed_loss(model: Bert, part: Microbatch) -> Tensor:
    """() float32: the surprise over all masked tokens of a microbatch, in nats."""
    device = model.decoder.bias.device
    here = part.to(device)
    segments = Segments(cu_seqlens=here.cu_seqlens, tokens=len(here.input_ids), longest=here.longest)
    with precision(device):
        logits = model(here.input_ids, segments, here.masked)
    return F.cross_entropy(logits.float(), here.labels, ignore_index=IGNORED, reduction="sum")


def dropout_seed(seed: int, g: int) -> int:
    """For the microbatch that begins with row g: the same whenever it is come to, on a fresh run or a resumed one."""
    low, high = key_of("dropout", seed, g)
    return high << 31 | low >> 1  # PyTorch takes 63 bits


def _where(step: Step) -> str:
    return f"step {step.number + 1} (rows {step.g} to {step.g + step.rows - 1})"
