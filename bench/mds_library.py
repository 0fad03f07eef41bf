"""mosaicml-streaming and its fork, imported where there is no torchvision, which would bring another torch."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

STUBS = {
    "torchvision": (),
    "torchvision.datasets": ("CIFAR10", "VisionDataset"),
    "torchvision.transforms": (),
    "torchvision.transforms.functional": ("to_tensor",),
}
"""What the library imports on its way, for two demonstrations."""


def streaming() -> Any:
    """The library of this environment."""
    for name, attributes in STUBS.items():
        stub = ModuleType(name)
        stub.__spec__ = ModuleSpec(name, None)
        for attribute in attributes:
            setattr(stub, attribute, type(attribute, (), {}))
        sys.modules[name] = stub
    import streaming  # type: ignore[import-not-found, unused-ignore]

    return streaming
