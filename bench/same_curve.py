"""Ours and `transformers`' ModernBERT learn alike: one loss curve from the same rows, masks, weights and schedule.

    python bench/same_curve.py [RECIPE] [--steps 300] [--threads 2]

Ours is `train` as it is. Theirs is ModernBertForMaskedLM with torch-optimi's StableAdamW, which takes our export of the
initial weights, one document a padded row, with the same places masked. Two sums that are added up in another order
drift apart as weights are learned from them. How far that goes by itself is shown by a second run of ours whose
microbatches are one row each. No dropout: the two drop out different things.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from optimi import StableAdamW
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM

from bench.proofs.curves import losses
from bench.proofs.figure import drawn
from bench.proofs.prepared import ended, fresh, like, options, other, prepared
from model.attention import Segments
from model.bert import Bert
from model.hub import export_hub
from model.initialise import initialise
from packing.encode import Encoder
from packing.shards import Shards
from train.batches import Batch, Microbatch, Reader
from train.job import Job
from train.masking import key_of, words_of
from train.order import order_of
from train.schedule import Schedule


def settled(job: Job, folder: Path, steps: int, threads: int) -> Job:
    """The recipe's first mixture, warmed up over a tenth of the steps and decayed over the last third."""
    first = job.settings.phases[0]
    count = job.settings.batch.rows * first.context
    last = steps // 3
    phases = (
        like(first, "learn", (steps - last) * count, warmup=steps * count // 10),
        like(first, "settle", last * count, decay="1-sqrt"),
    )
    made = other(job, folder, phases, threads)
    return replace(made, shape=replace(job.shape, dropout=0.0), heldout={})


def ours(job: Job) -> list[float]:
    """The loss of every step."""
    ended(job)
    return losses(job)


def reader(job: Job) -> Reader:
    shards = {key: Shards(folder) for key, folder in sorted(job.shards.items())}
    order = order_of(job.settings, {key: len(rows) for key, rows in shards.items()}, job.seed)
    words, key = words_of(job.tokenizer), key_of("mask", job.seed)
    return Reader(settings=job.settings, order=order, shards=shards, words=words, key=key, pad_id=None)


def pair(job: Job) -> tuple[Bert, nn.Module]:
    """Our model before its first step, and theirs as it opens our export of it."""
    model = Bert(job.shape, Encoder(job.tokenizer).vocab_size)
    initialise(model, job.seed)
    first = job.settings.phases[0]
    model.set_rope(first.rope, first.local_rope)
    with tempfile.TemporaryDirectory() as folder:
        export_hub(model, Path(folder), job.tokenizer, first.context)
        theirs = AutoModelForMaskedLM.from_pretrained(
            folder, attn_implementation="sdpa", sparse_prediction=True, dtype=torch.float32
        )
    return model, theirs


def padded(part: Microbatch) -> dict[str, Tensor]:
    """One document a row, and nothing to guess but what is masked."""
    labels = torch.full_like(part.input_ids, -100)
    labels[part.masked] = part.labels
    lengths = part.cu_seqlens.diff().tolist()
    columns = {"input_ids": (part.input_ids, 0), "labels": (labels, -100)}
    columns["attention_mask"] = (torch.ones_like(part.input_ids), 0)
    return {
        name: nn.utils.rnn.pad_sequence(list(torch.split(flat, lengths)), batch_first=True, padding_value=fill)
        for name, (flat, fill) in columns.items()
    }


def their_gradients(model: nn.Module, batch: Batch) -> float:
    """Add the gradients of the batch's loss, the mean over all its masked tokens -> the loss."""
    total = 0.0
    guessed = sum(len(part.labels) for part in batch.microbatches)
    for part in batch.microbatches:
        loss = model(**padded(part)).loss * (len(part.labels) / guessed)
        torch.autograd.backward(loss)
        total += float(loss.detach())
    return total


def first_gradients(job: Job) -> tuple[float, float]:
    """Before the first step: how far the losses are apart, and the gradients of the tensor where they differ most."""
    model, theirs = pair(job)
    batch = reader(job).read(next(Schedule(job.settings).steps()))
    guessed = sum(len(part.labels) for part in batch.microbatches)
    total = 0.0
    for part in batch.microbatches:
        segments = Segments(cu_seqlens=part.cu_seqlens, tokens=len(part.input_ids), longest=part.longest)
        logits = model(part.input_ids, segments, part.masked)
        loss = F.cross_entropy(logits, part.labels, reduction="sum") / guessed
        torch.autograd.backward(loss)
        total += float(loss.detach())
    their_loss = their_gradients(theirs, batch)
    named = dict(theirs.named_parameters())
    apart = [_apart(p.grad, named[name].grad) for name, p in model.named_parameters()]
    return abs(total - their_loss) / total, max(apart)


def _apart(a: Tensor | None, b: Tensor | None) -> float:
    assert a is not None
    assert b is not None
    return float((a - b).norm() / a.norm())


def theirs(job: Job) -> list[float]:
    """The loss of every step."""
    _, model = pair(job)
    model.train()
    settings, read = job.settings.optimizer, reader(job).read
    groups: list[list[nn.Parameter]] = [[], []]
    for p in model.parameters():
        groups[p.dim() > 1].append(p)
    # `decouple_lr`: the weight decay is a share of the weight at the peak, as in ModernBERT's optimizer
    optimizer = StableAdamW(
        [{"params": groups[0], "weight_decay": 0.0}, {"params": groups[1], "weight_decay": settings.weight_decay}],
        lr=settings.peak,
        betas=settings.betas,
        eps=settings.eps,
        decouple_lr=True,
        max_lr=settings.peak,
    )
    losses = []
    for step in Schedule(job.settings).steps():
        for group in optimizer.param_groups:
            group["lr"] = step.lr
        optimizer.zero_grad(set_to_none=True)
        losses.append(their_gradients(model, read(step)))
        optimizer.step()
    return losses


def apart(a: Sequence[float], b: Sequence[float]) -> np.ndarray:
    """(N,): how far b is from a, as a share of a."""
    return np.asarray(np.abs(np.array(a) - np.array(b)) / np.array(a))


def show(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    (first, losses), *others = curves.items()
    with drawn(path, columns=2) as (left, right):
        for style, (name, curve) in zip(("-", "--", ":"), curves.items(), strict=True):
            left.plot(range(1, len(curve) + 1), curve, style, label=name)
        left.set_ylabel("loss, nats")
        for name, curve in others:
            right.plot(range(1, len(curve) + 1), apart(losses, curve), label=name)
        right.set_ylabel(f"difference to {first}, share of the loss")
        right.set_yscale("log")
        for axes in (left, right):
            axes.set_xlabel("step")
            axes.legend()


def main() -> None:
    parser = options(__doc__, "same_curve")
    parser.add_argument("--steps", type=int, default=300)
    chosen = parser.parse_args()
    recipe, job = prepared(chosen.recipe, chosen.work)
    torch.set_num_threads(chosen.threads)
    work = fresh(chosen.work / f"same-curve-{recipe.name}")
    job = settled(job, work / "ours", chosen.steps, chosen.threads)
    loss, gradient = first_gradients(job)
    print(f"before the first step: losses {loss:.1e} apart, gradients of no tensor more than {gradient:.1e}")
    by_row = replace(job.settings, microbatch=job.settings.phases[0].context)
    curves = {
        "ours": ours(job),
        "ours, row by row": ours(replace(job, folder=work / "by-row", settings=by_row)),
        "transformers and torch-optimi": theirs(job),
    }
    _, *others = curves
    print(f"\n{'step':>6} " + " ".join(f"{name:>30}" for name in curves))
    for at in np.unique(np.geomspace(1, chosen.steps, 8).astype(int)):
        print(f"{at:6} " + " ".join(f"{curve[at - 1]:30.6f}" for curve in curves.values()))
    for name in others:
        far = apart(curves["ours"], curves[name])
        early = f"in the first ten steps {far[:10].max():.1e}"
        print(f"{name}: at most {far.max():.1e} of the loss apart, median {np.median(far):.1e}, {early}")
    show(curves, chosen.figure)


if __name__ == "__main__":
    main()
