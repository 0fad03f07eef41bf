"""Repositories, as folders or in archives -> their files as documents, each with the licence that is nearest to it."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pipeline.documents import Dropped, clean
from pipeline.ingest import archives
from pipeline.ingest.archives import Member
from pipeline.ingest.code.files import LARGEST, LARGEST_NOTEBOOK, file_document
from pipeline.ingest.code.licences import Licences, is_licence, licence_of
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile
from pipeline.units import Piece

ZIP = (".zip",)

ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError)
"""What damaged, encrypted and strangely packed zip archives raise; NotImplementedError is a RuntimeError."""

AT = "file"
"""Where in a file of a folder the document stands: all of it."""


def read_file(piece: Piece) -> Iterator[Found]:
    """The one document of a file in a folder of repositories, which the name tells: `repo/src/a.py`.

    Its licence is that of the nearest folder above with a licence file, up to the repository's root: the folder with
    `.git` in it, or else the pattern's fixed folder. Raises UnreadableFile.
    """
    path = Path(piece.path)
    root = _root(path, piece.name)
    if linked := _linked(path, piece.name):
        yield Found(0, Dropped(at=AT, reason="symlink", value=linked))
        return
    if module := _submodule(path, root):
        yield Found(0, Dropped(at=AT, reason="submodule", value=module))
        return
    size = path.stat().st_size
    if size > LARGEST_NOTEBOOK:
        yield Found(size, Dropped(at=AT, reason="too_large", value=size, threshold=LARGEST))
        return
    repo, slash, _ = piece.name.partition("/")
    license = _licence_above(path.parent, root)
    yield Found(size, file_document(AT, clean(piece.name), path.read_bytes(), repo if slash else None, license))


def read_repository(piece: Piece) -> Iterator[Found]:
    """The files of a repository in a tar or zip archive, in its order. It is read twice, for the licences first.

    Raises UnreadableFile, DamagedFile behind the last file that can be read.
    """
    path = Path(piece.path)
    members: Callable[[Path], Iterator[Member | Dropped]]
    members = _zipped if path.name.lower().endswith(ZIP) else archives.members
    licences = _licences(members, path)
    repo = PurePosixPath(piece.name).name.partition(".")[0]
    for member in members(path):
        if isinstance(member, Dropped):
            outcome = Found(0, member)
        elif member.content is None:
            outcome = Found(
                member.size, Dropped(at=member.at, reason="too_large", value=member.size, threshold=LARGEST)
            )
        else:
            name = member.name.removeprefix("./")
            license = licences.above(PurePosixPath(name).parent)
            outcome = Found(member.size, file_document(member.at, name, member.content, repo, license))
        yield outcome


def zip_member(path: Path, at: str) -> bytes | None:
    """The content of the file at `at` of a zip archive; None if there is no such."""
    return next((member.content for member in _zipped(path) if isinstance(member, Member) and member.at == at), None)


def _licences(members: Callable[[Path], Iterator[Member | Dropped]], path: Path) -> Licences:
    found = Licences()
    try:
        for member in members(path):
            if isinstance(member, Dropped):
                continue
            name = PurePosixPath(member.name.removeprefix("./"))
            if member.content is not None and is_licence(name.name):
                found.add(name, member.content)
    except DamagedFile:  # the second reading tells it
        pass
    return found


def _zipped(path: Path) -> Iterator[Member | Dropped]:
    """The files of a zip archive in order; folders and links are passed over. Raises UnreadableFile."""
    try:
        archive = zipfile.ZipFile(path)
    except ZIP_FAULTS as fault:
        raise UnreadableFile(f"{path}: is no zip archive ({fault}); fetch it anew or remove it") from None
    seen: dict[str, int] = {}
    with archive:
        for info in archive.infolist():
            if info.is_dir() or (info.external_attr >> 28) == 0xA:
                continue
            name = clean(info.filename)
            seen[name] = times = seen.get(name, 0) + 1
            try:
                with archive.open(info) as file:
                    content = file.read(LARGEST_NOTEBOOK + 1)
            except ZIP_FAULTS as fault:
                yield Dropped(at=name, reason="bad_zip", value=str(fault))
                continue
            whole = len(content) <= LARGEST_NOTEBOOK
            yield Member(name if times == 1 else f"{name}~{times}", name, info.file_size, content if whole else None)


def _top(path: Path, name: str) -> Path:
    """The folder that names are relative to."""
    return path.parents[min(len(PurePosixPath(name).parts), len(path.parents)) - 1]


def _root(path: Path, name: str) -> Path:
    """The repository's outermost folder: with `.git` in it, or else the one that names are relative to."""
    return _git_above(path.parent) or _top(path, name)


@lru_cache(maxsize=4096)
def _git_above(folder: Path) -> Path | None:
    return next((above for above in (folder, *folder.parents) if (above / ".git").is_dir()), None)


def _submodule(path: Path, root: Path) -> str | None:
    """The folder of another repository inside of this one, told by its `.git` being a file, that holds the file."""
    for above in path.parents:
        if above == root:
            return None
        if (above / ".git").is_file():
            return above.name if (root / ".git").is_dir() else None
    return None


def _linked(path: Path, name: str) -> str | None:
    """Where the file, or a folder of its name, truly stands if it is a link."""
    parts = PurePosixPath(name).parts
    for above in (path, *path.parents[: len(parts) - 1]):
        if above.is_symlink():
            return clean(os.readlink(above))
    return None


@lru_cache(maxsize=4096)
def _licence_above(folder: Path, root: Path) -> str | None:
    for above in (folder, *folder.parents):
        if found := _licence_in(above):
            return found
        if above == root:
            break
    return None


@lru_cache(maxsize=4096)
def _licence_in(folder: Path) -> str | None:
    """What the licence files of a folder say together."""
    texts: dict[str, bytes] = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if is_licence(entry.name) and entry.is_file() and entry.stat().st_size <= LARGEST:
            texts[entry.name] = Path(entry.path).read_bytes()
    return licence_of(texts)
