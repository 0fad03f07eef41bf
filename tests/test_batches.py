"""Batches hold the rows of the order, flat, and are read one step ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.bert import Bert
from model.initialise import initialise
from packing.flat import Row, joined
from packing.shards import ShardError
from tests.toy_training import PAD, SHAPE, job, packed, reader, settings, unmasked
from train.batches import IGNORED, Batch, Fixed, ahead, lay
from train.job import Job
from train.learn import summed_loss
from train.masking import how_many, key_of, words_of
from train.ranks import Spread
from train.schedule import Schedule, Step


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Job:
    base = tmp_path_factory.mktemp("batches")
    packed(base, documents=120)
    return job(base, base)


@pytest.mark.parametrize("pad_id", [None, PAD])
def test_batches_hold_the_rows_of_the_order_one_after_another(run: Job, pad_id: int | None) -> None:
    made = reader(run, pad_id=pad_id)
    phases = run.settings.phases
    for step in Schedule(run.settings).steps():
        places = made.order.rows(step.g, step.g + step.rows)
        rows = [
            made.shards[made.order.names[place["source"]], phases[step.phase].context][place["index"]]
            for place in places
        ]
        batch = made.read(step)
        assert unmasked(batch) == [token for row in rows for token in row.input_ids.tolist()]
        assert sum(counts.tokens for counts in batch.read.values()) == sum(len(row.input_ids) for row in rows)
        assert sum(counts.rows for counts in batch.read.values()) == len(rows) == step.rows
        documents = [np.diff(row.cu_seqlens).tolist() for row in rows]
        real = [
            int(size)
            for part in batch.microbatches
            for size, at in zip(part.cu_seqlens.diff(), part.cu_seqlens, strict=False)
            if size and part.input_ids[at] != PAD
        ]
        assert real == [size for row in documents for size in row]


def test_a_batch_is_a_function_of_its_step_alone(run: Job) -> None:
    """Read forwards, backwards, or by another reader: the state of the data is one integer."""
    steps = list(Schedule(run.settings).steps())
    made = reader(run)
    forwards = [made.read(step) for step in steps]
    backwards = [reader(run).read(step) for step in reversed(steps)][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        for a, b in zip(one.microbatches, other.microbatches, strict=True):
            assert torch.equal(a.input_ids, b.input_ids)
            assert torch.equal(a.masked, b.masked)


def test_masks_do_not_depend_on_the_size_of_a_microbatch(run: Job) -> None:
    step = Schedule(run.settings).step(0, 0)
    found = []
    for rows in (2, 6, 8):
        batch = reader(replace(run, settings=settings(microbatch=rows * 128))).read(step)
        found.append([token for part in batch.microbatches for token in part.input_ids.tolist()])
    assert found[0] == found[1] == found[2]


def test_the_same_row_is_masked_anew_each_time_it_is_read(run: Job) -> None:
    rows = reader(run).shards["web", 64]
    words, key = words_of(run.tokenizer), key_of("mask", 17)
    first, second = (lay(joined([rows[0]]), np.array([g]), rate=0.3, words=words, key=key) for g in (0, 1))
    assert first.masked.tolist() != second.masked.tolist()


def test_on_a_gpu_all_microbatches_of_a_phase_have_one_size(run: Job) -> None:
    schedule = Schedule(run.settings)
    made = reader(run, pad_id=PAD)
    for number, phase in enumerate(run.settings.phases):
        size = run.settings.microbatch_rows(phase)
        shapes = set()
        for step in schedule.steps():
            if step.phase == number:
                for part in made.read(step).microbatches:
                    shapes.add(
                        (len(part.input_ids), len(part.masked), len(part.labels), len(part.cu_seqlens), part.longest)
                    )
                    assert part.cu_seqlens.diff().max() <= part.longest
                    assert part.cu_seqlens[-1] == len(part.input_ids)
                    assert (part.cu_seqlens.diff() >= 0).all()
        masked = size * how_many(phase.context, phase.mask)
        assert shapes == {(256, masked, masked, 32 * size + 1, phase.context)}


def test_filling_up_changes_no_loss(run: Job) -> None:
    """Nothing is guessed in the padding, and no document sees it."""
    model = Bert(SHAPE, 264)
    initialise(model, 1)
    model.eval()
    words, key = words_of(run.tokenizer), key_of("mask", 17)
    rows = [reader(run).shards["web", 64][n] for n in range(3)]
    exact = lay(joined(rows), np.arange(3), rate=0.3, words=words, key=key)
    fixed = Fixed(rows=8, context=64, rate=0.3, pad_id=PAD)
    filled = lay(joined(rows), np.arange(3), rate=0.3, words=words, key=key, fixed=fixed)
    assert len(exact.input_ids) < len(filled.input_ids) == 512
    alone = Spread(model=model, forward=model, world=1, sharded=False)
    torch.testing.assert_close(summed_loss(alone, filled), summed_loss(alone, exact), rtol=1e-6, atol=0)


def test_documents_beyond_the_usual_number_take_the_next_power_of_two(run: Job) -> None:
    row = Row(np.array([257, 258] * 40, np.uint16), np.arange(0, 81, 2, dtype=np.int32), np.zeros(40, np.uint64))
    fixed = Fixed(rows=1, context=80, rate=0.3, pad_id=PAD)
    part = lay(joined([row]), np.arange(1), rate=0.3, words=words_of(run.tokenizer), key=(1, 2), fixed=fixed)
    assert len(part.cu_seqlens) == 64 + 1
    assert part.cu_seqlens.tolist()[:41] == list(range(0, 81, 2))
    assert (part.labels == IGNORED).all()


def test_rows_of_another_tokenizer_are_refused(run: Job) -> None:
    rows = reader(run).shards["web", 64]
    foreign = rows[1]._replace(input_ids=np.where(rows[1].input_ids == 257, 264, rows[1].input_ids))
    with pytest.raises(ShardError, match=r"row 7 has the token 264, but the tokenizer has 264 ids; .* pack them again"):
        lay(joined([rows[0], foreign]), np.array([6, 7]), rate=0.3, words=words_of(run.tokenizer), key=(1, 2))


def test_batches_are_read_ahead_in_order(run: Job) -> None:
    steps = list(Schedule(run.settings).steps())
    assert [batch.step for batch in ahead(reader(run).read, steps)] == steps


def test_a_fault_in_the_reading_thread_reaches_the_loop_after_the_good_batches(run: Job) -> None:
    made = reader(run)

    def read(step: Step) -> Batch:
        if step.number == 3:
            raise OSError("the disk is gone")
        return made.read(step)

    seen: list[int] = []
    with pytest.raises(OSError, match="the disk is gone"):
        seen.extend(batch.step.number for batch in ahead(read, Schedule(run.settings).steps()))
    assert not any(thread.name == "batches" for thread in threading.enumerate())


def test_whoever_stops_early_leaves_no_thread_behind(run: Job) -> None:
    asked: list[int] = []

    def steps() -> Iterator[Step]:
        for step in Schedule(run.settings).steps():
            asked.append(step.number)
            yield step

    batches = ahead(reader(run).read, steps())
    next(batches)
    time.sleep(0.05)
    batches.close()
    assert not any(thread.name == "batches" for thread in threading.enumerate())
    assert len(asked) <= 3


def test_seeds_of_dropout_depend_on_the_row_and_the_place_in_it_alone(run: Job) -> None:
    made = reader(run, dropped=7)
    steps = list(Schedule(run.settings).steps())
    whole = made.read(steps[0]).microbatches
    one = made.read(steps[0], size=1).microbatches
    halves = [reader(run, dropped=7, rank=rank, world=2).read(steps[0]).microbatches for rank in (0, 1)]
    every = [torch.cat([part.seeds for part in parts if part.seeds is not None]) for parts in (whole, one)]
    every += [torch.cat([part.seeds for parts in halves for part in parts if part.seeds is not None])]
    assert torch.equal(every[0], every[1])
    assert torch.equal(every[0], every[2])
    assert len(set(every[0].tolist())) > 0.99 * len(every[0])
    other = reader(run, dropped=8).read(steps[0]).microbatches[0].seeds
    assert other is not None
    assert not torch.equal(other, every[0][: len(other)])


def test_a_process_without_rows_has_as_many_microbatches_as_the_others_and_guesses_nothing(run: Job) -> None:
    step = list(Schedule(run.settings).steps())[8]  # 7 rows
    for pad_id in (None, PAD):
        parts = [reader(run, rank=rank, world=11, pad_id=pad_id, dropped=1).read(step) for rank in range(11)]
        assert {len(batch.microbatches) for batch in parts} == {1}
        assert sum(len(batch.numbers) for batch in parts) == step.rows == 7
        sizes = {len(part.input_ids) for batch in parts for part in batch.microbatches}
        assert sizes == {256} if pad_id else 1 in sizes
        (empty, *_) = [batch for batch in parts if not len(batch.numbers)]
        assert (empty.guessed, empty.tokens, dict(empty.read)) == (0, 0, {})
        assert (empty.microbatches[0].labels == IGNORED).all()
        assert empty.microbatches[0].seeds is not None
