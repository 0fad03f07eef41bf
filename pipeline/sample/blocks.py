"""Docstring -> blocks (headings, paragraphs, code, formulas, lists, fields, references), whatever its dialect.

Reads what reStructuredText, numpydoc, Google style and Markdown have in common. A docstring is not a
manuscript: what no rule below knows is a paragraph, and nothing raises.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["heading", "paragraph", "code", "formula", "item", "field", "reference"]
PROSE: frozenset[Kind] = frozenset({"paragraph", "item", "field"})


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a text; prose keeps its inline markup (see pipeline.sample.inline)."""

    kind: Kind
    text: str
    """Prose, a formula's TeX, or code with its line breaks."""
    label: str = ""
    """A field's term ('x : array_like') or a reference's number."""


Found = tuple[list[Block], int] | None
"""Blocks and the index of the line after them; None: not my business."""

UNDERLINE = re.compile(r"([=\-~*^\"+#])\1{2,}\s*")
TABLE = re.compile(r"=+( +=+)+|\+[-=+]+\+")
FENCE = re.compile(r"\s*(```|~~~)")
MARKDOWN_HEADING = re.compile(r"#{1,4} (\S.*?)[ #]*")
REFERENCE = re.compile(r"\.\. \[([\w*#.-]+)\] ?(.*)")
DIRECTIVE = re.compile(r"\.\. (?:\|\w+\| )?([\w:-]+?):: ?(.*)")
BULLET = re.compile(r"([-*+•]|\(?\d{1,2}[.)]|#\.) +(?=\S)")
FIELD = re.compile(r":(\w[^:`]*): *(.*)")
GOOGLE = re.compile(
    r"(Args|Arguments|Keyword [Aa]rgs|Keyword Arguments|Returns?|Yields|Raises|Shape|Inputs?|Outputs?"
    r"|Attributes|Parameters|Examples?|Note|Notes|Warning|References|Variables)(::?)"
)
GOOGLE_FIELD = re.compile(r"(\*{0,2}\w[\w.,* /]*(?: \(.*?\))?) ?:(?: +(\S.*))?")
SILENT = frozenset(
    {
        "index",
        "only",
        "autosummary",
        "toctree",
        "currentmodule",
        "module",
        "image",
        "figure",
        "include",
        "plot",
        "raw",
        "rubric",
    }
)
"""Directives whose body is for the machine that sets the page."""
ADMONITIONS = {
    "note",
    "warning",
    "seealso",
    "tip",
    "important",
    "caution",
    "attention",
    "versionadded",
    "versionchanged",
    "deprecated",
}


def parse(docstring: str) -> list[Block]:
    """The blocks of a docstring in their order; sections are told by `heading` blocks, not by nesting."""
    return _blocks(inspect.cleandoc(docstring).expandtabs().splitlines())


def _blocks(lines: list[str]) -> list[Block]:
    blocks: list[Block] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        said, at = next(found for rule in RULES if (found := rule(lines, at)))
        blocks.extend(said)
    return blocks


def _body(lines: list[str], at: int) -> tuple[list[str], int]:
    """The indented lines from `at` on, with the blank ones between them, moved to the left margin."""
    end = at
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" ")):
        end += 1
    return textwrap.dedent("\n".join(lines[at:end])).strip("\n").splitlines(), end


def _underlined(lines: list[str], at: int) -> bool:
    title = lines[at].strip()
    return (
        at + 1 < len(lines)
        and bool(UNDERLINE.fullmatch(lines[at + 1]))
        and any(character.isalnum() for character in title)
        and len(title) < 100
        and len(lines[at + 1].strip()) >= min(len(title), 4) - 1
    )


def _heading(lines: list[str], at: int) -> Found:
    if UNDERLINE.fullmatch(lines[at]):  # the line above a title, or a rule
        return [], at + 1
    if _underlined(lines, at):
        return [Block("heading", lines[at].strip())], at + 2
    if found := MARKDOWN_HEADING.fullmatch(lines[at]):
        return [Block("heading", found[1])], at + 1
    return None


def _google(lines: list[str], at: int) -> Found:
    found = GOOGLE.fullmatch(lines[at].rstrip())
    if not found or at + 1 >= len(lines):
        return None
    body, end = _body(lines, at + 1)
    if not body:
        return None
    head = Block("heading", found[1])
    if found[1].startswith("Example"):
        return [head, *([Block("code", "\n".join(body))] if found[2] == "::" else _blocks(body))], end
    return [head, *(_google_fields(body) if GOOGLE_FIELD.match(body[0]) else _blocks(body))], end


def _google_fields(body: list[str]) -> list[Block]:
    blocks: list[Block] = []
    at = 0
    while at < len(body):
        inner, end = _body(body, at + 1)
        if found := GOOGLE_FIELD.fullmatch(body[at]):
            blocks.extend(_with_label(found[1], [found[2] or "", *inner]))
        else:
            blocks.extend(_blocks(body[at:end]))
        at = end
    return blocks


def _with_label(label: str, lines: list[str]) -> list[Block]:
    """A field from its first paragraphs; formulas and code inside it follow it."""
    inner = _blocks(lines)
    label = label.replace("`", "").replace(", *optional*", ", optional").removesuffix(":")
    prose = " ".join(block.text for block in inner if block.kind == "paragraph")
    return [Block("field", prose, label), *(block for block in inner if block.kind != "paragraph")]


def _code(lines: list[str], at: int) -> Found:
    if FENCE.match(lines[at]):
        end = next((end for end in range(at + 1, len(lines)) if FENCE.match(lines[end])), len(lines))
        return [Block("code", textwrap.dedent("\n".join(lines[at + 1 : end])))], end + 1
    if not lines[at].lstrip().startswith(">>>"):
        return None
    end = at
    while end < len(lines) and lines[end].strip():
        end += 1
    return [Block("code", textwrap.dedent("\n".join(lines[at:end])))], end


def _table(lines: list[str], at: int) -> Found:
    if not TABLE.fullmatch(lines[at].strip()):
        return None
    end = at
    while end < len(lines) and lines[end].strip():
        end += 1
    return [Block("code", "\n".join(lines[at:end]))], end


def _reference(lines: list[str], at: int) -> Found:
    found = REFERENCE.fullmatch(lines[at].rstrip())
    if not found:
        return None
    body, end = _body(lines, at + 1)
    return [Block("reference", " ".join([found[2], *(line.strip() for line in body)]).strip(), found[1])], end


def _directive(lines: list[str], at: int) -> Found:
    if not lines[at].startswith(".. "):
        return None
    body, end = _body(lines, at + 1)
    found = DIRECTIVE.fullmatch(lines[at].rstrip())
    if not found or found[1] in SILENT:
        return [], end  # comments and targets
    name, argument = found[1], found[2]
    body = [line for line in body if not re.fullmatch(r":\w+:.*", line)]
    if name == "math":
        chunks = re.split(r"\n\s*\n", "\n".join([argument, *body]))
        return [Block("formula", chunk.strip()) for chunk in chunks if chunk.strip()], end
    if name in {"code-block", "code", "sourcecode", "parsed-literal", "testcode", "doctest"}:
        return [Block("code", "\n".join(body))], end
    if name in ADMONITIONS and not name.startswith("version"):
        return [Block("heading", name.capitalize()), *_blocks([argument, *body])], end
    return _blocks(body), end


def _item(lines: list[str], at: int) -> Found:
    found = BULLET.match(lines[at])
    if not found:
        return None
    end = at + 1
    while end < len(lines) and lines[end].strip() and lines[end].startswith(" "):
        end += 1
    text = " ".join([lines[at][found.end() :].strip(), *(line.strip() for line in lines[at + 1 : end])])
    return [Block("item", text)], end


def _field(lines: list[str], at: int) -> Found:
    found = FIELD.fullmatch(lines[at])
    if not found:
        return None
    body, end = _body(lines, at + 1)
    return _with_label(found[1].split()[-1], [found[2], *body]), end


def _indented(lines: list[str], at: int) -> Found:
    if not lines[at].startswith(" "):
        return None
    body, end = _body(lines, at)
    return (_blocks(body) if body else []), end


def _paragraph(lines: list[str], at: int) -> Found:
    end = at + 1
    while end < len(lines) and lines[end].strip() and not lines[end].startswith((" ", ".. ", "```")):
        if BULLET.match(lines[end]) or _underlined(lines, end):
            break
        end += 1
    text = " ".join(line.strip() for line in lines[at:end])
    body, after = _body(lines, end)
    adjacent = bool(body) and end < len(lines) and bool(lines[end].strip())
    if body and text.endswith(":") and not BULLET.match(body[0]) and not adjacent:
        said = text.removesuffix("::").removesuffix(":").rstrip()
        return [*([Block("paragraph", said + ":")] if said else []), Block("code", "\n".join(body))], after
    if adjacent and end == at + 1 and len(text) < 90:
        return _with_label(text, body), after
    if adjacent:  # a hanging indent
        return [Block("paragraph", " ".join([text, *(line.strip() for line in body if line.strip())]))], after
    return [Block("paragraph", text)], end


RULES: tuple[Callable[[list[str], int], Found], ...] = (
    _table,
    _heading,
    _google,
    _code,
    _reference,
    _directive,
    _item,
    _field,
    _indented,
    _paragraph,
)
