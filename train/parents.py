"""What a training may start from, opened: a checkpoint of ours, a Hugging Face folder, or a .pt file of FlexBERT.

Opening tells shape, vocabulary and tokenizer; weights and moments are read when they are asked for. Nothing is ever
written there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from tokenizers import Tokenizer
from torch import Tensor

from model.flexbert import Flexbert, FlexbertError, moments_of, read_flexbert
from model.hub import HubError, import_hub
from model.pickled import PickledError, check_bytes
from model.settings import Shape
from pipeline.files import hash_of
from train.checkpoint import Checkpoint, CheckpointError, newest, open_checkpoint

Moments = tuple[Mapping[str, Tensor], int]
"""`exp_avg.<name>` and `exp_avg_sq.<name>` of each parameter, and how many steps they have seen."""

DECODER = "decoder.weight"
"""The embedding's matrix under another name."""


class StartError(Exception):
    """A start that is not there, is broken, or does not fit the model or its tokenizer; one line with the mend."""


@dataclass(frozen=True, kw_only=True)
class Parent:
    """A model to start from."""

    path: Path
    shape: Shape
    vocab: int
    thetas: tuple[float, float]
    """RoPE bases of global and local layers."""
    context: int
    tokenizer: str
    """The content of its tokenizer.json."""
    weights: Callable[[], dict[str, Tensor]]
    """Reads them: each parameter by name, in float32."""
    moments: Callable[[], Moments] | None
    """Reads them; None where there are none."""
    compare: Callable[[], None] | None = None
    """Compares every byte of a checkpoint of ours with its hashes; raises StartError."""
    ours: bool

    def words(self) -> Tokenizer:
        """Raises StartError unless it is a tokenizer of no more ids than the model has."""
        tokenizer = tokenizer_of(self.tokenizer, self.path)
        if (size := ids_of(tokenizer)) > self.vocab:
            raise StartError(
                f"{self.path}: its tokenizer has {size} ids, its model {self.vocab}; they do not belong together"
            )
        return tokenizer


def open_parent(path: Path, *, trust_pickle: bool = False) -> Parent:
    """Look what is there. Raises StartError, also for what the packages that read it raise."""
    try:
        if path.is_file():
            return _file(path, read_flexbert(path, trust_pickle=trust_pickle))
        if (path / "config.json").is_file():
            return _folder(path)
        return _checkpoint(open_checkpoint(_whole(path)))
    except (HubError, FlexbertError, PickledError, CheckpointError) as fault:
        raise StartError(str(fault)) from None


def print_of_parent(path: Path, *, moments: bool) -> str:
    """16 hex digits of what its weights (and moments) are, wherever it lies."""
    if path.is_file():
        hashes = {"file": _hash_of(path)}
    elif (path / "config.json").is_file():
        found = [path / "config.json", path / "tokenizer.json", *sorted(path.glob("*.safetensors"))]
        hashes = {one.name: _hash_of(one) for one in found if one.is_file()}
    else:
        try:
            known = open_checkpoint(_whole(path)).state.hashes
        except CheckpointError as fault:
            raise StartError(str(fault)) from None
        wanted = ("model.safetensors", "tokenizer.json", *(("optimizer.safetensors",) if moments else ()))
        hashes = {name: known[name] for name in wanted if name in known}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:16]


def tokenizer_of(content: str, where: Path) -> Tokenizer:
    """Raises StartError for what is none."""
    try:
        return Tokenizer.from_str(content)
    except Exception as fault:  # the library raises nothing narrower
        told = " ".join(str(fault).split())[:200]
        raise StartError(f"{where}: its tokenizer.json is none ({told}); put the right one there") from None


def ids_of(tokenizer: Tokenizer) -> int:
    """How many ids a tokenizer has, by its highest."""
    return 1 + max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)


def _whole(path: Path) -> Path:
    """The folder, if it can be a checkpoint's; else a StartError that names what was meant."""
    if not path.exists():
        raise StartError(f"{path}: there is no such checkpoint, folder or .pt file to start from")
    if (path / "state.json").is_file():
        return path
    inside = path if path.name == "checkpoints" else path / "checkpoints"
    if inside.is_dir() and (last := newest(inside)):
        raise StartError(f"{path}: is a run, not a checkpoint; its newest is {last.folder}")
    if path.suffix == ".draft" or (path / "model.safetensors").exists():
        raise StartError(f"{path}: is no finished checkpoint (it has no state.json); take another one of its run")
    raise StartError(f"{path}: is no checkpoint (no state.json) and no Hugging Face folder (no config.json)")


def _compare(found: Checkpoint, names: Sequence[str]) -> None:
    try:
        for name in names:
            found.compare(name)
    except CheckpointError as fault:
        raise StartError(str(fault)) from None


def _checkpoint(found: Checkpoint) -> Parent:
    state, folder = found.state, found.folder
    held = [name for name in ("model.safetensors", "optimizer.safetensors") if name in state.hashes]
    if missing := [name for name in held if not (folder / name).is_file()]:
        raise StartError(f"{folder}: {missing[0]} is missing; take another checkpoint")
    try:
        shape = Shape(**state.shape)
    except (TypeError, ValueError) as fault:
        raise StartError(f"{folder}/state.json: is damaged ({fault}); take another checkpoint") from None
    updates = state.step if state.t is None else state.t
    return Parent(
        path=folder,
        shape=shape,
        vocab=state.vocab,
        thetas=(state.rope, state.local_rope),
        context=state.context,
        tokenizer=_text(found.tokenizer),
        compare=partial(_compare, found, held),
        weights=partial(_read, found, "model.safetensors"),
        moments=(lambda: (_read(found, "optimizer.safetensors"), updates)) if len(held) > 1 else None,
        ours=True,
    )


def _read(found: Checkpoint, name: str) -> dict[str, Tensor]:
    try:
        return {key: tensor.float() for key, tensor in found.read(name).items()}
    except CheckpointError:
        raise StartError(f"{found.folder}: is damaged ({name} is not what was written); take another one") from None


def _folder(path: Path) -> Parent:
    imported = import_hub(path)
    return Parent(
        path=path,
        shape=imported.shape,
        vocab=imported.vocab,
        thetas=imported.thetas,
        context=imported.context,
        tokenizer=_text(path / "tokenizer.json"),
        weights=lambda: _untied(imported.weights),
        moments=None,
        ours=False,
    )


def _file(path: Path, found: Flexbert) -> Parent:
    imported = found.imported
    content = json.dumps(found.tokenizer) if found.tokenizer else _text(path.with_name("tokenizer.json"))

    def weights() -> dict[str, Tensor]:
        try:
            check_bytes(path)
        except PickledError as fault:
            raise StartError(str(fault)) from None
        return _untied(imported.weights)

    def moments() -> Moments:
        try:
            return moments_of(found)
        except FlexbertError as fault:
            raise StartError(str(fault)) from None

    return Parent(
        path=path,
        shape=imported.shape,
        vocab=imported.vocab,
        thetas=imported.thetas,
        context=imported.context,
        tokenizer=content,
        weights=weights,
        moments=moments,
        ours=False,
    )


def _untied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if name != DECODER}


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # to the byte: it may be written again
    except (OSError, UnicodeDecodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "not text"
        raise StartError(f"{path}: cannot be read ({why}); put the tokenizer.json of the model there") from None


def _hash_of(path: Path) -> str:
    try:
        stat = path.stat()
        return _hashed(path, stat.st_size, stat.st_mtime_ns)
    except OSError as fault:
        raise StartError(f"{path}: cannot be read ({fault.strerror})") from None


@lru_cache(maxsize=16)
def _hashed(path: Path, size: int, changed: int) -> str:
    """Of a file of this size and time: a run asks at each save."""
    return hash_of(path)
