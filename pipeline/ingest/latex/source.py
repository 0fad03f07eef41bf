"""The LaTeX (or plain TeX) files of one submission -> its text."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from pipeline.ingest.latex.citations import Citations
from pipeline.ingest.latex.macros import Input, Source, Span
from pipeline.ingest.latex.typeset import Page
from pipeline.ingest.paper import NotAPaper, Paper

MOST_CHARACTERS = 3_300_000
"""Read for one submission, a file counted each time it is input: the longest book tried has 3 million.
At worst (nothing but unknown commands of one letter) so many take 4.6 seconds."""

MOST_BYTES = 4 * MOST_CHARACTERS
"""A longer file cannot have so few characters, and is not looked into."""

PRICE_OF_A_FILE = 500
"""Characters that each input counts beside its own: empty files are not free."""

DEEPEST_INPUT = 20
"""Files within files."""

MOST_ROOTS = 200
"""Files that no other inputs, looked at in search of the main one."""

PREAMBLE = 20_000
r"""Bytes of a file in which \inputenc is looked for."""

MOST_BIBTEX = 2_000_000
"""Bytes of a BibTeX file that is read for the names in citations; some are a whole group's library."""

MARKS = "\x00\x01\x02\x03"
"""Signs that no text holds: gaps, holes and references are marked with them."""

INPUTENC = re.compile(rb"\\(?:usepackage|RequirePackage)\s*\[([\w-]+)\]\s*\{inputenc\}")
ENCODINGS = {
    "latin1": "cp1252", "latin2": "iso8859-2", "latin3": "iso8859-3", "latin4": "iso8859-4", "latin5": "iso8859-9",
    "latin9": "iso8859-15", "latin10": "iso8859-16", "ansinew": "cp1252", "cp1250": "cp1250", "cp1251": "cp1251",
    "cp1252": "cp1252", "cp1257": "cp1257", "cp437": "cp437", "cp850": "cp850", "cp852": "cp852", "cp866": "cp866",
    "koi8-r": "koi8-r", "koi8-u": "koi8-u", "applemac": "mac-roman", "macce": "mac-latin2", "decmulti": "cp1252",
}  # fmt: skip
"""The encodings of LaTeX's inputenc by Python's names."""

OTHER_KINDS = re.compile(
    r"\.(?:cls|sty|bst|bib|bbl|clo|def|cfg|ldf|fd|eps|pdf|png|jpe?g|gif|ps|svg|csv|dat|log|aux|toc|md|json|html)",
    re.IGNORECASE,
)
"""Never the main file."""

STARTS = re.compile(r"^[^%\n]*\\(documentclass|documentstyle)\b", re.MULTILINE)
PART = re.compile(r"^[^%\n]*\\documentclass\s*(?:\[[^\[\]]*\])?\s*\{(?:subfiles|standalone)\}", re.MULTILINE)
"""A part that can also be set alone."""

BEGINS = re.compile(r"^[^%\n]*\\begin\s*\{document\}", re.MULTILINE)
FRAGMENT = re.compile(
    r"\\(?:chapter|section|subsection|bye|magnification|end|par|begin|document|topmatter|beginsection|proclaim)(?![A-Za-z])"
)
INPUTS = re.compile(r"(?:input|include|import|subfile)\s*(?:\[([\w./-]+)\])?\s*\{?\s*([\w./-]+)")
COMMAND = re.compile(r"\\[A-Za-z]*\Z")
"""What comes before the end of a command's name."""

LONGEST_COMMAND = 30
LONGEST_LINE = 400
"""Characters before a command in which a comment may have begun."""
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WORDED = re.compile(r"(?:(\d{1,2})(?:st|nd|rd|th)? )?([A-Z][a-z]{2,8})\.?(?: (\d{1,2})(?:st|nd|rd|th)?)?,? (\d{4})")
ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")


def read_source(files: Mapping[str, bytes], *, references: bool = False) -> Paper:
    r"""Member names -> contents of one submission; a single file may have any name.

    A file is UTF-8, or else what \inputenc says, or else Windows-1252.
    The main file has \documentclass and \begin{document}; of several, the one that
    00README names, or the one that with its inputs is longest. Without one, the longest file with sections or
    environments is read as a fragment. `references` keeps the bibliography.
    Raises NotAPaper: not_latex, bad_latex (more than MOST_CHARACTERS), empty_text.
    """
    submission = _Submission(files)
    main = submission.main()
    texts = [submission.text(name) for name in submission.closure(main)]
    whole = all(any(map(sign.search, texts)) for sign in (STARTS, BEGINS))
    page, body = _set(submission, main, preamble=whole, references=references)
    if not body and whole:  # \begin{document} stood in an example only
        page, body = _set(submission, main, preamble=False, references=references)
    title = page.title or None
    if not body:
        raise NotAPaper("empty_text", title)
    text = f"{title}\n\n{body}" if title else body
    return Paper(text=text, title=title, license=None, date=_iso(page.date), metadata={"main": main})


def _set(submission: _Submission, main: str, *, preamble: bool, references: bool) -> tuple[Page, str]:
    inputs = Input()
    cited = Citations(lambda: submission.bibliography(main))
    page = Page(inputs, lambda name: submission.load(name, inputs), cited, preamble=preamble, references=references)
    submission.load(main, inputs)
    return page, page.set()


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
        """A file of the submission with its encoding undone, each once."""
        if name not in self.decoded:
            try:
                text = self.files[name].decode("utf-8-sig")
            except UnicodeDecodeError:
                text = self.files[name].decode(self._declared(name), "replace")
            if "\r" in text:
                text = text.replace("\r\n", "\n").replace("\r", "\n")
            for mark in MARKS:
                if mark in text:
                    text = text.replace(mark, "")
            self.decoded[name] = Source(text)
        return self.decoded[name]

    def _declared(self, name: str) -> str:
        """The encoding that this file declares, or the first other that does."""
        for other in (name, *self.files):
            if found := INPUTENC.search(self.files[other][:PREAMBLE]):
                return ENCODINGS.get(found[1].decode().lower(), "cp1252")
        return "cp1252"

    def bibliography(self, main: str) -> Iterator[str]:
        """What may hold the bibliography, the list that was printed before the data it was made from."""
        closure = self.closure(main)
        texts = [name for name in closure if not name.endswith(".bib")]
        for ending, longest in ((".bbl", MOST_BYTES), (".bib", MOST_BIBTEX)):
            texts += [name for name in self.files if name.lower().endswith(ending) and len(self.files[name]) <= longest]
        yield from (self.text(name) for name in dict.fromkeys(texts))

    def main(self) -> str:
        """The name of the file that the others are input from."""
        names = [name for name in self.files if not OTHER_KINDS.fullmatch(PurePosixPath(name).suffix)]
        names = [name for name in names if self._is_text(name)]
        if len(names) == 1 and FRAGMENT.search(self.text(names[0])):
            return names[0]
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
            members = (self._member(other, name) for other in _drawn_in(self.text(name)))
            self.inputs[name] = [member for member in members if member and self._is_text(member)]
        return self.inputs[name]

    def _member(self, name: str, reader: str) -> str | None:
        name = name.strip().strip('"')
        for folder in ("", posixpath.dirname(reader)):
            for ending in ("", ".tex", ".ltx"):
                path = posixpath.normpath(posixpath.join(folder, name.lstrip("/") + ending))
                while path.startswith("../"):
                    path = path[3:]
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


def _drawn_in(text: str) -> Iterator[str]:
    """The files that a text inputs, where it is no comment."""
    for found in INPUTS.finditer(text):
        start = found.start()
        if COMMAND.search(text, max(0, start - LONGEST_COMMAND), start):
            first = max(0, start - LONGEST_LINE)
            line = text[max(text.rfind("\n", first, start) + 1, first) : start]
            if "%" not in line.replace("\\%", ""):
                yield f"{found[1]}/{found[2]}" if found[1] else found[2]


def _iso(date: str) -> str | None:
    """A date as LaTeX papers write it; None for one that is not told in full words or digits."""
    if found := ISO.search(date):
        return found[0]
    if not (found := WORDED.search(date)) or found[2][:3].lower() not in MONTHS:
        return None
    month, day = MONTHS.index(found[2][:3].lower()) + 1, int(found[1] or found[3] or 0)
    return f"{found[4]}-{month:02}" + (f"-{day:02}" if 0 < day <= 31 else "")
