"""Chapters -> articles: what the mathematical packages say about their methods, laid out as a paper is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from pipeline.sample.blocks import PROSE, Block
from pipeline.sample.chapters import Chapter, Entry, chapters
from pipeline.sample.installed import drawn, shuffled

LENGTH = range(2_000, 14_000)
"""Characters of prose in an article: some 350 words at least, and short enough that a small sample has many."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "scipy": ("",),
    "sympy": ("",),
    "mpmath": ("",),
    "numpy": tuple(f"numpy/{name}/" for name in ("linalg", "fft", "polynomial", "random")),
}
"""Packages whose documentation explains the mathematics, with formulas and references."""

UNSCHOLARLY = frozenset({"Examples", "Example", "See Also", "See also", "Doctest", "Methods"})
"""Sections of a docstring that no paper has."""

MATHS = re.compile(r":math:|\$.+\$|`[^`]*[\\^][^`]*`")
"""Formulas within a line, by the habits of these packages."""

PARTS = frozenset({"Parameters", "Explanation", "Notes", "Returns", "References", "Description", "Attributes"})
"""Headings within a docstring, which name no article."""

INTRODUCTION = "Introduction"
ABSTRACT_BLOCKS = 3
TITLE = 120
"""Characters of the first sentence up to which it is taken into the title."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an article under one title; level 1 is the outermost."""

    title: str
    level: int
    blocks: list[Block]
    cites: Mapping[str, int]
    """Number in the article's reference list of each label used in the blocks."""


@dataclass(frozen=True, slots=True)
class Article:
    """A paper before it is set: JATS and LaTeX are two ways to write the same one."""

    number: int
    package: str
    name: str
    title: str
    abstract: list[Block]
    sections: list[Section]
    references: list[str]


def articles(count: int) -> Iterator[Article]:
    """`count` articles, or as many as the installed packages give; the packages take turns."""
    groups = {package: _mathematical(package, folders) for package, folders in PACKAGES.items()}
    taken = drawn(groups, count, lambda chapter: 1)
    for number, chapter in enumerate(sorted(taken, key=lambda chapter: shuffled(chapter.name))):
        yield article(number, chapter)


def _mathematical(package: str, folders: tuple[str, ...]) -> Iterator[Chapter]:
    for chapter in chapters(package, LENGTH, folders, scholarly):
        blocks = [block for entry in chapter.entries for block in entry.blocks]
        if any(block.kind == "formula" or MATHS.search(block.text) for block in blocks):
            yield chapter


def scholarly(blocks: list[Block]) -> list[Block]:
    """The blocks that a paper would have: no listings, and no sections of examples."""
    kept: list[Block] = []
    wanted = True
    for block in blocks:
        if block.kind == "heading":
            wanted = block.text.rstrip(":") not in UNSCHOLARLY
        if block.kind == "reference" or (wanted and block.kind != "code"):
            kept.append(block)
    return kept


def article(number: int, chapter: Chapter) -> Article:
    """The article that a chapter makes: the first words are its abstract, each entry is a section."""
    references: list[str] = []
    sections: list[Section] = []
    first, *rest = chapter.entries
    head, lead, body = _opening(first.blocks)
    for at, entry in enumerate([Entry(first.name, first.signature, body), *rest]):
        cites: dict[str, int] = {}
        for block in entry.blocks:
            if block.kind == "reference":
                if block.text not in references:
                    references.append(block.text)
                cites[block.label] = references.index(block.text) + 1
        sections.extend(_sections(entry, INTRODUCTION if at == 0 else entry.name, cites))
    said = head or (lead[0].text.rstrip(".") if lead else "")
    title = f"{chapter.title}: {said}" if said and len(said) < TITLE else chapter.title
    return Article(number, chapter.package, chapter.name, title, lead, sections, references)


def _opening(blocks: list[Block]) -> tuple[str, list[Block], list[Block]]:
    """The heading that a text begins with, the paragraphs of its abstract, and the rest."""
    head = blocks[0].text if blocks and blocks[0].kind == "heading" and blocks[0].text not in PARTS else ""
    rest = blocks[1:] if head else blocks
    end = next((at for at, block in enumerate(rest) if block.kind != "paragraph"), len(rest))
    end = min(end, ABSTRACT_BLOCKS)
    return head, rest[:end], rest[end:]


def _sections(entry: Entry, title: str, cites: Mapping[str, int]) -> Iterator[Section]:
    """A section of the entry's own words and one below it for each heading; the introduction's stand beside it."""
    heads = [at for at, block in enumerate(entry.blocks) if block.kind == "heading"]
    bounds = [-1, *heads, len(entry.blocks)]
    for start, end in pairwise(bounds):
        head = entry.blocks[start].text if start >= 0 else title
        blocks = [block for block in entry.blocks[start + 1 : end] if block.kind != "reference"]
        worth = any(block.kind in PROSE or block.kind == "formula" for block in blocks)
        if start < 0 and (worth or title != INTRODUCTION):
            yield Section(head, 1, blocks, cites)
        elif worth:
            yield Section(head, 1 if title == INTRODUCTION else 2, blocks, cites)
