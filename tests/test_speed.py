"""FLOPs of a batch are those of its documents, whatever fills microbatches up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.settings import BASE, LARGE, Shape
from tests.toy_training import PAD, SHAPE, job, packed, reader
from train.batches import Batch, nothing
from train.schedule import Schedule
from train.speed import Left, flops_of, peak_flops, peak_of, speed_of


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("data")
    packed(base, documents=200)
    return base


def read(data: Path, number: int, **changes: object) -> Batch:
    run = job(data / "unused", data)
    schedule = Schedule(run.settings)
    step = next(step for step in schedule.steps() if step.number == number)
    return reader(run, **changes).read(step)


def spelt_out(shape: Shape, lengths: list[int], masked: int, vocab: int) -> int:
    """Each matrix product of a forward pass, each pair of tokens counted one by one; three times that for a step."""
    forward = 0
    for length in lengths:
        for matrix in (3 * shape.hidden, shape.hidden, 2 * shape.intermediate, shape.intermediate):
            forward += shape.layers * 2 * length * shape.hidden * matrix
        for layer in range(shape.layers):
            reach = length if layer % shape.global_every == 0 else shape.window // 2
            pairs = sum(abs(q - k) <= reach for q in range(length) for k in range(length))
            forward += 2 * 2 * shape.hidden * pairs  # scores, and the values by them
    return 3 * (forward + 2 * masked * shape.hidden * (shape.hidden + vocab))


@pytest.mark.parametrize("number", [0, 14])
def test_flops_are_those_of_every_matrix_product_of_every_document(number: int, data: Path) -> None:
    batch = read(data, number)
    lengths = [n for part in batch.microbatches for n in part.cu_seqlens.diff().tolist()]
    assert len(set(lengths)) > 2
    assert sum(lengths) == sum(counts.tokens for counts in batch.read.values())
    assert flops_of(batch, SHAPE, 264) == spelt_out(SHAPE, lengths, batch.guessed, 264)


def test_what_fills_a_microbatch_up_counts_nothing(data: Path) -> None:
    plain, filled = read(data, 3), read(data, 3, pad_id=PAD)
    tokens = sum(counts.tokens for counts in plain.read.values())
    assert sum(len(part.input_ids) for part in filled.microbatches) > tokens
    assert flops_of(filled, SHAPE, 264) == flops_of(plain, SHAPE, 264)


def test_a_process_that_has_no_row_left_computes_on_padding_that_counts_nothing(data: Path) -> None:
    """It keeps step with the others."""
    batch, part = read(data, 3), nothing(0, None, seeds=False)
    more = replace(batch, microbatches=[*batch.microbatches, part])
    assert flops_of(more, SHAPE, 264) == flops_of(batch, SHAPE, 264)
    assert flops_of(replace(batch, microbatches=[part], guessed=0), SHAPE, 264) == 0


def test_the_processes_parts_of_a_step_make_the_whole(data: Path) -> None:
    parts = [flops_of(read(data, 3, rank=rank, world=3), SHAPE, 264) for rank in range(3)]
    assert sum(parts) == flops_of(read(data, 3), SHAPE, 264)
    assert min(parts) > 0


@pytest.mark.parametrize(
    ("shape", "context", "mega"),
    [(BASE, 1024, 824.1), (BASE, 8192, 1353.0), (LARGE, 1024, 2307.1), (LARGE, 8192, 3188.7)],
)
def test_whole_rows_cost_what_is_known_of_the_published_models(shape: Shape, context: int, mega: float) -> None:
    """MFLOP a token at 30 % masked and 50,368 words."""
    per_token = shape.training_flops([context] * 10, 3 * context, 50_368) / (10 * context)
    assert per_token / 1e6 == pytest.approx(mega, abs=0.1)


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA H100 NVL", 835.5),
        ("NVIDIA H200", 989.4),
        ("NVIDIA H200 NVL", 835.5),
        ("NVIDIA GH200 480GB", 989.4),
        ("NVIDIA B200", 2250.0),
        ("NVIDIA GB200", 2500.0),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA A100 80GB PCIe", 312.0),
        ("NVIDIA A10", 125.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA L40S", 362.05),
        ("NVIDIA L40", 181.05),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("Tesla V100-SXM2-32GB", 125.0),
        ("Tesla V100-PCIE-16GB", 112.0),
        ("Tesla T4", 65.0),
        ("NVIDIA A10G", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA GeForce RTX 3090 Ti", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("Quadro RTX 6000", None),
        ("AMD Instinct MI300X", None),
    ],
)
def test_a_gpu_is_known_by_its_whole_name(name: str, tera: float | None) -> None:
    assert peak_of(name) == (None if tera is None else pytest.approx(1e12 * tera))


def test_a_cpu_has_no_peak_and_no_utilisation() -> None:
    assert peak_flops(torch.device("cpu")) is None
    assert speed_of(600, 3_000, 2.0, None) == {"tokens_per_second": 300, "flops_per_second": 1_500, "mfu": None}
    assert speed_of(600, 3_000, 2.0, 6_000.0)["mfu"] == 0.25


def test_the_time_left_follows_the_speed_of_the_last_steps() -> None:
    """100 units at 1 s each after a first one that compiled for 60 s; then a phase that takes 4 s each."""
    now = [0.0]
    left = Left(5_000, 0, lambda: now[0])
    assert left.seconds(0) is None
    now[0] = 60
    assert left.seconds(1) == pytest.approx(60 * 4_999)
    for done in range(2, 2_001):
        now[0] += 1
        told = left.seconds(done)
    assert told == pytest.approx(3_000, rel=0.01)
    for done in range(2_001, 4_001):
        now[0] += 4
        told = left.seconds(done)
    assert told == pytest.approx(4_000, rel=0.01)


def test_after_a_rewind_the_way_is_gone_once_more() -> None:
    now = [0.0]
    left = Left(100, 0, lambda: now[0])
    for done in (10, 20, 30, 10, 20):
        now[0] += 5
        told = left.seconds(done)
    assert told == pytest.approx(80 * 0.5)
