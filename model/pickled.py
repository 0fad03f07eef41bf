"""A .pt file -> what was saved, without running anything that it brings.

Such a file is a pickle: a program that builds objects, of any class it names. Here nothing is built but tensors,
numbers, text and their containers; the few other classes that Composer's files are known to hold are passed over,
neither imported nor called; any other is refused by name.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

PASSED_OVER = (
    *("datetime.timedelta", "datetime.datetime"),  # of the clock
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *("numpy.ndarray", "numpy.dtype"),  # of random states
    *("composer.core.time.Time", "composer.core.time.TimeUnit", "composer.core.precision.Precision"),
    *("torch.torch_version.TorchVersion", "pathlib.PosixPath", "pathlib.Path"),  # of the versions and settings
    *("builtins.dict", "builtins.list", "builtins.int", "builtins.float"),  # what a defaultdict makes
)
"""Classes and functions whose objects are left out. None of them is needed, so none is called."""


class PickledError(Exception):
    """A .pt file that is missing, broken, or would run code. One line: where, what, the mend."""


class _PassedOver:
    """Stands where an object of another library stood: takes what that was given, and is nothing."""

    def __new__(cls, *_: object, **__: object) -> _PassedOver:
        return object.__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


def _dict(*_: object) -> dict[Any, Any]:
    return {}


def _list(*_: object) -> list[Any]:
    return []


_ALLOWED: list[tuple[Callable[..., Any], str]] = [
    *((_PassedOver, name) for name in PASSED_OVER),
    (_dict, "collections.defaultdict"),
    (_list, "collections.deque"),
]


def opened(path: Path, trust_pickle: bool = False) -> Mapping[str, Any]:
    """What was saved; tensors are mapped, not read. With `trust_pickle` the file may build, and so run, anything.

    Raises PickledError for a file that is missing, is no .pt file, holds no mapping, or asks for a class beyond these.
    """
    try:
        mapped = zipfile.is_zipfile(path)  # torch's older form cannot be
        with warnings.catch_warnings(), torch.serialization.safe_globals(_ALLOWED):  # type: ignore[arg-type]  # pairs too
            warnings.simplefilter("ignore")  # of what is refused in the next line
            saved = torch.load(path, map_location="cpu", weights_only=not trust_pickle, mmap=mapped)
    except OSError as fault:
        raise PickledError(f"{path}: cannot be read ({fault.strerror or fault})") from None
    except pickle.UnpicklingError as fault:
        raise PickledError(_refused(path, str(fault))) from None
    except Exception as fault:  # a broken pickle stumbles anywhere
        told = " ".join(str(fault).split())[:200]
        raise PickledError(f"{path}: is no whole .pt file ({type(fault).__name__}: {told}); fetch it again") from None
    if not isinstance(saved, Mapping):
        raise PickledError(f"{path}: holds a {type(saved).__name__}, not a Composer checkpoint")
    return saved


def _refused(path: Path, said: str) -> str:
    named = re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", said)
    if not named:
        why = said.split("WeightsUnpickler error:")[-1].strip().split("\n")[0][:200]
        return f"{path}: cannot be read safely ({why}); if its maker is to be trusted with this machine: --trust-pickle"
    name = named[1] if "." in named[1] else f"builtins.{named[1]}"
    return (
        f"{path}: asks for {name} as it is read, which can run code; refused. If its maker is to be trusted with this "
        "machine, say so: --trust-pickle, or trust_pickle: true in a recipe"
    )


def check_bytes(path: Path) -> None:
    """Read the whole file and compare its checksums. Raises PickledError for a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile, RuntimeError, EOFError) as fault:
        raise PickledError(f"{path}: cannot be read ({fault}); fetch it again") from None
    if damaged:
        raise PickledError(f"{path}: is damaged ({damaged} is not what was written); fetch it again")
