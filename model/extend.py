"""A model's tensors over an old vocabulary -> over the extended one: a new piece begins as the mean of its parts.

`pipeline/extension.py` writes beside an extended tokenizer which old ids make up each new piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


@torch.no_grad()
def over_extended(tensor: Tensor, parts: Mapping[int, Sequence[int]], size: int) -> Tensor:
    """An embedding matrix (old ids, hidden) or a decoder's bias (old ids,) -> one for `size` ids, of the same type.

    Old ids keep their rows to the bit. The row of a new piece is the mean of the rows of its parts; that of an id
    without parts, which no text uses, the mean of all old rows. Means are of float32. Raises ValueError if a part is
    no old id, or a piece no new one.
    """
    old = len(tensor)
    wrong = [new for new, ids in parts.items() if not (old <= new < size and ids and all(0 <= n < old for n in ids))]
    if wrong or size < old:
        raise ValueError(f"a model of {old} ids cannot take the pieces of a tokenizer of {size} ids {wrong[:3]}")
    rows = tensor.float()
    grown = rows.mean(dim=0, keepdim=True).expand(size, *rows.shape[1:]).clone()
    for new, ids in parts.items():
        grown[new] = rows[list(ids)].mean(dim=0)
    grown = grown.to(tensor.dtype)
    grown[:old] = tensor
    return grown
