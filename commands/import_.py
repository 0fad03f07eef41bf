"""A Hugging Face folder or a .pt file of FlexBERT -> a checkpoint."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from model.hub import Imported
from train.checkpoint import adopt
from train.parents import open_parent


def import_model(source: Path, checkpoint: Path, *, trust_pickle: bool = False) -> str:
    """Write weights and tokenizer as a checkpoint without optimizer state -> what to tell of it.

    Raises StartError for a source that cannot be read, and CheckpointError for a folder that holds something.
    """
    found = open_parent(source, trust_pickle=trust_pickle)
    found.words()
    imported = Imported(found.shape, found.vocab, found.thetas, found.context, found.weights())
    with TemporaryDirectory() as folder:
        tokenizer = Path(folder) / "tokenizer.json"
        tokenizer.write_bytes(found.tokenizer.encode())
        adopt(imported, tokenizer, checkpoint)
    return f"  {checkpoint}: weights and tokenizer of {source}"
