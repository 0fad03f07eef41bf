import dataclasses
import keyword
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from recipes.recipe import Recipe

ROOT = Path(__file__).parents[1]


def settings(of: Any) -> Iterator[str]:
    """The name of every setting that a recipe may hold."""
    if dataclasses.is_dataclass(of):
        for name, hint in get_type_hints(of).items():
            if any(field.name == name for field in dataclasses.fields(of)):
                yield name.removesuffix("_") if keyword.iskeyword(name.removesuffix("_")) else name
                yield from settings(hint)
    for part in get_args(of):
        yield from settings(part)


@pytest.mark.parametrize("name", sorted(set(settings(Recipe))))
def test_every_setting_of_a_recipe_is_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "recipe.md").read_text(), f"docs/recipe.md does not tell of {name}"
