"""A text and the runs of its tokens that are repeats -> the text without them, or with a marker in their places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Spans = list[tuple[int, int]]
"""Token begin, token end: in order, apart from each other."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What a text became."""

    text: str
    markers: list[list[int]]
    """[character of the new text at which a marker stands, characters of the old text that it stands for]."""


def united(runs: Iterable[tuple[int, int]]) -> Spans:
    """Runs of tokens in any order -> the spans that they cover; those that touch are one."""
    out: Spans = []
    for begin, end in sorted(runs):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((begin, end))
    return out


def without(text: bytes, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], spans: Spans) -> Cut:
    """Take spans out; the tokens are text[begins[t] : ends[t]].

    Of the two gaps around a span the one with more line breaks stays, of equals the one behind it, and never nothing:
    what is left of two words does not become one. In front of a text stays the indentation of its first line.
    """
    out: list[bytes] = []
    at = 0
    for begin, end in spans:
        last = end == len(begins)
        behind = text[ends[end - 1] : len(text) if last else begins[end]]
        if begin == 0:
            gap = b"" if last or b"\n" not in behind else behind[behind.rindex(b"\n") + 1 :]
        else:
            out.append(text[at : ends[begin - 1]])
            before = text[ends[begin - 1] : begins[begin]]
            gap = before if before.count(b"\n") > behind.count(b"\n") else behind
            gap = behind if last else gap or before or b" "
        out.append(gap)
        at = len(text) if last else int(begins[end])
    return Cut(b"".join([*out, text[at:]]).decode(), [])


def marked(
    text: bytes, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], spans: Spans, marker: str
) -> Cut:  # fmt: skip
    """Put `marker` in the place of each span, and tell where."""
    out: list[str] = []
    markers: list[list[int]] = []
    at = characters = 0
    for begin, end in spans:
        kept = text[at : begins[begin]].decode()
        gone = text[begins[begin] : ends[end - 1]].decode()
        at = int(ends[end - 1])
        characters += len(kept)
        markers.append([characters, len(gone)])
        characters += len(marker)
        out += [kept, marker]
    return Cut("".join([*out, text[at:].decode()]), markers)
