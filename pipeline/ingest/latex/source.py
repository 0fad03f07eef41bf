"""The LaTeX (or plain TeX) files of one submission -> its text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from pipeline.ingest.latex.macros import Input, Source, Span
from pipeline.ingest.latex.typeset import Page
from pipeline.ingest.paper import NotAPaper, Paper

MOST_CHARACTERS = 20_000_000
"""Read for one submission, a file counted each time it is input: the longest book tried has 3 million."""

MOST_BYTES = 4 * MOST_CHARACTERS
"""A longer file cannot have so few characters, and is not looked into."""

PRICE_OF_A_FILE = 500
"""Characters that each input counts beside its own: empty files are not free."""

DEEPEST_INPUT = 20
"""Files within files."""

MOST_ROOTS = 200
"""Files that no other inputs, looked at in search of the main one."""

OTHER_KINDS = re.compile(
    r"\.(?:cls|sty|bst|bib|bbl|clo|def|cfg|ldf|fd|eps|pdf|png|jpe?g|gif|ps|svg|csv|dat|log|aux|toc|md|json|html)",
    re.IGNORECASE,
)
"""Never the main file."""

STARTS = re.compile(r"^[^%\n]*\\(documentclass|documentstyle)\b", re.MULTILINE)
PART = re.compile(r"^[^%\n]*\\documentclass\s*(?:\[[^\[\]]*\])?\s*\{(?:subfiles|standalone)\}", re.MULTILINE)
"""A part that can also be set alone."""

BEGINS = re.compile(r"^[^%\n]*\\begin\s*\{document\}", re.MULTILINE)
FRAGMENT = re.compile(r"\\(?:chapter|section|subsection|bye|magnification|end|par|begin)(?![A-Za-z])")
INPUTS = re.compile(
    r"\\[A-Za-z]*(?:input|include|import|subfile)\s*(?:\[([\w./-]+)\])?\s*\{?\s*([\w./-]+)|\\(?s:.)|%[^\n]*"
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WORDED = re.compile(r"(?:(\d{1,2})(?:st|nd|rd|th)? )?([A-Z][a-z]{2,8})\.?(?: (\d{1,2})(?:st|nd|rd|th)?)?,? (\d{4})")
ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")


def read_source(files: Mapping[str, bytes], *, references: bool = False) -> Paper:
    r"""Member names -> contents of one submission; a single file may have any name.

    A file is UTF-8 or else Latin-1. The main file has \documentclass and \begin{document}; of several, the one that
    00README names, or the one that with its inputs is longest. Without one, the longest file with sections or
    environments is read as a fragment. `references` keeps the bibliography.
    Raises NotAPaper: not_latex, bad_latex (more than MOST_CHARACTERS), empty_text.
    """
    submission = _Submission(files)
    main = submission.main()
    whole = any(STARTS.search(submission.text(name)) for name in submission.closure(main))
    inputs = Input()
    page = Page(inputs, lambda name: submission.load(name, inputs), preamble=whole, references=references)
    submission.load(main, inputs)
    body = page.set()
    title = page.title or None
    if not body:
        raise NotAPaper("empty_text", title)
    text = f"{title}\n\n{body}" if title else body
    return Paper(text=text, title=title, license=None, date=_iso(page.date), metadata={"main": main})


class _Submission:
    """The files by name, decoded when they are read; every reading counts towards the limit."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = {str(PurePosixPath(name)): content for name, content in sorted(files.items())}
        self.folded = {name.lower(): name for name in self.files}
        self.inputs: dict[str, list[str]] = {}
        self.decoded: dict[str, Source] = {}
        self.left = MOST_CHARACTERS

    def text(self, name: str) -> str:
        return self.source(name).text

    def source(self, name: str) -> Source:
        if name not in self.decoded:
            try:
                text = self.files[name].decode("utf-8-sig")
            except UnicodeDecodeError:
                text = self.files[name].decode("latin-1")
            self.decoded[name] = Source(text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", ""))
        return self.decoded[name]

    def main(self) -> str:
        """The name of the file that the others are input from."""
        names = [name for name in self.files if not OTHER_KINDS.fullmatch(PurePosixPath(name).suffix)]
        names = [name for name in names if self._is_text(name)]
        if named := [name for name in self._named() if name in names]:
            return named[0]
        drawn_in = {target for name in names for target in self.inputs_of(name) if target != name}
        roots = [name for name in names if name not in drawn_in or STARTS.search(self.text(name))]
        roots = sorted(roots, key=lambda name: (bool(PART.search(self.text(name))), name in drawn_in))[:MOST_ROOTS]
        closures = {name: [self.text(part) for part in self.closure(name)] for name in roots}
        whole = [
            name for name, texts in closures.items() if all(any(map(sign.search, texts)) for sign in (STARTS, BEGINS))
        ]
        whole = [name for name in whole if not PART.search(self.text(name))] or whole
        found = whole or [name for name, texts in closures.items() if any(map(FRAGMENT.search, texts))]
        if not found and (long := [name for name in self.files if len(self.files[name]) > MOST_BYTES]):
            raise NotAPaper("bad_latex", f"{long[0]} has {len(self.files[long[0]])} bytes")
        if not found:
            raise NotAPaper("not_latex", ", ".join(list(self.files)[:5]) or None)
        return max(sorted(found, reverse=True), key=lambda name: sum(map(len, closures[name])))

    def _is_text(self, name: str) -> bool:
        if len(self.files[name]) > MOST_BYTES:
            return False
        start = self.files[name][:4096]
        return b"\x00" not in start and not start.startswith((b"%PDF", b"%!PS", b"<!DOCTYPE", b"<html"))

    def _named(self) -> Iterator[str]:
        """Main files by 00README, in its JSON or its older form of lines."""
        if "00README.json" in self.files:
            try:
                sources = json.loads(self.files["00README.json"]).get("sources", [])
                yield from (str(one["filename"]) for one in sources if one.get("usage") == "toplevel")
            except (ValueError, AttributeError, KeyError, TypeError):
                return  # a broken note says nothing
        for line in self.files.get("00README.XXX", b"").decode("latin-1").splitlines():
            if line.split()[1:2] == ["toplevelfile"]:
                yield line.split()[0]

    def closure(self, main: str) -> list[str]:
        """A file with all that it inputs, each once."""
        found = {main: None}
        left = [main]
        while left:
            new = [name for name in self.inputs_of(left.pop()) if name not in found]
            found.update(dict.fromkeys(new))
            left.extend(dict.fromkeys(new))
        return list(found)

    def inputs_of(self, name: str) -> list[str]:
        """What a file says it inputs, as far as it is there."""
        if name not in self.inputs:
            told = (
                f"{folder}/{other}" if folder else other for folder, other in INPUTS.findall(self.text(name)) if other
            )
            members = (self._member(other, name) for other in told)
            self.inputs[name] = [member for member in members if member and self._is_text(member)]
        return self.inputs[name]

    def _member(self, name: str, reader: str) -> str | None:
        name = name.strip().strip('"')
        for folder in (PurePosixPath(), PurePosixPath(reader).parent):
            for ending in ("", ".tex", ".ltx"):
                path = _plain(str(folder / (name + ending)))
                if path in self.files or (path := self.folded.get(path.lower(), "")):
                    return path
        return None

    def load(self, name: str, inputs: Input) -> bool:
        """Put a file before what is being read; one that is missing, or being read already, is left out (False)."""
        self.left -= PRICE_OF_A_FILE
        open_files = inputs.open_files()
        if name == "*.bbl":
            name = next((other for other in self.files if other.endswith(".bbl")), name)
        member = self._member(name, open_files[-1] if open_files else "")
        if member is None or member in open_files or len(open_files) >= DEEPEST_INPUT or not self._is_text(member):
            return False
        source = self.source(member)
        self.left -= len(source.text)
        if self.left < 0:
            raise NotAPaper("bad_latex", f"more than {MOST_CHARACTERS} characters with all that it inputs")
        inputs.push(Span(source, 0, len(source.text)), file=member)
        return True


def _plain(path: str) -> str:
    """A path without `.` and `..`."""
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        if part == ".." and parts:
            parts.pop()
        elif part not in ("..", "/"):
            parts.append(part)
    return "/".join(parts)


def _iso(date: str) -> str | None:
    """A date as LaTeX papers write it; None for one that is not told in full words or digits."""
    if found := ISO.search(date):
        return found[0]
    if not (found := WORDED.search(date)) or found[2][:3].lower() not in MONTHS:
        return None
    month, day = MONTHS.index(found[2][:3].lower()) + 1, int(found[1] or found[3] or 0)
    return f"{found[4]}-{month:02}" + (f"-{day:02}" if 0 < day <= 31 else "")
