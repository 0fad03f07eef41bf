"""FineWeb's own rules (Penedo et al. 2024, section 3.6): do the lines read like prose, or like a list or a menu?"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import regex
from numba import njit

from pipeline.filters.lines import (
    NEWLINE,
    characters,
    count_characters,
    duplicates,
    last_character,
    right_end,
    split_newlines,
)
from pipeline.filters.rules import Column, Rule, at_least, at_most
from pipeline.filters.settings import FineWeb
from pipeline.words import decode

_PLANES = 0x20000


def measure(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], tokens: npt.NDArray[np.int64], settings: FineWeb
) -> dict[str, Column]:
    """The columns of `rules`, for the texts data[offsets[d] : offsets[d + 1]] of so many words and symbols.

    Lines end at newlines alone, and those of spaces do not count. Spaces at the end of a line are no part of it.
    Where there is no line the shares are not measured.
    """
    lines = split_newlines(data, offsets)
    ends, punctuated, short, newlines = _measure_lines(
        lines.data, lines.starts, lines.ends, lines.bounds, offsets, _terminal_flags(), settings.short_line
    )
    count, _, again = duplicates(lines.data, lines.starts, ends, lines.bounds)
    of_lines = np.where(count, count, np.nan)
    size = np.where(count, count_characters(lines.data, offsets) - newlines, np.nan)
    return {
        "fineweb.lines": count,
        "fineweb.punctuated_lines": punctuated / of_lines,
        "fineweb.short_lines": short / of_lines,
        "fineweb.duplicate_line_characters": again / size,
        "fineweb.newlines": newlines / np.maximum(1, tokens),
    }


def rules(settings: FineWeb) -> list[Rule]:
    """Any line, terminal punctuation, short lines, duplicate lines, newlines: in this order."""
    return [
        at_least("fineweb_no_lines", "fineweb.lines", 1),
        at_least("fineweb_unpunctuated_lines", "fineweb.punctuated_lines", settings.min_punctuated_lines),
        at_most("fineweb_short_lines", "fineweb.short_lines", settings.max_short_lines),
        at_most("fineweb_duplicate_lines", "fineweb.duplicate_line_characters", settings.max_duplicate_line_characters),
        at_most("fineweb_newlines", "fineweb.newlines", settings.max_newlines),
    ]


@cache
def terminal_punctuation() -> frozenset[str]:
    """What ends a sentence in any script (Unicode's Sentence_Terminal), and quotation marks that close it."""
    ends = regex.compile(r"\p{Sentence_Terminal}").match
    return frozenset(x for x in map(chr, range(_PLANES)) if ends(x)) | frozenset("\"'”’")


@cache
def _terminal_flags() -> npt.NDArray[np.bool_]:
    flags = np.zeros(_PLANES, np.bool_)
    flags[list(map(ord, terminal_punctuation()))] = True
    return flags


@njit(cache=True)
def _measure_lines(
    data: Any, starts: Any, ends: Any, bounds: Any, offsets: Any, terminal: Any, short_line: int
) -> tuple[Any, Any, Any, Any]:
    """Where the lines end without spaces; by document: lines that end well, short lines, newlines."""
    stripped = np.empty_like(ends)
    documents = len(bounds) - 1
    well, short, newlines = (
        np.zeros(documents, np.int64),
        np.zeros(documents, np.int64),
        np.zeros(documents, np.int64),
    )
    for document in range(documents):
        for byte in data[offsets[document] : offsets[document + 1]]:
            newlines[document] += byte == NEWLINE
        for line in range(bounds[document], bounds[document + 1]):
            start, end = starts[line], right_end(data, starts[line], ends[line])
            stripped[line] = end
            if start == end:
                continue
            code = decode(data, last_character(data, end))[0]
            well[document] += code < len(terminal) and terminal[code]
            if end - start <= 4 * short_line:
                short[document] += characters(data, start, end) <= short_line
    return stripped, well, short, newlines
