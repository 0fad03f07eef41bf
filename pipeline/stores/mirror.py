"""A run's folder in a store -> a folder on disk that mirrors it, so that all else works on plain paths.

The store is what counts. A stage's records are taken from it anew by each process; a file is used only if it has the
hash that its record tells, and is copied from the store if not. So the mirror may be stale, damaged or deleted at any
time. What a unit made is put into the store first, and last its record, by which it stands.

    <mirror>/.store     the address; a process finds by it that a path lies in a mirror
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

import orjson

from pipeline.files import durable, hash_of, write_atomically
from pipeline.stores.store import URL, Store, StoreError

MARK = ".store"

MIRRORS = "BERTMILL_MIRRORS"
"""Environment variable: the folder in which mirrors stand; else bertmill/ in the user's cache folder."""

SIGNATURES = ("stage.json", "state.json", "hashes.json")
"""Of a stage, a checkpoint, an export: without it the folder is none."""

UNSIGNED = ("units/", "log/", "failed/", "running/")
"""What of a stage's folder is no output."""

_known: set[Path] = set()
"""The records and folders of records that this process has taken from their store."""


@dataclass(frozen=True)
class Mirror:
    root: Path
    store: Store

    @staticmethod
    def of(path: Path) -> Mirror | None:
        """The mirror that a path lies in; None for a path that is only on disk."""
        return _of(path.absolute())

    def name(self, path: Path) -> str:
        """The name in the store of what `path` mirrors."""
        name = path.absolute().relative_to(self.root).as_posix()
        return "" if name == "." else name

    def address(self, path: Path) -> str:
        return self.store.at(self.name(path))

    def stand(self) -> None:
        """Make the folder on disk, on whatever machine this is. Raises StoreError where it mirrors something else."""
        mark = self.root / MARK
        if not mark.exists():
            write_atomically(mark, orjson.dumps({"url": self.store.url}))
        elif (told := json.loads(mark.read_bytes())["url"]) != self.store.url:
            raise StoreError(f"{self.root}: mirrors {told}, not {self.store.url}; delete it")
        _of.cache_clear()

    def refresh(self, *paths: Path) -> None:
        """Make small files what they are in the store, once a process; those that are not there go."""
        new = [path for path in paths if path not in _known]
        if not new:
            return
        found = self.store.read(self.name(path) for path in new)
        for path in new:
            self._take(path, found.get(self.name(path)))
        _known.update(new)

    def refresh_units(self, folder: Path) -> None:
        """The records of all units of a stage as they are in the store; once taken, those are added that are new.

        A record counts only if the store has the unit's file as long as it says.
        """
        units = folder / "units"
        listed = [name.rpartition("/")[2] for name in self.store.sizes(self.name(units))]
        told = {name: units / name for name in listed if name.endswith(".json")}
        if units not in _known:
            for path in units.glob("*.json"):
                if path.name not in told:
                    path.unlink()
        wanted = [path for path in told.values() if units not in _known or not path.exists()]
        if wanted:
            sizes = {Path(name).stem: size for name, size in self.store.sizes(self.name(folder)).items()}
            found = self.store.read(self.name(path) for path in wanted)
            for path in wanted:
                content = found.get(self.name(path))
                self._take(path, content if content and _written(content) in (None, sizes.get(path.stem)) else None)
        _known.add(units)

    def refresh_unit(self, folder: Path, number: int) -> None:
        """The record of one unit, unless those of all are known."""
        if folder / "units" not in _known:
            told = folder / "units" / f"{number:05}.json"
            self._take(told, self.store.read([self.name(told)]).get(self.name(told)))

    def _take(self, path: Path, content: bytes | None) -> None:
        if content is None:
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_bytes() != content:
            write_atomically(path, content)

    def fetch(self, path: Path, xxh64: str | None, mend: str) -> None:
        """Copy a file from the store unless it is there with this hash (or at all, where none is told).

        Raises StoreError, naming the `mend`, for an object that has gone or has another hash.
        """
        if path.exists() and (xxh64 is None or hash_of(path) == xxh64):
            return
        with durable(path) as draft:
            try:
                if not self.store.get(self.name(path), draft):
                    raise StoreError(f"{self.address(path)}: has gone; {mend}")
            except OSError as fault:  # a full disk
                raise type(fault)(fault.errno, fault.strerror, str(path)) from None
            if xxh64 is not None and hash_of(draft) != xxh64:
                raise StoreError(f"{self.address(path)}: is not what was signed; {mend}")

    def put(self, *paths: Path) -> None:
        """Copy files into the store, one after the other."""
        for path in paths:
            self.store.put(path, self.name(path))

    def gather(self, folder: Path) -> None:
        """What other machines wrote meanwhile of a stage's units: those that stand, and those that failed."""
        self.refresh_units(folder)
        names = list(self.store.sizes(f"{self.name(folder)}/failed"))
        for name, content in self.store.read(names).items():
            self._take(self.root / name, content)

    def hashes(self, folder: Path) -> dict[str, str]:
        """The files of a stage by name -> the hashes that its records tell."""
        self.refresh(folder / "stage.json")
        self.refresh_units(folder)
        signature = folder / "stage.json"
        known: dict[str, str] = dict(orjson.loads(signature.read_bytes())["files"]) if signature.exists() else {}
        for name in self.store.sizes(self.name(folder)):
            path = self.root / name
            record = folder / "units" / f"{path.stem}.json"
            if record.exists():
                told = orjson.loads(record.read_bytes())
                known |= {path.name: told["xxh64"], **told["files"]}
        return known

    def write(self, path: Path, content: bytes) -> None:
        """A small file: into the store, then into the mirror."""
        self.store.write(self.name(path), content)
        write_atomically(path, content)

    def put_folder(self, folder: Path, last: str) -> None:
        """Copy a folder into the store, the file by which it is whole last."""
        if (signature := self.name(folder / last)) in self.store.sizes(self.name(folder)):
            self.store.remove(signature)
        self.put(*(path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != last), folder / last)

    def clear(self, folder: Path) -> None:
        """Remove a folder from the store, signatures first."""
        self.store.remove_folder(self.name(folder), SIGNATURES)
        _known.difference_update({path for path in _known if path.is_relative_to(folder)})


@lru_cache(maxsize=4096)
def _of(path: Path) -> Mirror | None:
    for folder in (path, *path.parents):
        if (folder / MARK).is_file():
            return Mirror(folder, Store(json.loads((folder / MARK).read_bytes())["url"]))
    return None


def _written(record: bytes) -> int | None:
    """Bytes of the file that a unit's record tells of; None where it wrote none, -1 for what is no record."""
    try:
        size: int | None = orjson.loads(record)["bytes_written"]
        return size
    except (ValueError, KeyError, TypeError):
        return -1


def gather(folder: Path) -> None:
    """Of a stage in a mirror, know what other machines wrote of its units."""
    if mirror := Mirror.of(folder):
        mirror.gather(folder)


def forget(folder: Path) -> None:
    """Remove the notes in a folder of a mirror for other machines too."""
    if mirror := Mirror.of(folder):
        mirror.store.remove_folder(mirror.name(folder))


def save(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all; in a mirror into the store too."""
    if mirror := Mirror.of(path):
        mirror.write(path, content)
    else:
        write_atomically(path, content)


def remove(path: Path) -> None:
    """Remove a file that may be there; of a mirror, from the store too."""
    path.unlink(missing_ok=True)
    if (mirror := Mirror.of(path)) and mirror.store.read([mirror.name(path)]):
        mirror.store.remove(mirror.name(path))


def leave(path: Path, content: bytes) -> None:
    """Write a note; in a mirror for other machines too, if the store can be reached."""
    write_atomically(path, content)
    if mirror := Mirror.of(path):
        with suppress(StoreError):
            mirror.put(path)


def present(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """The files of a stage's folder whose names match, by name; in a mirror each is brought when it is asked for."""
    mirror = Mirror.of(folder)
    if mirror is None:
        yield from (path for path in sorted(folder.glob(pattern)) if path.is_file())
        return
    hashes = mirror.hashes(folder)
    start = len(mirror.name(folder)) + 1 if mirror.name(folder) else 0
    for name in (listed[start:] for listed in mirror.store.sizes(mirror.name(folder), deep=True)):
        if fnmatch(name, pattern) and not name.startswith(UNSIGNED):
            mirror.fetch(folder / name, hashes.get(name), "start its stage over with --redo")
            yield folder / name


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """What the store of a mirror has at a path, copied to a temporary folder whatever stands in the mirror."""
    mirror = Mirror.of(path)
    assert mirror
    with tempfile.TemporaryDirectory(prefix="bertmill-") as folder:
        copy = Path(folder) / path.name
        for name in mirror.store.sizes(mirror.name(path), deep=True):
            here = copy / (mirror.root / name).relative_to(path)
            here.parent.mkdir(parents=True, exist_ok=True)
            mirror.store.get(name, here)
        yield copy


def opened(address: str) -> Path:
    """A path as it is; for an address in a store, the path that mirrors it. Raises StoreError.

    The mirror is that of the run that the address lies in: of the folder with recipe.yaml, of the address itself if
    there is none.
    """
    if URL not in address:
        return Path(address)
    scheme, _, rest = address.partition(URL)
    url = f"{scheme}{URL}{rest.rstrip('/')}"
    if not rest:
        raise StoreError(f"{address}: names no folder; write {scheme}{URL}bucket/run")
    parts = rest.rstrip("/").split("/")
    above = [parts[:n] for n in range(len(parts), max(0, len(parts) - 4), -1) if parts[n - 1]]
    tops = [f"{scheme}{URL}{'/'.join(some)}" for some in above]
    top = next((top for top in tops if Store(top).read(["recipe.yaml"])), url)
    mirror = Mirror(_folder_of(top), Store(top))
    mirror.stand()
    _known.clear()
    mirror.refresh(mirror.root / "recipe.yaml")
    return mirror.root.joinpath(*url.removeprefix(top).strip("/").split("/"))


def _folder_of(url: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bertmill"
    mirrors = Path(os.environ.get(MIRRORS) or cache)
    return mirrors.absolute() / f"{url.rpartition('/')[2] or 'run'}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
