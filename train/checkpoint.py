"""A moment of training as a folder that is whole or not there, and all that is needed to go on from it or to use it.

    checkpoints/step-00000123/
        model.safetensors       weights under Hugging Face's names; equal runs give equal bytes
        optimizer.safetensors   exp_avg.<name>, exp_avg_sq.<name>
        average.safetensors     the running mean of the weights, where there is one
        tokenizer.json          what the weights' words are
        state.json              counters, phase, evaluation, and the settings that shaped all this

It is written under a draft's name, made durable, and renamed; `state.json` is in it or it is none.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.bert import Bert
from model.hub import Imported
from model.settings import Shape
from pipeline.files import hash_of, sealed, sync, unbroken
from train.average import SHARE
from train.optimizer import StableAdamW
from train.retention import Kept
from train.snapshot import Files, largest, refuse, snapshot
from train.state import CheckpointError, State

__all__ = ["Checkpoint", "CheckpointError", "State", "adopt", "newest", "open_checkpoint", "save", "verify"]


@dataclass(frozen=True)
class Checkpoint:
    folder: Path
    state: State

    def check(self, identity: Mapping[str, Any], mend: str = "") -> None:
        """Raise CheckpointError, naming what differs, unless this run shaped the checkpoint.

        mend  what else can be done where the order of rows differs
        """
        changes = self.state.changes(identity)
        if changes:
            told = [f"{name}: {_short(theirs)} -> {_short(ours)}" for name, (theirs, ours) in changes.items()][:5]
            more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
            other = f" {mend}" if mend and "order" in changes else ""
            raise CheckpointError(
                f"{self.folder} belongs to another run ({'; '.join(told)}{more}). Restore these settings, start "
                f"the training over with --redo train, or train in another folder with --work.{other}"
            )

    def restore(self, model: Bert, optimizer: StableAdamW) -> None:
        """Put weights, moments and RoPE as they were. Raises CheckpointError for a damaged file."""
        try:
            _put(model, self.read("model.safetensors"))
            t = self.state.step if self.state.t is None else self.state.t
            optimizer.load(self.read("optimizer.safetensors"), t)
        except ValueError as fault:
            raise self._damaged(str(fault)) from None
        model.set_rope(self.state.rope, self.state.local_rope)

    def model(self, *, averaged: bool = False) -> Bert:
        """The trained model, to be used or exported. Raises CheckpointError for a damaged file.

        averaged  with the running mean of the weights; CheckpointError where the run took none
        """
        if averaged and not self.state.averaged:
            raise CheckpointError(f"{self.folder} has no average of weights; give train: average to a run to have one")
        model = Bert(Shape(**self.state.shape), self.state.vocab)
        name = "average.safetensors" if averaged else "model.safetensors"
        try:
            weights = self.read(name)
            weights.pop(SHARE, None)
            _put(model, weights)
        except ValueError as fault:
            raise self._damaged(str(fault)) from None
        model.set_rope(self.state.rope, self.state.local_rope)
        return model.eval()

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer.json"

    def compare(self, name: str) -> None:
        """Raise CheckpointError unless the file is what was written, to the byte."""
        try:
            if hash_of(self.folder / name) != self.state.hashes.get(name):
                raise self._damaged(f"{name} is not what was written")
        except OSError as fault:
            raise self._damaged(f"{name}: {fault}") from None

    def read(self, name: str) -> dict[str, Tensor]:
        """The tensors of one file, compared with its hash."""
        self.compare(name)
        return load_file(self.folder / name)

    def _damaged(self, why: str) -> CheckpointError:
        return CheckpointError(
            f"{self.folder} is damaged ({why}). Delete this folder to go on from the checkpoint before it."
        )


def save(
    folder: Path,
    state: State,
    model: Bert,
    optimizer: StableAdamW,
    tokenizer: Path,
    averaged: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write folder/step-<step>; a fault or kill on the way leaves what stood there before.

    Raises CheckpointError where the disk does not take it, or values are no number.
    """
    return write(folder, state, snapshot(model, optimizer, averaged), tokenizer)


def adopt(imported: Imported, tokenizer: Path, folder: Path) -> Path:
    """Write weights that came from elsewhere as a checkpoint: of no run, after no step, without an optimizer's state.

    Raises CheckpointError where the folder holds something already, or the weights have values that are no number.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder}: holds something already; name a folder that is not there yet")
    own = dict(Bert(imported.shape, imported.vocab).named_parameters())
    weights = {name: imported.weights[name] for name in own}
    refuse({name: largest(tensor) for name, tensor in weights.items()})
    state = State(
        step=0,
        g=0,
        tokens=0,
        phase="imported",
        context=imported.context,
        rope=imported.thetas[0],
        local_rope=imported.thetas[1],
        finished=False,
        loss=0.0,
        evaluation=None,
        vocab=imported.vocab,
        shape=asdict(imported.shape),
        identity={"imported": True},
        versions={"torch": torch.__version__},
    )
    return _write(folder, state, {"model.safetensors": weights}, tokenizer)


def verify(folder: Path) -> dict[str, int | float]:
    """Read every byte of a checkpoint -> its counts. Raises CheckpointError for what is damaged or no number."""
    checkpoint = open_checkpoint(folder)
    if not unbroken(folder / "state.json"):
        raise checkpoint._damaged("state.json is not what was written")
    tensors = 0
    for name in checkpoint.state.hashes:
        if not name.endswith(".safetensors"):
            checkpoint.compare(name)
            continue
        for tensor_name, tensor in checkpoint.read(name).items():
            tensors += 1
            if not bool(torch.isfinite(tensor).all()):
                raise CheckpointError(f"{folder}/{name}: {tensor_name} has values that are no number")
    state = checkpoint.state
    return {"step": state.step, "rows": state.g, "tokens": state.tokens, "tensors": tensors}


def write(folder: Path, state: State, files: Files, tokenizer: Path) -> Path:
    """Write folder/step-<step> of a snapshot, and clear away what was cut off before. Raises CheckpointError."""
    for left in folder.glob("*.draft"):
        shutil.rmtree(left, ignore_errors=True)
    return _write(folder / f"step-{state.step:08d}", state, files, tokenizer)


def _write(place: Path, state: State, files: Files, tokenizer: Path) -> Path:
    """Fill a draft, make it durable, and give it its name; of a fault nothing is left. Raises CheckpointError."""
    draft, gone = _draft(place, "new"), _draft(place, "old")
    try:
        draft.mkdir(parents=True)
        for name, tensors in files.items():
            save_file(dict(tensors), draft / name, metadata={"format": "pt"})
        shutil.copyfile(tokenizer, draft / "tokenizer.json")
        hashes = {path.name: hash_of(path) for path in sorted(draft.iterdir())}
        signed = asdict(replace(state, averaged="average.safetensors" in files, hashes=hashes))
        (draft / "state.json").write_bytes(sealed(signed))
        for path in sorted(draft.iterdir()):
            path.chmod(0o644)  # safetensors writes for the owner alone
            sync(path)
        sync(draft)
        if place.exists():  # what somebody began to delete, or of a step that was done again
            place.rename(gone)
        draft.rename(place)
        sync(place.parent)
    except (OSError, SafetensorError) as fault:  # the latter is what safetensors makes of a full disk
        shutil.rmtree(draft, ignore_errors=True)
        raise CheckpointError(
            f"{place}: cannot be written ({fault}). Make room and run the same command again; "
            "the checkpoint before it stands."
        ) from None
    shutil.rmtree(gone, ignore_errors=True)
    return place


def remove(checkpoint: Path) -> None:
    """Take a checkpoint away, in one stroke: no kill or power cut leaves half of one in its place.

    Raises CheckpointError.
    """
    try:
        gone = _draft(checkpoint, "old")
        checkpoint.rename(gone)
        sync(checkpoint.parent)
    except OSError as fault:
        raise CheckpointError(f"{checkpoint}: cannot be removed ({fault}); remove it by hand") from None
    shutil.rmtree(gone, ignore_errors=True)  # the next save takes what is left


def _draft(checkpoint: Path, which: str) -> Path:
    """A name beside a checkpoint's for what is none yet, or no longer; nothing is there."""
    draft = checkpoint.with_name(f"{checkpoint.name}.{which}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    return draft


def newest(folder: Path) -> Checkpoint | None:
    """The last whole checkpoint, or None."""
    found = whole_ones(folder)
    return open_checkpoint(max(found, key=lambda path: (len(path.name), path.name))) if found else None


def standing(folder: Path) -> dict[Path, tuple[int, Kept, bool]]:
    """The whole checkpoints, as train.retention.superseded takes them. One whose state is damaged is let be."""
    found = {}
    for path in whole_ones(folder):
        with suppress(CheckpointError):
            state = open_checkpoint(path).state
            found[path] = state.step, state.kept, state.finished
    return found


def whole_ones(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob("step-*/state.json") if path.parent.suffix != ".draft"]


def open_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in this folder. Raises CheckpointError if there is none or it cannot be understood."""
    path = folder / "state.json"
    try:
        content = dict(json.loads(path.read_bytes()))
        content.pop("seal", None)  # the file's own; `verify` looks at it
        return Checkpoint(folder, State(**content))
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: is no checkpoint; it has no state.json") from None
    except (ValueError, TypeError) as fault:
        raise CheckpointError(
            f"{path}: is damaged ({fault}). Delete this folder to go on from the checkpoint before it."
        ) from None


@torch.no_grad()
def _put(model: Bert, weights: Mapping[str, Tensor]) -> None:
    own = dict(model.named_parameters())
    if strangers := sorted(own.keys() ^ weights.keys()):
        raise ValueError(f"{len(strangers)} tensors of the model do not match, first {strangers[0]}")
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            raise ValueError(f"{name} has shape {tuple(weights[name].shape)}, not {tuple(tensor.shape)}")
        tensor.copy_(weights[name])


def _short(value: Any) -> str:
    """A hash by its first digits."""
    told = str(value)
    return told if len(told) <= 32 else f"{told[:12]}..."
