"""What a rule says of a document it does not let pass."""

from __future__ import annotations

from typing import NamedTuple


class Failed(NamedTuple):
    """The first rule that a document failed."""

    reason: str
    """The rule's published name: gopher_short_document, c4_lorem_ipsum, ..."""
    value: str | float | None = None
    """What was measured."""
    threshold: str | float | None = None
    """What it was measured against."""
