"""Which settings there are, by their dotted names: what a key that is none of them may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from pipeline.settings import CodeSource, ScienceSource, ShardsSource, TextSource, WebSource
from recipes.recipe import Place, Recipe

KINDS: Mapping[str, Any] = {
    "web": WebSource,
    "code": CodeSource,
    "science": ScienceSource,
    "text": TextSource,
    "shards": ShardsSource,
}


@cache
def names(settings: Any) -> frozenset[str]:
    """Every setting of a dataclass of settings by its dotted name, families too; those in a list as in one of it."""
    schema = TypeAdapter(settings).json_schema()
    known = schema.get("$defs", {})

    def within(part: Mapping[str, Any], place: str) -> Iterator[str]:
        for option in (part, part.get("items", {}), *part.get("anyOf", ())):
            inner = known.get(str(option.get("$ref", "")).rpartition("/")[2], option)
            for name, value in inner.get("properties", {}).items():
                yield f"{place}{name.removesuffix('_')}"
                yield from within(value, f"{place}{name.removesuffix('_')}.")

    return frozenset(within(schema, ""))


def meant(place: Place, kind: str | None) -> str:
    """What to say of a key that is no setting where it stands (in a source of this kind, or in none): `; ...` or ''."""
    steps = [str(step).removesuffix("_") for step in place if not isinstance(step, int)]
    of_source = steps[0] == "sources" and len(steps) > 2 and kind in KINDS
    *parents, word = steps[2:] if of_source else steps
    known = names(KINDS[str(kind)] if of_source else Recipe)
    if of_source and (others := [other for other in KINDS if ".".join([*parents, word]) in names(KINDS[other])]):
        return f"; {word} is a setting of kind {' and '.join(others)}"
    if there := [name.rpartition(".")[0] or "the top" for name in sorted(known) if name.rpartition(".")[2] == word]:
        return f"; {word} is a setting of {' and of '.join(there)}"
    beside = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == ".".join(parents)}
    anywhere = {name.rpartition(".")[2]: name for name in sorted(known)}
    for words, shown in ((beside, {}), (anywhere, anywhere)):
        if near := difflib.get_close_matches(word, words, n=1):
            return f"; did you mean '{shown.get(near[0], near[0])}'?"
    return ""
