r"""\input and its kin -> the other files of the submission."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from pipeline.ingest.blocks import Blocks

if TYPE_CHECKING:
    from pipeline.ingest.latex.typeset import Page

BARE_NAME = re.compile(r"\s*([\w./-]+)")


def draw_in(page: Page, word: str) -> None:
    r"""\input{file}, \input file, \import{folder}{file}, and \bookimport[folder]{file} as some books have it."""
    inputs = page.inputs
    frame = inputs.frames[-1]
    folder = inputs.option() or (inputs.argument(braced=True) if word in ("import", "subimport") else None)
    if name := inputs.argument(braced=True):
        page.load(f"{folder.text}/{name.text}" if folder else name.text)
    elif bare := BARE_NAME.match(frame.source.text, frame.pos, frame.end):
        frame.pos = bare.end()
        page.load(bare[1])


def package(page: Page, word: str) -> None:
    r"""\usepackage{a,b}: of a style file that comes along the definitions count; what it prints does not."""
    page.inputs.option()
    if names := page.inputs.argument(braced=True):
        for name in reversed(names.text.split(",")):
            if page.load(f"{name.strip()}.sty"):
                outer, page.blocks = page.blocks, Blocks()
                page.inputs.frames[-1].then = partial(setattr, page, "blocks", outer)


def bibliography(page: Page, word: str) -> None:
    r"""\bibliography{file}: the list that BibTeX made, if references are wanted."""
    page.drop(1)
    if page.references:
        page.load("*.bbl")


def stop(page: Page, word: str) -> None:
    r"""Nothing is read after \bye, and nothing more of this file after \endinput."""
    for frame in reversed(page.inputs.frames):
        frame.pos = frame.end
        if frame.file is not None and word == "endinput":
            return
