"""What a Python installation holds -> its files in an order of their own, none of them imported or executed.

Only distributions on a fixed list are read. File names are relative to the installation, and the order is
that of a hash of those names: where Python lies on the machine is no part of any result.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import re
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from platform import python_version
from typing import TypeVar

T = TypeVar("T")

PYTHON = "python"

REPOSITORIES: Mapping[str, str] = {
    PYTHON: "python/cpython",
    "numpy": "numpy/numpy",
    "scipy": "scipy/scipy",
    "torch": "pytorch/pytorch",
    "sympy": "sympy/sympy",
    "mpmath": "mpmath/mpmath",
    "networkx": "networkx/networkx",
    "numba": "numba/numba",
    "llvmlite": "numba/llvmlite",
    "pandas": "pandas-dev/pandas",
    "polars": "pola-rs/polars",
    "pyarrow": "apache/arrow",
    "pydantic": "pydantic/pydantic",
    "datasets": "huggingface/datasets",
    "huggingface_hub": "huggingface/huggingface_hub",
    "datatrove": "huggingface/datatrove",
    "nltk": "nltk/nltk",
    "fsspec": "fsspec/filesystem_spec",
    "jinja2": "pallets/jinja",
    "rich": "Textualize/rich",
    "tqdm": "tqdm/tqdm",
    "urllib3": "urllib3/urllib3",
    "packaging": "pypa/packaging",
    "python-dateutil": "dateutil/dateutil",
}
"""Distributions that bertmill itself requires, or that those require, and the repository each comes from."""

SKIPPED = re.compile(
    r"(^|/)(tests?|testing|_vendor|_vendored_packages|vendored|__pycache__|site-packages|dist-packages|idlelib|lib2to3"
    r"|turtledemo|ensurepip|encodings|locale|include/ATen/ops|include/google|include/caffe2|config-[^/]*)/"
    r"|(^|/)(test_[^/]*|[^/]*_tests?\.py|conftest\.py|_sysconfigdata[^/]*|_generated[^/]*|pydoc_data/topics\.py)$"
)
"""Tests, other people's copies, tables, and files that name the machine which built them."""

FILE_BYTES = range(300, 1 << 20)
"""Smaller files say nothing, larger ones are tables."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One file of a package; `name` is relative to where packages, or the standard library, are installed."""

    package: str
    name: str
    path: Path

    def read(self) -> str | None:
        """The text, or None when the file is not UTF-8, is out of `FILE_BYTES` or is gone."""
        try:
            data = self.path.read_bytes()
            return data.decode("utf-8").replace("\r\n", "\n") if len(data) in FILE_BYTES else None
        except (UnicodeDecodeError, OSError):
            return None


def files(package: str, suffixes: frozenset[str]) -> list[Installed]:
    """The files of a package with one of `suffixes`, in hash order; none when it is not installed."""
    return [file for file in _listed(package) if PurePosixPath(file.name).suffix in suffixes]


@cache
def _listed(package: str) -> tuple[Installed, ...]:
    """All files worth reading, in hash order; listed once in a process, since large packages have 10,000."""
    found = _library() if package == PYTHON else _distributed(package)
    kept = (file for file in found if not SKIPPED.search(file.name))
    return tuple(sorted(kept, key=lambda file: shuffled(f"{package}/{file.name}")))


def _library() -> Iterator[Installed]:
    root = Path(sysconfig.get_path("stdlib"))
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in {"__pycache__", "site-packages", "dist-packages", "test"}]
        for name in names:
            path = Path(folder, name)
            yield Installed(PYTHON, path.relative_to(root).as_posix(), path)


def _distributed(package: str) -> Iterator[Installed]:
    found = installed(package)
    if found is None:
        return
    root = Path(str(found.locate_file("")))
    for name in found.files or ():
        if ".." not in name.parts:
            yield Installed(package, str(name), root / name)


def installed(package: str) -> Distribution | None:
    """The distribution of that name, or None."""
    try:
        return distribution(package)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Version of Python and of each package on the list that is installed."""
    found = {package: installed(package) for package in REPOSITORIES if package != PYTHON}
    return {PYTHON: python_version()} | {package: dist.version for package, dist in found.items() if dist}


def shuffled(name: str) -> bytes:
    """A key to sort by which scatters names, the same on every machine: neighbours in a folder part."""
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def drawn(groups: Mapping[str, Iterator[T]], budget: int, size: Callable[[T], int]) -> list[T]:
    """Items until `budget` is reached, each from the group that has had least so far (ties: by name).

    Groups are asked for an item only when it is their turn, so that nothing is read in vain.
    """
    turns = [(0, name) for name in sorted(groups)]
    taken: list[T] = []
    total = 0
    while turns and total < budget:
        had, name = heapq.heappop(turns)
        item = next(groups[name], None)
        if item is not None:
            taken.append(item)
            total += size(item)
            heapq.heappush(turns, (had + size(item), name))
    return taken


MARKS: Sequence[tuple[str, str]] = (
    ("apache license", "Apache-2.0"),
    ("permission is hereby granted, free of charge", "MIT"),
    ("redistribution and use in source and binary forms", "BSD-2-Clause"),
    ("python software foundation license", "PSF-2.0"),
    ("mozilla public license", "MPL-2.0"),
)
"""Words by which a licence text is known; the one that comes first counts, others are of bundled parts."""


def licenses(package: str) -> list[str]:
    """SPDX names of a package's licences, from its metadata's expression, else from the text of its licence.

    The classifier 'BSD License' does not say which; the text does. Empty when nothing is known.
    """
    if package == PYTHON:
        return ["PSF-2.0"]
    found = installed(package)
    if found is None:
        return []
    if expression := _said(found, "License-Expression"):
        parts = re.split(r"\s+(?:AND|OR)\s+", re.sub(r"[()]|\s+WITH\s+\S+", "", expression))
        return sorted(set(parts), key=parts.index)
    texts = [_said(found, "License")]
    texts += [found.read_text(f"{where}{name}") or "" for name in _license_files(found) for where in ("", "licenses/")]
    return next(([known] for text in texts if (known := _known(text))), [])


def _said(found: Distribution, key: str) -> str:
    return "\n".join(found.metadata.get_all(key) or [])


def _license_files(found: Distribution) -> list[str]:
    return found.metadata.get_all("License-File") or ["LICENSE", "LICENSE.txt"]


def _known(text: str) -> str | None:
    plain = " ".join(text.lower().split())
    if plain in {"mit", "mit license"}:
        return "MIT"
    seen = [(plain.find(words), name) for words, name in MARKS if words in plain]
    if not seen:
        return None
    at, name = min(seen)
    if name == "BSD-2-Clause" and re.search("neither the names? of|may not be used to endorse", plain[at : at + 1500]):
        return "BSD-3-Clause"
    return name
