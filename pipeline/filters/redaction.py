"""What a recipe may ask of personal data in documents of any kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Remedy = Literal["redact", "drop", "keep"]


@dataclass(frozen=True, kw_only=True)
class Pii:
    """Personal data: `redact` puts ModernBERT's placeholder in its place, `drop` drops the document."""

    emails: Remedy = "redact"
    """E-mail addresses -> |||EMAIL_ADDRESS||| (FineWeb, section 3.7, and StarCoder, section 4, redact them)."""
    ips: Remedy = "redact"
    """Addresses of the public internet -> |||IP_ADDRESS|||; private and reserved ones are nobody's (both as above)."""
    phones: Remedy = "keep"
    """Phone numbers -> |||PHONE_NUMBER|||. Neither of the two touches them; those on a page are mostly a business's."""
    private_ips: bool = False
    """Take private and reserved IP addresses for personal, too."""


def replaced(data: Any, begin: int, end: int, spans: Iterable[tuple[int, int, bytes]]) -> str:
    """The text data[begin:end] (UTF-8 bytes, an array) with other bytes in the places of spans.

    A span is (first byte, end, what stands there instead); they ascend and none lies over another.
    """
    parts: list[bytes] = []
    at = begin
    for start, stop, instead in spans:
        parts += [data[at:start].tobytes(), instead]
        at = stop
    return b"".join([*parts, data[at:end].tobytes()]).decode()
