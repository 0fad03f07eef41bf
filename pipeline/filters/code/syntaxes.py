"""How languages write comments and strings, as far as a scanner needs to tell them from code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

STRING, CHARACTER = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    line: tuple[str, ...] = ()
    """What begins a comment up to the end of the line."""
    block: tuple[tuple[str, str], ...] = ()
    """What opens and closes a comment."""
    nested: bool = False
    """Comments may stand in comments."""
    quotes: str = '"'
    """What opens and closes a string; of these ` alone may hold line ends."""
    apostrophe: int = 0
    """' is around a STRING, around one CHARACTER, or nothing."""
    spaced: bool = False
    """A mark of a line comment counts only behind white space or at the line's start ($#, ${a#b}, a#b)."""
    triple: bool = False
    """Strings in three quotes; one that is a statement of its own is documentation, so a comment."""


_C = Syntax(line=("//",), block=(("/*", "*/"),), apostrophe=CHARACTER)
_SCRIPT = Syntax(line=("//",), block=(("/*", "*/"),), quotes='"`', apostrophe=STRING)
_HASH = Syntax(line=("#",), apostrophe=STRING, spaced=True)
_LISP = Syntax(line=(";",), block=(("#|", "|#"),), nested=True)
_DASH = Syntax(line=("--",), block=(("/*", "*/"),), apostrophe=STRING)
_XML = Syntax(block=(("<!--", "-->"),), quotes="")
_TEX = Syntax(line=("%",), quotes="")

SYNTAXES: dict[str, Syntax] = {
    **dict.fromkeys(
        (
            "c", "c++", "c#", "java", "go", "objective-c", "objective-c++", "cuda", "opencl", "glsl", "hlsl", "metal",
            "verilog", "systemverilog", "vala", "zig", "protocol buffer", "thrift", "solidity", "apex", "bison", "yacc",
            "lex", "antlr", "processing", "arduino", "haxe", "unrealscript", "stylus", "less", "scss", "jsonnet",
        ), _C,
    ),
    **dict.fromkeys(("rust", "swift", "kotlin", "scala", "d"), Syntax(
        line=("//",), block=(("/*", "*/"),), nested=True, apostrophe=CHARACTER)),
    **dict.fromkeys(("javascript", "typescript", "jsx", "tsx", "dart", "groovy", "gradle", "actionscript", "vue",
                     "svelte", "json5", "json with comments"), _SCRIPT),
    "css": Syntax(block=(("/*", "*/"),), apostrophe=STRING),
    "php": Syntax(line=("//", "#"), block=(("/*", "*/"),), apostrophe=STRING, spaced=True),
    "python": Syntax(line=("#",), apostrophe=STRING, triple=True),
    "cython": Syntax(line=("#",), apostrophe=STRING, triple=True),
    "starlark": Syntax(line=("#",), apostrophe=STRING, triple=True),
    **dict.fromkeys(("shell", "fish", "tcl", "r", "makefile", "dockerfile", "cmake", "yaml", "toml", "awk", "sed",
                     "raku", "crystal", "meson", "gdscript", "nginx", "graphql", "ini", "dotenv", "ignore list",
                     "coffeescript"), _HASH),
    "ruby": Syntax(line=("#",), block=(("\n=begin", "\n=end"),), apostrophe=STRING, spaced=True),
    "perl": Syntax(line=("#",), block=(("\n=pod", "\n=cut"), ("\n=head", "\n=cut"), ("\n=over", "\n=cut")),
                   apostrophe=STRING, spaced=True),
    "elixir": Syntax(line=("#",), apostrophe=STRING, triple=True, spaced=True),
    "julia": Syntax(line=("#",), block=(("#=", "=#"),), nested=True, triple=True),
    "nix": Syntax(line=("#",), block=(("/*", "*/"),), spaced=True),
    "terraform": Syntax(line=("#", "//"), block=(("/*", "*/"),), spaced=True),
    "hcl": Syntax(line=("#", "//"), block=(("/*", "*/"),), spaced=True),
    "nim": Syntax(line=("#",), block=(("#[", "]#"),), nested=True, apostrophe=CHARACTER),
    "powershell": Syntax(line=("#",), block=(("<#", "#>"),), apostrophe=STRING, spaced=True),
    **dict.fromkeys(("sql", "plsql", "plpgsql", "tsql"), _DASH),
    "ada": Syntax(line=("--",), apostrophe=CHARACTER),
    "vhdl": Syntax(line=("--",), apostrophe=CHARACTER),
    "lua": Syntax(line=("--",), block=(("--[[", "]]"),), apostrophe=STRING),
    **dict.fromkeys(("haskell", "elm", "purescript", "idris", "agda"), Syntax(
        line=("--",), block=(("{-", "-}"),), nested=True, apostrophe=CHARACTER)),
    **dict.fromkeys(("ocaml", "standard ml", "coq", "mathematica"), Syntax(
        block=(("(*", "*)"),), nested=True, apostrophe=CHARACTER)),
    "f#": Syntax(line=("//",), block=(("(*", "*)"),), apostrophe=CHARACTER),
    "pascal": Syntax(line=("//",), block=(("{", "}"), ("(*", "*)")), quotes="", apostrophe=STRING),
    **dict.fromkeys(("common lisp", "emacs lisp", "scheme", "racket", "clojure", "newlisp"), _LISP),
    **dict.fromkeys(("assembly", "llvm", "autohotkey", "autoit"), Syntax(line=(";",), block=(("/*", "*/"),))),
    "erlang": Syntax(line=("%",), apostrophe=STRING),
    "prolog": Syntax(line=("%",), block=(("/*", "*/"),), apostrophe=STRING),
    **dict.fromkeys(("tex", "bibtex", "postscript"), _TEX),
    "matlab": Syntax(line=("%",), block=(("\n%{", "\n%}"),), spaced=True),
    **dict.fromkeys(("fortran", "fortran free form"), Syntax(line=("!",), apostrophe=STRING)),
    "vim script": Syntax(line=('\n"',), quotes="", apostrophe=STRING),
    "visual basic": Syntax(line=("'",)),
    "batchfile": Syntax(line=("rem ", "REM ", "::"), spaced=True),
    **dict.fromkeys(("html", "xml", "svg", "xslt", "markdown"), _XML),
}  # fmt: skip
"""Language, in lower case -> its syntax."""

ROWS: tuple[Syntax, ...] = tuple(dict.fromkeys(SYNTAXES.values()))

MOST_MARKS = 8


@cache
def tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For the scanner: (syntaxes, 256) what a byte may begin; (syntaxes, marks, 2, 10) marks; (syntaxes, 4) habits.

    A mark is the length and bytes of what opens a comment and of what closes it, a line feed for line comments.
    What a byte may begin: 1 a comment, 2 a string, 4 a character, 8 a number.
    """
    first = np.zeros((len(ROWS), 256), np.uint8)
    marks = np.zeros((len(ROWS), MOST_MARKS, 2, 10), np.int64)
    habits = np.zeros((len(ROWS), 4), np.int64)
    for n, row in enumerate(ROWS):
        pairs: list[tuple[str, str]] = [*row.block, *((mark, "\n") for mark in row.line)]
        for m, pair in enumerate(pairs):
            first[n, ord(pair[0][0])] |= 1
            for side, mark in enumerate(pair):
                _write(marks[n, m, side], mark)
        for quote in row.quotes:
            first[n, ord(quote)] |= 2
        first[n, ord("'")] |= 2 * (row.apostrophe == STRING) | 4 * (row.apostrophe == CHARACTER)
        first[n, ord("0") : ord("9") + 1] |= 8
        habits[n] = len(pairs), row.nested, row.spaced, row.triple
    return first, marks, habits


def _write(place: Any, mark: str) -> None:
    place[0] = len(mark)
    place[1 : 1 + len(mark)] = np.frombuffer(mark.encode(), np.uint8)


def number_of(language: str | None) -> int:
    """The row of a language's syntax, -1 if none is known."""
    syntax = SYNTAXES.get((language or "").lower())
    return -1 if syntax is None else _NUMBERS[syntax]


_NUMBERS = {syntax: number for number, syntax in enumerate(ROWS)}
