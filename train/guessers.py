"""Models that can be asked for hidden words: ours, and any masked-language model that `transformers` loads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from model.attention import Segments
from model.bert import Bert
from packing.encode import Encoder
from train.devices import precision
from train.spans import Guesser, Window

TOKENS = 16_384
"""In one forward pass of ours, which computes logits at hidden places alone."""

PADDED = 4_096
"""In one forward pass of theirs, padding too: 1.0 GB of float32 logits of 64k words at every place."""


class ModelError(Exception):
    """A model that cannot be asked for hidden words; one line with the mend."""


def ours(model: Bert, tokenizer_json: Path, context: int, device: torch.device) -> Guesser:
    """Raises EncodeError for a tokenizer that cannot be used."""
    encoder = Encoder(tokenizer_json)
    model.to(device).eval()

    def guess(windows: Sequence[Window]) -> Iterator[Tensor]:
        for batch in _batches(windows, TOKENS):
            lengths = [len(window.ids) for window in batch]
            starts = np.cumsum([0, *lengths[:-1]])
            places = np.concatenate([window.places + at for window, at in zip(batch, starts, strict=True)])
            ids = torch.from_numpy(np.concatenate([window.ids for window in batch]))
            with precision(device):
                yield model(ids.to(device), Segments.of(lengths, device), torch.from_numpy(places).to(device))

    return Guesser(
        tokenizer=plain(Tokenizer.from_file(str(tokenizer_json))),
        before=[encoder.cls],
        after=[encoder.sep],
        mask=encoder.mask,
        unknown=encoder.unk,
        context=context,
        guess=guess,
    )


def theirs(name: str, context: int | None, device: torch.device) -> tuple[Guesser, nn.Module]:
    """A model by its folder or its name on the Hugging Face hub, and the module itself.

    context  tokens of an input; None asks the model. Raises ModelError.
    """
    model, tokenizer = _loaded(name)
    if getattr(tokenizer, "mask_token_id", None) is None:
        raise ModelError(f"{name}: its tokenizer has no mask token, so it cannot be asked for hidden words")
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError(f"{name}: its tokenizer tells no places of its tokens; save it as a tokenizer.json")
    model = model.float().to(device).eval()
    pad = tokenizer.pad_token_id or 0

    def guess(windows: Sequence[Window]) -> Iterator[Tensor]:
        for batch in _batches(windows, PADDED):
            longest = max(len(window.ids) for window in batch)
            ids = torch.full((len(batch), longest), pad)
            for row, window in zip(ids, batch, strict=True):
                row[: len(window.ids)] = torch.from_numpy(window.ids)
            seen = torch.arange(longest) < torch.tensor([[len(window.ids)] for window in batch])
            places = np.concatenate([window.places + longest * row for row, window in enumerate(batch)])
            with precision(device):
                logits = model(input_ids=ids.to(device), attention_mask=seen.long().to(device)).logits
            yield logits.flatten(0, 1)[torch.from_numpy(places).to(device)]

    encoding = plain(backend).encode("a")
    text = [at for at, special in enumerate(encoding.special_tokens_mask) if not special]
    guesser = Guesser(
        tokenizer=backend,
        before=encoding.ids[: text[0]],
        after=encoding.ids[text[-1] + 1 :],
        mask=tokenizer.mask_token_id,
        unknown=tokenizer.unk_token_id,
        context=_context(name, model, tokenizer, context),
        guess=guess,
    )
    return guesser, model


def plain(tokenizer: Any) -> Any:
    """Of a whole text each token once, and the names of special tokens are text."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _loaded(name: str) -> tuple[Any, Any]:
    try:
        import transformers
    except ImportError:
        raise ModelError(f"{name}: is read by transformers, which is not here; pip install 'bertmill[hub]'") from None
    try:
        with _quietly(transformers):
            config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
            if getattr(config, "reference_compile", False) is None:
                config.reference_compile = False  # else some releases compile a ModernBERT unasked
            model, told = transformers.AutoModelForMaskedLM.from_pretrained(
                name, config=config, output_loading_info=True, trust_remote_code=False
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as fault:
        said = (str(fault).strip() or repr(fault)).splitlines()[0]
        raise ModelError(f"{name}: transformers cannot load it as a masked-language model ({said})") from None
    if missing := sorted(told["missing_keys"]):
        raise ModelError(
            f"{name}: has no weights for {missing[0]} and {len(missing) - 1} more, so it is no whole masked-language "
            "model; name one that was saved with its head"
        )
    return model, tokenizer


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """Without progress bars and advice on loading: what is wrong is told in a line of ours."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)
        transformers.logging.enable_progress_bar()


def _context(name: str, model: nn.Module, tokenizer: Any, asked: int | None) -> int:
    """The smallest of what is asked, what the tokenizer tells and what the model has positions for."""
    limits = [asked] if asked else []
    if tokenizer.model_max_length < 1_000_000:  # else transformers' number for "not told"
        limits.append(tokenizer.model_max_length)
    positions = getattr(model.config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        tables = [part for at, part in model.named_modules() if at.endswith("position_embeddings")]
        paddings = [table.padding_idx for table in tables if getattr(table, "padding_idx", None) is not None]
        limits.append(positions - max(paddings, default=-1) - 1)  # RoBERTa's positions begin behind the padding's
    if not limits:
        raise ModelError(f"{name}: does not tell how long its inputs may be; say so with --context")
    return int(min(limits))


def _batches(windows: Sequence[Window], tokens: int) -> Iterator[Sequence[Window]]:
    """As many in order as have so many tokens, all filled up to the longest of them; at least one."""
    batch: list[Window] = []
    longest = 0
    for window in windows:
        longest = max(longest, len(window.ids))
        if batch and longest * (len(batch) + 1) > tokens:
            yield batch
            batch, longest = [], len(window.ids)
        batch.append(window)
    if batch:
        yield batch
