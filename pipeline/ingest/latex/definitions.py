r"""What follows \newcommand, \def, \newenvironment and their kin -> the macros that a submission defines itself."""

from __future__ import annotations

import re

from pipeline.ingest.latex.macros import LONGEST_OPTION, NO_VALUE, Input, Macro, Parameter, Span

NAMED = re.compile(r"\s*=?\s*(\\(?:[A-Za-z]+|[^A-Za-z\s]))(?![@_])")
SPECIFIED = re.compile(r"[+!>]?([smovlubtrRdDoOgGe])((?<=[dDrR])\s*\S\S|(?<=t)\s*\S|)\s*(?:\{([^{}]*)\})?")
PARAMETERS = re.compile(r"((?:#[1-9])*)\s*(?=\{)")


def newcommand(inputs: Input, word: str) -> None:
    r"""\newcommand{\x}[2][default]{text}; \providecommand gives way to what is there."""
    name, count, default = inputs.argument(), inputs.option(), inputs.option()
    body = inputs.argument()
    command = "" if name is None else name.text.strip()
    if body and command.startswith("\\") and not (word == "providecommand" and command[1:] in inputs.macros):
        inputs.define(command[1:], _parameters(count, default), body.text)


def document_command(inputs: Input, word: str) -> None:
    r"""\NewDocumentCommand{\x}{O{z} m}{text}, with every kind of argument that its specification knows."""
    name, specification, body = inputs.argument(), inputs.argument(braced=True), inputs.argument(braced=True)
    command = "" if name is None else name.text.strip()
    given = word.startswith("Provide") and command[1:] in inputs.macros
    if specification and body and command.startswith("\\") and not given:
        inputs.define(command[1:], _specified(specification.text), body.text)


def document_environment(inputs: Input, word: str) -> None:
    r"""\NewDocumentEnvironment{x}{o m}{begin}{end}."""
    name, specification = inputs.argument(), inputs.argument(braced=True)
    begin, end = inputs.argument(braced=True), inputs.argument(braced=True)
    if name and specification and begin and end:
        inputs.define(f"begin {name.text}", _specified(specification.text), begin.text)
        inputs.define(f"end {name.text}", (), end.text)


def operator(inputs: Input, word: str) -> None:
    r"""\DeclareMathOperator{\x}{text}."""
    name, body = inputs.argument(), inputs.argument()
    if name and body and name.text.strip().startswith("\\"):
        inputs.define(name.text.strip()[1:], (), rf"\operatorname{{{body.text}}}")


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
            inputs.define(name[1][1:], (Parameter("m"),) * (len(parameters[1]) // 2), body.text)


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
    inputs.macros[new[1:]] = inputs.macros.get(old[1:]) or Macro((), [old])


def environment(inputs: Input, word: str) -> None:
    r"""\newenvironment{x}[1][default]{begin}{end}, kept as two macros."""
    name, count, default = inputs.argument(), inputs.option(), inputs.option()
    begin, end = inputs.argument(braced=True), inputs.argument(braced=True)
    if name and begin and end:
        inputs.define(f"begin {name.text}", _parameters(count, default), begin.text)
        inputs.define(f"end {name.text}", (), end.text)


def switch(inputs: Input, word: str) -> None:
    r"""\newif\ifdraft: off, until \drafttrue."""
    name = inputs.argument()
    if name and name.text.startswith("\\if"):
        inputs.switches.setdefault(name.text[1:], False)


def _parameters(count: Span | None, default: Span | None) -> tuple[Parameter, ...]:
    told = "" if count is None else count.text.strip()
    parameters = (Parameter("m"),) * (int(told) if re.fullmatch("[1-9]", told) else 0)
    return (Parameter("o", default.text), *parameters[1:]) if default and parameters else parameters


def _specified(specification: str) -> tuple[Parameter, ...]:
    """At most nine; what is not understood is taken as an argument in braces."""
    parameters: list[Parameter] = []
    for kind, pair, default in SPECIFIED.findall(specification)[:9]:
        if kind in "oOdDgG":
            brackets = pair.strip() if kind in "dD" else "{}" if kind in "gG" else "[]"
            brackets = brackets if len(brackets) == 2 else "[]"
            parameters.append(Parameter("o", default if kind in "ODG" else NO_VALUE, brackets))
        elif kind in "st":
            parameters.append(Parameter(kind, pair.strip()[:1]))
        else:
            parameters.append(Parameter("m"))
    return tuple(parameters)
