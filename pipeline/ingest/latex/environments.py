r"""\begin and \end -> lists, theorems, verbatim text, and what is left out between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.ingest.blocks import Blocks
from pipeline.ingest.latex import files as texfiles
from pipeline.ingest.latex.macros import Frame
from pipeline.ingest.latex.words import FLOATS, LISTS, MATHS, PICTURES, QUIET, THEOREMS, VERBATIM

if TYPE_CHECKING:
    from pipeline.ingest.latex.typeset import Page

NAME = re.compile(r"\s*\{([^{}\n]{0,80})\}")
CODE_HEAD = re.compile(r"[ \t]*(?:\[[^\[\]\n]*\])?[ \t]*(?:\{[^{}\n]*\})?[ \t]*\n")
"""What may follow the name of a verbatim environment in its line: options, the language."""


class Environments:
    """Those that are open, innermost last, with what is to be done at their end."""

    def __init__(self, page: Page) -> None:
        self.page, self.inputs = page, page.inputs
        self.theorems, self.verbatims = dict(THEOREMS), set(VERBATIM)
        self._opened: list[tuple[str, Callable[[], None]]] = []
        self._count: dict[str, int] = {}

    def begin(self) -> None:
        r"""What follows \begin."""
        frame = self.inputs.top()
        if frame is None or not (found := NAME.match(frame.source.text, frame.pos, frame.end)):
            return
        frame.pos = found.end()
        name, page = found[1].strip(), self.page
        plain = name.rstrip("*")
        if plain in MATHS:
            page.formula.begin(name)
        elif plain in self.verbatims or plain in PICTURES:
            self._unread(frame, name, kept=plain in self.verbatims)
        elif plain == "document":
            page.blocks = page.page
        elif plain in FLOATS or (plain == "thebibliography" and not page.references):
            outer, page.blocks = page.blocks, Blocks()
            self._open(name, lambda: setattr(page, "blocks", outer))
        elif plain in LISTS or plain == "thebibliography":
            self._list(name, plain)
        elif f"begin {name}" in self.inputs.macros and plain not in self.theorems and plain != "abstract":
            self._open(name, lambda: None)
            self.inputs.expand(f"begin {name}")
        else:
            page.end_paragraph()
            self._text(name, plain)

    def end(self) -> None:
        r"""What follows \end; what was opened inside and not closed is closed too."""
        frame = self.inputs.top()
        if frame is None or not (found := NAME.match(frame.source.text, frame.pos, frame.end)):
            return
        frame.pos = found.end()
        name = found[1].strip()
        if name == "document":
            self.page.end_paragraph()
            texfiles.stop(self.page, "endinput" if len(self.inputs.open_files()) > 1 else "bye")
        elif self._count.get(name):
            opened = ""
            while opened != name:
                opened, close = self._opened.pop()
                self._count[opened] -= 1
                close()
            if f"end {name}" in self.inputs.macros:
                self.inputs.expand(f"end {name}")

    def _open(self, name: str, close: Callable[[], None]) -> None:
        self._opened.append((name, close))
        self._count[name] = self._count.get(name, 0) + 1

    def _list(self, name: str, plain: str) -> None:
        page = self.page
        page.end_paragraph()
        if plain == "thebibliography":
            self.inputs.argument(braced=True)
            page.blocks.put("References", heading=True)
        self.inputs.option()
        blocks = page.blocks
        outer = blocks.enter("\n")
        self._open(name, lambda: blocks.leave(outer))

    def _text(self, name: str, plain: str) -> None:
        page, inputs = self.page, self.inputs
        if plain == "abstract":
            page.abstract()
            self._open(name, page.end_paragraph)
        elif plain in self.theorems:
            page.blocks.write(self.theorems[plain])
            self._open(name, page.end_paragraph)
            if note := inputs.option():
                page.blocks.write(" (")
                inputs.push(note, lambda: page.blocks.write("). "))
            else:
                page.blocks.write(". ")
        else:
            self._open(name, page.end_paragraph)
            if plain not in QUIET:
                page.drop(3)

    def _unread(self, frame: Frame, name: str, *, kept: bool) -> None:
        r"""Verbatim text or a picture, up to its \end, or to that of the submission's own environment around it."""
        end = frame.source.find(f"\\end{{{name}}}", frame.pos, frame.end)
        if end < 0 and frame.depth and self._opened:
            self.page.drop(1)
            name = self._opened[-1][0]
            if frame := self.inputs.top() or frame:
                end = frame.source.find(f"\\end{{{name}}}", frame.pos, frame.end)
        if end < 0:
            return
        if kept:
            self.page.end_paragraph()
            head = CODE_HEAD.match(frame.source.text, frame.pos, end)
            lines = frame.source.text[head.end() if head else frame.pos : end].strip("\n").splitlines()
            self.page.blocks.put("\n".join(line.rstrip() for line in lines))
        frame.pos = end if self._count.get(name) else end + len(f"\\end{{{name}}}")

    def newtheorem(self) -> None:
        r"""\newtheorem{x}[counter]{Name}[section]."""
        name, _, title = self.inputs.argument(braced=True), self.inputs.option(), self.inputs.argument(braced=True)
        self.inputs.option()
        if name and title and "\\" not in title.text:
            self.theorems[name.text] = title.text

    def newverbatim(self, word: str) -> None:
        r"""\DefineVerbatimEnvironment{x}{Verbatim}{options} or \lstnewenvironment; \newminted{x}{} makes xcode."""
        if name := self.inputs.argument(braced=True):
            self.verbatims.add(name.text + ("code" if word == "newminted" else ""))
        for _ in range(1 if word == "newminted" else 2):
            self.inputs.option()
            self.inputs.argument(braced=True)
