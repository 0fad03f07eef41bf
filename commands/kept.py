"""A training whose folder is in a store: what it goes on from is brought, and what it saved is put there."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

from pipeline.stores.mirror import Mirror
from pipeline.stores.store import StoreError
from train.retention import Kept, superseded

STATE = "state.json"
METRICS = "metrics.jsonl"


def bring_checkpoint(workspace: Path) -> None:
    """Have on disk the newest checkpoint of the store, and no other that is not there. Raises StoreError.

    One that was saved here but did not reach the store is trained for again: the store is what counts.
    """
    mirror = Mirror.of(workspace)
    if mirror is None:
        return
    top = workspace / "checkpoints"
    names = [name.split("/") for name in mirror.store.sizes(mirror.name(top), deep=True)]
    found = {parts[-2] for parts in names if parts[-1] == STATE}
    for folder in top.glob("*"):
        if folder.name not in found:
            shutil.rmtree(folder)
    if found:
        _bring(mirror, top / max(found, key=lambda name: (len(name), name)))
    mirror.refresh(workspace / METRICS)


def _bring(mirror: Mirror, folder: Path) -> None:
    mend = "remove this checkpoint from the store to go on from the one before it"
    state = mirror.store.read([mirror.name(folder / STATE)])[mirror.name(folder / STATE)]
    try:
        hashes: dict[str, str] = json.loads(state)["hashes"]
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{mirror.address(folder / STATE)}: is damaged; {mend}") from None
    if folder.exists() and (not (folder / STATE).exists() or (folder / STATE).read_bytes() != state):
        shutil.rmtree(folder)
    for name, digest in hashes.items():
        mirror.fetch(folder / name, digest, mend)
    mirror.refresh(folder / STATE)


def keep_checkpoint(workspace: Path, folder: Path, keep: int | None) -> None:
    """Put a saved checkpoint into the store, the metrics before it: none may be younger than they are.

    Then those that need not stay are removed from the store (train.retention), which may have more of them than the
    disk of this machine. keep: checkpoints of decays that stay; None: all.
    """
    mirror = Mirror.of(workspace)
    if mirror is None:
        return
    mirror.put(workspace / METRICS)
    mirror.put_folder(folder, STATE)
    for name in superseded(_standing(mirror, folder.parent), keep):
        mirror.clear(folder.parent / name)


def _standing(mirror: Mirror, top: Path) -> dict[str, tuple[int, Kept, bool]]:
    """The whole checkpoints of the store; one whose state is damaged is let be."""
    found = {}
    sizes = mirror.store.sizes(mirror.name(top), deep=True)
    for name, content in mirror.store.read(name for name in sizes if name.endswith(f"/{STATE}")).items():
        with suppress(ValueError, KeyError, TypeError):
            state = json.loads(content)
            found[name.split("/")[-2]] = state["step"], state.get("kept", "product"), state["finished"]
    return found


def keep_export(folder: Path, last: str) -> str:
    """Put an export into the store -> where it is; on disk it stays where it is."""
    mirror = Mirror.of(folder)
    if mirror is None:
        return str(folder)
    mirror.put_folder(folder, last)
    return f"{folder}, in the store {mirror.address(folder)}"
