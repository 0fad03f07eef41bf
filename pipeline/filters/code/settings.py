"""What a recipe may ask of source files: every threshold of every rule, with where it was published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeline.filters.checks import check_counts, check_share
from pipeline.filters.redaction import Pii, Remedy


@dataclass(frozen=True, kw_only=True)
class StarCoder:
    """StarCoder2's rules on the shape of a source file (Lozhkov et al. 2024, section 2.1.3), and StarCoder's on XML (Li
    et al. 2023, section 3); which languages are spared stands in `measure`."""

    max_lines: int = 100_000
    """Lines of a file of any language."""
    max_line: int = 1000
    """Characters of the longest line; not asked of markup, data and prose."""
    max_mean_line: float = 100.0
    """Mean characters a line; not asked of markup, data and prose."""
    max_prose_line: int = 100_000
    """Characters of the longest line of markup, data and prose."""
    min_alphabetic: float = 0.25
    """Share of the characters that are letters; not asked of assembly."""
    min_alphanumeric: float = 0.25
    """Share of the characters that are letters or digits; asked of assembly."""
    max_encoded: float = 0.5
    """Share of the characters in base64, bytes in hexadecimal or escapes."""
    max_encoded_run: int = 1024
    """Characters of the longest run of such data."""
    max_data_lines: int = 512
    """Lines of Text, JSON, YAML, Web Ontology Language and Graphviz."""
    named_text: bool = True
    """Of Text, keep only what is called requirements, readme, notes, todo, description or cmakelists."""
    min_html_visible: float = 0.2
    """HTML: share of the characters that a reader sees."""
    min_html_text: int = 100
    """HTML: characters that a reader sees."""

    def __post_init__(self) -> None:
        check_share(min_alphabetic=self.min_alphabetic, min_alphanumeric=self.min_alphanumeric)
        check_share(max_encoded=self.max_encoded, min_html_visible=self.min_html_visible)
        check_counts(max_lines=self.max_lines, max_line=self.max_line, max_prose_line=self.max_prose_line)
        check_counts(max_encoded_run=self.max_encoded_run, max_data_lines=self.max_data_lines)
        check_counts(min_html_text=self.min_html_text)


@dataclass(frozen=True, kw_only=True)
class Comments:
    """Share of comments, documentation strings among them (SantaCoder, Ben Allal et al. 2023, section 4)."""

    min_share: float = 0.01
    """Share of the visible bytes. A file without a word on what it does teaches little."""
    max_share: float = 0.8
    """A file of hardly anything else is a licence, or code that was put out of use."""
    languages: tuple[str, ...] = ("Python", "Java", "JavaScript")
    """The languages asked, SantaCoder's; any of some hundred whose comments are known."""

    def __post_init__(self) -> None:
        from pipeline.filters.code.names import check_commented  # here, as its tables are not wanted by `--help`

        check_share(min_share=self.min_share, max_share=self.max_share)
        check_commented(self.languages)
        if self.max_share < self.min_share:
            raise ValueError(f"max_share {self.max_share:g} is less than min_share {self.min_share:g}")


@dataclass(frozen=True, kw_only=True)
class Data:
    """Programs that are tables of data; ours, looked at by eye on 4,700 files: every one above is such a table."""

    max_literals: float = 0.9
    """Share of strings and numbers among the bytes of strings, numbers and names. Test vectors have 0.8 at most."""
    from_bytes: int = 1000
    """Bytes of strings and numbers from which a file is asked."""

    def __post_init__(self) -> None:
        check_share(max_literals=self.max_literals)
        check_counts(from_bytes=self.from_bytes)


@dataclass(frozen=True, kw_only=True)
class CodeFilters:
    """Rules for source files, asked in this order: licence, language, origin, shape, comments, data, secrets."""

    licenses: Literal["permissive", "any"] | tuple[str, ...] = "permissive"
    """`permissive`, `any` (none is fine, too), or the SPDX names to keep."""
    license_notices: bool = True
    """A licence that a file states at its head (an SPDX tag, a grant, its text) has to do as well as the one that the
    data set or the repository states for it, and does alone where they state none."""
    languages: tuple[str, ...] = ()
    """Programming languages to keep, in any case: Python, C++; empty keeps all."""
    generated: bool = False
    """Keep files that a program wrote ("do not edit", lock files, or said so by the data set)."""
    vendored: bool = False
    """Keep copies of other projects (node_modules, vendor, ..., or said so by the data set)."""
    minified: bool = False
    """Keep scripts and style sheets written for machines (.min.js, or hardly a line break)."""
    starcoder: StarCoder | None = field(default_factory=StarCoder)
    comments: Comments | None = None
    """Off: StarCoder and StarCoder2 did without, and of the files we looked at it drops a third of the JavaScript."""
    data: Data | None = field(default_factory=Data)
    secrets: Remedy = "redact"
    """Keys and passwords: `redact` writes <KEY> and <PASSWORD> in their place (Li et al. 2023, section 4), `drop` drops
    the file, `keep` keeps them."""
    pii: Pii | None = field(default_factory=Pii)

    def __post_init__(self) -> None:
        if not self.licenses:
            raise ValueError("licenses is empty; name SPDX licences, or write permissive or any")
        if self.languages or not isinstance(self.licenses, str):
            from pipeline.filters.code.names import check_languages, check_licenses

            check_languages(self.languages)
            check_licenses(() if isinstance(self.licenses, str) else self.licenses)
