"""A moment of training as a folder that is whole or not there, and all that is needed to go on from it or to use it.

    checkpoints/step-00000123/
        model.safetensors       weights under Hugging Face's names; equal runs give equal bytes
        optimizer.safetensors   exp_avg.<name>, exp_avg_sq.<name>
        tokenizer.json          what the weights' words are
        state.json              counters, phase, evaluation, and the settings that shaped all this

It is written under a draft's name, made durable, and renamed; `state.json` is in it or it is none.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
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
from train.audit import Read
from train.optimizer import StableAdamW


class CheckpointError(Exception):
    """A checkpoint that cannot be gone on from; the message says which, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class State:
    """`state.json`: where a run stands and what it is."""

    step: int
    """Steps done."""
    g: int
    """Rows read: the whole state of the data."""
    tokens: int
    """Tokens read, without padding."""
    phase: str
    context: int
    """The longest rows so far."""
    rope: float
    """RoPE base of global layers."""
    local_rope: float
    """RoPE base of local layers."""
    finished: bool
    """Whether this is the end of the run."""
    loss: float
    """Of the last step."""
    evaluation: Mapping[str, Any] | None
    """The scores of each source at this step, if it was evaluated."""
    vocab: int
    shape: Mapping[str, Any]
    identity: Mapping[str, Any]
    """All that shaped the weights so far: a run goes on only under the same (train.job.Job.identity)."""
    versions: Mapping[str, str]
    read: Read = field(default_factory=dict)
    """What was read of each source in each phase, in rows and tokens (train.audit): the sum over all ranks."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of the other files of the folder, filled in as it is written."""


@dataclass(frozen=True)
class Checkpoint:
    folder: Path
    state: State

    def check(self, identity: Mapping[str, Any], mend: str = "") -> None:
        """Raise CheckpointError, naming what differs, unless this run shaped the checkpoint.

        mend  what else can be done where the order of rows differs
        """
        theirs, ours = dict(_leaves(self.state.identity)), dict(_leaves(json.loads(json.dumps(identity))))
        changes = [
            f"{name}: {theirs.get(name, 'none')} -> {ours.get(name, 'none')}"
            for name in sorted(theirs.keys() | ours.keys())
            if theirs.get(name) != ours.get(name)
        ]
        if changes:
            more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
            other = f" {mend}" if mend and theirs.get("order") != ours.get("order") else ""
            raise CheckpointError(
                f"{self.folder} belongs to another run ({'; '.join(changes[:5])}{more}). Restore these settings, start "
                f"the training over with --redo train, or train in another folder with --work.{other}"
            )

    def restore(self, model: Bert, optimizer: StableAdamW) -> None:
        """Put weights, moments and RoPE as they were. Raises CheckpointError for a damaged file."""
        try:
            _put(model, self.read("model.safetensors"))
            optimizer.load(self.read("optimizer.safetensors"), self.state.step)
        except ValueError as fault:
            raise self._damaged(str(fault)) from None
        model.set_rope(self.state.rope, self.state.local_rope)

    def model(self) -> Bert:
        """The trained model, to be used or exported. Raises CheckpointError for a damaged file."""
        model = Bert(Shape(**self.state.shape), self.state.vocab)
        try:
            _put(model, self.read("model.safetensors"))
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


def save(folder: Path, state: State, model: Bert, optimizer: StableAdamW, tokenizer: Path) -> Path:
    """Write folder/step-<step>; a fault or kill on the way leaves what stood there before."""
    for left in folder.glob("*.draft"):
        shutil.rmtree(left)
    weights = {name: p.detach() for name, p in model.named_parameters()}  # tied ones once
    files = {"model.safetensors": weights, "optimizer.safetensors": optimizer.state()}
    return _write(folder / f"step-{state.step:08d}", state, files, tokenizer)


def adopt(imported: Imported, tokenizer: Path, folder: Path) -> Path:
    """Write weights that came from elsewhere as a checkpoint: of no run, after no step, without an optimizer's state.

    Raises CheckpointError where the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder}: holds something already; name a folder that is not there yet")
    own = dict(Bert(imported.shape, imported.vocab).named_parameters())
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
    return _write(folder, state, {"model.safetensors": {name: imported.weights[name] for name in own}}, tokenizer)


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


def _write(whole: Path, state: State, files: Mapping[str, Mapping[str, Tensor]], tokenizer: Path) -> Path:
    """Fill a draft, make it durable, and give it its name."""
    draft = whole.with_name(f"{whole.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        for name, tensors in files.items():
            save_file(dict(tensors), draft / name, metadata={"format": "pt"})
    except SafetensorError as fault:  # what it makes of a full disk
        shutil.rmtree(draft)
        raise CheckpointError(
            f"{whole}: cannot be written ({fault}). Make room and run the same command again; "
            "the checkpoint before it stands."
        ) from None
    shutil.copyfile(tokenizer, draft / "tokenizer.json")
    hashes = {path.name: hash_of(path) for path in sorted(draft.iterdir())}
    signed = asdict(replace(state, hashes=hashes))
    (draft / "state.json").write_bytes(sealed(signed))
    for path in sorted(draft.iterdir()):
        path.chmod(0o644)  # safetensors writes for the owner alone
        sync(path)
    sync(draft)
    shutil.rmtree(whole, ignore_errors=True)  # what stands there without a state.json is no checkpoint
    draft.rename(whole)
    sync(whole.parent)
    return whole


def newest(folder: Path) -> Checkpoint | None:
    """The last whole checkpoint, or None."""
    whole = [path.parent for path in folder.glob("step-*/state.json") if path.parent.suffix != ".draft"]
    return open_checkpoint(max(whole, key=lambda path: (len(path.name), path.name))) if whole else None


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


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings -> (dotted name, plain value)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for at, inner in enumerate(value):
            yield from _leaves(inner, f"{name}.{at}")
    else:
        yield name, value
