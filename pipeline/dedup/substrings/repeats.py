"""The passages of a file and where their windows stand first -> the runs of tokens that repeat an earlier one.

A token is a repeat if a window that holds it stands at an earlier place too, and that place does not hold the token
itself: of a word said a million times the first window stays. No hash decides. Neighbouring windows that repeat
neighbouring ones are one run, and its bytes are compared with those at the place that it is said to repeat.

Memory: 40 bytes for each different repeated window of the file, 48 a run, 100 for each token of a long passage. The
passages of other files are mapped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from pipeline.dedup.substrings.ranges import Known, Rows, answers
from pipeline.dedup.substrings.tokens import Places, Written
from pipeline.dedup.substrings.windows import passages_of, text_of, windows_of

OPEN = 64
"""Files of passages that are kept open for comparison."""

RUN = np.dtype(
    [("row", "i8"), ("begin", "i8"), ("end", "i8"), ("count", "u8"), ("file", "u8"), ("place", "u8")]
)  # fmt: skip
"""Tokens begin : end of the document in `row` repeat those at `place` of file number `file`; their most frequent
window occurs `count` times."""

Runs = npt.NDArray[Any]
Numbers = npt.NDArray[np.uint64]

ROUND = 16
"""Runs that one round of a text that repeats itself is looked for in: a check for each new run."""

_HALF, _LOW = np.uint64(32), np.uint64((1 << 32) - 1)


def find_repeats(passages: Passages, file: int, firsts: Sequence[Path], tokens: int) -> tuple[Runs, int]:
    """(runs in the order of the text of file number `file`, windows of which only the hash was equal).

    `firsts`: the files of answers. Raises StageError for one that cannot be read.
    """
    told = answers(firsts, file)
    known = Known(told.pop("hash"))
    found, unequal = [np.empty(0, RUN)], 0
    for batch, before in passages_of(passages.files[file]):
        text, offsets = text_of(batch)
        first, _, hashes, places = windows_of(text, offsets, before, tokens)
        at = known.find(hashes)
        again = np.flatnonzero(at >= 0)
        again = again[(told["file"][at[again]] != file) | (told["place"][at[again]] != places[again])]
        if not len(again):
            continue
        stood = {name: values[at[again]] for name, values in told.items()}
        runs = _runs(again, first[again], places[again], file, stood, text, tokens)
        real = passages.hold(runs, text)
        if not real.all():
            apart = _windows(runs[~real], text, tokens)
            equal = passages.hold(apart, text)
            unequal += int((~equal).sum())
            runs = np.concatenate([runs[real], apart[equal]])
            runs = runs[np.argsort(runs["begin"], kind="stable")]
        own = np.searchsorted(text.bounds, runs["begin"], side="right") - 1
        inside = (runs["file"] == file) & (runs["place"] >> _HALF == (own + before).astype(np.uint64))
        _spare_first(runs, inside, own, text, offsets, tokens)
        found.append(_in_documents(runs, batch, own, text))
    return np.concatenate(found), unequal


def _runs(
    windows: Places, first: Places, places: Numbers, file: int, stood: Rows, text: Written, tokens: int
) -> Runs:  # fmt: skip
    """Repeated windows -> runs; begin and end are tokens of the batch yet.

    windows   (repeated,) numbers of those that stand elsewhere first; neighbours differ by 1
    first     (repeated,) the first token of each
    places    (repeated,) where each is, in this file
    stood     (repeated,) file, place and count of the first that equals each
    """
    heads, to_file, to_place = _heads(
        windows, first, places, np.uint64(file), stood["file"].astype(np.uint64), stood["place"], text.starts
    )
    runs = np.empty(len(heads), RUN)
    runs["begin"], runs["file"], runs["place"] = first[heads], to_file, to_place
    runs["end"] = first[np.append(heads[1:], len(first)) - 1] + tokens
    runs["count"] = np.maximum.reduceat(stood["count"], heads)
    return runs


@njit(cache=True)
def _heads(
    windows: Places, first: Places, places: Numbers, own: np.uint64, file: Numbers, place: Numbers, starts: Places
) -> tuple[Places, Numbers, Numbers]:
    """(runs,) the window that each begins with, and which file and place it repeats.

    Text that goes round and round would be several runs for each round. So where the windows come round to one that a
    run of the last `ROUND` began with, the next run repeats that one, in this very text, for as long as it goes round.
    """
    heads = np.empty(len(windows), np.int64)
    files, to = np.empty(len(windows), np.uint64), np.empty(len(windows), np.uint64)
    n, back, begin = 0, 0, 0
    for w in range(len(windows)):
        if w == 0 or windows[w] != windows[w - 1] + 1 or first[w] != first[w - 1] + 1:
            begin, back = n, 0
        elif back:
            if file[w] == file[w - back] and place[w] == place[w - back]:
                continue
        elif file[w] == file[w - 1] and place[w] - place[w - 1] == np.uint64(starts[first[w]] - starts[first[w - 1]]):
            continue
        heads[n], files[n], to[n], back = w, file[w], place[w], 0
        for i in range(n - 1, max(begin, n - ROUND) - 1, -1):
            if file[w] == file[heads[i]] and place[w] == place[heads[i]]:
                files[n], to[n], back = own, places[heads[i]], w - heads[i]
                break
        n += 1
    return heads[:n], files[:n], to[:n]


def _windows(runs: Runs, text: Written, tokens: int) -> Runs:
    """Each window of some runs as a run of its own."""
    counts = runs["end"] - runs["begin"] - tokens + 1
    windows = np.repeat(runs, counts)
    windows["begin"] += np.arange(len(windows)) - np.repeat(np.cumsum(counts) - counts, counts)
    windows["end"] = windows["begin"] + tokens
    windows["place"] += (text.starts[windows["begin"]] - text.starts[np.repeat(runs["begin"], counts)]).astype(
        np.uint64
    )
    return windows


def _spare_first(
    runs: Runs, inside: npt.NDArray[np.bool_], own: Places, text: Written, offsets: Places, tokens: int
) -> None:
    """Of runs that repeat a place `inside` their own passage: those that overlap it begin where it ends."""
    byte = offsets[own[inside]] + (runs["place"][inside] & _LOW).astype(np.int64)
    runs["begin"][inside] = np.maximum(runs["begin"][inside], np.searchsorted(text.starts, byte) + tokens)


def _in_documents(runs: Runs, batch: pa.RecordBatch, own: Places, text: Written) -> Runs:
    """Runs by tokens of a batch of passages -> by those of the documents."""
    shift = (batch.column("first").to_numpy() - text.bounds[:-1])[own]
    runs["begin"] += shift
    runs["end"] += shift
    runs["row"] = batch.column("row").to_numpy()[own]
    return runs


class Passages:
    """The passages of all files, by number, mapped when they are asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._file = lru_cache(maxsize=OPEN)(lambda number: _PassageFile(self.files[number]))

    def hold(self, runs: Runs, text: Written) -> npt.NDArray[np.bool_]:
        """(runs,) whether the tokens of each in `text` stand, to the byte, at the place that it repeats."""
        data, begins, ends = text.data.data, text.starts[runs["begin"]], text.starts[runs["end"]]
        columns = (runs["file"].tolist(), runs["place"].tolist(), begins.tolist(), ends.tolist())
        same = [
            self._file(file).at(place, end - begin) == data[begin:end].tobytes()
            for file, place, begin, end in zip(*columns, strict=True)
        ]
        return np.array(same, np.bool_)

    def identity(self, run: Any) -> str:
        """The id of the document whose tokens a run repeats."""
        return self._file(int(run["file"])).identity(int(run["place"]))


class _PassageFile:
    def __init__(self, path: Path) -> None:
        found = list(passages_of(path))
        self._batches = [batch for batch, _ in found]
        self._begins = [before for _, before in found]
        self._offsets = [np.frombuffer(batch.column("text").buffers()[1], np.int64) for batch in self._batches]
        self._data = [batch.column("text").buffers()[2] for batch in self._batches]

    def _find(self, place: int) -> tuple[int, int]:
        """(batch, row of it) that a place is in."""
        passage = place >> 32
        number = bisect_right(self._begins, passage) - 1
        return number, passage - self._begins[number]

    def at(self, place: int, size: int) -> bytes:
        """The `size` bytes at a place, or those to the end of its passage."""
        number, row = self._find(place)
        begin, end = self._offsets[number][row : row + 2].tolist()
        begin += place & int(_LOW)
        return memoryview(self._data[number])[begin : min(begin + size, end)].tobytes()

    def identity(self, place: int) -> str:
        number, row = self._find(place)
        return "".join(f"{self._batches[number].column(name)[row].as_py():016x}" for name in ("high", "low"))
