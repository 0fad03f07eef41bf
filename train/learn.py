"""One batch -> gradients of the mean loss over the masked tokens of the whole batch, and of each row its own loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from model.attention import Segments
from train.batches import IGNORED, Batch, Microbatch
from train.devices import precision
from train.masking import key_of
from train.ranks import Spread
from train.schedule import Step


class TrainError(Exception):
    """Training cannot go on; the message names the step and its rows."""


def gradients(spread: Spread, batch: Batch, guessed: int) -> Tensor:
    """Set the parameters' gradients to those of the step's loss -> () float32: this rank's share of the loss.

    guessed  masked tokens of all ranks

    The microbatches' losses are sums over their masked tokens, divided by the number in the whole batch, which is known
    beforehand: how rows are cut into microbatches and shared among ranks changes nothing but rounding. The exchange of
    gradients divides by the number of ranks, which the loss is multiplied by.
    """
    last = len(batch.microbatches) - 1
    total = torch.zeros((), device=next(spread.model.parameters()).device)
    for number, part in enumerate(batch.microbatches):
        with spread.exchanging(number == last):
            loss = summed_loss(spread, part)
            (loss * (spread.world / guessed)).backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total / guessed


def summed_loss(spread: Spread, part: Microbatch) -> Tensor:
    """() float32: the surprise over all masked tokens of a microbatch, in nats."""
    return losses(spread, part).sum()


def losses(spread: Spread, part: Microbatch) -> Tensor:
    """(K,) float32: the surprise at each masked token of a microbatch, in nats; 0 where `masked` is filled up."""
    device = next(spread.model.parameters()).device
    here = part.to(device)
    segments = Segments(cu_seqlens=here.cu_seqlens, tokens=len(here.input_ids), longest=here.longest)
    with precision(device):
        logits = spread.forward(here.input_ids, segments, here.masked, here.seeds)
    return F.cross_entropy(logits.float(), here.labels, ignore_index=IGNORED, reduction="none")


def dropout_key(seed: int) -> int:
    """Of all that is dropped out in a run (train.seeds.seeds_of): 64 bits."""
    low, high = key_of("dropout", seed)
    return high << 32 | low


def told(step: Step) -> str:
    """A step and its rows, as faults name them."""
    return f"step {step.number + 1} (rows {step.g} to {step.g + step.rows - 1})"
