"""The formulas of a LaTeX text: kept as TeX, with the submission's own macros expanded and labels taken out."""

from __future__ import annotations

import re

from pipeline.ingest.blocks import Blocks
from pipeline.ingest.latex.macros import CHOICE, Frame, Input
from pipeline.ingest.latex.numbers import Numbers, reference

TOKEN = re.compile(r"\\([A-Za-z]+)|\\((?s:.))|\$\$?|[{}]|%[^\n]*\n?[ \t]*|\n[ \t]*\n\s*")
"""A command in letters, a command of one sign, or a mark."""

NAME = re.compile(r"\s*\{([^{}\n]{0,80})\}")
ENDS_IN_A_WORD = re.compile(r"\\[A-Za-z]+\Z")
SIMPLE = re.compile(r"(?:[^$\\%\n]++|\n(?![ \t]*+\n)|\\[^$\n()])++(?=\$)")
"""A formula after its dollar sign, in one paragraph and without comments or formulas in it."""

COMMANDS = re.compile(r"\\([A-Za-z]+|(?s:.))")
BLANK_LINE = re.compile(r"\n[ \t]*\n")
BROKEN_BY_A_BLANK_LINE = ("$", "$$", r"\]", r"\)")
INLINE = {"$": ("$", "$"), "ensure": ("$", "$"), "math": ("$", "$"), r"\)": (r"\(", r"\)")}
DISPLAY = {"$$": ("$$", "$$"), r"\]": (r"\[", r"\]")}
ONE_NUMBER = frozenset({"equation", "multline", "dmath"})
NUMBER_A_ROW = frozenset({"align", "gather", "eqnarray", "flalign", "alignat", "xalignat", "IEEEeqnarray"})
UNSEEN = {"index": 1, "vspace": 1, "xspace": 0, "ensuremath": 0, "endinput": 0}
"""What is taken out of a formula, with so many arguments."""

REFERENCES = {"ref": "r", "eqref": "e", "autoref": "C", "cref": "c", "Cref": "C"}
ACTING = frozenset({*UNSEEN, *REFERENCES, "label", "nonumber", "notag", "tag", "mathchoice", "begin", "end"})
"""Commands that are not simply part of the formula."""

LONGEST = 100_000
"""Characters of one formula; a longer one is a dollar sign that was never paired."""


class Formula:
    """The formula being read, if there is one; `closer` is what ends it: `$`, a bracket, or an environment's name."""

    def __init__(self, inputs: Input, numbers: Numbers) -> None:
        self.inputs, self.numbers = inputs, numbers
        self.closer = ""
        self.parts: list[str] = []
        self.size = self.depth = self.nested = 0
        self.labels: list[str] = []
        self.unnumbered = False

    def begin(self, closer: str, blocks: Blocks) -> None:
        """Go into a formula; one that no macro and no label touches is written at once."""
        frame = self.inputs.top()
        if frame is None or not self._at_once(closer, frame, blocks):
            self.closer, self.parts, self.size, self.depth, self.nested = closer, [], 0, 0, 0
            self.labels, self.unnumbered = [], False

    def _at_once(self, closer: str, frame: Frame, blocks: Blocks) -> bool:
        text, start = frame.source.text, frame.pos
        if closer == "$":
            found = SIMPLE.match(text, start, min(frame.end, start + LONGEST))
            if found is None:
                return False
            tex = found[0]
        elif closer == "ensure":
            return False
        else:
            ending = closer if closer in BROKEN_BY_A_BLANK_LINE else f"\\end{{{closer}}}"
            end = frame.source.find(ending, start, frame.end)
            if not 0 <= end - start < LONGEST:
                return False
            tex = text[start:end]
            if "%" in tex or "$" in tex or BLANK_LINE.search(tex):
                return False
        words = COMMANDS.findall(tex)
        if not (ACTING.isdisjoint(words) and self.inputs.macros.keys().isdisjoint(words)):
            return False
        if tex.count("{") - words.count("{") != tex.count("}") - words.count("}"):
            return False
        frame.pos = start + len(tex) + (len(closer) if closer in BROKEN_BY_A_BLANK_LINE else len(closer) + 6)
        plain = closer.rstrip("*")
        rows = 1 if closer in ONE_NUMBER else words.count("\\") + 1 if plain == closer and closer in NUMBER_A_ROW else 0
        for _ in range(rows):
            self.numbers.step("equation")
        _write(closer, tex.strip(), blocks)
        return True

    def step(self, frame: Frame, blocks: Blocks) -> None:
        """Read on in this frame to its end or the formula's, or to where something else is to be read first."""
        text, pos, end, macros, frames = frame.source.text, frame.pos, frame.end, self.inputs.macros, self.inputs.frames
        fresh = True
        while found := TOKEN.search(text, pos, end):
            start, word = found.start(), found[1]
            if word and word not in macros and word not in ACTING and word[:2] != "If":
                self._add(text[pos : found.end()], fresh)
                pos, fresh = found.end(), False
                continue
            if start > pos:
                self._add(text[pos:start], fresh)
                fresh = False
            frame.pos = found.end()
            self._token(found, frame, blocks)
            if not frames or frames[-1] is not frame or not self.closer:
                return
            fresh = fresh or frame.pos != found.end()
            pos = frame.pos
        if pos < end:
            self._add(text[pos:end], fresh)
        frame.pos = end
        if self.size > LONGEST:
            self.end(blocks)

    def _token(self, found: re.Match[str], frame: Frame, blocks: Blocks) -> None:
        token, word, sign = found[0], found[1], found[2]
        if self.size > LONGEST:
            self.end(blocks)
        elif word:
            if not (word == "end" and self._closes(blocks)):
                self._word(word, token)
        elif self.depth <= 0 and (token == self.closer or (token == "$$" and self.closer == "$")):
            frame.pos -= len(token) - len(self.closer)
            self.end(blocks)
        elif token[0] == "\n" and self.closer in BROKEN_BY_A_BLANK_LINE:
            frame.pos = found.start()
            self.end(blocks)
        elif sign and sign in self.inputs.macros and self.inputs.expand(sign):
            return
        elif token[0] != "%":
            self.depth += (token == "{") - (token == "}")
            if token == "\\\\" and self.depth <= 0 and self.nested <= 0:
                self._row(NUMBER_A_ROW)
            self._add("\n" if token[0] == "\n" else token, fresh=False)

    def _closes(self, blocks: Blocks) -> bool:
        frame = self.inputs.top()
        found = NAME.match(frame.source.text, frame.pos, frame.end) if frame else None
        if frame is None or found is None or found[1].strip() not in (self.closer, "document"):
            return False
        if found[1].strip() == self.closer:
            frame.pos = found.end()
        else:
            frame.pos -= len(r"\end")
        self.end(blocks)
        return True

    def _row(self, numbered: frozenset[str]) -> None:
        """Count an equation, unless it says that it has no number; its labels get it."""
        if not self.unnumbered and self.closer in numbered:
            self.numbers.step("equation")
        for label in self.labels:
            self.numbers.label(label)
        self.labels, self.unnumbered = [], False

    def _word(self, word: str, token: str) -> None:
        inputs = self.inputs
        if word in UNSEEN:
            for _ in range(UNSEEN[word]):
                inputs.argument(braced=True)
        elif word == "label":
            if label := inputs.argument(braced=True):
                self.labels.append(label.text)
        elif word in ("nonumber", "notag"):
            self.unnumbered = True
        elif word == "tag":
            self._tag()
        elif word in REFERENCES:
            if keys := inputs.argument(braced=True):
                self._add(reference(REFERENCES[word], keys.text))
        elif word == "mathchoice":
            choices = [inputs.argument(braced=True) for _ in range(4)]
            if choices[0]:
                inputs.push(choices[0])
        elif word[:2] == "If" and CHOICE.match(word):
            inputs.choose(word)
        elif word not in inputs.macros or not inputs.expand(word):
            self.nested += (word == "begin") - (word == "end")
            self._add(token)

    def _tag(self) -> None:
        r"""\tag{x}: the number is told, not counted."""
        if told := self.inputs.argument(braced=True):
            self.numbers.current = ("equation", told.text.strip("$ "))
            self.unnumbered = True
            self._add(rf"\tag{{{told.text}}}")

    def _add(self, piece: str, fresh: bool = True) -> None:
        if fresh and self.parts and piece[:1].isalpha() and ENDS_IN_A_WORD.search(self.parts[-1][-40:]):
            self.parts.append(" ")
        self.parts.append(piece)
        self.size += len(piece)

    def end(self, blocks: Blocks) -> None:
        """Leave the formula: write it into the paragraph, or set it apart."""
        if not self.closer:
            return
        closer, tex = self.closer, "".join(self.parts).strip()
        if closer in ONE_NUMBER or (closer in NUMBER_A_ROW and not tex.endswith("\\\\")) or self.labels:
            self._row(ONE_NUMBER | NUMBER_A_ROW)
        self.closer, self.parts = "", []
        _write(closer, tex, blocks)


def _write(closer: str, tex: str, blocks: Blocks) -> None:
    if not tex:
        return
    if closer in INLINE:
        left, right = INLINE[closer]
        blocks.write(f"{left}{tex}{right}")
        return
    left, right = DISPLAY.get(closer, (f"\\begin{{{closer}}}", f"\\end{{{closer}}}"))
    feed = "\n" if "\n" in tex else ""
    blocks.end()
    blocks.put(f"{left}{feed}{tex}{feed}{right}")
