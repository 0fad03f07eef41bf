"""LaTeX -> paragraphs, headings and list lines, in one pass over the input without recursion.

Formulas stay TeX. Citations, references, footnotes, pictures and the insides of floats are left out; captions follow
the paragraph in which their float stands. An unknown command is dropped and its braces are opened.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from pipeline.ingest.blocks import GAP, Blocks
from pipeline.ingest.latex import definitions
from pipeline.ingest.latex import files as texfiles
from pipeline.ingest.latex.environments import Environments
from pipeline.ingest.latex.macros import Frame, Input, Span
from pipeline.ingest.latex.maths import Formula
from pipeline.ingest.latex.words import ACCENTS, DROPPED, HEADINGS, NOT_A_REFERENCE, REFERENCE, SIGNS, TAKES

TOKEN = re.compile(
    r"\\(?P<word>[A-Za-z]+)\*?[ \t]*(?:\n[ \t]*(?!\s))?|\\(?P<sign>(?s:.))|(?P<math>\$\$?)"
    r"|(?P<comment>%[^\n]*\n?[ \t]*)|(?P<blank>\n[ \t]*\n\s*)|(?P<mark>[{}~&#]|---?|``|''|`|\\)"
)
MARKS = {"---": "—", "--": "–", "``": '"', "''": '"', "`": "'", "~": " ", "&": " "}
CLOSERS = {"[": r"\]", "(": r"\)"}
VERB = re.compile(r"([^A-Za-z\s*{])(.*?)\1|\{([^{}\n]*)\}")
LONGEST_VERB = 400
ESCAPED = re.compile(r"\\([A-Za-z]+|.)[ ]?")
IMPORTS = re.compile(r"[A-Za-z]*(?:input|include|import|subfile)")
"""What books make of \\input for themselves, such as \\bookimport[folder]{file}: nothing if there is no such file."""


class Page:
    """One submission being set; `blocks` is what is being written, `page` the document itself."""

    def __init__(self, inputs: Input, load: Callable[[str], bool], *, preamble: bool, references: bool) -> None:
        self.inputs, self.load, self.references = inputs, load, references
        self.page = Blocks()
        self.blocks = Blocks() if preamble else self.page
        self.title = self.date = ""
        self.captions: list[str] = []
        self.formula = Formula(inputs)
        self.environments = Environments(self)

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
                self._step(frame)
        formula.end(self.blocks)
        self.end_paragraph()
        return self.page.text()

    def end_paragraph(self) -> None:
        """Close the paragraph; captions that waited for its end follow."""
        self.blocks.end()
        if self.captions and self.blocks is self.page and self.page.inside == "\n\n":
            for caption in self.captions:
                self.page.put(caption)
            self.captions.clear()

    def _step(self, frame: Frame) -> None:
        text, start = frame.source.text, frame.pos
        found = TOKEN.search(text, start, frame.end)
        if found is None:
            self.blocks.line.append(text[start : frame.end])
            frame.pos = frame.end
            return
        if found.start() > start:
            self.blocks.line.append(text[start : found.start()])
        frame.pos = found.end()
        kind = found.lastgroup
        if kind == "word":
            self._command(found["word"], frame)
        elif kind == "sign":
            self._sign(found["sign"])
        elif kind == "mark":
            self.blocks.line.append(MARKS.get(found["mark"], ""))
        elif kind == "blank":
            self.end_paragraph()
        elif kind == "math":
            self.formula.begin(found["math"])

    def _sign(self, sign: str) -> None:
        if sign in CLOSERS:
            self.formula.begin(CLOSERS[sign])
        elif sign in ACCENTS and sign not in self.inputs.macros:
            self._accent(sign)
        elif sign in self.inputs.macros and self.inputs.expand(sign):
            return
        else:
            self.blocks.line.append(SIGNS.get(sign, ""))
            if sign == "\\":
                self.inputs.option()

    def _command(self, word: str, frame: Frame) -> None:
        if handler := COMMANDS.get(word):
            handler(self, word)
        elif word in HEADINGS:
            self._heading()
        elif word in self.inputs.macros and self.inputs.expand(word):
            return
        elif word in SIGNS:
            self.blocks.line.append(SIGNS[word])
            if word == "hspace":
                self.inputs.argument()
        elif word in ACCENTS:
            self._accent(word)
        elif word in DROPPED:
            self.drop(DROPPED[word])
        elif word in TAKES:
            self._take(*TAKES[word])
        elif REFERENCE.match(word) and word not in NOT_A_REFERENCE:
            self.drop(1)
            self.blocks.line.append(GAP)
        elif word.startswith("if") and self.inputs.switches.get(word) is False:
            self.inputs.skip_condition()
        else:
            self._unknown(word, frame)

    def _unknown(self, word: str, frame: Frame) -> None:
        """A switch of the submission's own, or a command whose name and option are dropped."""
        switch = f"if{word.removesuffix('true').removesuffix('false')}"
        if switch in self.inputs.switches and word.endswith(("true", "false")):
            self.inputs.switches[switch] = word.endswith("true")
        elif IMPORTS.fullmatch(word):
            texfiles.draw_in(self, word)
        elif frame.pos < frame.end and frame.source.text[frame.pos] == "[":
            before, option = frame.pos, self.inputs.option()
            if option and frame.source.text[frame.pos : frame.pos + 1] != "{" and not set("\\=") & set(option.text):
                frame.pos = before

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
            self.blocks.write(unicodedata.normalize("NFC", letter[0] + ACCENTS[accent]) + letter[1:])

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

    def _heading(self) -> None:
        self.end_paragraph()
        self.inputs.option()
        blocks = self.blocks
        self.capture(self.inputs.argument(braced=True), lambda text: blocks.put(text, heading=True))

    def _caption(self, word: str) -> None:
        self.inputs.option()
        if word == "captionof":
            self.inputs.argument()
            self.inputs.option()
        self.capture(self.inputs.argument(braced=True), self.captions.append)

    def _named(self, word: str) -> None:
        self.inputs.option()

        def keep(text: str) -> None:
            if not getattr(self, word):
                setattr(self, word, text.replace(" ,", ","))

        self.capture(self.inputs.argument(braced=True), keep)

    def _item(self, word: str) -> None:
        self.blocks.end()
        self.blocks.prefix = "- "
        if word == "bibitem":
            self.drop(1)
        elif option := self.inputs.option():
            self.inputs.push(option, lambda: self.blocks.write(" "))

    def abstract(self) -> None:
        """Begin the abstract; some classes want it before the document begins."""
        self.end_paragraph()
        self.page.put("Abstract", heading=True)

    def _verb(self, word: str) -> None:
        frame = self.inputs.frames[-1]
        while word == "lstinline" and self.inputs.option():
            pass
        if found := VERB.match(frame.source.text, frame.pos, min(frame.end, frame.pos + LONGEST_VERB)):
            self.blocks.write(found[2] if found[1] else found[3])
            frame.pos = found.end()

    def _ensure_math(self, word: str) -> None:
        if span := self.inputs.argument():
            self.formula.begin("ensure")
            self.inputs.push(span, lambda: self.formula.end(self.blocks) if self.formula.closer == "ensure" else None)

    def _url(self, word: str) -> None:
        if span := self.inputs.argument(braced=True):
            self.blocks.write(ESCAPED.sub(lambda found: self._in_address(found[1]), span.text))

    def _in_address(self, word: str) -> str:
        macro = self.inputs.macros.get(word)
        if macro and not macro.arity:
            return macro.pieces[0]
        return "" if word.isalpha() else word

    def _space(self, word: str) -> None:
        if (frame := self.inputs.top()) and frame.pos < frame.end:
            following = frame.source.text[frame.pos]
            if following.isalnum() or following in "$(\\":
                self.blocks.write(" ")


COMMANDS: dict[str, Callable[[Page, str], None]] = {
    **dict.fromkeys(
        ("newcommand", "renewcommand", "providecommand", "DeclareRobustCommand"),
        lambda page, word: definitions.newcommand(page.inputs, word),
    ),
    **dict.fromkeys(("def", "gdef", "edef", "xdef"), lambda page, word: definitions.primitive(page.inputs, word)),
    **dict.fromkeys(
        ("newenvironment", "renewenvironment"), lambda page, word: definitions.environment(page.inputs, word)
    ),
    "DeclareMathOperator": lambda page, word: definitions.operator(page.inputs, word),
    "let": lambda page, word: definitions.alias(page.inputs, word),
    "newif": lambda page, word: definitions.switch(page.inputs, word),
    "newtheorem": lambda page, word: page.environments.newtheorem(),
    **dict.fromkeys(
        ("DefineVerbatimEnvironment", "lstnewenvironment", "newminted"),
        lambda page, word: page.environments.newverbatim(word),
    ),
    **dict.fromkeys(("input", "include", "subfile", "subfileinclude", "import", "subimport"), texfiles.draw_in),
    **dict.fromkeys(("usepackage", "RequirePackage"), texfiles.package),
    **dict.fromkeys(("bibliography", "printbibliography"), texfiles.bibliography),
    **dict.fromkeys(("caption", "captionof", "tablecaption"), Page._caption),
    **dict.fromkeys(("title", "date"), Page._named),
    **dict.fromkeys(("item", "bibitem"), Page._item),
    **dict.fromkeys(("verb", "lstinline"), Page._verb),
    **dict.fromkeys(("url", "path", "nolinkurl"), Page._url),
    **dict.fromkeys(("endinput", "bye"), texfiles.stop),
    "xspace": Page._space,
    "ensuremath": Page._ensure_math,
    "abstract": lambda page, word: page.abstract(),
    "par": lambda page, word: page.end_paragraph(),
    "else": lambda page, word: page.inputs.skip_condition(),
    "begin": lambda page, word: page.environments.begin(),
    "end": lambda page, word: page.environments.end(),
}
"""Commands that a submission's own definitions do not replace."""
