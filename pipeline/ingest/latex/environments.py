r"""\begin and \end -> lists, theorems, verbatim text, and what is left out between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.ingest.blocks import Blocks
from pipeline.ingest.latex import files as texfiles
from pipeline.ingest.latex.citations import clean
from pipeline.ingest.latex.commands import abstract
from pipeline.ingest.latex.macros import Frame
from pipeline.ingest.latex.words import (
    ALGORITHMS,
    ARGUMENTS,
    FLOAT_KINDS,
    FLOATS,
    LISTS,
    MATHS,
    PICTURES,
    QUIET,
    THEOREMS,
    UNNUMBERED,
    VERBATIM,
)

if TYPE_CHECKING:
    from pipeline.ingest.latex.typeset import Page

NAME = re.compile(r"\s*\{([^{}\n]{0,80})\}")
CODE = re.compile(r"(?i:code|verbatim|listing|snippet|console|terminal|shell)")
"""Environments that packages and classes make of verbatim: LaTeXCode, bashcode, shellverbatim."""

NAMED = re.compile(r"\b(?:name|title)\s*=\s*\{?([^,{}]+)")
CODE_HEAD = re.compile(r"[ \t]*(?:\[[^\[\]\n]*\])?[ \t]*(?:\{[^{}\n]*\})?[ \t]*\n")
"""What may follow the name of a verbatim environment in its line: options, the language."""


class Environments:
    """Those that are open, innermost last, with what is to be done at their end."""

    def __init__(self, page: Page) -> None:
        self.page, self.inputs = page, page.inputs
        self.theorems = {name: (title, "" if name in UNNUMBERED else name) for name, title in THEOREMS.items()}
        """Environment -> the name it prints, and its counter."""
        self.verbatims = set(VERBATIM)
        self.float = ""
        """The counter of the float that is open."""
        self.algorithm = 0
        """How many environments of pseudo-code are open."""
        self.aliases: dict[str, str] = {}
        """Counters that are others by another name."""
        self.unread: list[Blocks] = []
        """What the open floats write, to be thrown away."""
        self.items: list[int] = []
        """Items so far of each open list."""
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
            page.formula.begin(name, page.blocks)
        elif plain in self.verbatims or plain in PICTURES or (CODE.search(plain) and self._is_unknown(name)):
            self._unread(frame, name, kept=plain not in PICTURES)
        elif plain == "document":
            page.blocks = page.page
        elif plain in FLOATS or (plain == "thebibliography" and not page.references):
            outer, float_, page.blocks = page.blocks, self.float, Blocks()
            self.float = FLOAT_KINDS.get(plain, float_)
            self.unread.append(page.blocks)

            def close() -> None:
                page.blocks, self.float = outer, float_
                self.unread.pop()

            self._open(name, close)
        elif plain in ALGORITHMS:
            self._algorithm(name, plain)
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

    def _is_unknown(self, name: str) -> bool:
        return f"begin {name}" not in self.inputs.macros and name.rstrip("*") not in self.theorems

    def leave_floats(self) -> None:
        """A heading stands in no float: one that is open was never closed."""
        while self.unread and self.unread[-1] is self.page.blocks:
            name, close = self._opened.pop()
            self._count[name] -= 1
            close()

    def _open(self, name: str, close: Callable[[], None]) -> None:
        numbers, current = self.page.numbers, self.page.numbers.current

        def end() -> None:
            close()
            numbers.current = current

        self._opened.append((name, end))
        self._count[name] = self._count.get(name, 0) + 1

    def _list(self, name: str, plain: str) -> None:
        page = self.page
        page.end_paragraph()
        if plain == "thebibliography":
            self.inputs.argument(braced=True)
            page.blocks.put("References", heading=True)
        page.drop(ARGUMENTS.get(plain, 0))
        self.items.append(0)
        blocks = page.blocks
        outer = blocks.enter("\n")

        def close() -> None:
            blocks.leave(outer)
            self.items.pop()

        self._open(name, close)

    def item(self) -> None:
        """Count an item; labels in it have its number."""
        if self.items:
            self.items[-1] += 1
            self.page.numbers.current = ("item", str(self.items[-1]))

    def _algorithm(self, name: str, plain: str) -> None:
        page, float_ = self.page, self.float
        page.end_paragraph()
        page.drop(0)
        self.float = FLOAT_KINDS.get(plain, float_)
        blocks = page.blocks
        outer = blocks.enter("\n")
        self.algorithm += 1

        def close() -> None:
            blocks.leave(outer)
            self.algorithm -= 1
            self.float = float_

        self._open(name, close)

    def _text(self, name: str, plain: str) -> None:
        page = self.page
        if plain == "abstract":
            abstract(page)
            self._open(name, page.end_paragraph)
        elif plain in self.theorems:
            self._open(name, page.end_paragraph)
            self._theorem(plain, starred=name.endswith("*"))
        else:
            self._open(name, page.end_paragraph)
            page.drop(ARGUMENTS.get(plain, 0) if plain in QUIET else 3)

    def _theorem(self, name: str, *, starred: bool) -> None:
        """Theorem 3 (Name). Of a proof what it says instead of its name."""
        page, (title, counter), note = self.page, self.theorems[name], self.inputs.option()
        if counter and not starred:
            title = f"{title} {page.numbers.step(counter, title)}"
        if note and title == "Proof" and note.text.lstrip().startswith(("Proof", "Sketch", "Idea", "Outline")):
            self.inputs.push(note, lambda: page.blocks.write(". "))
        elif note:
            page.blocks.write(f"{title} (")
            self.inputs.push(note, lambda: page.blocks.write("). "))
        else:
            page.blocks.write(f"{title}. ")

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

    def newtheorem(self, word: str) -> None:
        r"""\newtheorem{x}[counter]{Name}[section], \newtheorem*{x}{Name}, or \declaretheorem[name=Name]{x}."""
        frame = self.inputs.top()
        starred = frame is not None and frame.source.text.startswith("*", max(0, frame.pos - 1))
        options = self.inputs.option() if word == "declaretheorem" else None
        name, shared = self.inputs.argument(braced=True), self.inputs.option()
        title = None if word == "declaretheorem" else self.inputs.argument(braced=True)
        within = self.inputs.option()
        if name is None:
            return
        told = clean(title.text) if title else name.text.capitalize()
        if options and (found := NAMED.search(options.text)):
            told = clean(found[1])
        counter = shared.text if shared else name.text
        counter = self.aliases.get(counter, counter)
        counter = self.theorems.get(counter, ("", counter))[1] or counter if shared else counter
        self.theorems[name.text] = (told or name.text.capitalize(), "" if starred else counter)
        if within:
            self.page.numbers.parents[counter] = within.text.strip()

    def newverbatim(self, word: str) -> None:
        r"""\DefineVerbatimEnvironment{x}{Verbatim}{options} or \lstnewenvironment; \newminted{x}{} makes xcode."""
        if name := self.inputs.argument(braced=True):
            self.verbatims.add(name.text + ("code" if word == "newminted" else ""))
        for _ in range(1 if word == "newminted" else 2):
            self.inputs.option()
            self.inputs.argument(braced=True)
