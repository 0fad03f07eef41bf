"""A JATS XML article -> its title, abstract and body as text: what a reader reads from top to bottom.

Left out: tables' bodies (rows of cells make no sentences, and spans and nested headers are lost when laid in a
line) with their notes, pictures, lists of supplementary files, acknowledgements, marks of footnotes, notes on
interests and funding, authors' notes, keywords, translations (sub-articles, abstracts, captions in a second language)
and the teasers of tables of contents. Kept: captions, boxes, appendices, glossaries, notes at the end, reviewers'
reports and replies.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from pipeline.ingest.blocks import GAP, Blocks
from pipeline.ingest.jats.formula import delimited, mathml, name_of, tex_of
from pipeline.ingest.jats.front import facts_of
from pipeline.ingest.jats.words import (
    FLOATS,
    LEAVES,
    LEFT_OUT,
    MARKS,
    NOTES,
    PARAGRAPHS,
    ROOTS,
    SECTIONS,
    SPACED,
    TEASERS,
)
from pipeline.ingest.paper import NotAPaper, Paper

MOST_BYTES = 16 << 20
"""A longer article is refused. At worst (nothing but short elements) 16 MB took 870 MB of memory and 4 seconds; the
longest of 176 real articles has 0.9 MB."""

TITLES = (
    "{*}front/{*}article-meta/{*}title-group",
    "{*}book-part-meta/{*}title-group",
    "{*}book-meta/{*}book-title-group",
)
MENDABLE = re.compile(r"Entity '\w+' not defined|not proper UTF-8|Unsupported encoding|Input is not|invalid bytes")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
PROLOG = 2_000
"""Characters in which a document type is looked for."""

TAGS = re.compile(r"<(?:!--|/?[A-Za-z])[^<>]{0,400}>")
"""HTML that stands in an article as text."""

DECLARED = 8
"""An entity that the file itself declares counts as the characters it stands for, up to 8 of them."""

RAISED = str.maketrans("0123456789+-−–", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻")
NUMBER = re.compile(r"[0-9+−–-]+")


def read_article(xml: bytes, *, references: bool = False) -> Paper:
    """One article of JATS, NLM or PMC form, or a chapter or book of BITS; in a wrapper, the first.

    Superscript numbers become Unicode's (10⁻³, not 10-3); citations set as
    superscripts are left out, those in brackets are text.

    `references` keeps the list of references. Nothing is fetched: no DTD, no entity but those of characters.
    Raises NotAPaper: bad_xml, not_an_article, empty_text.
    """
    whole = _parsed(xml)
    root = next((element for element in whole.iter("*") if name_of(element) in ROOTS), None)
    if root is None:
        raise NotAPaper("not_an_article", whole.tag if isinstance(whole.tag, str) else None)
    reader = _Reader(root, references=references)
    title = next(filter(None, (reader.line(root.find(path)) for path in TITLES)), None)
    for part in _parts(root):
        reader.read(part)
    body = reader.blocks.text()
    if not body:
        raise NotAPaper("empty_text", title)
    license_, date, metadata = facts_of(root)
    text = f"{title}\n\n{body}" if title else body
    return Paper(text=text, title=title, license=license_, date=date, metadata=metadata)


def _parsed(xml: bytes) -> Any:
    if len(xml) > MOST_BYTES:
        raise NotAPaper("bad_xml", f"{len(xml)} bytes; at most {MOST_BYTES} are read")
    xml = xml.lstrip()
    try:
        return _tree(xml)
    except etree.XMLSyntaxError as fault:
        if not MENDABLE.search(fault.msg or ""):
            raise NotAPaper("bad_xml", fault.msg) from None
    try:
        return _tree(_mended(xml))
    except etree.XMLSyntaxError as fault:
        raise NotAPaper("bad_xml", fault.msg) from None


def _tree(xml: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True)
    return etree.fromstring(xml, parser)


def _mended(xml: bytes) -> bytes:
    """With a document type, so that a name such as &nbsp; is no error, and in UTF-8 where that was only claimed."""
    try:
        text = xml.decode("utf-16" if xml.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = xml.decode("cp1252", "replace")
    text = DECLARATION.sub("", text, count=1)
    kind = "" if "<!DOCTYPE" in text[:PROLOG] else '<!DOCTYPE article SYSTEM "article.dtd">'
    return (kind + text).encode()


def _parts(article: Any) -> Iterator[Any]:
    """In reading order: abstracts, body, back, floats kept apart, reviews and replies."""
    for name in ("front/{*}article-meta/{*}abstract", "book-part-meta/{*}abstract", "book-meta/{*}abstract"):
        yield from article.iterfind(f"{{*}}{name}")
    for name in ("body", "book-body", "back", "book-back", "floats-group", "sub-article", "response"):
        yield from article.iterfind(f"{{*}}{name}")


class _Reader:
    """Walks one article once; a recursion takes one frame a level, and the parser allows 256 levels."""

    def __init__(self, article: Any, *, references: bool) -> None:
        self.blocks = Blocks()
        self.left_out = LEFT_OUT if references else LEFT_OUT | {"ref-list"}
        self.language = _language(article)
        self.display = False
        self.asked: tuple[Any, bool] = (None, False)
        dtd = article.getroottree().docinfo.internalDTD
        declared = {entity.name: entity.content or "" for entity in dtd.iterentities()} if dtd is not None else {}
        self.entities = {k: v for k, v in declared.items() if len(v) <= DECLARED and not set("&<%") & set(v)}

    def line(self, element: Any) -> str | None:
        """An element as a single line."""
        if element is None:
            return None
        outer, self.blocks = self.blocks, Blocks()
        self.blocks.inside = ": "
        self.blocks.joint = ""
        self.read(element)
        text, self.blocks = self.blocks.text(), outer
        return text.rstrip(": ") or None

    def read(self, element: Any) -> None:
        """Write the element and what is in it, but not the text that follows it."""
        name, blocks = name_of(element), self.blocks
        if name in self.left_out:
            if name in ("graphic", "inline-graphic"):
                blocks.write(GAP)
            return
        if (name in LEAVES and self._leaf(name, element)) or self._is_foreign(name, element):
            return
        mark = blocks.mark() if name in SECTIONS else None
        outer = None
        if name in FLOATS - {"boxed-text"}:
            outer = blocks.enter(" ")
        elif name in ("list", "def-list"):
            outer = blocks.enter("\n")
        elif name in ("list-item", "def-item"):
            blocks.end()
            blocks.prefix = "- "
        elif name in PARAGRAPHS:
            blocks.end()
        display, self.display = self.display, self.display or name == "disp-formula"
        if text := element.text:
            blocks.line.append(text if "</" not in text else _untagged(text))
        for child in element:
            self.read(child)
            if text := child.tail:
                blocks.line.append(text if "</" not in text else _untagged(text))
            elif name in SPACED:
                blocks.line.append(" ")
        self.display = display
        if mark is not None:
            blocks.prune(mark)
        if outer is not None:
            blocks.leave(outer)
        elif name in PARAGRAPHS or name in ("list-item", "def-item"):
            blocks.end(heading=name == "title" and name_of(element.getparent()) not in ("caption", "title-group"))
        elif name == "term":
            blocks.write(": ")

    def _leaf(self, name: str, element: Any) -> bool:
        """Write what is no plain container; False where it is one after all."""
        blocks = self.blocks
        if name == "":
            if element.tag is etree.Entity:
                blocks.write(self.entities.get(element.name) or html.unescape(f"&{element.name};"))
        elif name == "math":
            if not self._has_tex(element.getparent()):
                self._formula(mathml(element))
        elif name == "tex-math":
            self._formula(tex_of(element))
        elif name in ("alternatives", "citation-alternatives"):
            self._alternatives(element)
        elif name == "label":
            self._label(element)
        elif name in ("code", "preformat"):
            blocks.end()
            blocks.put("".join(element.itertext()).strip("\n").rstrip())
        elif name == "break":
            blocks.write(" ")
        elif name == "def":
            blocks.write(" ".join("".join(element.itertext()).split()))
        elif name == "sup":
            return self._superscript(element)
        elif self._is_mark(element):
            blocks.write(GAP)
        else:
            return False
        return True

    def _has_tex(self, parent: Any) -> bool:
        """Whether the formula says the same in TeX; asked once a parent, as it may have many children."""
        if self.asked[0] is not parent:
            self.asked = parent, parent.find("{*}tex-math") is not None
        return self.asked[1]

    def _formula(self, tex: str) -> None:
        self.blocks.write(delimited(tex, display=self.display))

    def _alternatives(self, element: Any) -> None:
        """One of several forms of the same thing: TeX, else MathML, else the first with text."""
        forms = sorted(element.iterchildren("*"), key=lambda form: {"tex-math": 0, "math": 1}.get(name_of(form), 2))
        for form in forms:
            if name_of(form) not in self.left_out and "".join(form.itertext()).strip():
                if name_of(form) == "math":
                    self._formula(mathml(form))
                else:
                    self.read(form)
                return

    def _label(self, element: Any) -> None:
        blocks, parent = self.blocks, element.getparent()
        label, kind = " ".join("".join(element.itertext()).split()), name_of(parent)
        if kind == "disp-formula":
            blocks.write(f" {label} ")
            return
        blocks.end()
        if label and kind in FLOATS and label[-1] not in ".:":
            label += "."
        if label and kind in SECTIONS and not self._is_title(element.getnext()):
            blocks.put(label, heading=True)
        elif label:
            blocks.prefix += f"{label} "

    @staticmethod
    def _is_title(element: Any) -> bool:
        return element is not None and name_of(element) == "title"

    def _superscript(self, element: Any) -> bool:
        if any(self._is_mark(xref, raised=True) for xref in element.iterchildren("{*}xref")):
            self.blocks.write(GAP)
            return True
        text = element.text or ""
        if len(element) or not NUMBER.fullmatch(text):
            return False
        self.blocks.write(text.translate(RAISED))
        return True

    def _is_mark(self, element: Any, *, raised: bool = False) -> bool:
        """A cross-reference that is left out: to a footnote, or to a source by a raised number."""
        kind = element.get("ref-type")
        if kind in MARKS:
            return True
        return kind == "bibr" and (raised or (element.find("{*}sup") is not None and not (element.text or "").strip()))

    def _is_foreign(self, name: str, element: Any) -> bool:
        """A translation, a teaser of what follows, or a note that is no text of the article."""
        if name == "fn":
            return name_of(element.getparent()) != "fn-group" or element.get("fn-type") not in NOTES
        if name == "sub-article":
            return bool(element.get("article-type") == "translation")
        if name in ("fig", "table-wrap"):
            return (_language(element) or self.language) != self.language
        return name == "abstract" and element.get("abstract-type") in TEASERS


def _untagged(text: str) -> str:
    return html.unescape(TAGS.sub(" ", text))


def _language(element: Any) -> str | None:
    language = element.get("{http://www.w3.org/XML/1998/namespace}lang")
    return language.lower() if language else None
