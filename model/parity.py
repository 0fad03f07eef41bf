"""Whether `transformers` computes from an exported folder what the model itself computes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from tokenizers import Tokenizer

from model.attention import Segments
from model.bert import Bert
from model.hub import HubError

CLOSE = 1e-4
"""Largest difference of two logits that counts as the same model, in float32. Measured: below 4e-6 for weights that are
as good as random; a wrong RoPE base, window or activation of the head gives more than 1e-2 (bench/parity.py)."""

TEXTS = (
    "The capital of France is [MASK].",
    "def add(a, [MASK]):\n\treturn a  +  b  # naïve",
    "Größe, ciudad, 東京, Ελλάδα — [MASK] 🙂",
)
_LONG = "In the long [MASK] of a text, each word lies far from the first one and near to others. "
_REACHES = 8
"""The long text has this many times the tokens that a local layer sees to one side: global and local layers differ."""


def compare(model: Bert, folder: Path, context: int) -> float | None:
    """The largest difference between our logits and those of `transformers` -> or None where it is not installed.

    Of short texts and of one longer than the local window, as far as `context` tokens allow. Raises HubError where
    `transformers` cannot open the folder, or splits a text into other tokens than we do.
    """
    if find_spec("transformers") is None:
        return None
    import transformers
    from transformers.utils import logging

    if not hasattr(transformers, "ModernBertForMaskedLM"):
        raise HubError(f"transformers {transformers.__version__} has no ModernBERT; install transformers>=4.48")
    logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]
    try:
        theirs = transformers.AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="sdpa").eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    except Exception as fault:  # whatever a version of it, with what is installed beside it, may raise
        raise HubError(f"{folder}: transformers {transformers.__version__} does not open it ({fault})") from None
    finally:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]
    return max(_apart(model, theirs, ids) for ids in _ids(folder, tokenizer, model, context))


def _ids(folder: Path, tokenizer: object, model: Bert, context: int) -> list[torch.Tensor]:
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    wanted = min(context, _REACHES * model.shape.reach)
    found = []
    for text in (*TEXTS, _LONG * wanted):
        ids = plain.encode(text).ids
        if tokenizer(text, verbose=False)["input_ids"] != ids:  # type: ignore[operator]
            raise HubError(f"{folder}: transformers splits {text[:40]!r} into other tokens than its tokenizer.json")
        found.append(torch.tensor([*ids[: wanted - 1], ids[-1]] if len(ids) > wanted else ids))
    return found


@torch.no_grad()
def _apart(ours: Bert, theirs: torch.nn.Module, ids: torch.Tensor) -> float:
    expected = ours(ids, Segments.of([len(ids)]))
    return float((theirs(input_ids=ids[None]).logits[0] - expected).abs().max())
