"""The shape of an encoder, and from it the number of parameters and the arithmetic of a training step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

THETA = 10_000.0
"""RoPE base of local layers always, of global layers until the context grows (ModernBERT, arXiv 2412.13663,
Table 3)."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Everything that fixes the tensors of a ModernBERT but its vocabulary, which the tokenizer brings.

    Raises ValueError, naming the field and the mend, for sizes that make no ModernBERT.
    """

    layers: int
    hidden: int
    """Width of the residual stream, a multiple of twice the heads."""
    heads: int
    intermediate: int
    """Width of the gated MLP after gating; its first matrix is twice as wide."""
    global_every: int = 3
    """Layers 0, 3, 6, ... see the whole document, the others a window (ModernBERT, section 2.1.1)."""
    window: int = 128
    """Local layers see window / 2 tokens to each side, both ends included (ModernBERT, Table 4)."""
    norm_eps: float = 1e-5
    """Added to the variance in every layer norm (ModernBERT, Table 4)."""
    dropout: float = 0.1
    """On the attention's output projection, in training only; nowhere else (ModernBERT, Table 3). Drawn by token
    (model.dropout), so that it is the same however rows are shared among processes and microbatches."""

    init_std: float = 0.02
    """Standard deviation of fresh weights (ModernBERT's `full_megatron`, at widths of 768 and 1,024). Narrow models
    learn nothing but word frequencies for long from 0.02; 0.02 * sqrt(768 / hidden) suits them."""

    def __post_init__(self) -> None:
        for field in ("layers", "hidden", "heads", "intermediate", "global_every"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, not {getattr(self, field)}")
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        if self.hidden // self.heads % 2:
            raise ValueError(f"hidden / heads = {self.hidden // self.heads} is odd; make it even, as RoPE turns pairs")
        if extra := (self.layers - 1) % self.global_every:
            fewer, more = self.layers - extra, self.layers - extra + self.global_every
            raise ValueError(
                f"the last layer must be global: with global_every {self.global_every} "
                f"make layers {fewer} or {more}, not {self.layers}"
            )
        if self.window < 2 or self.window % 2:
            raise ValueError(f"window {self.window} must be even and at least 2, half of it for each side")
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps must be above 0, not {self.norm_eps}")
        if not 0 < self.init_std < 1:
            raise ValueError(f"init_std must be above 0 and below 1, not {self.init_std}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    @property
    def reach(self) -> int:
        """Tokens that a local layer sees to each side of a token."""
        return self.window // 2

    def is_global(self, layer: int) -> bool:
        return layer % self.global_every == 0

    @property
    def matrix_parameters(self) -> int:
        """Parameters of the layers' matrices, the embedding's and the head's not counted."""
        return self.layers * self.hidden * (4 * self.hidden + 3 * self.intermediate)

    def parameters(self, vocab: int) -> int:
        """Parameters of the masked-language model; the decoder's matrix is the embedding and counts once."""
        norms = (2 * self.layers + 2) * self.hidden  # two a layer less one in layer 0; embedding, final and head
        return self.matrix_parameters + norms + vocab * self.hidden + self.hidden**2 + vocab

    def training_flops(self, lengths: Iterable[int], masked: int, vocab: int) -> int:
        """Floating-point operations that one forward and backward pass over these documents needs.

        Counts matrix products only (2 a multiply-add, backward twice the forward): attention by the pairs of
        tokens that truly see each other, the head on `masked` tokens alone. What `Bert.forward` saves on the
        other tokens in the last layer (1.6 % at the base size) is not taken off: it is no part of the model.
        """
        tokens = pairs_global = pairs_local = 0
        for length in lengths:
            tokens += length
            pairs_global += length * length
            near = min(self.reach, length - 1)
            pairs_local += length * (2 * near + 1) - near * (near + 1)
        whole = sum(self.is_global(layer) for layer in range(self.layers))
        pairs = whole * pairs_global + (self.layers - whole) * pairs_local
        head = self.hidden * (self.hidden + vocab)
        return 6 * (tokens * self.matrix_parameters + masked * head) + 12 * self.hidden * pairs


BASE = Shape(layers=22, hidden=768, heads=12, intermediate=1152)
LARGE = Shape(layers=28, hidden=1024, heads=16, intermediate=2624)
SHAPES = {"base": BASE, "large": LARGE}
"""The two published sizes (ModernBERT, Table 4)."""
