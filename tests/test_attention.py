"""Attention on flat batches against one dense mask, in float64: what `attend` gives and what flows back through it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.attention import Segments, attend

torch.set_num_threads(1)  # work this small is slower on two busy cores than on one

LENGTHS = [
    [300, 77, 200, 5, 64, 65, 129, 1],
    [1],
    [64],
    [65, 66],
    [1, 1, 1],
    [192, 193, 191],
    [513],
    [30, 20, 10],
]


def dense(q: Tensor, k: Tensor, v: Tensor, lengths: list[int], reach: int | None) -> Tensor:
    """The oracle: softmax over one (T, T) mask, written out."""
    document = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    place = torch.arange(len(q))
    seen = document[:, None] == document
    if reach is not None:
        seen &= (place[:, None] - place).abs() <= reach
    scores = torch.einsum("ihd,jhd->hij", q, k) / q.shape[-1] ** 0.5
    return torch.einsum("hij,jhd->ihd", scores.masked_fill(~seen, -torch.inf).softmax(-1), v)


def drawn(tokens: int, heads: int = 2, dim: int = 8) -> Tensor:
    return torch.randn(4, tokens, heads, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def with_gradients(run: object, qkv: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    leaf = qkv.clone().requires_grad_()
    out = run(*leaf.unbind(0))  # type: ignore[operator]
    out.backward(upstream)
    assert leaf.grad is not None
    return out.detach(), leaf.grad


@pytest.mark.parametrize("reach", [None, 64, 16, 5, 1])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_results_and_gradients_equal_a_dense_mask(lengths: list[int], reach: int | None) -> None:
    *qkv, upstream = drawn(sum(lengths))
    stacked = torch.stack(qkv)
    out, grad = with_gradients(lambda q, k, v: attend(q, k, v, Segments.of(lengths), reach), stacked, upstream)
    expected, slope = with_gradients(lambda q, k, v: dense(q, k, v, lengths, reach), stacked, upstream)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(grad, slope, rtol=0, atol=1e-12)


@pytest.mark.parametrize("reach", [None, 16])
def test_slices_of_one_tensor_are_taken_as_they_are(reach: int | None) -> None:
    lengths = [40, 90, 3]
    packed = drawn(sum(lengths))[:3].movedim(0, 1).contiguous()  # (T, 3, heads, dim), as a fused projection gives
    q, k, v = packed.unbind(1)
    out = attend(q, k, v, Segments.of(lengths), reach)
    torch.testing.assert_close(out, dense(q, k, v, lengths, reach), rtol=0, atol=1e-12)


@pytest.mark.parametrize("reach", [None, 16])
def test_bounds_filled_up_with_their_last_value_change_nothing(reach: int | None) -> None:
    lengths = [40, 90, 3]
    q, k, v, _ = drawn(133)
    bounds = torch.tensor([0, 40, 130, 133, 133, 133], dtype=torch.int32)
    filled = Segments(cu_seqlens=bounds, tokens=133, longest=90)
    assert filled.lengths == lengths
    assert torch.equal(attend(q, k, v, filled, reach), attend(q, k, v, Segments.of(lengths), reach))


def test_a_bound_on_the_longest_document_that_is_too_high_changes_nothing() -> None:
    q, k, v, _ = drawn(60)
    loose = Segments(cu_seqlens=torch.tensor([0, 30, 50, 60], dtype=torch.int32), tokens=60, longest=1024)
    for reach in (None, 64):
        torch.testing.assert_close(
            attend(q, k, v, loose, reach), dense(q, k, v, [30, 20, 10], reach), rtol=0, atol=1e-12
        )


def test_positions_and_documents_begin_anew_with_each_document() -> None:
    bounds = torch.tensor([0, 3, 3, 5, 6, 6], dtype=torch.int32)
    segments = Segments(cu_seqlens=bounds, tokens=6, longest=3)
    assert segments.positions.tolist() == [0, 1, 2, 0, 1, 0]
    assert segments.documents.tolist() == [0, 0, 0, 2, 2, 3]
    assert segments.lengths == [3, 2, 1]


def test_bounds_that_do_not_cover_the_batch_are_refused() -> None:
    q, k, v, _ = drawn(10)
    short = Segments(cu_seqlens=torch.tensor([0, 4, 8], dtype=torch.int32), tokens=10, longest=4)
    with pytest.raises(ValueError, match="cu_seqlens covers 8 tokens, but the batch has 10"):
        attend(q, k, v, short, None)


def test_half_precision_stays_near_the_oracle_on_cpu() -> None:
    lengths = [200, 33]
    q, k, v, _ = drawn(233)
    for reach in (None, 16):
        out = attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), Segments.of(lengths), reach)
        assert out.dtype is torch.bfloat16
        assert F.mse_loss(out.double(), dense(q, k, v, lengths, reach)) < 1e-4


def test_the_varlen_backend_takes_our_arguments() -> None:
    """Without a GPU: shapes alone, on tensors without data."""
    with torch.device("meta"):
        q, k, v = (torch.empty(128, 2, 64, dtype=torch.bfloat16) for _ in range(3))
        segments = Segments(cu_seqlens=torch.empty(4, dtype=torch.int32), tokens=128, longest=64)
    for reach in (None, 16):
        assert attend(q, k, v, segments, reach, "varlen").shape == (128, 2, 64)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("reach", [None, 64, 16])
def test_on_a_gpu_varlen_equals_a_dense_mask(reach: int | None) -> None:
    lengths = LENGTHS[0]
    *qkv, upstream = drawn(sum(lengths), dim=64).bfloat16()
    stacked, segments = torch.stack(qkv), Segments.of(lengths, "cuda")
    out, grad = with_gradients(lambda q, k, v: attend(q, k, v, segments, reach), stacked.cuda(), upstream.cuda())
    expected, slope = with_gradients(
        lambda q, k, v: dense(q, k, v, lengths, reach), stacked.double(), upstream.double()
    )
    torch.testing.assert_close(out.cpu().double(), expected, rtol=0, atol=2e-2)
    torch.testing.assert_close(grad.cpu().double(), slope, rtol=0, atol=5e-2)
