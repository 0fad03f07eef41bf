"""What LaTeX's own commands do that neither vanish nor stand for a sign."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.ingest.latex import definitions, files, plain
from pipeline.ingest.latex.words import FLOAT_KINDS

if TYPE_CHECKING:
    from pipeline.ingest.latex.typeset import Page

VERB = re.compile(r"([^A-Za-z\s*{])(.*?)\1|\{([^{}\n]*)\}")
LONGEST_VERB = 400
ESCAPED = re.compile(r"\\([A-Za-z]+|.)[ ]?")
UNITS = {"percent": "%", "degree": "°", "celsius": "°C", "micro": "µ", "angstrom": "Å", "ohm": "Ω", "per": "/"}
UNIT = re.compile(r"\\([A-Za-z]+)|[{}~.]")
RAISED = dict(zip("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", strict=True))
LOWERED = dict(zip("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋", strict=True))


def caption(page: Page, word: str) -> None:
    r"""\caption{text} -> "Figure 3. text", after the paragraph; one outside of floats, or starred, has no number."""
    page.inputs.option()
    kind = FLOAT_KINDS.get(word) or page.environments.float
    if word == "captionof":
        of = page.inputs.argument()
        kind = FLOAT_KINDS.get(of.text if of else "", "")
        page.inputs.option()
    frame = page.inputs.top()
    starred = frame is not None and frame.source.text.startswith("caption*", max(0, frame.pos - 8))
    head = f"{kind.capitalize()} {page.numbers.step(kind)}. " if kind and not starred else ""

    def keep(text: str) -> None:
        if text:
            page.notes.append(head + text)

    page.capture(page.inputs.argument(braced=True), keep)


def footnote(page: Page, word: str) -> None:
    r"""\footnote{text}: a paragraph of its own, after the one it stands in."""
    page.inputs.option()
    if span := page.inputs.argument(braced=True):
        page.capture(span, lambda text: page.notes.append(text) if text else None)


def named(page: Page, word: str) -> None:
    r"""\title and \date, in LaTeX's form or AMS-TeX's."""
    page.inputs.option()
    if not plain.delimited(page, word):
        page.capture(page.inputs.argument(braced=True), lambda text: page.named(word, text))


def people(page: Page, word: str) -> None:
    r"""\author and its like are left out, in LaTeX's form or AMS-TeX's."""
    if not plain.delimited(page, word):
        page.drop(1)


def item(page: Page, word: str) -> None:
    r"""\item[label]: a line of its own with a dash."""
    page.blocks.end()
    page.blocks.prefix = "- "
    page.environments.item()
    if word == "bibitem":
        page.drop(1)
    elif option := page.inputs.option():
        page.inputs.push(option, lambda: page.blocks.write(" "))


def abstract(page: Page, word: str = "") -> None:
    """The abstract; some classes want it before the document begins."""
    page.end_paragraph()
    page.page.put("Abstract", heading=True)
    frame = page.inputs.top()
    if frame and frame.source.text.startswith("{", frame.pos):
        page.capture(page.inputs.argument(braced=True), page.page.put)


def keep_going(page: Page, word: str) -> None:
    r"""\paragraph-like ends: close what is open."""
    page.end_paragraph()


def verb(page: Page, word: str) -> None:
    r"""\verb|x|, \lstinline[options]{x}, \mintinline{language}|x|."""
    while word != "verb" and page.inputs.option():
        pass
    if word == "mintinline":
        page.inputs.argument(braced=True)
    frame = page.inputs.frames[-1]
    if found := VERB.match(frame.source.text, frame.pos, min(frame.end, frame.pos + LONGEST_VERB)):
        page.blocks.write(found[2] if found[1] else found[3])
        frame.pos = found.end()


def ensure_math(page: Page, word: str) -> None:
    r"""\ensuremath{x} -> $x$."""
    if span := page.inputs.argument():
        formula = page.formula
        formula.begin("ensure", page.blocks)
        page.inputs.push(span, lambda: formula.end(page.blocks) if formula.closer == "ensure" else None)


def address(page: Page, word: str) -> None:
    r"""\url{address}, with its escapes taken back."""
    if span := page.inputs.argument(braced=True):
        page.blocks.write(ESCAPED.sub(lambda found: _in_address(page, found[1]), span.text))


def _in_address(page: Page, word: str) -> str:
    macro = page.inputs.macros.get(word)
    if macro and not macro.parameters:
        return macro.pieces[0]
    return "" if word.isalpha() else word


def space(page: Page, word: str) -> None:
    r"""\xspace: a space unless a sign follows."""
    if (frame := page.inputs.top()) and frame.pos < frame.end:
        following = frame.source.text[frame.pos]
        if following.isalnum() or following in "$(\\":
            page.blocks.write(" ")


def quantity(page: Page, word: str) -> None:
    r"""\SI{3}{\kilo\metre}, \num{3}, \unit[3]{km} -> 3 kilometre, 3, 3 km."""
    option = page.inputs.option()
    parts = [page.inputs.argument(braced=True) for _ in range(2 if word in ("SI", "qty", "unitfrac") else 1)]
    texts = [UNIT.sub(lambda found: _unit(found[0], found[1]), part.text).strip() for part in parts if part]
    if word == "unitfrac":
        texts = ["/".join(texts)]
    if option and word in ("unit", "unitfrac"):
        texts.insert(0, option.text)
    page.blocks.write(" ".join(text for text in texts if text))


def _unit(token: str, name: str | None) -> str:
    return UNITS.get(name, name) if name else token if token == "." else " " if token == "~" else ""


def script(page: Page, word: str) -> None:
    r"""\textsuperscript{2} -> ² where all of it can be raised, otherwise as it is."""
    if span := page.inputs.argument(braced=True):
        table = RAISED if word == "textsuperscript" else LOWERED
        raised = "".join(table.get(sign, sign) for sign in span.text)
        if raised and not raised.isascii() and set(raised) <= set(table.values()):
            page.blocks.write(raised)
        else:
            page.inputs.push(span)


def label(page: Page, word: str) -> None:
    r"""\label{x}: the number of what was counted last."""
    if span := page.inputs.argument(braced=True):
        page.numbers.label(span.text)


def tikz(page: Page, word: str) -> None:
    r"""\tikz[options]{...} or \tikz ...; : a picture in the line."""
    page.inputs.option()
    if page.inputs.argument(braced=True) is None and (frame := page.inputs.top()):
        plain.until(frame, ";", plain.AMS_LIMIT)


def appendix(page: Page, word: str) -> None:
    r"""\appendix: headings have letters from here on."""
    page.numbers.appendix()


def within(page: Page, word: str) -> None:
    r"""\numberwithin{equation}{section}."""
    counter, parent = page.inputs.argument(braced=True), page.inputs.argument(braced=True)
    if counter and parent:
        page.numbers.parents[counter.text.strip()] = parent.text.strip() if word != "counterwithout" else ""


def alias_counter(page: Page, word: str) -> None:
    r"""\newaliascnt{lemma}{theorem}: lemmas are counted with theorems."""
    name, of = page.inputs.argument(braced=True), page.inputs.argument(braced=True)
    if name and of:
        page.environments.aliases[name.text] = of.text


def list_of_sources(page: Page, word: str) -> None:
    """\\Refs ... \\endRefs of AMS-TeX: the bibliography."""
    if not page.references:
        plain.delimited(page, word)


def heading(page: Page, word: str) -> None:
    r"""AMS-TeX's \head ... \endhead, or a heading in braces."""
    if not plain.delimited(page, word):
        page.end_paragraph()
        blocks = page.blocks
        page.capture(page.inputs.argument(braced=True), lambda text: blocks.put(text, heading=True))


COMMANDS: dict[str, Callable[[Page, str], None]] = {
    **dict.fromkeys(
        ("newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "newrobustcmd", "renewrobustcmd"),
        lambda page, word: definitions.newcommand(page.inputs, word),
    ),
    **dict.fromkeys(
        ("def", "gdef", "edef", "xdef", "define", "redefine"),
        lambda page, word: definitions.primitive(page.inputs, word),
    ),
    **dict.fromkeys(
        (f"{how}DocumentCommand" for how in ("New", "Renew", "Provide", "Declare")),
        lambda page, word: definitions.document_command(page.inputs, word),
    ),
    **dict.fromkeys(
        (f"{how}DocumentEnvironment" for how in ("New", "Renew", "Provide", "Declare")),
        lambda page, word: definitions.document_environment(page.inputs, word),
    ),
    **dict.fromkeys(
        ("newenvironment", "renewenvironment"), lambda page, word: definitions.environment(page.inputs, word)
    ),
    "DeclareMathOperator": lambda page, word: definitions.operator(page.inputs, word),
    "let": lambda page, word: definitions.alias(page.inputs, word),
    "newif": lambda page, word: definitions.switch(page.inputs, word),
    **dict.fromkeys(
        ("newtheorem", "spnewtheorem", "declaretheorem"), lambda page, word: page.environments.newtheorem(word)
    ),
    **dict.fromkeys(
        ("DefineVerbatimEnvironment", "lstnewenvironment", "newminted"),
        lambda page, word: page.environments.newverbatim(word),
    ),
    **dict.fromkeys(("input", "include", "subfile", "subfileinclude", "import", "subimport"), files.draw_in),
    **dict.fromkeys(("usepackage", "RequirePackage"), files.package),
    **dict.fromkeys(("bibliography", "printbibliography"), files.bibliography),
    **dict.fromkeys(("caption", "captionof", "tablecaption"), caption),
    **dict.fromkeys(("title", "date"), named),
    **dict.fromkeys(("item", "bibitem", "task"), item),
    **dict.fromkeys(("verb", "Verb", "lstinline", "mintinline"), verb),
    **dict.fromkeys(("url", "path", "nolinkurl"), address),
    **dict.fromkeys(("endinput", "bye", "enddocument"), files.stop),
    "newaliascnt": alias_counter,
    **dict.fromkeys(("numberwithin", "counterwithin", "counterwithout"), within),
    **dict.fromkeys(("endproclaim", "enddemo", "par", "endgraf", "endabstract", "newpage"), keep_going),
    "beginsection": plain.begin_section,
    "appendix": appendix,
    "label": label,
    "xspace": space,
    "ensuremath": ensure_math,
    "abstract": abstract,
    **dict.fromkeys(("advance", "multiply", "font"), plain.assignment),
    "else": lambda page, word: page.inputs.skip_condition(),
    "begin": lambda page, word: page.environments.begin(),
    "end": lambda page, word: page.environments.end(),
}
"""Commands that a submission's own definitions do not replace."""

OF_PACKAGES: dict[str, Callable[[Page, str], None]] = {
    **dict.fromkeys(("footnote", "footnotetext", "sidenote", "endnote"), footnote),
    **dict.fromkeys(("author", "affil", "address", "curraddr", "thanks", "keywords", "subjclass"), people),
    **dict.fromkeys(("SI", "qty", "num", "si", "unit", "unitfrac", "ang"), quantity),
    **dict.fromkeys(("textsuperscript", "textsubscript"), script),
    **dict.fromkeys(("head", "heading", "subheading", "subhead"), heading),
    **dict.fromkeys(("proclaim", "demo"), plain.proclaim),
    "Refs": list_of_sources,
    "tikz": tikz,
}
"""Commands for which a submission's own definitions go first."""
