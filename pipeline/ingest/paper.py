"""One scientific paper as text: what the JATS and the LaTeX readers both give back."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """The text of one paper with the fields its source states about itself."""

    text: str
    """Paragraphs and headings, one blank line between them; never empty."""
    title: str | None
    license: str | None
    """An SPDX identifier where the source names a licence plainly, otherwise its address or words."""
    date: str | None
    """ISO 8601 as far as the source is exact: YYYY, YYYY-MM or YYYY-MM-DD."""
    metadata: Mapping[str, str]


class NotAPaper(Exception):  # noqa: N818
    """The source holds no readable paper.

    `reason` is one of bad_xml, not_an_article, bad_latex, not_latex, empty_text; `value` is what
    was found instead, where there is something to show.
    """

    def __init__(self, reason: str, value: str | None = None) -> None:
        super().__init__(reason if value is None else f"{reason}: {value}")
        self.reason = reason
        self.value = value
