"""Each value's dropout is a hash of token, layer and column: as good as drawn, and the same wherever it is computed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from model.dropout import dropout

TOKENS, WIDTH = 2048, 256


def seeds() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(-(2**31), 2**31 - 1, (TOKENS,), dtype=torch.int32, generator=generator)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5])
def test_the_share_that_is_dropped_is_the_rate_in_all_in_each_row_and_in_each_column(rate: float) -> None:
    dropped = dropout(torch.ones(TOKENS, WIDTH), rate, seeds(), 4) == 0
    for share, count in ((dropped.float().mean(), TOKENS * WIDTH), (dropped.float().mean(0), TOKENS)):
        assert float((share - rate).abs().max()) <= 5 * math.sqrt(rate * (1 - rate) / count)


def test_what_stays_grows_so_that_the_mean_stays_and_gradients_go_where_values_went() -> None:
    x = torch.full((TOKENS, WIDTH), 3.0, requires_grad=True)
    out = dropout(x, 0.25, seeds(), 0)
    assert set(out.detach().flatten().tolist()) == {0.0, 4.0}
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(x.grad, out.detach() / 3)


def test_layers_tokens_and_columns_drop_independently() -> None:
    one, two = ((dropout(torch.ones(TOKENS, WIDTH), 0.5, seeds(), layer) == 0).float() - 0.5 for layer in (1, 2))
    pairs = {"layers": (one, two), "tokens": (one[1:], one[:-1]), "columns": (one[:, 1:], one[:, :-1])}
    for name, (a, b) in pairs.items():
        correlation = float((a * b).mean()) / 0.25
        assert abs(correlation) < 5 / math.sqrt(a.numel()), name


def test_a_token_drops_the_same_in_any_company_and_at_any_precision() -> None:
    x = torch.randn(TOKENS, WIDTH, generator=torch.Generator().manual_seed(5))
    whole = dropout(x, 0.3, seeds(), 2)
    some = torch.tensor([5, 1999, 77])
    assert torch.equal(dropout(x[some], 0.3, seeds()[some], 2), whole[some])
    assert torch.equal(dropout(x.bfloat16(), 0.3, seeds(), 2) == 0, whole == 0)
