"""The words a recipe may use of rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Packing:
    holdout: float = 0.002
    """Share of each source's documents, chosen by their id, that is kept out of training for evaluation."""
    holdout_apart: bool = True
    """Keep documents out of training that resemble a held-out one, of any source, by the threshold and ngram of
    `dedup.near` or, where it is off, their defaults. Nothing else does it then, and LSH misses some."""
    unit: int = 64_000_000
    """Bytes of text that are packed together: rows are filled from the documents of one unit. 64 MB are some 16,000
    rows of 1,024, enough to fill them to 99.9 % where documents vary in length."""
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
