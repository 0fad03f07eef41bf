r"""Counters as LaTeX steps them -> the number that each \label stands for, put where it is referred to.

A reference may come before its label, so it is written as a mark and filled in when the whole text is set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pipeline.ingest.latex.holes import HOLE, close_holes

REFERRED = re.compile("\x02(.)([^\x03\n]*)\x03")
LEVELS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")
PARENTS = {
    "section": "chapter",
    "subsection": "section",
    "subsubsection": "subsection",
    "paragraph": "subsubsection",
    "subparagraph": "paragraph",
    "equation": "chapter",
    "figure": "chapter",
    "table": "chapter",
}
"""Counter -> the one that starts it anew and stands before it, if that one has begun."""

MOST_LABEL = 200
"""Characters of a label's name; longer ones are text that lost its brace."""


class Numbers:
    """The counters of one document, the label that a \\label gets now, and the labels so far."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.parents = dict(PARENTS)
        self.labels: dict[str, tuple[str, str]] = {}
        self.current = ("section", "")
        self.lettered = ""

    def step(self, kind: str, noun: str = "") -> str:
        """Count one more; gives its number as it is printed, such as 3.2."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self._reset(kind)
        number = self.number(kind)
        self.current = (noun or kind, number)
        return number

    def _reset(self, kind: str) -> None:
        reset = [kind]
        while reset:
            above = reset.pop()
            for child, parent in self.parents.items():
                if parent == above and self.counts.get(child):
                    self.counts[child] = 0
                    reset.append(child)

    def number(self, kind: str) -> str:
        """The counter as printed, after those that it is counted within."""
        parts: list[str] = []
        seen: set[str] = set()
        while kind and kind not in seen:
            seen.add(kind)
            if count := self.counts.get(kind):
                parts.append(chr(64 + count) if kind == self.lettered and count <= 26 else str(count))
            kind = self.parents.get(kind, "")
        return ".".join(reversed(parts))

    def appendix(self) -> None:
        """Chapters (or sections) have letters from here on."""
        self.lettered = "chapter" if self.counts.get("chapter") else "section"
        self.counts[self.lettered] = 0
        self._reset(self.lettered)

    def label(self, key: str) -> None:
        """Give the name to what was counted last."""
        self.labels.setdefault(_plain(key), self.current)

    def filled(self, text: str) -> str:
        """The text with each mark made by `reference` filled in; those without a label are closed."""
        text = REFERRED.sub(lambda mark: FORMS[mark[1]](self._told(mark[2])), text)
        lines = text.split("\n") if HOLE in text else ()
        return "\n".join(close_holes(line) if HOLE in line else line for line in lines) or text

    def _told(self, keys: str) -> list[tuple[str, str]]:
        return [told for key in keys.split(",") if (told := self.labels.get(key)) and told[1]]


def reference(form: str, keys: str) -> str:
    r"""The mark of a reference: form `r` prints 3, `e` (3), `c` section 3, `C` Section 3, `p` nothing."""
    if not keys.strip() or len(keys) > MOST_LABEL * 8:
        return HOLE
    return f"\x02{form}{','.join(map(_plain, keys.split(',')))}\x03"


def _plain(key: str) -> str:
    return " ".join(re.sub("[\x00-\x03]", "", key).split())[:MOST_LABEL]


def _joined(parts: list[str]) -> str:
    return HOLE if not parts else parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _named(told: list[tuple[str, str]], case: Callable[[str], str]) -> str:
    """sections 2 and 3; where the kinds differ each has its own noun."""
    kinds = list(dict.fromkeys(kind for kind, _ in told))
    groups = [(kind, [number for of, number in told if of == kind]) for kind in kinds]
    return _joined([f"{case(kind)}{'s' * (len(numbers) > 1)} {_joined(numbers)}" for kind, numbers in groups])


FORMS: Mapping[str, Callable[[list[tuple[str, str]]], str]] = {
    "r": lambda told: _joined([number for _, number in told]),
    "e": lambda told: _joined([f"({number})" for _, number in told]),
    "p": lambda told: HOLE,
    "c": lambda told: _named(told, str.lower),
    "C": lambda told: _named(told, lambda noun: noun[:1].upper() + noun[1:]),
}
