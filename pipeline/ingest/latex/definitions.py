r"""What follows \newcommand, \def, \newenvironment and their kin -> the macros that a submission defines itself."""

from __future__ import annotations

import re

from pipeline.ingest.latex.macros import LONGEST_OPTION, Input, Macro, Span

NAMED = re.compile(r"\s*=?\s*(\\(?:[A-Za-z]+|[^A-Za-z\s]))(?![@_])")
PARAMETERS = re.compile(r"((?:#[1-9])*)\s*(?=\{)")


def newcommand(inputs: Input, word: str) -> None:
    r"""\newcommand{\x}[2][default]{text}; \providecommand gives way to what is there."""
    name, count, default = inputs.argument(), inputs.option(), inputs.option()
    body = inputs.argument()
    command = "" if name is None else name.text.strip()
    if body and command.startswith("\\") and not (word == "providecommand" and command[1:] in inputs.macros):
        inputs.define(command[1:], _arity(count), default.text if default else None, body.text)


def operator(inputs: Input, word: str) -> None:
    r"""\DeclareMathOperator{\x}{text}."""
    name, body = inputs.argument(), inputs.argument()
    if name and body and name.text.strip().startswith("\\"):
        inputs.define(name.text.strip()[1:], 0, None, rf"\operatorname{{{body.text}}}")


def primitive(inputs: Input, word: str) -> None:
    r"""\def\x#1#2{text}; one with anything but plain parameters is passed over."""
    frame = inputs.top()
    if frame is None or not (name := NAMED.match(frame.source.text, frame.pos, frame.end)):
        return
    frame.pos = name.end()
    parameters = PARAMETERS.match(frame.source.text, frame.pos, frame.end)
    brace = frame.source.text.find("{", frame.pos, min(frame.end, frame.pos + LONGEST_OPTION))
    if brace >= 0:
        frame.pos = brace
        if (body := inputs.argument(braced=True)) and parameters:
            inputs.define(name[1][1:], len(parameters[1]) // 2, None, body.text)


def alias(inputs: Input, word: str) -> None:
    r"""\let\x=\y: the meaning that \y has now, or its name."""
    names = []
    for _ in range(2):
        frame = inputs.top()
        if frame is None or not (name := NAMED.match(frame.source.text, frame.pos, frame.end)):
            return
        frame.pos = name.end()
        names.append(name[1])
    new, old = names
    inputs.macros[new[1:]] = inputs.macros.get(old[1:]) or Macro(0, None, [old])


def environment(inputs: Input, word: str) -> None:
    r"""\newenvironment{x}[1][default]{begin}{end}, kept as two macros."""
    name, count, default = inputs.argument(), inputs.option(), inputs.option()
    begin, end = inputs.argument(braced=True), inputs.argument(braced=True)
    if name and begin and end:
        inputs.define(f"begin {name.text}", _arity(count), default.text if default else None, begin.text)
        inputs.define(f"end {name.text}", 0, None, end.text)


def switch(inputs: Input, word: str) -> None:
    r"""\newif\ifdraft: off, until \drafttrue."""
    name = inputs.argument()
    if name and name.text.startswith("\\if"):
        inputs.switches.setdefault(name.text[1:], False)


def _arity(count: Span | None) -> int:
    told = "" if count is None else count.text.strip()
    return int(told) if re.fullmatch("[1-9]", told) else 0
