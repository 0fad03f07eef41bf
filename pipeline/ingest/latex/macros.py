"""TeX's input -> the same with the submission's own macros expanded: a stack of texts, read from the top.

Every step moves a position forward or is paid for from a bounded allowance, so a macro that grows without end
costs no more than a long paper does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

MOST_EXPANDED = 4_000_000
"""Characters that macros may put into one document; a book of 1.7 million, full of short forms, needed 1.2 million."""

MOST_AT_ONCE = 200_000
"""Characters that one use of a macro may make with all that it uses; past this it is given up. Largest seen: 1,094."""

DEEPEST = 64
"""Macros within macros; the deepest of 16 sources tried were 6."""

PRICE = 24
"""What an expansion costs besides its length, in characters, so that empty ones are not free."""

LONGEST_OPTION = 4_000
"""Characters searched for the end of an optional argument."""

NESTED_OPTIONS = 4
"""Brackets within an optional argument; with more, a row of open brackets would be searched again from each."""

BRACE = re.compile(r"\\(?:url|path|href|nolinkurl)[ ]*(\{)[^{}\n]*(\})|\\(?s:.)|%[^\n]*|[{}]")
GROUP = re.compile(r"\{(?:[^{}\\%]++|\\(?:[^A-Za-z]|[A-Za-z]++)|\{(?:[^{}\\%]++|\\(?:[^A-Za-z]|[A-Za-z]++))*+\})*+\}")
"""A group with at most one level in it and nothing commented out, as nearly all are."""


OPTION = re.compile(r"\\(?s:.)|%[^\n]*|[{\[\]]")
BLANK = re.compile(r"(?:\s|%[^\n]*(?:\n|\Z))*")
COMMAND = re.compile(r"\\(?:[A-Za-z@]+|(?s:.))")
ENDS_IN_A_WORD = re.compile(r"\\[A-Za-z]+\Z")
CONDITION = re.compile(r"\\(if[A-Za-z@]*|else|fi)(?![A-Za-z@])")
NO_VALUE, TRUE, FALSE = r"\NoValue", r"\BooleanTrue", r"\BooleanFalse"
"""What \\NewDocumentCommand hands over for an argument left out, a star that stands, one that does not."""

CHOICE = re.compile(r"If(?:No)?(?:Value|Boolean|Blank)(?:TF|T|F)\Z")
PROGRAMS = re.compile(r"\\(?:if|csname|expandafter|futurelet|@|catcode|loop|read|afterassignment|protected@)|@")
"""What only TeX itself can carry out: a macro with this in it is left alone."""


class Source:
    """A text with its pairs of braces, found in one pass when first asked for."""

    __slots__ = ("_pairs", "absent", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.absent: set[str] = set()
        self._pairs: dict[int, int] | None = None

    def close_of(self, brace: int) -> int | None:
        """Where the group that opens here closes; None if it never does."""
        if self._pairs is None:
            if found := GROUP.match(self.text, brace):
                return found.end() - 1
            self._pairs, opened = {}, []
            for found in BRACE.finditer(self.text):
                sign = found[0]
                if sign == "{":
                    opened.append(found.start())
                elif sign == "}":
                    if opened:
                        self._pairs[opened.pop()] = found.start()
                elif found[1]:
                    self._pairs[found.start(1)] = found.start(2)
        return self._pairs.get(brace)

    def find(self, what: str, start: int, end: int) -> int:
        """As str.find; what is missing once is not looked for again."""
        if what in self.absent:
            return -1
        place = self.text.find(what, start, end)
        if place < 0 and end == len(self.text):
            self.absent.add(what)
        return place


class Span(NamedTuple):
    """A stretch of a source: an argument without its braces."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]


class Frame:
    """A stretch that is being read; `then` is done at its end."""

    __slots__ = ("depth", "end", "file", "pos", "source", "then")

    def __init__(self, span: Span, depth: int, then: Callable[[], None] | None, file: str | None) -> None:
        self.source, self.pos, self.end = span
        self.depth, self.then, self.file = depth, then, file


class Parameter(NamedTuple):
    """One argument of a macro: `m` in braces, `o` in the brackets `pair`, `s` a star, `v` nothing that is printed."""

    kind: str
    default: str = ""
    pair: str = "[]"


class Macro(NamedTuple):
    """A definition: its text cut at its parameters, even places text, odd places their numbers."""

    parameters: tuple[Parameter, ...]
    pieces: list[str]


class Input:
    """The texts being read, the macros known, and what is left of the allowance."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.macros: dict[str, Macro] = {}
        self.switches: dict[str, bool] = {"iffalse": False, "iftrue": True}
        self.allowance = MOST_EXPANDED
        self._root = (0, "", 0)

    def push(self, span: Span, then: Callable[[], None] | None = None, *, file: str | None = None) -> None:
        """Read this stretch next."""
        self.frames.append(Frame(span, self.frames[-1].depth if self.frames else 0, then, file))

    def pop(self) -> None:
        """Leave the stretch on top."""
        frame = self.frames.pop()
        if frame.then:
            frame.then()

    def top(self) -> Frame | None:
        """The frame that holds the next character; a macro's text may end before its last argument."""
        while self.frames:
            frame = self.frames[-1]
            if frame.pos < frame.end or frame.then or frame.depth == 0:
                return frame
            self.frames.pop()
        return None

    def open_files(self) -> list[str]:
        """The files being read, outermost first."""
        return [frame.file for frame in self.frames if frame.file is not None]

    def option(self, pair: str = "[]") -> Span | None:
        """An optional argument in brackets, if one follows."""
        frame = self.top()
        if frame is None:
            return None
        text, start = frame.source.text, self._after_blank(frame)
        if start >= frame.end or text[start] != pair[0]:
            return None
        if pair != "[]":
            return self._delimited(frame, start, pair[1])
        place, last, depth = start + 1, min(frame.end, start + LONGEST_OPTION), 0
        while found := OPTION.search(text, place, last):
            place = found.end()
            if found[0] == "{":
                close = frame.source.close_of(found.start())
                place = place if close is None else close + 1
            elif found[0] == "[":
                depth += 1
                if depth > NESTED_OPTIONS:
                    return None
            elif found[0] == "]" and depth:
                depth -= 1
            elif found[0] == "]":
                frame.pos = place
                return Span(frame.source, start + 1, found.start())
        return None

    def _delimited(self, frame: Frame, start: int, closing: str) -> Span | None:
        last = min(frame.end, start + LONGEST_OPTION)
        if closing == "}" and frame.source.text[start] == "{":
            return self.argument(braced=True)
        close = frame.source.text.find(closing, start + 1, last)
        if close < 0:
            return None
        frame.pos = close + 1
        return Span(frame.source, start + 1, close)

    def argument(self, *, braced: bool = False) -> Span | None:
        """The next argument: a group, or (unless `braced`) a command or a character."""
        frame = self.top()
        if frame is None:
            return None
        text, start = frame.source.text, self._after_blank(frame)
        if start >= frame.end or "\n\n" in text[frame.pos : start]:
            return None
        if text[start] == "{":
            close = frame.source.close_of(start)
            if close is None or close >= frame.end:
                return None
            frame.pos = close + 1
            return Span(frame.source, start + 1, close)
        if braced or text[start] == "}":
            return None
        command = COMMAND.match(text, start, frame.end)
        frame.pos = command.end() if command else start + 1
        return Span(frame.source, start, frame.pos)

    def _after_blank(self, frame: Frame) -> int:
        blank = BLANK.match(frame.source.text, frame.pos, frame.end)
        return blank.end() if blank else frame.pos

    def define(self, name: str, parameters: tuple[Parameter, ...], body: str) -> None:
        """Know a macro, unless only TeX could carry it out."""
        if not PROGRAMS.search(body):
            self.macros[name] = Macro(parameters, re.split(r"#([1-9])", body))

    def expand(self, name: str, *, starred: bool = False) -> bool:
        """Put a macro's text, with its arguments in it, before what follows; False when it cannot be."""
        macro, depth = self.macros[name], self.frames[-1].depth
        if depth == 0:
            self._root = (len(self.frames), name, 0)
        if depth >= DEEPEST or self.allowance <= 0:
            return False
        arguments = [self._given(parameter, starred) for parameter in macro.parameters]
        pieces = macro.pieces
        text = pieces[0] if len(pieces) == 1 else "".join(self._filled(pieces, arguments))
        self.allowance -= len(text) + PRICE
        base, root, spent = self._root
        self._root = (base, root, spent + len(text) + PRICE)
        if self._root[2] > MOST_AT_ONCE:
            self._give_up()
        elif text:
            self.frames.append(Frame(Span(Source(text), 0, len(text)), depth + 1, None, None))
        return True

    def _given(self, parameter: Parameter, starred: bool) -> str:
        if parameter.kind == "m":
            argument = self.argument()
            return "" if argument is None else argument.text
        if parameter.kind == "o":
            option = self.option(parameter.pair)
            return parameter.default if option is None else option.text
        if parameter.kind == "s":
            return TRUE if starred or self._sign("*") else FALSE
        return TRUE if parameter.kind == "t" and self._sign(parameter.default) else FALSE

    def _sign(self, sign: str) -> bool:
        frame = self.top()
        if frame is None or not sign or not frame.source.text.startswith(sign, frame.pos, frame.end):
            return False
        frame.pos += len(sign)
        return True

    def choose(self, word: str) -> None:
        r"""\IfNoValueTF and its kin: go on with the branch that the argument asks for."""
        tested = self.argument()
        told = "" if tested is None else tested.text.strip()
        holds = told == TRUE
        if "Value" in word:
            holds = (told == NO_VALUE) == ("No" in word)
        elif "Blank" in word:
            holds = not told
        branches = [self.argument() if branch in word[-2:] else None for branch in "TF"]
        if chosen := branches[not holds]:
            self.push(chosen)

    def _filled(self, pieces: list[str], arguments: list[str]) -> Iterator[str]:
        for place, piece in enumerate(pieces):
            if place % 2 == 0:
                yield piece
            elif int(piece) <= len(arguments):
                argument = arguments[int(piece) - 1]
                if argument[:1].isalpha() and ENDS_IN_A_WORD.search(pieces[place - 1]):
                    yield " "
                yield argument

    def _give_up(self) -> None:
        base, root, _ = self._root
        while len(self.frames) > base:
            self.pop()
        self.macros.pop(root, None)

    def skip_condition(self) -> None:
        r"""Go on after the \else or \fi that belongs to a condition just read, in the same text."""
        frame = self.frames[-1]
        nested = 0
        if r"\fi" in frame.source.absent:
            return
        for found in CONDITION.finditer(frame.source.text, frame.pos, frame.end):
            if found[1].startswith("if"):
                nested += 1
            elif nested == 0:
                frame.pos = found.end()
                return
            elif found[1] == "fi":
                nested -= 1
        frame.source.absent.add(r"\fi")
