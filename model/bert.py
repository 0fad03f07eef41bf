"""ModernBERT for masked-language modelling, on flat batches without padding."""

from __future__ import annotations

from torch import Tensor, nn

from model.attention import Segments
from model.layers import Decoder, Embeddings, Head, Layer, norm
from model.rope import angles
from model.settings import THETA, Shape


class Encoder(nn.Module):
    """Tokens -> vectors that know their document."""

    def __init__(self, shape: Shape, vocab: int) -> None:
        super().__init__()
        self.shape = shape
        self.thetas = (THETA, THETA)
        self.embeddings = Embeddings(shape, vocab)
        self.layers = nn.ModuleList(Layer(shape, number) for number in range(shape.layers))
        self.final_norm = norm(shape)

    def forward(
        self, input_ids: Tensor, segments: Segments, kept: Tensor | None, seeds: Tensor | None = None
    ) -> Tensor:
        """(T,) ids of the documents in `segments`, end to end -> (T, D), or (kept, D) of the places `kept` alone."""
        head = self.shape.hidden // self.shape.heads
        turned = {theta: angles(segments.positions, theta, head) for theta in set(self.thetas)}
        of_global, of_local = self.thetas
        x = self.embeddings(input_ids)
        for number, layer in enumerate(self.layers):
            theta = of_global if self.shape.is_global(number) else of_local
            last = number == self.shape.layers - 1  # past its attention only the kept tokens matter
            x = layer(x, segments, turned[theta], kept if last else None, seeds)
        return self.final_norm(x)  # type: ignore[no-any-return]


class Bert(nn.Module):
    """Guesses hidden tokens from both sides of them. Its state dict has Hugging Face's names and shapes.

    A fresh one holds PyTorch's default weights; `model.initialise.initialise` gives it ModernBERT's.
    It drops something out where it is given seeds, and only there: `train()` and `eval()` change nothing.
    """

    def __init__(self, shape: Shape, vocab: int) -> None:
        super().__init__()
        self.model = Encoder(shape, vocab)
        self.head = Head(shape)
        self.decoder = Decoder(self.model.embeddings.tok_embeddings)

    @property
    def shape(self) -> Shape:
        return self.model.shape

    @property
    def vocab(self) -> int:
        return self.model.embeddings.tok_embeddings.num_embeddings

    @property
    def thetas(self) -> tuple[float, float]:
        """RoPE bases of global and local layers. Not in the state dict: a checkpoint notes them itself."""
        return self.model.thetas

    def set_rope(self, global_theta: float, local_theta: float) -> None:
        """Change the RoPE bases, as the phase with the longer context does (160,000 global, 10,000 local)."""
        if not (global_theta > 1 and local_theta > 1):
            raise ValueError(f"RoPE bases must be above 1, not {global_theta} and {local_theta}; -1 is no base")
        self.model.thetas = (float(global_theta), float(local_theta))

    def forward(
        self, input_ids: Tensor, segments: Segments, masked: Tensor | None = None, seeds: Tensor | None = None
    ) -> Tensor:
        """Logits of every word at the masked places, or at all of them.

        input_ids   (T,) int64      the documents of `segments`, end to end
        masked      (K,) int64      places to guess; the last layer and the head work on these alone
        seeds       (T,) int32      of each token's dropout (model.dropout), in training
        ->          (K, vocab)      or (T, vocab)
        """
        return self.decoder(self.head(self.model(input_ids, segments, masked, seeds)))  # type: ignore[no-any-return]
