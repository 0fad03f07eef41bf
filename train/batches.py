"""Rows of the order -> flat batches for the model, read in this process and one step ahead of it.

A batch is a pure function of (order, masks' key, first row): the whole state of the data is one integer. On CUDA all
microbatches of a phase have one size, so that nothing is compiled or planned twice; on the CPU nothing is padded.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from packing.flat import Rows
from packing.mixture import Order, slice_of
from packing.shards import ShardError, Shards, gather
from train.audit import Counts
from train.masking import Ints, Words, how_many, mask
from train.schedule import Step
from train.seeds import seeds_of
from train.settings import Train

IGNORED = -100
"""The label of a place that counts for nothing (PyTorch's own default)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Microbatch:
    """Rows that go through the model together, end to end; what fills them up is in documents of its own.

    input_ids   (T,) int64
    cu_seqlens  (S + 1,) int32: bounds of the documents, filled up with T
    masked      (K,) int64: places to guess
    labels      (K,) int64: what stands there; IGNORED where `masked` is filled up
    seeds       (T,) int32: of each token's dropout, by its row and place; None drops nothing out
    """

    g: int
    """The first row's number in the order."""
    input_ids: Tensor
    cu_seqlens: Tensor
    masked: Tensor
    labels: Tensor
    longest: int
    """No document is longer."""
    tokens: int
    """Tokens of rows; what stands behind them fills up."""
    seeds: Tensor | None = None

    def to(self, device: torch.device) -> Microbatch:
        if device.type == "cpu":
            return self
        parts = {name: part for name, part in vars(self).items() if isinstance(part, Tensor)}
        moved: dict[str, Any] = {name: part.pin_memory().to(device, non_blocking=True) for name, part in parts.items()}
        return replace(self, **moved)


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """All that one step learns from."""

    step: Step
    microbatches: Sequence[Microbatch]
    guessed: int
    """Masked tokens in all microbatches of this rank: the loss is the mean over these of all ranks."""
    numbers: Ints
    """(R,): the rows' own in the order of rows, those left out not among them."""
    read: Mapping[str, Counts]
    """What there is of each source in this rank's rows."""

    @property
    def tokens(self) -> int:
        """Of this rank's rows, without padding."""
        return sum(counts.tokens for counts in self.read.values())


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """The one size of all microbatches of a phase."""

    rows: int
    context: int
    rate: float
    pad_id: int

    @property
    def tokens(self) -> int:
        return self.rows * self.context

    @property
    def masked(self) -> int:
        return self.rows * how_many(self.context, self.rate)


def lay(
    rows: Rows,
    numbers: Ints,
    *,
    rate: float,
    words: Words,
    key: tuple[int, int],
    fixed: Fixed | None = None,
    dropped: int | None = None,
) -> Microbatch:
    """Put rows end to end and hide tokens in them; `numbers` are the rows' own. Filled up to `fixed` if it is given.

    dropped  key of the dropout's seeds; None drops nothing out

    Raises ShardError for ids beyond the tokenizer's.
    """
    ids, bounds, ends = rows.input_ids, rows.bounds, rows.cu_seqlens[1:]
    if (highest := int(ids.max())) >= len(words.maskable):
        row = int(numbers[np.searchsorted(bounds, int(ids.argmax()), side="right") - 1])
        raise ShardError(
            f"row {row} has the token {highest}, but the tokenizer has {len(words.maskable)} ids; "
            "these rows were packed with another one, pack them again"
        )
    masked = mask(ids, bounds, numbers, rate=rate, words=words, key=key)
    parts: dict[str, npt.NDArray[Any]] = {
        "input_ids": masked.input_ids,
        "masked": masked.places,
        "labels": masked.labels,
    }
    if dropped is not None:
        parts["seeds"] = seeds_of(bounds, numbers, dropped)
    if fixed:
        ends = _filled_up_documents(ends, fixed)
        parts["input_ids"] = _filled(parts["input_ids"], fixed.tokens, fixed.pad_id)
        parts["masked"] = _filled(parts["masked"], fixed.masked, 0)
        parts["labels"] = _filled(parts["labels"], fixed.masked, IGNORED)
        if dropped is not None:
            parts["seeds"] = _filled(parts["seeds"], fixed.tokens, 0)
    cu_seqlens = np.concatenate([[0], ends]).astype(np.int32)
    return Microbatch(
        g=int(numbers[0]),
        cu_seqlens=torch.from_numpy(cu_seqlens),
        longest=fixed.context if fixed else int(np.diff(cu_seqlens).max()),
        tokens=len(ids),
        **{name: torch.from_numpy(part) for name, part in parts.items()},
    )


def nothing(g: int, fixed: Fixed | None, *, seeds: bool) -> Microbatch:
    """A microbatch without a row: what a process computes while the others still have some, so that they stay in step.

    Its loss and gradients are 0. It is as large as all others where they have one size.
    """
    tokens, masked = (fixed.tokens, fixed.masked) if fixed else (1, 1)
    ends = np.zeros(0, np.int32)
    ends = _filled_up_documents(ends, fixed) if fixed else np.ones(1, np.int32)
    return Microbatch(
        g=g,
        input_ids=torch.full((tokens,), fixed.pad_id if fixed else 0),
        cu_seqlens=torch.from_numpy(np.concatenate([[0], ends]).astype(np.int32)),
        masked=torch.zeros(masked, dtype=torch.int64),
        labels=torch.full((masked,), IGNORED),
        longest=fixed.context if fixed else 1,
        tokens=0,
        seeds=torch.zeros(tokens, dtype=torch.int32) if seeds else None,
    )


def _filled(part: npt.NDArray[Any], size: int, value: int) -> npt.NDArray[Any]:
    return np.concatenate([part, np.full(size - len(part), value, part.dtype)])


def _filled_up_documents(ends: npt.NDArray[Any], fixed: Fixed) -> npt.NDArray[Any]:
    """Ends of documents, with those of the padding, then T again and again up to a power of two: few sizes in all.

    32 documents a row cover nearly all batches, so that most runs see one size only.
    """
    padding = np.arange(int(ends[-1]) if len(ends) else 0, fixed.tokens, fixed.context)[1:]
    ends = np.concatenate([ends, padding, [fixed.tokens]])
    size = 1 << max(len(ends) - 1, 32 * fixed.rows - 1).bit_length()
    return np.concatenate([ends, np.full(size - len(ends), fixed.tokens)])


@dataclass(frozen=True, kw_only=True, eq=False)
class Reader:
    """Makes the batch of any step."""

    settings: Train
    order: Order
    shards: Mapping[tuple[str, int], Shards]
    words: Words
    key: tuple[int, int]
    """Of the masks (train.masking.key_of)."""
    pad_id: int | None
    """Fill microbatches up to one size with this token; None does not."""
    dropped: int | None = None
    """Key of the dropout's seeds; None drops nothing out."""
    rank: int = 0
    """Of `world` processes that share each step: this one reads the rank-th slice of its rows."""
    world: int = 1

    def read(self, step: Step, size: int | None = None) -> Batch:
        """This rank's rows of step.g ... step.g + step.rows, in that order, cut into microbatches. Rows in quarantine
        are left out and nothing comes in their place. All ranks have as many microbatches.

        size  rows of a microbatch, if it is not the settings'
        """
        phase = self.settings.phases[step.phase]
        size = size or self.settings.microbatch_rows(phase)
        fixed = None
        if self.pad_id is not None:
            fixed = Fixed(rows=size, context=phase.context, rate=phase.mask, pad_id=self.pad_id)
        first, last = slice_of(step.g, step.rows, self.rank, self.world)
        places, numbers = self.order.rows(first, last), np.arange(first, last)
        kept = ~places["left_out"]
        numbers, lengths = numbers[kept], np.zeros(0, np.int64)
        microbatches: list[Microbatch] = []
        if len(numbers):
            rows = self._rows(places[kept], phase.context)
            lengths = np.diff(rows.bounds)
            microbatches += [
                lay(
                    rows.part(at, min(at + size, len(numbers))),
                    numbers[at : at + size],
                    rate=phase.mask,
                    words=self.words,
                    key=self.key,
                    fixed=fixed,
                    dropped=self.dropped,
                )
                for at in range(0, len(numbers), size)
            ]
        guessed = sum(int((part.labels != IGNORED).sum()) for part in microbatches)
        most = math.ceil(math.ceil(step.rows / self.world) / size)
        microbatches += [nothing(first, fixed, seeds=self.dropped is not None)] * (most - len(microbatches))
        read = self._counted(places, lengths)
        return Batch(step=step, microbatches=microbatches, guessed=guessed, numbers=numbers, read=read)

    def _rows(self, places: npt.NDArray[Any], context: int) -> Rows:
        """The rows at these places of the order."""
        sources, source = np.unique(places["source"], return_inverse=True)
        shards = [self.shards[self.order.names[number], context] for number in sources.tolist()]
        return gather(shards, source, places["index"])

    def _counted(self, places: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> dict[str, Counts]:
        """By source; `lengths` are of the rows that are not left out."""
        names, kept = self.order.names, ~places["left_out"]
        many = len(names)
        tokens = np.bincount(places["source"][kept], lengths, many).astype(np.int64)
        read, left = (np.bincount(places["source"][which], minlength=many) for which in (kept, ~kept))
        by_source = zip(names, read.tolist(), tokens.tolist(), left.tolist(), strict=True)
        return {name: Counts(*counts) for name, *counts in by_source if any(counts)}


def ahead(read: Callable[[Step], Batch], steps: Iterable[Step]) -> Generator[Batch]:
    """The batches of all steps, each read in a thread while the one before it is learned from.

    A fault of the thread is raised here, at the step that it belongs to. Closing the iterator ends the thread.
    """
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=1)
    closed = threading.Event()

    def hand_over(item: Batch | BaseException | None) -> None:
        while not closed.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for step in steps:
                hand_over(read(step))
                if closed.is_set():
                    return
            hand_over(None)
        except BaseException as fault:
            hand_over(fault)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()
