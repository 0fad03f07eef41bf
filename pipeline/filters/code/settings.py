"""What a recipe may ask of source files: every threshold of every rule, with where it was published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeline.filters.checks import check_counts, check_share


@dataclass(frozen=True, kw_only=True)
class StarCoder:
    """The rules of StarCoder (Li et al. 2023, section 3.1) on the shape of a source file."""

    max_line: int = 1000
    """Characters of the longest line."""
    max_mean_line: float = 100.0
    """Mean characters a line."""
    min_alphanumeric: float = 0.25
    """Share of the characters that are letters or digits."""
    min_html_visible: float = 0.2
    """HTML: share of the characters that a reader sees."""
    min_html_text: int = 100
    """HTML: characters that a reader sees."""

    def __post_init__(self) -> None:
        check_share(min_alphanumeric=self.min_alphanumeric, min_html_visible=self.min_html_visible)
        check_counts(max_line=self.max_line, min_html_text=self.min_html_text)


@dataclass(frozen=True, kw_only=True)
class CodeFilters:
    """Rules for source files, in the order they are asked: licence, language, origin, shape."""

    licenses: Literal["permissive", "any"] | tuple[str, ...] = "permissive"
    """`permissive`, `any` (none is fine, too), or the SPDX names to keep. Of several, every one must do."""
    languages: tuple[str, ...] = ()
    """Programming languages to keep, in any case: Python, C++; empty keeps all."""
    generated: bool = False
    """Keep files that a program wrote ("do not edit", "@generated", or said so by the data set)."""
    vendored: bool = False
    """Keep copies of other projects (node_modules, vendor, ..., or said so by the data set)."""
    minified: bool = False
    """Keep scripts and style sheets written for machines (.min.js, or hardly a line break)."""
    starcoder: StarCoder | None = field(default_factory=StarCoder)

    def __post_init__(self) -> None:
        if not self.licenses:
            raise ValueError("licenses is empty; name SPDX licences, or write permissive or any")
