"""A formula of a JATS article -> TeX: its own where it has one, otherwise what its MathML says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

RELATIONS = frozenset("=<>≤≥≈≠≡∼∝∈→←⇒±+-−×∪∩")
"""Operators that get a space on either side; brackets, commas and primes do not."""

INVISIBLE = str.maketrans("−", "-", "\u2061\u2062\u2063\u2064\u200b")
"""MathML's unwritten signs (apply, times, comma, plus) vanish; the minus is TeX's."""

FUNCTIONS = re.compile("arg|cosh?|cot|det|dim|exp|gcd|inf|ker|lim|ln|log|max|min|sec|sinh?|sup|tanh?")
ACCENTS = {
    "¯": "bar",
    "‾": "bar",
    "^": "hat",
    "ˆ": "hat",
    "~": "tilde",
    "˜": "tilde",
    "→": "vec",
    "˙": "dot",
    "¨": "ddot",
}
SPECIAL = re.compile(r"[%#&$_{}]")
PICTURE_ONLY = frozenset(
    {"mphantom", "annotation", "annotation-xml", "none", "mprescripts", "maligngroup", "malignmark"}
)


def name_of(element: Any) -> str:
    """The tag without its namespace; "" for comments, instructions and entities."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def delimited(tex: str, *, display: bool) -> str:
    """`$x$`, or `$$x$$` for a formula on its own; nothing for nothing."""
    return f"$${tex}$$" if tex and display else f"${tex}$" if tex else ""


def tex_of(element: Any) -> str:
    """The formula in a tex-math element: some hold a whole LaTeX document with the formula as its body."""
    tex = "".join(element.itertext())
    if (begin := tex.find(r"\begin{document}")) >= 0:
        tex = tex[begin + len(r"\begin{document}") :].partition(r"\end{document}")[0]
    tex = " ".join(tex.split())
    for left, right in (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)")):
        if len(tex) >= len(left + right) and tex.startswith(left) and tex.endswith(right):
            return tex[len(left) : -len(right)].strip()
    return tex


def mathml(element: Any) -> str:
    """A MathML element as TeX with Unicode signs: fractions, roots, scripts, accents and tables keep their form."""
    return " ".join(_tex(element).split())


def _tex(element: Any) -> str:
    name = name_of(element)
    if not name or name in PICTURE_ONLY:
        return ""
    if not len(element):
        return _token(name, element.text or "")
    parts = [_tex(child) for child in element if name_of(child)]
    if shape := SHAPES.get(name):
        return shape(parts)
    if name == "mfenced":
        opening, closing = element.get("open", "("), element.get("close", ")")
        between = str(element.get("separators", ",")).strip()[:1]
        return _escaped(opening) + between.join(parts) + _escaped(closing)
    return "".join(parts)


def _token(name: str, text: str) -> str:
    if name == "mspace":
        return " "
    before, after = (" " if end and end.isspace() else "" for end in (text[:1], text[-1:]))
    text = _escaped(" ".join(text.translate(INVISIBLE).split()))
    if name == "mtext":
        return rf"\text{{{before}{text}{after}}}" if text else " "
    if FUNCTIONS.fullmatch(text):
        return rf"\{text} "
    if name == "mi" and len(text) > 1 and text.isalpha():
        return rf"\mathrm{{{text}}}"
    return f" {text} " if name == "mo" and text in RELATIONS else text


def _escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\g<0>", text)


def _braced(part: str) -> str:
    part = part.strip()
    return part if len(part) == 1 else f"{{{part}}}"


def _based(part: str) -> str:
    """What carries a script: braced where it is more than one sign or command."""
    part = part.strip()
    return part if re.fullmatch(r".|\\?\w+(\{[^{}]*\})?", part) else f"{{{part}}}"


def _scripts(parts: list[str], *signs: str) -> str:
    given = [(sign, part) for sign, part in zip(signs, parts[1:], strict=False) if part.strip()]
    return _based(parts[0]) + "".join(sign + _braced(part) for sign, part in given)


def _over(parts: list[str]) -> str:
    accent = ACCENTS.get(parts[-1].strip()) if len(parts) == 2 else None
    return rf"\{accent}{{{parts[0].strip()}}}" if accent else _scripts(parts, "^")


def _of_two(command: str, parts: list[str]) -> str:
    first, second = [*parts, "", ""][:2]
    return rf"\{command}{{{first.strip()}}}{{{second.strip()}}}"


SHAPES: dict[str, Callable[[list[str]], str]] = {
    "msub": lambda parts: _scripts(parts, "_"),
    "munder": lambda parts: _scripts(parts, "_"),
    "msup": lambda parts: _scripts(parts, "^"),
    "mover": _over,
    "msubsup": lambda parts: _scripts(parts, "_", "^"),
    "munderover": lambda parts: _scripts(parts, "_", "^"),
    "mmultiscripts": lambda parts: _scripts(parts, "_", "^"),
    "mfrac": lambda parts: _of_two("frac", parts),
    "msqrt": lambda parts: rf"\sqrt{{{''.join(parts).strip()}}}",
    "mroot": lambda parts: rf"\sqrt[{''.join(parts[1:]).strip()}]{{{parts[0].strip()}}}",
    "mtr": lambda parts: " & ".join(part.strip() for part in parts),
    "mlabeledtr": lambda parts: " & ".join(part.strip() for part in parts[1:]),
    "mtable": lambda parts: r"\begin{matrix}" + r" \\ ".join(parts) + r"\end{matrix}",
    "semantics": lambda parts: parts[0],
}
"""How the parts of a MathML element stand together, by its name; any other element is its parts in a row."""
