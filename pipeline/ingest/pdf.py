"""A PDF -> its text in paragraphs, as pdfium reads the page: running heads and page numbers out, cut words joined."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from pipeline.documents import Document, Dropped
from pipeline.ingest import pdf_pages
from pipeline.ingest.reading import Found, MissingPackage

PDF = (".pdf",)

SECONDS = 5
"""Of computing that a file may take; 242 pages took 0.2."""

PATIENCE = 60.0
"""Seconds by the clock, for a machine where much else runs."""

MEMORY = 1 << 30
"""Bytes of address space that a file may take."""

EDGE = 3
"""Lines from the top or the foot of a page among which its number may stand."""

REPEATED = 0.3
"""Share of the pages, and at least 3 of them, on which a line that stands there is no part of the text."""

UNMAPPED = 0.1
"""Share of characters without a meaning (private use, U+FFFD) from which a PDF's fonts do not tell what they show."""

SHORT = 0.8
"""A line this much shorter than the longer lines of its page, and with the end of a sentence, ends a paragraph."""

CUT = re.compile(r"\b(\w+)(?:\ufffe|[-\u00ad\u2010]\n)\f?(\w+)")
LEADERS = re.compile(r"(?:\. ?){5}")
"""The dots of a line in a table of contents."""

LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
CONTROLS = dict.fromkeys((*range(9), *range(11, 32), 0x7F, 0xAD, 0xFEFF, 0xFFFF))
DIGITS = re.compile(r"\d+")
ENDS = re.compile(r"[.!?:;\"'”’)\]]$")
LIST = re.compile(r"(?:[•▪◦–*-]|\(?\d{1,3}[.)])\s")
REFERENCES = re.compile(
    r"(?:\d{1,2}\.? +)?(?:references(?: cited)?|bibliography|literature cited|works cited|refer[êe]ncias|referencias)",
    re.IGNORECASE,
)


def read_pdf(path: Path, *, references: bool) -> Found:
    """The one document of a PDF, or why it has none. Raises MissingPackage without the extra `pdf`.

    It is read by a process of its own, so that a hostile file costs at most 5 seconds, 1 GB and itself.
    """
    if find_spec("pypdfium2") is None:
        raise MissingPackage(f"{path}: PDF needs pypdfium2; pip install 'bertmill[pdf]'")
    size = path.stat().st_size

    def dropped(reason: str, why: str) -> Found:
        return Found(size, Dropped(at="0", reason=reason, value=why[:200]))

    command = [sys.executable, "-I", pdf_pages.__file__, str(path), str(SECONDS), str(MEMORY)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        told = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return dropped("bad_pdf", f"took more than {SECONDS} s or {MEMORY >> 20} MB, or broke the reader")
    if "fault" in told:
        return dropped(told["fault"], told["why"])
    text = text_of(told["pages"], references=references)
    if not text:
        return dropped("no_text", f"{len(told['pages'])} pages without text")
    strange = sum(0xE000 <= ord(character) <= 0xF8FF or character == "\ufffd" for character in text)
    if strange > UNMAPPED * len(text):
        return dropped("unmapped_text", f"{strange} of {len(text)} characters have no meaning")
    title = " ".join(told["title"].split())
    named = title if len(title) > 5 and _letters(title) in _letters(text[:5000]) else None
    return Found(size, Document(at="0", text=text, title=named))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def text_of(pages: Sequence[str], *, references: bool = True) -> str:
    """The text of a document from its pages as pdfium gives them, a blank line between paragraphs.

    A line end is none but where a sentence ends on a short line, before a heading or an entry of a list.
    """
    lines = _without_running([[" ".join(line.split()) for line in _plain(page).split("\n")] for page in pages])
    if not references:
        lines = _without_references(lines)
    joined = _words_joined("\n\f".join("\n".join(page) for page in lines))
    paragraphs: list[list[str]] = []
    for page in joined.split("\f"):
        _add_paragraphs(paragraphs, [line for line in page.split("\n") if line and not LEADERS.search(line)])
    return "\n\n".join(map(" ".join, paragraphs))


def _plain(page: str) -> str:
    text = page.replace("\r\n", "\n").replace("\r", "\n").replace("\ufffe\n", "\ufffe")
    return text.translate(LIGATURES).translate(CONTROLS)


def _without_running(pages: list[list[str]]) -> list[list[str]]:
    """Pages without the lines that stand on many of them, whatever their numbers, and without page numbers."""
    filled = [[line for line in page if line] for page in pages]
    marks = [{_mark(page, at) for at in range(len(page))} for page in filled]
    often = Counter(mark for page in marks for mark in page if mark)
    least = max(3, REPEATED * sum(map(bool, filled)))
    running = {mark for mark, times in often.items() if times >= least}
    return [[line for at, line in enumerate(page) if _mark(page, at) not in running] for page in filled]


def _mark(page: Sequence[str], at: int) -> str:
    """What a line has in common with those in its place on other pages; nothing for a number inside of a page."""
    mark = DIGITS.sub("#", page[at])
    return "" if not mark.strip("# .-–/|") and EDGE <= at < len(page) - EDGE else mark


def _without_references(pages: list[list[str]]) -> list[list[str]]:
    """What comes before the list of references, if one is headed so in the second half."""
    places = [(p, at) for p, page in enumerate(pages) for at, line in enumerate(page) if REFERENCES.fullmatch(line)]
    behind = [place for place in places if 2 * (sum(map(len, pages[: place[0]])) + place[1]) >= sum(map(len, pages))]
    if not behind:
        return pages
    page, at = behind[0]
    return [*pages[:page], pages[page][:at]]


def _words_joined(text: str) -> str:
    """Words that a line end cut in two are one again; the hyphen stays where the text writes it inside of a line."""
    known = Counter(re.findall(r"\w+(?:-\w+)*", text.lower()))

    def join(found: re.Match[str]) -> str:
        first, second = found[1], found[2]
        if known[f"{first}{second}".lower()]:
            return f"{first}{second}"
        written = known[f"{first}-{second}".lower()] or second[0].isupper()
        return f"{first}-{second}" if written or first[-1].isdigit() or second[0].isdigit() else f"{first}{second}"

    return CUT.sub(join, text).replace("\ufffe", "-")


def _add_paragraphs(paragraphs: list[list[str]], lines: Sequence[str]) -> None:
    """Add a page's lines; the first goes on with what the page before left open."""
    wide = sorted(map(len, lines))[len(lines) // 2 :]
    width = SHORT * median(wide) if wide else 0
    open_ = bool(paragraphs) and not ENDS.search(paragraphs[-1][-1])
    for at, line in enumerate(lines):
        before = lines[at - 1] if at else None
        begins = LIST.match(line) is not None or _heading(line, lines[at + 1] if at + 1 < len(lines) else "", width)
        if before is not None:
            ended = len(before) < width and (ENDS.search(before) or _heading(before, line, width))
            open_ = not ended
        if open_ and not begins and paragraphs:
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])


def _heading(line: str, following: str, width: float) -> bool:
    """A short line that ends no sentence and begins like a title, before one that begins like a sentence."""
    return (
        len(line) < 0.7 * width
        and not line.endswith((".", ",", ";", ":", "-"))
        and (line[0].isupper() or line[0].isdigit())
        and following[:1].isupper()
        and any(map(str.isalpha, line))
    )
