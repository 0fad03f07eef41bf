"""The words a recipe may use of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Packing:
    holdout: float = 0.002
    """Share of each source's documents, chosen by their id, that is kept out of training for evaluation."""
    holdout_apart: bool = True
    """Keep documents out of training that resemble a held-out one, of any source, by the threshold and ngram of
    `dedup.near` or, where it is off, their defaults. Nothing else does it then, and LSH misses some."""
    unit: int = 128_000_000
    """Bytes of text that are packed together, from half to one and a half times as many: rows are filled from the
    documents of one unit, and its last row is part empty. 128 MB are some 28,000 rows of 1,024 and 3,500 of 8,192:
    99.97 and 99.98 % full (log-normal lengths, median 600, sigma 1.1). Memory: 4 bytes a token, 8 with more than
    65,535 ids: some 150 MB."""
    partition: bool | Mapping[int, float] = False
    """Which documents the phases of each context read. false: all, so those of one context are read again at the
    next. true: a part each, by the hash of their id, in proportion to the tokens that the phases ask of the source; a
    change of phases then packs anew. Context -> share: parts that no phase changes."""
    shortest: int = 32
    """Tokens under which a long document's piece is not cut (a shorter document is a piece of its own)."""
    max_epochs: float = 4.0
    """Times a source may be read over the whole run; up to 4, repeated data is about as good as new (Muennighoff
    et al. 2023, section 5). `plan` and `train` refuse more."""

    def __post_init__(self) -> None:
        if not 0 <= self.holdout < 1:
            raise ValueError(f"holdout is a share from 0 to below 1, not {self.holdout:g}")
        if self.unit < 1:
            raise ValueError(f"unit is at least 1 byte, not {self.unit}; 64M is usual")
        if self.shortest < 3:
            raise ValueError("shortest is at least 3: [CLS], a token, [SEP]")
        if self.max_epochs <= 0:
            raise ValueError(f"max_epochs is above 0, not {self.max_epochs:g}")
        if isinstance(self.partition, Mapping):
            if below := [context for context, share in self.partition.items() if not share > 0]:
                raise ValueError(f"partition gives context {below[0]} no documents; shares are above 0")
            if not math.isclose(total := math.fsum(self.partition.values()), 1.0, abs_tol=1e-6):
                raise ValueError(f"the shares of the partition sum to {total:g}, not 1")
