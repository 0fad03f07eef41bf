"""Pseudo-code of algorithmic, algpseudocode and algorithm2e -> a line a step, with the words it prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.ingest.latex.typeset import Page

STEPS = {
    "state": ("", ""),
    "statex": ("", ""),
    "if": ("if ", " then"),
    "elsif": ("else if ", " then"),
    "elseif": ("else if ", " then"),
    "eif": ("if ", " then"),
    "uif": ("if ", " then"),
    "lif": ("if ", " then "),
    "uelseif": ("else if ", " then"),
    "for": ("for ", " do"),
    "forall": ("for all ", " do"),
    "foreach": ("for each ", " do"),
    "while": ("while ", " do"),
    "until": ("until ", ""),
    "procedure": ("procedure ", ""),
    "function": ("function ", ""),
    "kwin": ("Input: ", ""),
    "kwdata": ("Data: ", ""),
    "kwout": ("Output: ", ""),
    "kwresult": ("Result: ", ""),
    "kwret": ("return ", ""),
    "require": ("Require: ", ""),
    "ensure": ("Ensure: ", ""),
    "input": ("Input: ", ""),
    "output": ("Output: ", ""),
    "return": ("return ", ""),
    "else": ("else ", ""),
    "uelse": ("else ", ""),
    "lelse": ("else ", ""),
    "loop": ("loop", ""),
    "repeat": ("repeat", ""),
    "begin": ("begin", ""),
    "print": ("print ", ""),
    **{f"end{what}": (f"end {what}", "") for what in ("if", "for", "while", "loop", "procedure", "function")},
}
"""Command in small letters -> the words before and after its argument."""

ENDS_A_LINE = frozenset({"repeat", "loop", "begin"})
WITH_ARGUMENT = frozenset(name for name, (_, after) in STEPS.items() if after) | {"until"}
COMMENTS = frozenset({"comment", "tcp", "tcc", "tcp*", "tcc*"})


def step(page: Page, word: str, starred: bool) -> bool:
    r"""Write the command if it is one of pseudo-code; \begin and \if of LaTeX itself are not."""
    name = word.lower()
    if name in COMMENTS:
        page.blocks.write(" // ")
        return True
    if name not in STEPS or word in ("begin", "if", "input", "else", "loop", "repeat"):
        return _call(page, word)
    before, after = STEPS[name]
    page.blocks.end()
    page.blocks.write(before)
    if name in ("procedure", "function"):
        name_, arguments = page.inputs.argument(braced=True), page.inputs.argument(braced=True)
        if arguments:
            page.inputs.push(arguments, lambda: page.blocks.write(")"))
        if name_:
            page.inputs.push(name_, lambda: page.blocks.write("(" if arguments else ""))
    elif name in WITH_ARGUMENT and (condition := page.inputs.argument(braced=True)):
        page.inputs.push(condition, lambda: _close(page, after))
    elif name in ENDS_A_LINE or name.startswith("end"):
        page.blocks.end()
    return True


def _close(page: Page, after: str) -> None:
    page.blocks.write(after)
    if after.strip():
        page.blocks.end()


def _call(page: Page, word: str) -> bool:
    r"""\Call{f}{x} -> f(x)."""
    if word not in ("Call", "CALL"):
        return False
    name, arguments = page.inputs.argument(braced=True), page.inputs.argument(braced=True)
    if arguments:
        page.blocks.write("")
        page.inputs.push(arguments, lambda: page.blocks.write(")"))
    if name:
        page.inputs.push(name, lambda: page.blocks.write("(" if arguments else ""))
    return True
