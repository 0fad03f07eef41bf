"""The flat package names are ours alone: another distribution that ships one would replace it without a word."""

from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["pipeline", "packing", "model", "train", "recipes", "commands", "cli"])
def test_name_resolves_to_this_checkout(name: str) -> None:
    spec = find_spec(name)
    assert spec
    assert spec.origin
    assert Path(spec.origin).is_relative_to(ROOT), f"{name} resolves to {spec.origin}"
    owners = set(packages_distributions().get(name, [])) - {"bertmill"}
    assert not owners, f"'{name}' is also installed by {owners}; use a clean virtual environment"
