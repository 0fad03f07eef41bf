"""Each token sees its own document only, though the documents of a batch lie end to end without padding.

One function, `attend`, and two backends equal to a dense mask:

    varlen   PyTorch's own variable-length flash attention: CUDA, bfloat16 or float16
    sdpa     everything else, the CPU first: global layers one call a document; local layers one call for the
             whole batch, in blocks of `reach` queries against the 3 * reach keys around them, so a token
             costs the same at any length (one thread, float32, 8 documents of 210 to 450 tokens: 31 ms
             forward and backward, where one banded call a document takes 45 ms)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor

Backend = Literal["sdpa", "varlen"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """Where the documents of one flat batch begin and end; made once a batch and asked by every layer.

    cu_seqlens  (S + 1,) int32: document n is the tokens cu_seqlens[n] to cu_seqlens[n + 1]; may be filled up
                with T at its end to keep one size, which adds documents of no token
    tokens      T, all tokens of the batch
    longest     no document is longer. On CUDA give the context, the same for every batch: it fixes the
                kernel's grid, and a compiled layer is not compiled anew
    """

    cu_seqlens: Tensor
    tokens: int
    longest: int
    _seen: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device | str = "cpu") -> Self:
        """Documents of these lengths, end to end."""
        ends = torch.tensor([0, *lengths]).cumsum(0)
        return cls(cu_seqlens=ends.to(device, torch.int32), tokens=int(ends[-1]), longest=max(lengths, default=0))

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of each document that has any. Copies from the device: for the sdpa backend only."""
        lengths: list[int] = [length for length in self.cu_seqlens.diff().tolist() if length]
        if sum(lengths) != self.tokens:
            raise ValueError(f"cu_seqlens covers {sum(lengths)} tokens, but the batch has {self.tokens}")
        return lengths

    @cached_property
    def documents(self) -> Tensor:
        """(T,) int64: number of the document that each token belongs to."""
        places = torch.arange(self.tokens, device=self.cu_seqlens.device, dtype=torch.int32)
        return torch.searchsorted(self.cu_seqlens[1:], places, right=True)

    @cached_property
    def positions(self) -> Tensor:
        """(T,) int64: place of each token in its own document, from 0."""
        return torch.arange(self.tokens, device=self.cu_seqlens.device) - self.cu_seqlens[self.documents]

    def seen(self, reach: int) -> Tensor:
        """Which of the 3 * reach keys around its block each query sees: (blocks, 1, reach, 3 * reach) bool.

        The places before the first and after the last token count as two documents of their own, so that a
        query there sees at least itself and the softmax stays finite.
        """
        if reach not in self._seen:
            blocks = -(-self.tokens // reach)
            document = F.pad(self.documents, (reach, 0), value=-1)
            document = F.pad(document, (0, (blocks + 2) * reach - len(document)), value=len(self.cu_seqlens))
            query = document[reach:-reach].view(blocks, reach, 1)
            key = document.unfold(0, 3 * reach, reach)[:, None]
            place = torch.arange(3 * reach, device=document.device)
            near = (place[reach : 2 * reach, None] - place).abs() <= reach
            self._seen[reach] = ((query == key) & near)[:, None]
        return self._seen[reach]


def attend(
    q: Tensor, k: Tensor, v: Tensor, segments: Segments, reach: int | None, backend: Backend | None = None
) -> Tensor:
    """Softmax attention of q, k and v, each (T, heads, dim), within documents -> (T, heads, dim).

    `reach` is how far a token sees to each side, both ends included; None sees the whole document.
    `backend` is chosen by device and dtype when not given.
    """
    if backend is None:
        backend = "varlen" if q.is_cuda and q.dtype in (torch.bfloat16, torch.float16) else "sdpa"
    if backend == "varlen":
        cu, longest = segments.cu_seqlens, segments.longest
        window = (-1, -1) if reach is None else (reach, reach)
        from torch.nn.attention.varlen import varlen_attn  # a second of imports that a CPU need not wait for

        out = varlen_attn(q, k, v, cu, cu, longest, longest, window_size=window)
        assert isinstance(out, Tensor)
        return out
    if reach is None or max(segments.lengths) <= reach + 1:  # every document fits its window
        return _whole(q, k, v, segments.lengths)
    return _banded(q, k, v, segments.seen(reach), reach)


def _whole(q: Tensor, k: Tensor, v: Tensor, lengths: list[int]) -> Tensor:
    out = []
    for document in zip(*(torch.split(t, lengths) for t in (q, k, v)), strict=True):
        queries, keys, values = (t.transpose(0, 1)[None] for t in document)  # each (1, heads, length, dim)
        out.append(F.scaled_dot_product_attention(queries, keys, values)[0].transpose(0, 1))
    return torch.cat(out)


def _banded(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, reach: int) -> Tensor:
    tokens, heads, dim = q.shape
    blocks = len(seen)
    fill = blocks * reach - tokens
    queries = F.pad(q, (0, 0, 0, 0, 0, fill)).view(blocks, reach, heads, dim).transpose(1, 2)
    keys, values = (_Around.apply(t, reach) for t in (k, v))  # type: ignore[no-untyped-call]
    out = F.scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
    return out.transpose(1, 2).reshape(blocks * reach, heads, dim)[:tokens]


class _Around(torch.autograd.Function):
    """(T, heads, dim) -> (blocks, heads, 3 * reach, dim): each block and its neighbours, as views.

    It has its own backward pass, three additions of whole blocks: autograd would materialise the views first.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, reach: int) -> Tensor:
        tokens, heads, dim = x.shape
        ctx.tokens, ctx.reach = tokens, reach
        padded = x.new_zeros((-(-tokens // reach) + 2) * reach, heads, dim)
        padded[reach : reach + tokens] = x
        return padded.unfold(0, 3 * reach, reach).permute(0, 1, 3, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,), reach = grads, ctx.reach
        blocks, heads, _, dim = grad.shape
        total = grad.new_zeros(blocks + 2, reach, heads, dim)
        for n in range(3):
            total[n : n + blocks] += grad[:, :, n * reach : (n + 1) * reach].transpose(1, 2)
        return total.view(-1, heads, dim)[reach : reach + ctx.tokens], None
