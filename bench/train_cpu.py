"""Training on the CPU: tokens a second, forward and backward, beside `transformers` on the same documents and weights.

    python bench/train_cpu.py

The peer predicts masked tokens only (`sparse_prediction=True`), as we do, and is padded to the longest document. Runs
alternate, so that a drift of the machine's speed meets both; medians of 5 after a warm-up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import ModernBertConfig, ModernBertForMaskedLM

from model.attention import Segments
from model.bert import Bert
from model.settings import BASE, Shape

TINY = Shape(layers=4, hidden=256, heads=4, intermediate=384)
CASES = {
    "tiny, 8 of at most 512": (TINY, 8192, 8, 512),
    "tiny, 4 of at most 1,024": (TINY, 8192, 4, 1024),
    "tiny, 2 of at most 2,048": (TINY, 8192, 2, 2048),
    "base, 3 of at most 512": (BASE, 50_368, 3, 512),
}


def documents(count: int, longest: int) -> list[int]:
    """Lengths spread over the upper three quarters of what is allowed: about 62 % of the padded rectangle."""
    spread = torch.linspace(0.25, 1.0, count + 1)[1:]
    return [int(share * longest) for share in spread]


def pad(flat: Tensor, lengths: list[int], fill: int) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(torch.split(flat, lengths)), batch_first=True, padding_value=fill)


def peers(shape: Shape, vocab: int, lengths: list[int]) -> tuple[Callable[[], float], Callable[[], float]]:
    """(our step, their step), each giving its loss."""
    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        sparse_prediction=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
    )
    theirs = ModernBertForMaskedLM._from_config(config, attn_implementation="sdpa").train()  # type: ignore[no-untyped-call]
    ours = Bert(shape, vocab)
    ours.load_state_dict(theirs.state_dict())
    ours.set_rope(160_000.0, 10_000.0)
    ours.eval()  # the peer has no dropout; neither have we here
    ids = torch.randint(3, vocab, (sum(lengths),))
    masked = torch.randperm(len(ids))[: int(0.3 * len(ids))].sort().values
    labels = torch.full_like(ids, -100)
    labels[masked] = ids[masked]
    padded = {
        "input_ids": pad(ids, lengths, 0),
        "attention_mask": pad(torch.ones_like(ids), lengths, 0),
        "labels": pad(labels, lengths, -100),
    }

    def our_step() -> float:
        ours.zero_grad(set_to_none=True)
        loss = F.cross_entropy(ours(ids, Segments.of(lengths), masked), ids[masked])
        torch.autograd.backward(loss)
        return float(loss.detach())

    def their_step() -> float:
        theirs.zero_grad(set_to_none=True)
        loss = theirs(**padded).loss
        torch.autograd.backward(loss)
        return float(loss.detach())

    return our_step, their_step


def seconds(step: Callable[[], float]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--runs", type=int, default=5)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    threads = f"float32, {chosen.threads} thread(s)"
    print(f"{threads:30} {'ours':>8} {'theirs':>8}  tokens/s   ratio   loss difference")
    for name, (shape, vocab, count, longest) in CASES.items():
        lengths = documents(count, longest)
        ours, theirs = peers(shape, vocab, lengths)
        difference = abs(ours() - theirs())
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(chosen.runs)]
        fast, slow = (sum(lengths) / median(pair[side] for pair in pairs) for side in (0, 1))
        ratio = median(slower / faster for faster, slower in pairs)
        print(f"{name:30} {fast:8.0f} {slow:8.0f}             {ratio:5.2f}   {difference:.1e}")


if __name__ == "__main__":
    main()
