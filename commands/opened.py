"""A folder -> the model in it: one of our checkpoints, or a ModernBERT as Hugging Face keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from model.bert import Bert
from model.hub import import_hub
from train.checkpoint import open_checkpoint


class Opened(NamedTuple):
    model: Bert
    tokenizer: Path
    context: int
    """The longest input, in tokens."""


def opened(folder: Path, *, averaged: bool = False) -> Opened:
    """Raises CheckpointError or HubError for what is damaged, or no model of this kind.

    averaged  the running mean of a checkpoint's weights; CheckpointError where there is none
    """
    if (folder / "state.json").exists():
        checkpoint = open_checkpoint(folder)
        return Opened(checkpoint.model(averaged=averaged), checkpoint.tokenizer, checkpoint.state.context)
    imported = import_hub(folder)
    model = Bert(imported.shape, imported.vocab)
    model.load_state_dict(imported.weights)
    model.set_rope(*imported.thetas)
    return Opened(model.eval(), folder / "tokenizer.json", imported.context)
