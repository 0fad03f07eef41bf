"""The formulas of a LaTeX text: kept as TeX, with the submission's own macros expanded and labels taken out."""

from __future__ import annotations

import re

from pipeline.ingest.blocks import Blocks
from pipeline.ingest.latex.macros import Frame, Input

TOKEN = re.compile(
    r"\\(?P<word>[A-Za-z]+)|\\(?P<sign>(?s:.))|(?P<mark>\$\$?|[{}])"
    r"|(?P<comment>%[^\n]*\n?[ \t]*)|(?P<blank>\n[ \t]*\n\s*)"
)
NAME = re.compile(r"\s*\{([^{}\n]{0,80})\}")
ENDS_IN_A_WORD = re.compile(r"\\[A-Za-z]+\Z")
BROKEN_BY_A_BLANK_LINE = ("$", "$$", r"\]", r"\)")
INLINE = {"$": ("$", "$"), "ensure": ("$", "$"), "math": ("$", "$"), r"\)": (r"\(", r"\)")}
DISPLAY = {"$$": ("$$", "$$"), r"\]": (r"\[", r"\]")}
UNSEEN = {"label": 1, "index": 1, "vspace": 1, "nonumber": 0, "notag": 0, "xspace": 0, "ensuremath": 0}
"""What is taken out of a formula, with so many arguments."""

LONGEST = 100_000
"""Characters of one formula; a longer one is a dollar sign that was never paired."""


class Formula:
    """The formula being read, if there is one; `closer` is what ends it: `$`, a bracket, or an environment's name."""

    def __init__(self, inputs: Input) -> None:
        self.inputs = inputs
        self.closer = ""
        self.parts: list[str] = []
        self.size = self.depth = 0

    def begin(self, closer: str) -> None:
        """Go into a formula."""
        self.closer, self.parts, self.size, self.depth = closer, [], 0, 0

    def step(self, frame: Frame, blocks: Blocks) -> None:
        """Read up to the next token and with it; the formula's end writes it."""
        text, start = frame.source.text, frame.pos
        found = TOKEN.search(text, start, frame.end)
        stop = frame.end if found is None else found.start()
        frame.pos = frame.end if found is None else found.end()
        if stop > start:
            self._add(text[start:stop])
        if self.size > LONGEST:
            self.end(blocks)
        elif found is not None:
            self._token(found, frame, blocks)

    def _token(self, found: re.Match[str], frame: Frame, blocks: Blocks) -> None:
        token, kind = found[0], found.lastgroup
        if kind == "word":
            if not (token == r"\end" and self._closes(blocks)):
                self._word(found["word"], token)
        elif self.depth <= 0 and (token == self.closer or (token == "$$" and self.closer == "$")):
            frame.pos -= len(token) - len(self.closer)
            self.end(blocks)
        elif kind == "blank" and self.closer in BROKEN_BY_A_BLANK_LINE:
            frame.pos = found.start()
            self.end(blocks)
        elif kind == "sign" and found["sign"] in self.inputs.macros and self.inputs.expand(found["sign"]):
            return
        elif kind != "comment":
            self.depth += (token == "{") - (token == "}")
            self._add("\n" if kind == "blank" else token)

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

    def _word(self, word: str, token: str) -> None:
        inputs = self.inputs
        if word in UNSEEN:
            for _ in range(UNSEEN[word]):
                inputs.argument(braced=True)
        elif word == "mathchoice":
            choices = [inputs.argument(braced=True) for _ in range(4)]
            if choices[0]:
                inputs.push(choices[0])
        elif word not in inputs.macros or not inputs.expand(word):
            self._add(token)

    def _add(self, piece: str) -> None:
        if self.parts and piece[:1].isalpha() and ENDS_IN_A_WORD.match(self.parts[-1]):
            self.parts.append(" ")
        self.parts.append(piece)
        self.size += len(piece)

    def end(self, blocks: Blocks) -> None:
        """Leave the formula: write it into the paragraph, or set it apart."""
        closer, tex = self.closer, "".join(self.parts).strip()
        self.closer, self.parts = "", []
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
