"""A supervised fastText file, .bin or .ftz, read as arrays: checked before it is trusted, mapped where it is large."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

LOSSES = {1: "hierarchical softmax", 2: "negative sampling", 3: "softmax", 4: "one against all"}
MAPPED = 64 << 20
"""Bytes of input vectors above which they stay in the file, shared by all processes, and quantised ones stay codes."""

_MAGIC, _NEWEST, _SUPERVISED, _CENTROIDS = 793_712_314, 12, 3, 256
_LABEL = 1  # the type of an entry of the dictionary that is no word
_ROOM = 1 << 31  # no dimension or count of a real model is larger


class ModelFileError(Exception):
    """This file is no supervised fastText model, or is cut off; the message names the file."""


class Vectors(NamedTuple):
    """(rows, dim) float32 vectors, plain or as a product quantiser left them: one of the two holds no row."""

    plain: npt.NDArray[np.float32]
    codes: npt.NDArray[np.uint8]
    """(rows, parts) which centroid stands for each part of the vector."""
    centroids: npt.NDArray[np.float32]
    """(parts, 256, width) the last part may be narrower, and is filled up with zeros."""
    norms: npt.NDArray[np.float32]
    """(rows,) what the centroids are multiplied by."""


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """What stands in the file."""

    loss: int
    """One of LOSSES."""
    word_ngrams: int
    minn: int
    maxn: int
    """Characters of the shortest and longest subword; maxn 0: none."""
    bucket: int
    """Numbers that subwords and word n-grams are hashed to."""
    words: int
    names: npt.NDArray[np.uint8]
    """The bytes of all entries of the dictionary, words before labels."""
    places: npt.NDArray[np.int64]
    """(entries + 1) where each begins in `names`."""
    counts: npt.NDArray[np.int64]
    """(entries) how often each was seen in training."""
    rows: npt.NDArray[np.int32] | None
    """(bucket) hashed number -> its row after the words' rows, -1 where it was pruned; None: nothing was pruned."""
    input: Vectors
    output: npt.NDArray[np.float32]
    """(labels, dim)"""

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the output's rows, with their prefix."""
        names, at = self.names.tobytes(), self.places
        return tuple(names[at[i] : at[i + 1]].decode(errors="replace") for i in range(self.words, len(self.counts)))


def read_model(path: Path, mapped: int = MAPPED) -> ModelFile:
    """Read a model; ModelFileError if it is none, is cut off, or knows no labels (word vectors)."""
    try:
        size = path.stat().st_size
        data = np.asarray(np.memmap(path, np.uint8, "r")) if size else np.empty(0, np.uint8)
    except OSError as fault:
        raise ModelFileError(f"{path}: {fault.strerror}") from None
    try:
        return _read(_Reader(data), mapped)
    except ModelFileError as fault:
        raise ModelFileError(f"{path}: {fault}") from None


class _Reader:
    """The bytes of a file, taken from its beginning on."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self.data, self.at = data, 0

    def take(self, type: Any, *shape: int) -> npt.NDArray[Any]:
        """An array that shares the file's memory; it may not be aligned."""
        if any(not 0 <= n < _ROOM for n in shape):
            raise ModelFileError("the fastText model is damaged: it tells an impossible size")
        begin, size = self.at, int(np.prod(shape, dtype=object)) * np.dtype(type).itemsize
        if begin + size > len(self.data):
            raise ModelFileError(f"the fastText model is cut off at {len(self.data):,} bytes")
        self.at += size
        return np.ndarray(shape, type, self.data.data, begin) if size else np.empty(shape, type)

    def integers(self, type: Any, n: int) -> list[int]:
        return [int(value) for value in self.take(type, n)]


def _read(file: _Reader, mapped: int) -> ModelFile:
    if len(file.data) < 8 or file.take("<i4", 1)[0] != _MAGIC:
        raise ModelFileError("no fastText model")
    if (version := file.integers("<i4", 1)[0]) > _NEWEST:
        raise ModelFileError(f"a fastText model of version {version}; known are those up to {_NEWEST}")
    dim, _, _, _, _, word_ngrams, loss, model, bucket, minn, maxn, _ = file.integers("<i4", 12)
    file.take("<f8", 1)
    if model != _SUPERVISED:
        raise ModelFileError("fastText word vectors, not a classifier; train one with `fasttext supervised`")
    if loss not in LOSSES or dim < 1 or bucket < 0:
        raise ModelFileError("the fastText model is damaged: its settings make no sense")
    maxn = maxn if version == _NEWEST else 0  # older classifiers had no subwords, whatever they say
    words, names, places, counts, pruned = _dictionary(file)
    labels = len(counts) - words
    rows = _kept_rows(file, pruned, bucket) if pruned >= 0 else None
    vectors, height, width = _vectors(file, mapped)
    output = dequantised(_vectors(file, _ROOM)[0])
    hashes = (maxn > 0 or word_ngrams > 1) and pruned != 0
    if not hashes:
        maxn, word_ngrams = 0, 1  # no vector is left for any of them
    least = words + ((pruned if pruned > 0 else bucket) if hashes else 0)
    if height < least or width != dim or output.shape != (labels, dim) or (hashes and not bucket):
        raise ModelFileError("the fastText model is damaged: its matrices do not fit its dictionary")
    return ModelFile(
        loss=loss, word_ngrams=word_ngrams, minn=minn, maxn=maxn, bucket=bucket, words=words,
        names=names, places=places, counts=counts, rows=rows, input=vectors, output=output,
    )  # fmt: skip


def _dictionary(file: _Reader) -> tuple[int, npt.NDArray[np.uint8], npt.NDArray[Any], npt.NDArray[Any], int]:
    """Words, the names of all entries, where they begin, how often each was seen; pruned rows, -1 for no pruning."""
    size, words, labels = file.integers("<i4", 3)
    _, pruned = file.integers("<i8", 2)
    if size != words + labels or words < 0 or labels < 1:
        raise ModelFileError("the fastText model is damaged, or it knows no label")
    if size > len(file.data) // 10:  # an entry takes at least 10 bytes
        raise ModelFileError(f"the fastText model is cut off at {len(file.data):,} bytes")
    places, counts, types = np.zeros(size + 1, np.int64), np.empty(size, np.int64), np.empty(size, np.uint8)
    names = np.empty(len(file.data) - file.at if len(file.data) < MAPPED else size * 32, np.uint8)
    while (end := _entries(file.data, file.at, names, places, counts, types)) == -2:
        names = np.empty(2 * len(names), np.uint8)
    if end < 0:
        raise ModelFileError(f"the fastText model is cut off at {len(file.data):,} bytes")
    if np.any(types != np.repeat([0, _LABEL], [words, labels])):
        raise ModelFileError("the fastText model is damaged: its words do not stand before its labels")
    file.at = end
    return words, names[: places[-1]].copy(), places, counts, pruned


def _kept_rows(file: _Reader, pruned: int, bucket: int) -> npt.NDArray[np.int32]:
    rows = np.full(bucket, -1, np.int32)
    pairs = file.take("<i4", pruned, 2)
    if pruned and not (pairs.min() >= 0 and pairs[:, 0].max() < bucket and pairs[:, 1].max() < pruned):
        raise ModelFileError("the fastText model is damaged: its pruned rows make no sense")
    rows[pairs[:, 0]] = pairs[:, 1]
    return rows


def _vectors(file: _Reader, mapped: int) -> tuple[Vectors, int, int]:
    """A matrix with its height and width; a small one plain and in memory."""
    quantised = bool(file.take("u1", 1)[0])
    if not quantised:
        height, width = file.integers("<i8", 2)
        plain = file.take("<f4", height, width)
        if plain.nbytes <= mapped:
            plain = plain.copy()
        return Vectors(plain, *_no_codes()), height, width
    normed = bool(file.take("u1", 1)[0])
    height, width = file.integers("<i8", 2)
    size = file.integers("<i4", 1)[0]
    codes = file.take("u1", size)
    centroids = _centroids(file, width)
    if size != height * len(centroids):
        raise ModelFileError("the fastText model is damaged: its codes do not fit its matrix")
    norms = np.ones(height, np.float32)
    if normed:
        chosen = file.take("u1", height)
        norms = _centroids(file, 1)[0, :, 0][chosen]
    vectors = Vectors(np.empty((0, width), np.float32), codes.reshape(height, -1).copy(), centroids, norms)
    if 4 * height * width <= mapped:
        vectors = Vectors(dequantised(vectors), *_no_codes())
    return vectors, height, width


def _centroids(file: _Reader, width: int) -> npt.NDArray[np.float32]:
    """(parts, 256, width of a part) of a product quantiser of vectors of `width`."""
    dim, parts, part, last = file.integers("<i4", 4)
    if dim != width or min(parts, part, last) < 1 or (parts - 1) * part + last != dim or last > part:
        raise ModelFileError("the fastText model is damaged: its quantiser makes no sense")
    flat = file.take("<f4", dim * _CENTROIDS)
    centroids = np.zeros((parts, _CENTROIDS, part), np.float32)
    whole = (parts - 1) * _CENTROIDS * part
    centroids[:-1] = flat[:whole].reshape(parts - 1, _CENTROIDS, part)
    centroids[-1, :, :last] = flat[whole:].reshape(_CENTROIDS, last)
    return centroids


def _no_codes() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    return np.empty((0, 0), np.uint8), np.empty((0, _CENTROIDS, 0), np.float32), np.empty(0, np.float32)


def dequantised(vectors: Vectors) -> npt.NDArray[np.float32]:
    """(rows, dim) the plain vectors."""
    if not len(vectors.codes):
        return vectors.plain
    parts = [vectors.centroids[part, vectors.codes[:, part]] for part in range(len(vectors.centroids))]
    plain: npt.NDArray[np.float32] = np.concatenate(parts, axis=1)[:, : vectors.plain.shape[1]]
    return np.ascontiguousarray(plain * vectors.norms[:, None], np.float32)


@njit(cache=True)
def _entries(data: Any, at: int, names: Any, places: Any, counts: Any, types: Any) -> int:
    """Fill in the dictionary's entries; the place after them, -1 if the file ends before, -2 if `names` is full."""
    filled = 0
    for entry in range(len(counts)):
        while at < len(data) and data[at] != 0:
            if filled == len(names):
                return -2
            names[filled] = data[at]
            at, filled = at + 1, filled + 1
        places[entry + 1] = filled
        if at + 10 > len(data):
            return -1
        count = np.uint64(0)
        for byte in range(8, 0, -1):
            count = count << np.uint64(8) | np.uint64(data[at + byte])
        counts[entry], types[entry] = np.int64(count), data[at + 9]
        at += 10
    return at
