"""The elements of JATS: what is set apart, what is left out, what has a form of its own."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SECTIONS = _words("sec app app-group abstract boxed-text glossary ref-list sub-article response fn-group book-part")
"""What loses its headings when no paragraph is left in it."""

FLOATS = _words("fig table-wrap boxed-text chem-struct-wrap")

PARAGRAPHS = _words(
    "p title subtitle disp-quote disp-formula disp-formula-group verse-line verse-group speech speaker statement "
    "attrib fig-group table-wrap-group caption def-list body front-stub ref array fn book-title book-body"
)
"""What begins and ends a paragraph; all else runs on in the line."""

LEFT_OUT = _words(
    "table table-wrap-foot graphic inline-graphic media supplementary-material inline-supplementary-material object-id "
    "alt-text alt-title long-desc ack author-notes notes note bio trans-title trans-title-group "
    "trans-abstract contrib-group contrib aff article-id article-categories permissions kwd-group history pub-date "
    "related-article related-object counts custom-meta-group funding-group product front institution-id index-term "
    "book-meta book-part-meta collection-meta processing-meta self-uri elocation-id sec-meta"
)

LEAVES = _words("math tex-math alternatives citation-alternatives label code preformat break def sup xref") | {""}
"""What is not simply the text and the elements in it."""

SPACED = _words("element-citation nlm-citation name person-group")
"""References in parts, without the spaces and commas between them."""

MARKS = _words("fn table-fn aff corresp")
"""Kinds of cross-reference that point to what is left out."""

TEASERS = _words("toc teaser graphical precis web-summary")
"""Kinds of abstract that only announce the article."""

NOTES = frozenset({None, "other", "supplementary-material", "n", "footnote", "note"})
"""Kinds of notes at the end that are text of the article; the others tell of interests, money and people."""

ROOTS = _words("article book-part book")
"""What is read: an article, or a chapter or book of BITS."""
