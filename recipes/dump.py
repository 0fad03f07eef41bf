"""A recipe -> YAML that says every setting, defaults too: what a work folder keeps of what was asked for."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from recipes.recipe import Recipe


def dump(recipe: Recipe, *, absolute: bool = True) -> str:
    """The resolved recipe. With absolute patterns and paths it can be loaded from anywhere; without, be published."""
    whole = asdict(recipe)
    if not absolute:
        return _yaml(whole)
    for source in whole["sources"].values():
        patterns = source["read"]
        source["read"] = _absolute(patterns) if isinstance(patterns, str) else [_absolute(one) for one in patterns]
    if whole["tokenizer"]["from_"] is not None:
        whole["tokenizer"]["from_"] = _absolute(whole["tokenizer"]["from_"])
    return _yaml(whole)


def _yaml(whole: Mapping[str, Any]) -> str:
    return yaml.safe_dump(_plain(whole), sort_keys=False, allow_unicode=True, width=120)


def _absolute(pattern: str) -> str:
    return str(Path(pattern).absolute())


def _plain(value: Any) -> Any:
    """Tuples -> lists, from_ -> from: what YAML and the loader write and read."""
    if isinstance(value, Mapping):
        return {_key(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _key(name: str) -> str:
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name
