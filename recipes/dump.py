"""A recipe -> YAML that says every setting, defaults too: what a work folder keeps of what was asked for."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xxhash
import yaml

from pipeline.filters.lists import LISTS
from pipeline.stores.store import URL
from recipes.recipe import Recipe


def dump(recipe: Recipe, *, absolute: bool = True) -> str:
    """The resolved recipe. With absolute patterns and paths it can be loaded from anywhere; without, be published."""
    whole = asdict(recipe)
    if recipe.tokenizer.from_ is not None:
        said = ("from_", "extend", "sample") if recipe.tokenizer.extend else ("from_",)
        whole["tokenizer"] = {name: whole["tokenizer"][name] for name in said}
    if not absolute:
        return _yaml(whole)
    for source in whole["sources"].values():
        source["read"] = _absolute(source["read"])
        if source["kind"] == "shards":
            source["tokenizer"] = _absolute(source["tokenizer"])
            continue
        lists = source["filters"].get("urls") or {}
        lists |= {name: _absolute(lists[name]) for name in LISTS if name in lists}
    if recipe.tokenizer.from_ is not None:
        whole["tokenizer"]["from_"] = _absolute(recipe.tokenizer.from_)
    if recipe.train.start is not None:
        whole["train"]["start"]["from_"] = _absolute(recipe.train.start.from_)
    return _yaml(whole)


def signed(recipe: Recipe) -> bytes:
    """The resolved recipe as a work folder keeps it: its last line says the hash of what stands before."""
    text = dump(recipe).encode()
    return text + f"# xxh64 {xxhash.xxh64_hexdigest(text)}\n".encode()


def stands(path: Path) -> bool:
    """Whether a work folder's recipe is, to the byte, what was written."""
    text = path.read_bytes()
    body, _, _ = text.rpartition(b"# xxh64 ")
    return body + f"# xxh64 {xxhash.xxh64_hexdigest(body)}\n".encode() == text


def _yaml(whole: Mapping[str, Any]) -> str:
    return yaml.safe_dump(_plain(whole), sort_keys=False, allow_unicode=True, width=120)


def _absolute(patterns: str | Sequence[str]) -> Any:
    if not isinstance(patterns, str):
        return [_absolute(one) for one in patterns]
    return patterns if URL in patterns else str(Path(patterns).absolute())


def _plain(value: Any) -> Any:
    """Tuples -> lists, from_ -> from: what YAML and the loader write and read."""
    if isinstance(value, Mapping):
        return {_key(key) if isinstance(key, str) else key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _key(name: str) -> str:
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name
