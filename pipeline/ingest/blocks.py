"""Pieces of inline text -> the paragraphs, headings and list lines of a document."""

from __future__ import annotations

import re

GAP = "\x00"
"""Marks where a citation, a reference or a picture of a formula was left out; neither XML nor TeX text holds it."""

GAPS = (
    (re.compile(r"\x00(?:(?:[ ,;–-]|and |& )*\x00)+"), "\x00"),
    (re.compile(r" ?[(\[] ?(?:(?:see also|see|also|cf\.?|e\.g\.|i\.e\.)[ ,]{0,2}){0,3}\x00[ ,;.]{0,3}[)\]]"), ""),
    (re.compile(r"([(\[]) ?\x00[ ,;]{0,3}"), r"\1"),
    (re.compile(r"[ ,;]{0,3}\x00 ?([)\]])"), r"\1"),
    (re.compile(r" ?\x00 ?(?=[.,;:!?])"), ""),
    (re.compile(r" ?\x00"), ""),
)
"""What closes a gap, in order: neighbours become one, empty brackets go, then the space or comma before it."""


LOOSE_COMMA = re.compile(r"([\w)\]\"”’»%]) ,(?= )")
"""A comma after a space, as markup of an italic word or a reference leaves it."""


class Blocks:
    """Collects a document piece by piece, with one blank line between its paragraphs.

    Pieces of a paragraph are written as they come; `end` closes it, with all white space collapsed.
    In a list (`inside` a line feed) or a caption (`inside` a space) what follows the first block is
    set close to it.
    """

    def __init__(self) -> None:
        self.line: list[str] = []
        self.prefix = ""
        """Stands before the next block: the dash of a list, the number of a section."""
        self.inside = self.joint = "\n\n"
        self.paragraphs = 0
        """Blocks that are no headings."""
        self._blocks: list[str] = []
        self._trailing: list[int] = []

    def write(self, piece: str) -> None:
        """Add a piece to the paragraph that is open."""
        self.line.append(piece)

    def end(self, *, heading: bool = False) -> None:
        """Close the open paragraph, if anything stands in it."""
        if self.line:
            text = " ".join("".join(self.line).split())
            self.line.clear()
            if GAP in text:
                text = close_gaps(text)
            if " , " in text:
                text = LOOSE_COMMA.sub(r"\1,", text)
            self.put(text, heading=heading)

    def put(self, text: str, *, heading: bool = False) -> None:
        """Add a whole block as it is; an empty one is no block."""
        if not text:
            return
        if heading:
            self._trailing.append(len(self._blocks))
        else:
            self.paragraphs += 1
            self._trailing.clear()
        self._blocks.append(f"{self.joint}{self.prefix}{text}")
        self.prefix, self.joint = "", self.inside

    def enter(self, inside: str) -> str:
        """Begin a list or a caption; gives what `leave` wants back."""
        self.end()
        outer, self.inside = self.inside, inside
        return outer

    def leave(self, outer: str) -> None:
        """End a list or a caption; a prefix that found no text is forgotten."""
        self.end()
        self.prefix, self.inside, self.joint = "", outer, outer

    def mark(self) -> tuple[int, int]:
        """Where a section begins, for `prune`."""
        self.end()
        return len(self._blocks), self.paragraphs

    def prune(self, mark: tuple[int, int]) -> None:
        """End a section; one without a paragraph loses its headings too."""
        self.end()
        if self.paragraphs == mark[1]:
            del self._blocks[mark[0] :]
            while self._trailing and self._trailing[-1] >= mark[0]:
                self._trailing.pop()

    def text(self) -> str:
        """The document so far; headings with nothing after them are left out."""
        self.end()
        first = len(self._blocks) - len(self._trailing)
        return "".join(self._blocks[:first]).strip("\n")


def close_gaps(text: str) -> str:
    """A line with its gaps closed."""
    for pattern, instead in GAPS:
        text = pattern.sub(instead, text)
    return text.strip()
