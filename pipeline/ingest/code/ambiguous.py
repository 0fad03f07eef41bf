"""Endings that several languages share -> which of them a file is written in, by what stands in it."""

from __future__ import annotations

import re
from collections.abc import Callable

LOOKED_AT = 20_000
"""Characters from the start that are looked at."""


def _first(*cases: tuple[str, str], other: str) -> Callable[[str], str]:
    """The language of the first pattern that is found at the beginning of a line, else `other`."""
    compiled = [(language, re.compile(pattern, re.MULTILINE)) for language, pattern in cases]

    def decide(text: str) -> str:
        head = text[:LOOKED_AT]
        return next((language for language, pattern in compiled if pattern.search(head)), other)

    return decide


_OBJECTIVE_C = r"^[ \t]*(?:@(?:interface|implementation|protocol|property|class|end|import|synthesize)\b|#import\s)"
_CPP = (
    r"^[ \t]*(?:class\s+\w+[^;\n]{0,200}$|(?:template|namespace|using\s+namespace|constexpr|noexcept)\b"
    r"|(?:public|private|protected)\s*:|virtual\s|friend\s|#\s*include\s*<(?:string|vector|map|memory|iostream|cstdint|cstddef|algorithm|utility"
    r"|functional|type_traits|atomic|mutex|array|tuple|optional|set|unordered_map|unordered_set|cstring|cstdlib|cstdio)>"
    r"|(?:inline\s+|static\s+)?(?:const\s+)?std::|class\s+\w+;|extern\s+\"C\+\+\")|\bstd::\w|\bstatic_cast<|\bnullptr\b"
)
_MATLAB = r"^[ \t]*(?:%|function\b[^\n({]{0,80}(?:=|\(|$)|classdef\b|end\s*;?\s*$|clc\b|clear\b|close all|disp\()"
_FORTH = r"^: |^\\ |^\( "

AMBIGUOUS: dict[str, Callable[[str], str]] = {
    "h": _first(("objective-c", _OBJECTIVE_C), ("c++", _CPP), other="c"),
    "m": _first(
        ("objective-c", _OBJECTIVE_C + r"|^[ \t]*#\s*(?:include|import|define)\b|^[ \t]*//"),
        ("mathematica", r"^[ \t]*\(\*|\*\)\s*$|:=\s|\[\[|Module\[|BeginPackage\["),
        ("mercury", r"^:- module"),
        ("matlab", _MATLAB),
        other="matlab",
    ),
    "pl": _first(
        ("prolog", r"^[ \t]*:-|^[a-z]\w*\([^\n]{0,200}\)\s*(?::-|-->|\.\s*$)"),
        ("raku", r"^[ \t]*(?:use\s+v6|(?:my\s+)?class\s+\w+\s*\{|grammar\s+\w)"),
        other="perl",
    ),
    "pro": _first(
        ("prolog", r"^[ \t]*:-|^[a-z]\w*\([^\n]{0,200}\)\s*(?::-|\.\s*$)"),
        ("qmake", r"^[ \t]*(?:HEADERS|SOURCES|QT|TEMPLATE|CONFIG|TARGET|INCLUDEPATH)\s*[+*]?="),
        ("idl", r"^[ \t]*(?:pro|function)\s+\w+\s*(?:,|$)"),
        other="prolog",
    ),
    "t": _first(("raku", r"^[ \t]*(?:use\s+v6|my\s+class)"), other="perl"),
    "ts": _first(("xml", r"\A(?:\ufeff)?\s*<(?:\?xml|!DOCTYPE TS|TS\b)"), other="typescript"),
    "v": _first(
        ("coq", r"^[ \t]*(?:Require|Import|Theorem|Lemma|Proof|Qed|Definition|Inductive|Fixpoint|Section)\b"),
        ("v", r"^[ \t]*(?:fn\s+(?:\([^)\n]{0,80}\)\s*)?\w+\(|pub\s+fn|import\s+\w+\s*$|struct\s+\w+\s*\{)"),
        ("verilog", r"^[ \t]*(?:`|module\b|endmodule|always\b|assign\b|initial\b|wire\b|reg\b|input\b|output\b)"),
        other="verilog",
    ),
    "r": _first(
        ("rebol", r"(?i)^[ \t]*rebol\s*(?:\[|$)"),
        other="r",
    ),
    "cls": _first(
        ("tex", r"^[ \t]*\\(?:NeedsTeXFormat|ProvidesClass|documentclass|newcommand|LoadClass)|^[ \t]*%"),
        ("vba", r"^VERSION \d\.\d CLASS|^Attribute VB_Name"),
        ("openedge abl", r"(?i)^[ \t]*(?:define|using|routine-level|block-level)\s[^;\n{]{0,200}\.\s*$"),
        ("apex", r"(?i)^[ \t]*(?:@\w+\s*)?(?:public|private|global)\s"),
        other="apex",
    ),
    "inc": _first(
        ("php", r"<\?(?:php|=|\s)"),
        ("html", r"^[ \t]*<(?:!DOCTYPE|html|div|table|p|ul|a|script|form)\b"),
        ("pawn", r"^[ \t]*(?:native|forward|stock)\s"),
        ("c++", r"^[ \t]*(?:#\s*(?:include|define|if|ifdef|ifndef|pragma)\b|//|/\*|static\s|template\b|namespace\b)"),
        ("pascal", r"(?i)^[ \t]*(?:\{\$|procedure\s|function\s+\w+\s*[(:;]|unit\s|begin\s*$)"),
        ("sql", r"(?i)^[ \t]*(?:create|alter|insert|drop|delete|select)\s"),
        ("assembly", r"^[ \t]*(?:;|\.(?:macro|equ|set|text|data|global)|%(?:define|macro|include|if))|^\w+\s+equ\s"),
        ("makefile", r"^[\w.$()-]{1,80}\s*(?:[:+?]?=|:)\s"),
        other="c++",
    ),
    "fs": _first(
        ("f#", r"^[ \t]*(?:#light|open\s+\w|module\s+[\w.]+|let\s+|namespace\s+[\w.]+\s*$|type\s+\w+|///?\s)"),
        ("glsl", r"^[ \t]*(?:#version|precision\s|uniform\s|varying\s|void\s+main)"),
        ("forth", _FORTH),
        other="f#",
    ),
    "vs": _first(("glsl", r"^[ \t]*(?:#version|attribute\s|uniform\s|varying\s|void\s+main)"), other="glsl"),
    "f": _first(
        ("forth", _FORTH),
        ("fortran", r"(?i)^(?:[c*!]|[ \t]{5,}(?:program|subroutine|function|integer|real|end|implicit|call)\b)"),
        other="fortran",
    ),
    "cl": _first(
        ("opencl", r"^[ \t]*(?:__kernel|kernel|__constant|#\s*(?:include|define|pragma|ifn?def)|//|/\*|typedef\b)"),
        ("cool", r"^[ \t]*class\s+\w+\s+(?:inherits\s+\w+\s*)?\{"),
        other="common lisp",
    ),
    "d": _first(
        ("makefile", r"^[\w./\\ -]{1,200}\.(?:o|obj|d|ko)\s*:|\\\s*$"),
        ("dtrace", r"^[ \t]*#pragma\s+D\s|^\w*:\w*:\w*:\w*"),
        other="d",
    ),
    "l": _first(
        ("lex", r"^%[%{}]|^%option"),
        ("roff", r"^\.\\?\"|^\.(?:TH|SH|de)\b"),
        ("common lisp", r"^[ \t]*\("),
        other="lex",
    ),
    "as": _first(
        ("actionscript", r"^[ \t]*(?:package\b|import\s+[\w.]+(?:\.\*)?;|public\s|class\s|var\s+\w+\s*:)"),
        other="angelscript",
    ),
    "hh": _first(("hack", r"^<\?hh"), other="c++"),
    "es": _first(("erlang", r"^[ \t]*(?:%%|main\s*\(.*?\)\s*->)"), other="javascript"),
    "sol": _first(
        ("solidity", r"^[ \t]*(?:pragma\s+solidity|contract\s|interface\s|library\s|//|import\s)"), other="solidity"
    ),
    "rs": _first(("xml", r"\A\s*<"), ("renderscript", r"^[ \t]*#\s*pragma\s+(?:version|rs)"), other="rust"),
    "sc": _first(("supercollider", r"^[ \t]*(?:\+|~)\w+|\|\w+\|\s|\bSynthDef\b|^\w+\s*:\s*\w+\s*\{"), other="scala"),
    "sql": _first(
        ("plsql", r"(?i)^[ \t]*(?:create\s+or\s+replace\s+(?:package|procedure|function|trigger)|declare\s*$)"),
        ("plpgsql", r"(?i)language\s+'?plpgsql"),
        ("tsql", r"(?i)^[ \t]*(?:go\s*$|declare\s+@|exec\s|use\s+\[)"),
        other="sql",
    ),
    "st": _first(("stringtemplate", r"^\w+\([^)\n]{0,80}\)\s*::=|\$\w+\$"), other="smalltalk"),
    "pp": _first(
        ("pascal", r"(?i)^[ \t]*(?:program|unit|uses|procedure|interface)\b"),
        ("puppet", r"^[ \t]*(?:class|define|node|include|file|package|service|\$\w+\s*=)\b"),
        other="puppet",
    ),
    "gs": _first(("javascript", r"^[ \t]*(?:function|var|const|let|//)"), other="genie"),
    "properties": _first(("java properties", r"^[^#!;\[\n=]{1,200}[=:]"), other="ini"),
    "tm": _first(("tcl", r"^[ \t]*(?:package|namespace|proc)\s"), other="tcl"),
    "txt": _first(("adblock filter list", r"\A\[Adblock"), ("vim help file", r"\bvim:[^\n]{0,80}ft=help"),
                  other="text"),
    "mod": _first(
        ("xml", r"\A\s*<"),
        ("modula-2", r"^[ \t]*(?:IMPLEMENTATION\s+)?MODULE\s"),
        ("ampl", r"^[ \t]*(?:param|var|set|minimize|maximize|subject to)\s"),
        other="linux kernel module",
    ),
    "md": _first(("gcc machine description", r"^\(define_(?:insn|expand|attr|split|constants)"), other="markdown"),
    "n": _first(("roff", r"^[.'][a-zA-Z]{2}\b"), ("nemerle", r"^[ \t]*(?:using|module|namespace)\s"), other="roff"),
    "res": _first(("xml", r"\A\s*<"), other="rescript"),
    "re": _first(
        ("reason", r"^[ \t]*(?:module\s+type\s|let\s|open\s|type\s|/\*)"), ("c++", r"^[ \t]*(?:#\s*include|/\*!re2c)"),
        other="reason",
    ),
    "ex": _first(("euphoria", r"^[ \t]*(?:include\s+\w+\.e|procedure\s)"), other="elixir"),
    "e": _first(("eiffel", r"^[ \t]*(?:class|feature|deferred|note|indexing)\b"), other="e"),
}  # fmt: skip
"""Ending -> the decision."""
