"""LaTeX -> paragraphs, headings and list lines, in one pass over the input without recursion.

Formulas stay TeX. Pictures and the insides of floats are left out; captions and footnotes follow the paragraph in
which they stand. References become numbers, citations what `citations` says. An unknown command is dropped, and its
braces are opened unless what is in them is no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pipeline.ingest.blocks import GAP, Blocks
from pipeline.ingest.latex import algorithms, plain
from pipeline.ingest.latex.citations import Citations
from pipeline.ingest.latex.commands import COMMANDS, OF_PACKAGES
from pipeline.ingest.latex.environments import Environments
from pipeline.ingest.latex.macros import CHOICE, Frame, Input, Span
from pipeline.ingest.latex.maths import Formula
from pipeline.ingest.latex.numbers import Numbers, reference
from pipeline.ingest.latex.words import (
    ACCENTS,
    CITATION,
    DROPPED,
    HEADINGS,
    NOT_A_REFERENCE,
    REFERENCE,
    REFERENCES,
    SIGNS,
    TAKES,
    TRANSPARENT,
    with_accent,
)

TOKEN = re.compile(
    r"\\([A-Za-z]+)(\*)?[ \t]*(?:\n[ \t]*(?!\s))?|\\((?s:.))|[{}~&#]|``?"
    r"|\$\$?|%[^\n]*\n?[ \t]*|\n[ \t]*\n\s*|---?|''|!`|\?`"
)
"""A command in letters, its star; a command of one sign; or a mark. Each way begins with a plain sign, which is what
makes the search fast."""

MARKS = {
    "{": "",
    "}": "",
    "#": "",
    "---": "—",
    "--": "–",
    "``": '"',
    "''": '"',
    "`": "'",
    "~": " ",
    "&": " ",
    "!`": "¡",
    "?`": "¿",
}
CLOSERS = {"[": r"\]", "(": r"\)"}
IMPORTS = re.compile(r"[A-Za-z]*(?:input|include|import|subfile)")
"""What books make of \\input for themselves, such as \\bookimport[folder]{file}: nothing if there is no such file."""

PICTURES = re.compile(r"(?i:[a-z]*(?:graphic|picture|epsf|psfig|svg)[a-z]*)|(?:pgf|tikz)[A-Za-z]*|[a-z]*inputpdft")
NOT_TEXT = re.compile(
    r"\s*(?:[\w .:/@-]{1,40}=[^=\n]{0,80}(?:,\s*(?:[\w .:/@-]{1,40}(?:=[^=\n]{0,80})?)?)*"
    r"|-?\d*\.?\d+\s*(?:pt|cm|mm|in|em|ex|pc|bp|sp|px|mu)|-?\d*\.?\d*\\[a-z]*(?:width|height|skip|sep|size)"
    r"|[A-Za-z][\w+-]*:[\w:+./-]+|[\w./-]+\.(?:pdf|png|jpe?g|eps|ps|svg|tex|tikz|csv|dat|txt|bib|cls|sty|code|hs|py|c|pgf)"
    r"|[\w.-]+(?:/[\w.-]+){2,}|[\w.-]*_[\w.-]*|\\[A-Za-z@]+/[^\s{}]*)\s*"
)
"""Arguments that no reader sees: options, lengths, labels, file names."""

LONGEST_NOT_TEXT = 300
AROUND = 40
"""Characters looked at before and after a citation."""


class Page:
    """One submission being set; `blocks` is what is being written, `page` the document itself."""

    def __init__(
        self, inputs: Input, load: Callable[[str], bool], cited: Citations, *, preamble: bool, references: bool
    ) -> None:
        self.inputs: Input = inputs
        self.load, self.cited, self.references = load, cited, references
        self.page = Blocks()
        self.blocks = Blocks() if preamble else self.page
        self.title = self.date = ""
        self.notes: list[str] = []
        """Captions and footnotes that wait for the paragraph's end."""
        self.numbers = Numbers()
        self.formula = Formula(inputs, self.numbers)
        self.environments: Environments = Environments(self)

    def set(self) -> str:
        """Read the input to its end; gives the text."""
        frames, formula = self.inputs.frames, self.formula
        while frames:
            frame = frames[-1]
            if frame.pos >= frame.end:
                self.inputs.pop()
            elif formula.closer:
                formula.step(frame, self.blocks)
            else:
                self._read(frame)
        formula.end(self.blocks)
        self.end_paragraph()
        self.title = self.numbers.filled(self.title)
        return self.numbers.filled(self.page.text())

    def end_paragraph(self) -> None:
        """Close the paragraph; captions and footnotes that waited for its end follow."""
        self.blocks.end()
        if self.notes and self.blocks is self.page and self.page.inside == "\n\n":
            for note in self.notes:
                self.page.put(note)
            self.notes.clear()

    def _read(self, frame: Frame) -> None:
        """Read on in this frame to its end, or to where something else is to be read first."""
        text, pos, end, blocks, frames = frame.source.text, frame.pos, frame.end, self.blocks, self.inputs.frames
        write, formula = blocks.line.append, self.formula
        while found := TOKEN.search(text, pos, end):
            if found.start() > pos:
                write(text[pos : found.start()])
            frame.pos = pos = found.end()
            kind = found.lastindex
            if kind is None:
                token = found[0]
                if token in MARKS:
                    write(MARKS[token])
                    continue
                if token[0] == "\n":
                    self.end_paragraph()
                elif token[0] == "$":
                    formula.begin(token, blocks)
            elif kind == 3:
                self._sign(found[3])
            else:
                self._command(found[1], frame, starred=kind == 2)
            if not frames or frames[-1] is not frame or self.blocks is not blocks or formula.closer:
                return
            pos = frame.pos
        if pos < end:
            write(text[pos:end])
        frame.pos = end

    def _sign(self, sign: str) -> None:
        if sign in CLOSERS:
            self.formula.begin(CLOSERS[sign], self.blocks)
        elif sign in self.inputs.macros and self.inputs.expand(sign):
            return
        elif sign in ACCENTS:
            self._accent(sign)
        else:
            self.blocks.line.append(SIGNS.get(sign, ""))
            if sign == "\\":
                self.inputs.option()

    def _command(self, word: str, frame: Frame, *, starred: bool) -> None:
        if self.environments.algorithm and algorithms.step(self, word, starred):
            return
        if handler := COMMANDS.get(word):
            handler(self, word)
        elif HEADINGS.get(word):
            self._heading(word, starred)
        elif word in self.inputs.macros:
            self.inputs.expand(word, starred=starred)
        elif word in HEADINGS:
            self._heading(word, starred)
        elif handler := OF_PACKAGES.get(word):
            handler(self, word)
        elif word in TRANSPARENT:
            return
        elif word in SIGNS:
            self.blocks.line.append(SIGNS[word])
        elif word in ACCENTS:
            self._accent(word)
        elif word in plain.LENGTHS:
            plain.length(self, word)
        elif word in DROPPED:
            self.drop(DROPPED[word])
        elif word in TAKES:
            self._take(*TAKES[word])
        elif word in REFERENCES:
            self._refer(REFERENCES[word], starred)
        elif CITATION.match(word):
            self._cite(word)
        elif REFERENCE.match(word) and word not in NOT_A_REFERENCE:
            self._refer("r", starred)
        elif word.startswith("if") and self.inputs.switches.get(word) is False:
            self.inputs.skip_condition()
        elif CHOICE.match(word):
            self.inputs.choose(word)
        else:
            self._unknown(word, frame)

    def _unknown(self, word: str, frame: Frame) -> None:
        """A switch of the submission's own, or a command whose name, options and settings are dropped."""
        switch = f"if{word.removesuffix('true').removesuffix('false')}"
        if switch in self.inputs.switches and word.endswith(("true", "false")):
            self.inputs.switches[switch] = word.endswith("true")
            return
        if word.endswith("graphics") or PICTURES.fullmatch(word):
            self.drop(4)
            return
        if IMPORTS.fullmatch(word):
            COMMANDS["input"](self, word)
            return
        if plain.length(self, word):
            return
        text = frame.source.text
        if text.startswith("[", frame.pos, frame.end):
            before, option = frame.pos, self.inputs.option()
            if option and not text.startswith("{", frame.pos) and not set("\\=") & set(option.text):
                frame.pos = before
                return
        while text.startswith("{", frame.pos, frame.end):
            before, span = frame.pos, self.inputs.argument(braced=True)
            if span is None or span.end - span.start > LONGEST_NOT_TEXT or not NOT_TEXT.fullmatch(span.text):
                frame.pos = before
                return

    def drop(self, arguments: int) -> None:
        """Pass over options and so many groups."""
        while self.inputs.option():
            pass
        for _ in range(arguments):
            if self.inputs.argument(braced=True) is None:
                return
            while self.inputs.option():
                pass

    def _take(self, count: int, which: int | None) -> None:
        while self.inputs.option():
            pass
        spans = []
        for _ in range(count):
            spans.append(self.inputs.argument(braced=True))
            self.inputs.option()
        if which is not None and (span := spans[which]):
            self.inputs.push(span)

    def _accent(self, accent: str) -> None:
        frame = self.inputs.top()
        if frame is None:
            return
        before, span = frame.pos, self.inputs.argument()
        letter = "" if span is None else span.text.strip()
        if letter.startswith("\\"):
            name = letter[1:].rstrip("{} ")
            letter = name if name in ("i", "j") else SIGNS.get(name, "")
            frame.pos = frame.pos if letter else before
        if letter:
            self.blocks.write(with_accent(letter, accent))

    def _refer(self, form: str, starred: bool) -> None:
        if starred:
            form = "r" if form == "C" else form
        while self.inputs.option():
            pass
        keys = self.inputs.argument(braced=True)
        self.blocks.line.append(GAP if keys is None else reference(form, keys.text))

    def _cite(self, word: str) -> None:
        while self.inputs.option():
            pass
        keys = self.inputs.argument(braced=True)
        frame = self.inputs.top()
        before = "".join(self.blocks.line[-6:])[-AROUND:]
        after = frame.source.text[frame.pos : min(frame.end, frame.pos + AROUND)] if frame else ""
        self.blocks.line.append(self.cited.printed(word, keys.text if keys else "", before, after))

    def capture(self, span: Span | None, done: Callable[[str], None]) -> None:
        """Set a stretch by itself, then hand over its text."""
        if span is None:
            return
        outer, self.blocks = self.blocks, Blocks()
        self.blocks.inside = " "

        def end() -> None:
            text, self.blocks = " ".join(self.blocks.text().split()), outer
            done(text)

        self.inputs.push(span, end)

    def _heading(self, word: str, starred: bool) -> None:
        if HEADINGS[word]:
            self.environments.leave_floats()
        self.end_paragraph()
        self.inputs.option()
        if HEADINGS[word] and not starred:
            self.numbers.step(word, "Appendix" if self.numbers.lettered == word else HEADINGS[word])
        blocks = self.blocks
        self.capture(self.inputs.argument(braced=True), lambda text: blocks.put(text, heading=True))

    def named(self, word: str, text: str) -> None:
        """Keep the title or the date, the first that is told."""
        if not getattr(self, word):
            setattr(self, word, text.replace(" ,", ","))
