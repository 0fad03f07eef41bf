r"""Plain TeX, AMS-TeX and LaTeX 2.09: commands whose argument ends with a line, a number or a command of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.ingest.latex.macros import Frame, Span
from pipeline.ingest.latex.words import words_of

if TYPE_CHECKING:
    from pipeline.ingest.latex.typeset import Page

NUMBER = r"[ \t]*(?:by[ \t]+)?[-+]?[ \t]*(?:\d+\.?\d*|\.\d+)?[ \t]*"
UNIT = r"(?:true[ \t]*)?(?:pt|pc|in|bp|cm|mm|dd|cc|sp|em|ex|mu|fil+|(?<=[\d=])\\[A-Za-z@]+)"
LENGTH = re.compile(rf"[ \t]*=?{NUMBER}(?:{UNIT})?(?:[ \t]*(?:plus|minus){NUMBER}{UNIT})*[ \t]?")
ASSIGNED = re.compile(
    rf"[ \t]*=[ \t]*[-+]?(?:\d+\.?\d*|\.\d+)[ \t]*(?:{UNIT})?(?:[ \t]*(?:plus|minus){NUMBER}{UNIT})*[ \t]?"
)
BY = re.compile(rf"[ \t]*\\?[A-Za-z@]*[ \t]*by{NUMBER}(?:{UNIT})?")
FONT = re.compile(
    r"[ \t]*\\[A-Za-z@]+[ \t]*=?[ \t]*[\w/.-]+"
    r"(?:[ \t]*(?:scaled|at)[ \t]*(?:\\[A-Za-z]+[ \t]*\d?|[\d.]+[ \t]*(?:pt|in|mm)?))?"
)
LENGTHS = words_of(
    "vskip hskip kern mskip mkern hsize vsize hoffset voffset parindent parskip baselineskip lineskip magnification "
    "topskip overfullrule tolerance pretolerance hbadness vbadness vfuzz hfuzz normalbaselineskip leftskip rightskip "
    "abovedisplayskip belowdisplayskip textwidth textheight oddsidemargin evensidemargin topmargin headheight headsep "
    "footskip columnsep pageno penalty hangindent hangafter looseness lower raise moveleft moveright "
    "interlinepenalty clubpenalty widowpenalty displaywidowpenalty binoppenalty relpenalty baselinestretch day month "
    "unitlength arraycolsep tabcolsep itemsep topsep parsep partopsep leftmargin labelsep labelwidth jot"
)
"""Primitives and registers that take a number or a length."""

TITLES = {"title": "title", "heading": "heading", "head": "heading", "subheading": "heading", "subhead": "heading"}
AMS_LIMIT = 3_000
r"""Characters that AMS-TeX's \title ... \endtitle may hold."""


def length(page: Page, word: str) -> bool:
    """Pass over the length after a register or a primitive that takes one."""
    frame = page.inputs.top()
    if frame is None:
        return word in LENGTHS
    pattern = (
        LENGTH if word in LENGTHS else BY if word in ("advance", "multiply") else FONT if word == "font" else ASSIGNED
    )
    if found := pattern.match(frame.source.text, frame.pos, frame.end):
        frame.pos = found.end()
    return word in LENGTHS or found is not None


def assignment(page: Page, word: str) -> None:
    r"""\advance, \multiply and \font, with what they say."""
    length(page, word)


def until(frame: Frame, ending: str, limit: int) -> Span | None:
    """The stretch up to this ending, which is passed over too."""
    close = frame.source.find(ending, frame.pos, min(frame.end, frame.pos + limit))
    if close < 0:
        return None
    span = Span(frame.source, frame.pos, close)
    frame.pos = close + len(ending)
    return span


def delimited(page: Page, word: str) -> bool:
    r"""AMS-TeX's \title ... \endtitle and its like: set or left out. False where braces follow or no end."""
    frame = page.inputs.top()
    if frame is None or frame.source.text.startswith("{", frame.pos):
        return False
    limit = len(frame.source.text) if word == "Refs" else AMS_LIMIT
    span = until(frame, f"\\end{word}", limit)
    if span is None:
        return False
    if word == "title":
        page.capture(span, lambda text: page.named("title", text))
    elif word in TITLES:
        page.end_paragraph()
        blocks = page.blocks
        page.capture(span, lambda text: blocks.put(text, heading=True))
    return True


def begin_section(page: Page, word: str) -> None:
    r"""\beginsection Title, to the end of its paragraph."""
    page.end_paragraph()
    frame = page.inputs.top()
    if frame is None:
        return
    stop = re.compile(r"\n[ \t]*\n|\\par\b").search(frame.source.text, frame.pos, min(frame.end, frame.pos + AMS_LIMIT))
    if stop:
        span = Span(frame.source, frame.pos, stop.start())
        frame.pos = stop.end()
        blocks = page.blocks
        page.capture(span, lambda text: blocks.put(text, heading=True))


def proclaim(page: Page, word: str) -> None:
    r"""AMS-TeX's \proclaim{Theorem 1} text \endproclaim, or plain TeX's \proclaim Theorem 1. text\par."""
    page.end_paragraph()
    if title := page.inputs.argument(braced=True):
        page.inputs.push(title, lambda: page.blocks.write(". "))
