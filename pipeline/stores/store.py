"""A folder in a store that fsspec knows: objects are put and got whole, and every fault is told in one line.

What is put is there whole or not at all: object stores do so themselves; in file systems (file://, sftp://) it is
written beside and renamed.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

URL = "://"
"""What tells the address of a store that fsspec knows (s3://, gs://, hf://, memory://) from a path."""

WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "r2", "hf", "memory"}
"""Protocols of stores in which an object appears when all of it has arrived."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space, no quota, or a file over its limit, on the local disk: told as such, and nothing finished is lost by it."""

EXTRAS = {"s3": "s3", "s3a": "s3"}
"""Protocol -> the extra of bertmill that brings its package."""


class StoreError(Exception):
    """A store that cannot be used, or holds what it should not; the message names address, cause and mend."""


@dataclass(frozen=True)
class Store:
    """A folder in a store. Picklable; the connection is fsspec's, one a process."""

    url: str
    """Without a slash at its end."""

    def at(self, name: str) -> str:
        """The address of an object."""
        return f"{self.url}/{name}" if name else self.url

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """Small objects, many at a time -> the contents of those that are there."""
        wanted = list(names)
        with self._open("read") as (files, root):
            paths = [f"{root}/{name}" for name in wanted]
            found: list[Any] = files.cat_ranges(paths, None, None, on_error="return")
            for fault in found:
                if isinstance(fault, Exception) and not isinstance(fault, FileNotFoundError):
                    raise fault
            return {name: content for name, content in zip(wanted, found, strict=True) if isinstance(content, bytes)}

    def get(self, name: str, path: Path) -> bool:
        """Copy an object to a file -> whether it is there."""
        with self._open("read", name) as (files, root):
            try:
                files.get_file(f"{root}/{name}", str(path))
            except FileNotFoundError:
                return False
            return True

    def put(self, path: Path, name: str) -> None:
        """Copy a file into the store, over what is there under this name."""
        with self._open("written", name) as (files, root), _aside(files, f"{root}/{name}") as target:
            files.put_file(str(path), target)

    def write(self, name: str, content: bytes) -> None:
        """A small object, over what is there under this name."""
        with self._open("written", name) as (files, root), _aside(files, f"{root}/{name}") as target:
            files.pipe_file(target, content)

    def create(self, name: str, content: bytes) -> bool:
        """A small object, if there is none of this name -> whether there was none."""
        with self._open("written", name) as (files, root):
            _make_parent(files, f"{root}/{name}")
            try:
                files.pipe_file(f"{root}/{name}", content, mode="create")
            except FileExistsError:
                return False
            return True

    def sizes(self, folder: str, *, deep: bool = False) -> dict[str, int]:
        """The objects of a folder, of those in it too if `deep` -> their sizes; none where there is no folder."""
        with self._open("listed", folder) as (files, root):
            files.invalidate_cache()
            top = f"{root}/{folder}".rstrip("/")
            try:
                listed = files.find(top, detail=True) if deep else {one["name"]: one for one in files.ls(top, True)}
            except FileNotFoundError:
                return {}
            start = len(files._strip_protocol(root)) + 1
            return {
                files._strip_protocol(path)[start:]: int(info["size"] or 0)
                for path, info in sorted(listed.items())
                if info["type"] == "file" and not path.endswith(".draft")
            }

    def remove(self, *names: str) -> None:
        """Remove objects that are there."""
        if names:
            with self._open("removed", names[0]) as (files, root):
                files.rm([f"{root}/{name}" for name in names])

    def remove_folder(self, folder: str, first: Sequence[str] = ()) -> None:
        """Remove a folder that may be there, with all that is in it; objects of some names `first`."""
        found = list(self.sizes(folder, deep=True))
        self.remove(*(name for name in found if name.rpartition("/")[2] in first))
        self.remove(*(name for name in found if name.rpartition("/")[2] not in first))

    @contextmanager
    def _open(self, doing: str, name: str = "") -> Iterator[tuple[Any, str]]:
        """fsspec's file system and the folder's path in it. Raises StoreError for whatever goes wrong meanwhile."""
        try:
            import fsspec

            files, root = fsspec.core.url_to_fs(self.url)
            yield files, root
        except StoreError:
            raise
        except Exception as fault:  # every store has its own faults
            if isinstance(fault, OSError) and fault.errno in FULL:
                raise
            raise StoreError(f"{self.at(name)}: cannot be {doing} ({why(fault, self.url)})") from None


def why(fault: BaseException, url: str) -> str:
    """A store's fault in a few words, with the package to install if that is what is missing."""
    told = " ".join(str(fault).split())[:300] or type(fault).__name__
    extra = EXTRAS.get(url.partition(URL)[0])
    return f"{told}: pip install 'bertmill[{extra}]'" if isinstance(fault, ImportError) and extra else told


@contextmanager
def _aside(files: Any, path: str) -> Iterator[str]:
    """Where to write so that `path` is whole or not there."""
    if _is_whole(files):
        yield path
        return
    _make_parent(files, path)
    draft = f"{path}.draft"
    yield draft
    files.mv(draft, path)


def _make_parent(files: Any, path: str) -> None:
    if not _is_whole(files):  # object stores have no folders, and would make the bucket
        files.makedirs(path.rpartition("/")[0], exist_ok=True)


def _is_whole(files: Any) -> bool:
    names = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
    return bool(WHOLE.intersection(names))
