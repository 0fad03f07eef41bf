"""Papers in JATS and LaTeX: how fast they are read, how much markup is left over, and how many words are kept.

    python bench/papers.py [PATH ...]       what `bertmill sample` makes if none is given

PATH is a file, a folder, or a tar archive of .xml or .nxml articles, .tex files, or arXiv's submissions (.gz).
A line has markup left over when outside of formulas and of code that the source itself sets verbatim it shows: a
backslash before a letter or another backslash, a brace (LaTeX), an XML tag or entity, three ` & ` of short cells, a
bracket pair with nothing in it, a space before a comma, or a noun without its number ("in Section , we"). Words kept
are those of three letters or more in the text, by those in the source's body without tables, references, formulas and
comments; for LaTeX that counts the names in options and labels too, so a tenth less than 1 is usual.
"""

from __future__ import annotations

import argparse
import io
import re
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lxml import etree

from bench.samples import samples
from pipeline.ingest import archives
from pipeline.ingest.jats.article import read_article
from pipeline.ingest.latex.source import read_source
from pipeline.ingest.paper import NotAPaper

RUNS = 3
FORMULA = re.compile(r"(?s)\\begin\{([a-zA-Z]+\*?)\}.*?\\end\{\1\}|\\\[.*?\\\]|\\\(.*?\\\)|\\.|\$\$|[${}\n]")
NOUN = "Sections?|Sec\\.|Equations?|Eqs?\\.|Theorem|Lemma|Fig(?:ure)?s?\\.?|Tables?|Chapter|Refs?\\."
LEFT_OVER = {
    "command": re.compile(r"\\(?:[A-Za-z]|\\)"),
    "brace": re.compile(r"[{}]"),
    "tag or entity": re.compile(r"</?[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>|&#?\w+;"),
    "row of a table": re.compile(r"&(?: [^&]{0,10} &){2}|&\s*$"),
    "hole": re.compile(
        r"\( ?[,;]? ?\)|\[ ?[,;–-]? ?\]|\w ,(?= )|"
        rf"\b(?:in|see|of|by|from|and) (?:{NOUN}) ?(?:[,;)]|(?:and|we|is|shows) )"
    ),
}
VERBATIM = re.compile(
    r"(?s)\\begin\{([A-Za-z]*(?:erbatim|listing|minted|ode|put|alltt|snip[a-z]*)\*?)\}(.*?)\\end\{\1\}"
    r"|\\(?:verb|Verb|lstinline|mintinline|code)\*?(?:\[[^\]]*\])?(?:\{\w+\})?([^\w\s])(.*?)\3"
)
SET_AS_CODE = ("code", "preformat", "monospace")
UNCOUNTED = ("table", "ref-list", "tex-math", "math", "object-id", "front-stub", "fn-group", "ack")
WORD = re.compile(r"[^\W\d_]{3,}")
TEX_WORDS = re.compile(
    r"(?<!\\)%[^\n]*|\\(?:begin|end|cite\w*|\w*ref|label|usepackage|input)\*?(?:\[[^\]]*\])?\{[^}]*\}|\\[A-Za-z]+"
)


@dataclass(frozen=True, kw_only=True)
class Read:
    """What one paper gave."""

    name: str
    kind: str
    bytes: int
    seconds: float
    lines: int
    left_over: dict[str, int]
    marked: int
    kept: float
    example: str
    fault: str = ""


def papers(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(name, its files) of every paper in a file, a folder or an archive."""
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            if inner.suffix in (".xml", ".nxml", ".tex", ".gz", ".tar"):
                yield from papers(inner)
    elif path.name.endswith((".tar", ".tar.gz", ".tgz")):
        for member in archives.members(path):
            if member.content is not None and member.name.endswith((".xml", ".nxml", ".tex", ".gz")):
                yield member.name, unpacked(member.name, member.content)
    else:
        yield path.name, unpacked(path.name, path.read_bytes())


def unpacked(name: str, content: bytes) -> dict[str, bytes]:
    """The files of a submission; anything else is one file."""
    if not name.endswith(".gz"):
        return {name: content}
    content = zlib.decompressobj(31).decompress(content)
    try:
        files = {
            inner.name: inner.content for inner in archives.inside(io.BytesIO(content)) if inner.content is not None
        }
    except archives.DamagedTarError:
        files = {}
    return files or {name.removesuffix(".gz"): content}


def read(name: str, files: dict[str, bytes]) -> Read:
    """Read a paper RUNS times and look at its lines."""
    xml = name.endswith((".xml", ".nxml"))
    source = b"\n".join(content for key, content in files.items() if xml or is_tex(key))
    seconds, text, fault = [], "", ""
    for _ in range(RUNS):
        began = time.process_time()
        try:
            text = (read_article(source) if xml else read_source(files)).text
        except NotAPaper as told:
            fault = str(told)
        seconds.append(time.process_time() - began)
    code, raw = (xml_facts if xml else tex_facts)(source)
    lines = [line for line in without_formulas(text).split("\n") if line.strip()]
    found = [
        (line, kind)
        for line in lines
        if " ".join(line.split()) not in code
        for kind in kinds(line, code)
        if not (xml and kind == "brace")
    ]
    return Read(
        name=name,
        kind="jats" if xml else "latex",
        bytes=len(source),
        seconds=median(seconds),
        lines=len(lines),
        left_over={kind: sum(of == kind for _, of in found) for kind in LEFT_OVER},
        marked=len({line for line, _ in found}),
        kept=len(WORD.findall(without_formulas(text))) / max(1, raw),
        example=found[0][0] if found else "",
        fault=fault,
    )


def without_formulas(text: str) -> str:
    """The text with a dollar sign for each formula; one may hold others within braces."""
    parts, place, depth, opener, start = [], 0, 0, "", 0
    for found in FORMULA.finditer(text):
        token = found[0]
        if token == "\n":
            if opener == "$":  # no formula after all: one in a line has no end of a line in it
                parts.append(text[start : found.start()])
                opener, place = "", found.start()
        elif token in "{}":
            depth += 1 if token == "{" else -1
        elif token[0] == "$" and not opener:
            parts.append(text[place : found.start()])
            opener, start, depth = token, found.start(), 0
        elif token[0] == "$" and depth <= 0 and (token == opener or opener == "$"):
            parts.append("$")
            opener, place = token if token != opener else "", found.end()
            opener = opener[1:]  # `$a$$b$` closes one and opens the next
        elif len(token) > 2 and not opener:
            parts += [text[place : found.start()], "$"]
            place = found.end()
    return "".join(parts) + text[start if opener else place :]


def is_tex(name: str) -> bool:
    """Whether a file of a submission holds text."""
    return name.endswith((".tex", ".ltx")) or "." not in name.rpartition("/")[2] or name[:1].isdigit()


def kinds(line: str, code: set[str]) -> Iterator[str]:
    """What is left over in a line, once the code within it is taken out."""
    for kind, sign in LEFT_OVER.items():
        if any(not any(found[0] in piece for piece in code) for found in sign.finditer(line)):
            yield kind


def xml_facts(source: bytes) -> tuple[set[str], int]:
    """(what is set as code, words of the body)."""
    try:
        root = etree.fromstring(source.lstrip(), etree.XMLParser(resolve_entities=False, recover=True))
    except etree.XMLSyntaxError:
        return set(), 0
    code = {
        " ".join(line.split()) for tag in SET_AS_CODE for one in root.iter(f"{{*}}{tag}") for line in one.itertext()
    }
    for element in [one for tag in UNCOUNTED for one in root.iter(f"{{*}}{tag}")]:
        tail = element.tail
        element.clear()
        element.tail = tail
    parts = [part for path in ("{*}body", "{*}front//{*}abstract", "{*}floats-group") for part in root.iterfind(path)]
    return code, sum(len(WORD.findall(text)) for part in parts for text in part.itertext())


def tex_facts(source: bytes) -> tuple[set[str], int]:
    """(lines set verbatim, words outside of formulas and commands)."""
    text = source.decode("utf-8", "replace")
    pieces = [found[2] or found[4] or "" for found in VERBATIM.finditer(text)]
    code = {" ".join(line.split()) for piece in pieces for line in piece.split("\n") if line.strip()}
    plain = without_formulas(TEX_WORDS.sub(" ", text.partition(r"\begin{document}")[2] or text))
    return code, len(WORD.findall(plain))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("paths", nargs="*", type=Path)
    options.add_argument("--worst", type=int, default=12)
    chosen = options.parse_args()
    found = [read(name, files) for path in chosen.paths or samples("science/*") for name, files in papers(path)]
    print(
        f"{'kind':6} {'papers':>6} {'refused':>7} {'MB':>7} {'MB/s':>6} {'lines':>7} {'left over':>9} {'kept':>5} "
        "of which"
    )
    for kind in ("jats", "latex"):
        if of := [one for one in found if one.kind == kind]:
            size, lines = sum(one.bytes for one in of), max(1, sum(one.lines for one in of))
            share = sum(one.marked for one in of) / lines
            each = ", ".join(f"{name} {sum(one.left_over[name] for one in of)}" for name in LEFT_OVER)
            print(
                f"{kind:6} {len(of):6} {sum(bool(one.fault) for one in of):7} {size / 1e6:7.2f} "
                f"{size / 1e6 / sum(one.seconds for one in of):6.1f} {lines:7} {share:9.2%} "
                f"{median(one.kept for one in of):5.2f}  {each}"
            )
    print(f"\n{'worst':44} {'KB':>6} {'MB/s':>6} {'lines':>6} {'left over':>9} {'kept':>5}  the first such line")
    for one in sorted(found, key=lambda one: (-one.marked / max(1, one.lines), one.kept))[: chosen.worst]:
        print(
            f"{one.name[-44:]:44} {one.bytes // 1000:6} {one.bytes / 1e6 / max(one.seconds, 1e-6):6.1f} {one.lines:6} "
            f"{one.marked / max(1, one.lines):9.2%} {one.kept:5.2f}  {one.fault or one.example[:100]}"
        )


if __name__ == "__main__":
    main()
