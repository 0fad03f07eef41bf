"""A model's tensors over an old vocabulary -> over another one: what is known keeps its row, a new piece begins as the
mean of its parts, and what nothing is known of as the mean of all.

`pipeline/extension.py` writes beside an extended tokenizer which old ids make up each new piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


@torch.no_grad()
def over(tensor: Tensor, rows: Sequence[Sequence[int]]) -> Tensor:
    """An embedding matrix (old ids, hidden) or a decoder's bias (old ids,) -> one for `len(rows)` ids of the same type.

    rows    for each new id the old ids that it begins as: one keeps its row to the bit, several give their mean, none
            the mean of all old rows. Means are of float32.

    Raises ValueError for an old id that there is not.
    """
    if wrong := [id_ for ids in rows for id_ in ids if not 0 <= id_ < len(tensor)]:
        raise ValueError(f"a model of {len(tensor)} ids has no id {wrong[0]}")
    values = tensor.float()
    grown = values.mean(dim=0, keepdim=True).to(tensor.dtype).expand(len(rows), *tensor.shape[1:]).clone()
    for new, ids in enumerate(rows):
        if len(ids) > 1:
            grown[new] = values[list(ids)].mean(dim=0).to(tensor.dtype)
    kept = [new for new, ids in enumerate(rows) if len(ids) == 1]
    grown[kept] = tensor[[rows[new][0] for new in kept]]
    return grown


def rows_of_parts(parts: Mapping[int, Sequence[int]], old: int, size: int) -> list[Sequence[int]]:
    """What `over` takes for a tokenizer of `old` ids that was extended to `size`: old ids keep their rows.

    Ids without parts, which no text uses, begin as the mean of all. Raises ValueError if a part is no old id, or a
    piece no new one.
    """
    wrong = [new for new, ids in parts.items() if not (old <= new < size and ids and all(0 <= n < old for n in ids))]
    if wrong or size < old:
        raise ValueError(f"a model of {old} ids cannot take the pieces of a tokenizer of {size} ids {wrong[:3]}")
    return [(id_,) if id_ < old else parts.get(id_, ()) for id_ in range(size)]
