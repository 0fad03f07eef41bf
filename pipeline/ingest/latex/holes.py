"""A line in which the number of something elsewhere is missing -> the line as it reads without: "in Section ?" becomes
"in the section"."""

from __future__ import annotations

import re

from pipeline.ingest.blocks import GAP, close_gaps

HOLE = "\x01"
"""Where the number of something that no label names would stand."""

NOUNS = {
    "chapter": "ch chap chs chaps chapter chapters",
    "section": "sec sect secs sects section sections subsection subsections",
    "appendix": "app appendix appendices",
    "equation": "eq eqs eqn eqns equation equations",
    "figure": "fig figs figure figures",
    "table": "tab tabs tbl table tables",
    "algorithm": "alg algs algorithm algorithms",
    "theorem": "thm thms th theorem theorems",
    "lemma": "lem lemma lemmas lemmata",
    "proposition": "prop props proposition propositions",
    "corollary": "cor corollary corollaries",
    "definition": "def defn definition definitions",
    "example": "ex example examples",
    "exercise": "exercise exercises",
    "remark": "rem remark remarks",
    "part": "part parts",
    "problem": "problem problems",
    "page": "p pp page pages",
}
"""What papers refer to by number, as they write it."""

FULL = {form: noun for noun, forms in NOUNS.items() for form in forms.split()}
SAID = rf"\b(?i:{'|'.join(sorted(FULL, key=len, reverse=True))})\b\.? ?"
NEIGHBOURS = re.compile(rf"{HOLE}(?:(?:[ ,;–-]|and |& |to |or )*{HOLE})+")
PAGE = re.compile(rf",? (?:on|at) (?:page|pages|p\.|pp\.) ?{HOLE}")
BRACKETS = re.compile(
    rf" ?[(\[] ?(?:(?:see also|see|also|cf\.?|e\.g\.|i\.e\.|in|as in)[ ,]{{0,2}}){{0,3}}"
    rf"(?:{SAID})?{HOLE}[ ,;.]{{0,3}}[)\]]"
)
NUMBERED = re.compile(rf"(?:\b(the|this|our|a|an|each|that) )?({SAID}){HOLE}", re.IGNORECASE)
BARE = re.compile(rf"\(? ?{HOLE} ?\)?")


def close_holes(line: str) -> str:
    """Brackets go with what they say, pages too; a noun without its number gets an article."""
    line = BRACKETS.sub("", PAGE.sub("", NEIGHBOURS.sub(HOLE, line)))
    return close_gaps(BARE.sub(GAP, NUMBERED.sub(_the, line)))


def _the(found: re.Match[str]) -> str:
    form = found[2].strip(" .").lower()
    noun = FULL[form]
    if form != noun and form.endswith("s") and not noun.endswith("s"):
        noun += "s"
    before = found.string[: found.start()].rstrip()[-1:]
    return f"{found[1] or ('The' if before in ('', '.', '!', '?') else 'the')} {noun}"
