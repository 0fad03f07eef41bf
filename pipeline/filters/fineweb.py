"""FineWeb's own rules (Penedo et al. 2024, section 3.6): do the lines read like prose, or like a list or a menu?"""

from __future__ import annotations

from functools import cache

import regex

from pipeline.filters.repetition import duplicates
from pipeline.filters.settings import FineWeb
from pipeline.filters.verdict import Failed


def listlike(text: str, tokens: int, rules: FineWeb) -> Failed | None:
    """The first rule that the text, of so many words and symbols, fails.

    Lines end at "\\n" alone, and those of spaces do not count. Spaces at the end of a line are no part of it.
    """
    lines = [line for line in map(str.rstrip, text.split("\n")) if line]
    if not lines:
        return Failed("fineweb_no_lines")
    ends = terminal_punctuation()
    if (share := sum(line[-1] in ends for line in lines) / len(lines)) < rules.min_punctuated_lines:
        return Failed("fineweb_unpunctuated_lines", share, rules.min_punctuated_lines)
    if (share := sum(len(line) <= rules.short_line for line in lines) / len(lines)) > rules.max_short_lines:
        return Failed("fineweb_short_lines", share, rules.max_short_lines)
    share = duplicates(lines)[1] / (len(text) - text.count("\n"))
    if share > rules.max_duplicate_line_characters:
        return Failed("fineweb_duplicate_lines", share, rules.max_duplicate_line_characters)
    if (share := text.count("\n") / max(1, tokens)) > rules.max_newlines:
        return Failed("fineweb_newlines", share, rules.max_newlines)
    return None


@cache
def terminal_punctuation() -> frozenset[str]:
    """What ends a sentence in any script (Unicode's Sentence_Terminal), and quotation marks that close it."""
    ends = regex.compile(r"\p{Sentence_Terminal}").match
    return frozenset(x for x in map(chr, range(0x20000)) if ends(x)) | frozenset("\"'”’")
